"""Marks and scales for figures as SVG text: small, the same bytes every time, and coloured by the page they stand in.

Colours are CSS variables (`--ink`, `--accent`, ...), so that one drawing serves a light page, a dark page and a file.
Text stays text and is set in the reader's fonts, which is how Chinese is displayed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"

Scale = Callable[[float], float]


def linear(domain: tuple[float, float], target: tuple[float, float]) -> Scale:
    """Map a domain linearly to pixels; what lies outside is moved to the edge."""
    low, high = domain
    start, end = target

    def scale(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return start + min(1.0, max(0.0, share)) * (end - start)

    return scale


def logarithmic(domain: tuple[float, float], target: tuple[float, float]) -> Scale:
    """Map a positive domain logarithmically to pixels."""
    inner = linear((math.log(domain[0]), math.log(domain[1])), target)
    return lambda value: inner(math.log(max(value, domain[0])))


def ticks(domain: tuple[float, float], number: int) -> list[float]:
    """About `number` round values within a domain.

    >>> ticks((-3.2, 4.1), 4)
    [-2.0, 0.0, 2.0, 4.0]
    """
    low, high = domain
    if high <= low:
        return [low]
    rough = (high - low) / number
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 10) + 0.0 for index in range(first, last + 1)]


def label(value: float) -> str:
    """A tick's text."""
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line; `kind` holds the CSS classes of a mark."""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def circle(x: float, y: float, radius: float, kind: str) -> str:
    """A dot or a ring."""
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"/>'


def rectangle(x: float, y: float, width: float, height: float, kind: str, opacity: float | None = None) -> str:
    """An upright rectangle."""
    shade = "" if opacity is None else f' fill-opacity="{opacity:.2f}"'
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"{shade}/>'


def path(points: Sequence[tuple[float, float]], kind: str) -> str:
    """A line through points."""
    steps = " ".join(f"{'L' if index else 'M'}{x:.1f} {y:.1f}" for index, (x, y) in enumerate(points))
    return f'<path class="{kind}" d="{steps}"/>'


def text(x: float, y: float, content: str, kind: str = "", anchor: str = "start", turn: float = 0.0) -> str:
    """A line of text, turned by `turn` degrees about its anchor."""
    turned = f' transform="rotate({turn:g} {x:.1f} {y:.1f})"' if turn else ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turned}>{escape(content)}</text>'


def drawing(width: float, height: float, description: str, marks: Sequence[str]) -> str:
    """A complete figure for a page.

    Args:
        width: in pixels at its natural size; the figure shrinks with its column.
        height: in pixels.
        description: what a reader who cannot see the figure should know.
        marks: the parts.
    """
    return (
        f'<svg class="figure" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="{escape(description)}">' + "".join(marks) + "</svg>"
    )


def as_file(figure: str) -> str:
    """The same figure as a file: it brings its colours along and follows the reader's light or dark setting."""
    style = (TEMPLATES / "colours.css").read_text(encoding="utf-8") + (TEMPLATES / "figure.css").read_text(encoding="utf-8")
    paper = '<rect class="paper" width="100%" height="100%"/>'
    head, tail = figure.split(">", 1)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}><style>{style}</style>{paper}{tail}\n'
