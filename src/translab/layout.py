"""Where the stages' files lie, relative to the project's folder."""

from __future__ import annotations

from pathlib import Path

RUNS, COSTS, EVALUATIONS = Path("data/runs"), Path("data/costs"), Path("data/evaluations")
TOKENIZER = Path("data/tokenizer")
TEXT = Path("data/text")
CHECKPOINTS = Path(".cache/checkpoints")


def text(task: str) -> Path:
    """Folder of a task's text: `train.parquet`, `valid.parquet`, `tests/`, `probes/`, `languages.json`."""
    return TEXT / task


def tokenizers(task: str) -> tuple[Path, Path]:
    """Files of a task's source and target vocabulary."""
    return TOKENIZER / "source.json", TOKENIZER / f"target-{task}.json"


def run_folder(name: str, seed: int) -> Path:
    """Folder of one trained model."""
    return RUNS / name / str(seed)


def checkpoints(name: str, seed: int) -> Path:
    """Folder of what a stopped training goes on from; DVC knows nothing of it."""
    return CHECKPOINTS / f"{name}-{seed}"


def cost_file(name: str, seed: int) -> Path:
    """What one training cost."""
    return COSTS / name / f"{seed}.json"
