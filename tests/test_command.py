"""The command `translab`."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from translab.corpora.phrasebook import generate, load
from translab_dvc.command import main


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["phrasebook", *arguments]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    if code == 2:
        with pytest.raises(SystemExit) as ended:
            main(["phrasebook", *arguments])
        assert ended.value.code == 2
    else:
        assert main(["phrasebook", *arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()[-1]


def test_pairs_are_shown_with_their_tags(capsys: pytest.CaptureFixture[str]) -> None:
    output = run(capsys, "--task", "everyday", "--show", "20", "--seed", "7")
    for number, pair in enumerate(generate("everyday", 20, 7), start=1):
        tag = json.loads(pair.tag)
        shown = output[output.index(f"{number}. {pair.source}\n") :].split("\n\n")[0]
        assert f"   {pair.target}\n" in shown
        assert f"   {tag['length']} words, depth {tag['depth']}; {', '.join(tag['constructions'])}\n" in shown
        assert f"   senses: {', '.join(tag['senses'])}" in shown


def test_json_lines_hold_the_same_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [json.loads(line) for line in run(capsys, "--task", "travel", "--show", "9", "--seed", "1", "--json").splitlines()]
    expected = [(pair.source, pair.target, json.loads(pair.tag)) for pair in generate("travel", 9, 1)]
    assert [(line["source"], line["target"], line["tag"]) for line in lines] == expected


def test_the_same_seed_prints_the_same_bytes_in_every_process_and_another_seed_others() -> None:
    def output(hash_seed: str, seed: str) -> bytes:
        command = [
            sys.executable,
            "-m",
            "translab_dvc.command",
            "phrasebook",
            "--task",
            "travel",
            "--show",
            "20",
            "--seed",
            seed,
        ]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "1"}
        return subprocess.run(command, env=environment, capture_output=True, check=True).stdout

    first = output("1", "7")
    assert output("2", "7") == first
    assert output("1", "8") != first


def test_statistics_are_printed_as_text_and_as_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = {"digest": "0a1b", "senses": 1_490, "overlap": {"senses": {"shared": 563, "share": {"travel": 0.7776}}}}
    monkeypatch.setattr("translab.corpora.phrasebook.statistics", lambda: figures)
    assert json.loads(run(capsys, "--statistics", "--json")) == figures
    assert run(capsys, "--statistics") == (
        "digest: 0a1b\nsenses: 1,490\noverlap:\n  senses:\n    shared: 563\n    share:\n      travel: 0.78\n"
    )


def test_items_of_a_probe_are_shown_twin_by_twin(capsys: pytest.CaptureFixture[str]) -> None:
    output = run(capsys, "--task", "travel", "--probe", "word-order", "--show", "4", "--seed", "7", "--json")
    lines = [json.loads(line) for line in output.splitlines()]
    assert [line["group"] for line in lines] == ["word-order 0", "word-order 0", "word-order 1", "word-order 1"]
    assert lines[0]["wrong"] == lines[1]["target"]
    assert f"   not: {lines[0]['wrong']}\n" in run(
        capsys, "--task", "travel", "--probe", "word-order", "--show", "4", "--seed", "7"
    )


def test_a_translation_is_judged(capsys: pytest.CaptureFixture[str]) -> None:
    pair = next(generate("travel", 1, 7))
    assert run(capsys, "--task", "travel", "--accepts", pair.source, pair.target) == "accepted\n"
    judged = run(capsys, "--task", "travel", "--accepts", pair.source, pair.target[1:]).splitlines()
    assert judged[0] != "accepted"
    assert judged[1:] == [f"  accepted: {each}" for each in sorted(load("travel").translations(pair.source))]
    unknown = run(capsys, "--task", "travel", "--accepts", "Colourless ideas sleep.", pair.target, "--json")
    assert json.loads(unknown) == {"translations": [], "verdict": "the grammar does not make this English sentence"}


@pytest.mark.parametrize(
    ("code", "arguments", "message"),
    [
        (
            1,
            ("--task", "travels", "--show", "1", "--seed", "1"),
            "travels is not a task of the phrasebook. Did you mean `travel`?",
        ),
        (
            1,
            ("--task", "travel", "--probe", "word-ordre", "--show", "2", "--seed", "1"),
            "task travel has no probe word-ordre. Did you mean `word-order`?",
        ),
        (
            2,
            ("--show", "1", "--seed", "1"),
            "translab phrasebook: error: --task is missing; name a task, such as everyday.",
        ),
        (
            2,
            ("--task", "travel", "--show", "1"),
            "translab phrasebook: error: --seed is missing; give --show a whole number to draw by.",
        ),
    ],
)
def test_a_request_that_is_wrong_is_refused_in_one_sentence(
    code: int, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(capsys, code, *arguments) == message


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["phrasebook", "--help"])
    assert ended.value.code == 0
    assert "translab phrasebook --task everyday --show 20 --seed 7" in capsys.readouterr().out


def test_output_may_be_cut_off_by_its_reader() -> None:
    command = [sys.executable, "-m", "translab_dvc.command", "phrasebook", "--task", "travel", "--show", "9000", "--seed", "7"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
