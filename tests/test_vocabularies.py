"""The vocabularies of an experiment, and how a stage fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import toy
from translab.config import ConfigError, Text
from translab.files import read_json, sha256, write_json
from translab.stage import run
from translab.text import bpe
from translab.text.vocabularies import train_vocabularies

SIZES = Text(source_types=20, target_types=22, joint=False)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    for task in ("a", "b"):
        toy.write_text(tmp_path / "text" / task)
    return tmp_path / "text"


def test_tasks_with_one_target_language_share_its_vocabulary(text: Path, tmp_path: Path) -> None:
    train_vocabularies(text, tmp_path / "tokenizer", SIZES)
    files = {path.name: sha256(path) for path in (tmp_path / "tokenizer").iterdir()}
    assert files["target-a.json"] == files["target-b.json"] != files["source.json"]
    report = read_json(tmp_path / "tokenizer" / "report.json")
    assert (report["source"]["types"], report["target-a"]["types"]) == (20, 22)
    assert report["source"]["coverage"] == 1


def test_other_target_languages_have_vocabularies_of_their_own(text: Path, tmp_path: Path) -> None:
    toy.write_text(text / "a", train=50)
    write_json(text / "a" / "languages.json", {"corpus": "x", "source_language": "en", "target_language": "fr"})
    train_vocabularies(text, tmp_path / "tokenizer", SIZES)
    a, b = (bpe.load(tmp_path / "tokenizer" / f"target-{task}.json") for task in ("a", "b"))
    assert a.get_vocab_size() == b.get_vocab_size() == 22


def test_a_joint_vocabulary_is_one_for_all_sides(text: Path, tmp_path: Path) -> None:
    train_vocabularies(text, tmp_path / "tokenizer", Text(source_types=36, target_types=36, joint=True))
    hashes = {sha256(tmp_path / "tokenizer" / name) for name in ("source.json", "target-a.json", "target-b.json")}
    assert len(hashes) == 1


def test_a_known_error_is_one_sentence_and_any_other_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["stages/some.py", "1"])

    def refuses(argument: str) -> None:
        raise ConfigError(f"{argument} is wrong; give 2.")

    with pytest.raises(SystemExit) as exit_:
        run(refuses)
    assert exit_.value.code == "stages/some.py: 1 is wrong; give 2."

    def breaks(argument: str) -> None:
        raise ValueError(argument)

    with pytest.raises(ValueError, match="1"):
        run(breaks)
