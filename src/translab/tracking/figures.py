"""Figures that are attached to runs, as SVG: MLflow's pages show them, and a run's figures cost milliseconds.

The figures of the comparison are elsewhere (translab.comparison).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT, MARGIN = 640, 360, 56
LINES = {"objective": "#999999", "train_loss": "#0072b2", "valid_loss": "#d55e00"}
"""The losses of history.csv, in nats per token, in colours that colour-blind readers can tell apart (Okabe and Ito's)."""

CELL, LABEL, GAP = 14, 110, 24


def curves(history: Sequence[Mapping[str, float]], title: str) -> str:
    """The losses over the steps: where validation rises while training falls, the model over-fits."""
    finite = [row[key] for row in history for key in LINES if math.isfinite(row.get(key, math.nan))]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    last = max((row["step"] for row in history), default=1.0) or 1.0

    def place(step: float, loss: float) -> str:
        x = MARGIN + (WIDTH - 2 * MARGIN) * step / last
        y = HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (loss - low) / ((high - low) or 1.0)
        return f"{x:.1f},{y:.1f}"

    parts = [_text(WIDTH / 2, 24, title, "middle", 15), _text(WIDTH / 2, HEIGHT - 14, "step", "middle")]
    parts.append(f'<path d="M{MARGIN},{MARGIN}V{HEIGHT - MARGIN}H{WIDTH - MARGIN}" fill="none" stroke="#333333"/>')
    parts += [_text(MARGIN - 6, HEIGHT - MARGIN, f"{low:.2f}", "end"), _text(MARGIN - 6, MARGIN + 4, f"{high:.2f}", "end")]
    parts += [
        _text(MARGIN, HEIGHT - MARGIN + 18, "0", "middle"),
        _text(WIDTH - MARGIN, HEIGHT - MARGIN + 18, f"{last:.0f}", "middle"),
    ]
    for number, (key, colour) in enumerate(LINES.items()):
        points = [place(row["step"], row[key]) for row in history if math.isfinite(row.get(key, math.nan))]
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(_text(WIDTH - MARGIN, MARGIN + 16 * number, key.replace("_", " "), "end", 12, colour))
    return _svg(WIDTH, HEIGHT, parts)


def attention(sentence_map: Mapping[str, Any]) -> str:
    """Cross-attention of one sentence: a row per layer, a panel per head; a target token's weights are a row of cells."""
    source, target = sentence_map["source_tokens"], sentence_map["target_tokens"]
    layers = sentence_map["weights"]
    panel_width, panel_height = CELL * len(source) + GAP, CELL * len(target) + GAP
    parts = []
    for row, heads in enumerate(layers):
        for column, weights in enumerate(heads):
            left, top = LABEL + column * panel_width, LABEL + row * panel_height
            parts.append(_text(left, top - 5, f"layer {row + 1}, head {column + 1}", "start", 9))
            for i, line in enumerate(weights):
                for j, weight in enumerate(line):
                    x, y = left + j * CELL, top + i * CELL
                    parts.append(
                        f'<rect x="{x}" y="{y}" width="{CELL}" height="{CELL}" fill="#0072b2" fill-opacity="{weight:.3f}"/>'
                    )
            size = f'width="{CELL * len(source)}" height="{CELL * len(target)}"'
            parts.append(f'<rect x="{left}" y="{top}" {size} fill="none" stroke="#999999"/>')
            if column == 0:
                parts += [_text(left - 5, top + i * CELL + 11, token, "end", 11) for i, token in enumerate(target)]
            if row == 0:
                parts += [_upright(left + j * CELL + 11, top - 18, token) for j, token in enumerate(source)]
    width = LABEL + panel_width * max((len(heads) for heads in layers), default=0) + GAP
    return _svg(width, LABEL + panel_height * len(layers) + GAP, parts)


def _svg(width: float, height: float, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" font-family="sans-serif">'
    return head + '<rect width="100%" height="100%" fill="white"/>' + "".join(parts) + "</svg>\n"


def _text(x: float, y: float, text: str, anchor: str, size: int = 12, colour: str = "#333333") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{escape(text)}</text>'


def _upright(x: float, y: float, text: str) -> str:
    return f'<text transform="translate({x:.1f},{y:.1f}) rotate(-60)" font-size="11" fill="#333333">{escape(text)}</text>'
