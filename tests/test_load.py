"""What is large: a sentence of 5,000 types through training, evaluation and translation, and the memory of large corpora."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # benchmarks/ is no part of the package

from benchmarks import load  # noqa: E402

import toy  # noqa: E402
from translab.config import Decoding, Machine  # noqa: E402
from translab.evaluation.evaluate import evaluate  # noqa: E402
from translab.files import read_table  # noqa: E402
from translab.inference import load_inference  # noqa: E402
from translab.text import bpe  # noqa: E402
from translab.training.train import train  # noqa: E402

LONG = 5_000
READS = [pytest.param(16, id="16"), pytest.param(LONG + 2, id="5002", marks=pytest.mark.soak)]


@pytest.mark.parametrize("longest", READS)
def test_a_sentence_of_5000_types_is_read_where_the_model_can_and_said_where_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, longest: int
) -> None:
    toy.write_text(tmp_path / "text")
    tokenizers = toy.write_tokenizers(tmp_path / "tokenizer")
    types = [len(bpe.encode(bpe.load(path), ["ba ba", "BA BA"])[side]) // 2 for side, path in enumerate(tokenizers)]
    sentence = {side: " ".join([word] * (LONG // max(types))) for side, word in (("source", "ba"), ("target", "BA"))}
    for name in ("train", "tests/test"):
        path = tmp_path / "text" / f"{name}.parquet"
        rows = read_table(path).to_pylist()
        toy.write_pairs(path, [*rows, sentence])
    reads = longest > LONG
    with caplog.at_level("INFO"):
        train(
            toy.run(model={"maximum_length": longest}, optimisation={"updates": 24, "validate_every": 12}),
            text=tmp_path / "text",
            tokenizers=tokenizers,
            added=None,
            donor=None,
            folder=tmp_path / "runs" / "1",
            cost_file=tmp_path / "cost.json",
            checkpoints=tmp_path / "checkpoints",
            log=lambda step, values: None,
        )
    assert (
        f"base, seed 1: {200 + reads} training pairs ({1 - reads} longer than {longest} types left out), 20 for validation"
        in (caplog.messages)
    )
    evaluate(
        "base",
        [1],
        runs=tmp_path / "runs",
        text=tmp_path / "text",
        folder=tmp_path / "evaluation",
        decoding=Decoding(beam=1, length_penalty=1.0, batch_tokens=200),
        machine=Machine(accelerator="cpu", threads=1, precision="32-true"),
    )
    scores = json.loads((tmp_path / "evaluation" / "1" / "scores.json").read_text())["test_sets"]["test"]
    assert (scores["sentences"], scores["cut_sources"], scores["too_long"]) == (25, 1 - reads, 1 - reads)
    assert scores["loss"] > 0
    assert read_table(tmp_path / "evaluation" / "1" / "sentences.parquet")["source"].to_pylist()[-1] == sentence["source"]
    model = load_inference(tmp_path / "runs" / "1", "cpu")
    (found,) = model.translate([sentence["source"]], beam=1, length_penalty=1.0, batch_tokens=200, best=1, progress=None)
    said = "The sentence is longer than the 16 types that the model can read; the rest was left out."
    assert found.notes == ([] if reads else [said])


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_the_memory_of_two_million_pairs_is_foretold_below_2_gib(tmp_path: Path) -> None:
    """What each stage takes at two sizes, gone on with as a straight line; `benchmarks/load.py` measures two million."""
    sizes = (100_000, 500_000)
    mib: dict[str, list[float]] = {}
    for size in sizes:
        folder = tmp_path / str(size)
        folder.mkdir()
        for stage, arguments in load.project(folder, size).items():
            command = [sys.executable, str(ROOT / "stages" / f"{stage.split()[0]}.py"), *arguments]
            mib.setdefault(stage, []).append(load.measured(command, folder)["mib"])
    for stage, (low, high) in mib.items():
        foretold = high + (high - low) / (sizes[1] - sizes[0]) * (2_000_000 - sizes[1])
        assert foretold < 2048, f"{stage}: {low} and {high} MiB"
