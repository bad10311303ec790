"""`translab translate` and the translator of text behind it."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import toy
from pairs import table
from translab.config import Cleaning
from translab.corpora.cleaning import clean, simplified
from translab.corpora.readers import Row
from translab.decoding import n_best, translate
from translab.files import write_json
from translab.inference import AMBIGUOUS, Candidate, Inference, load_inference
from translab.pretraining import build
from translab.runs import load_vocabularies, write_weights
from translab.text import bpe
from translab_dvc.command import main

SEARCH = {"beam": 3, "length_penalty": 1.0, "batch_tokens": 50}
PARAMS = "decoding: {beam: 3, length_penalty: 1.0, batch_tokens: 50}\n"
AGAIN = "get it again, or make it again with `make repro`."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.write_run(tmp_path_factory.mktemp("runs") / "base" / "1", toy.run())


@pytest.fixture(scope="module")
def inference(folder: Path) -> Inference:
    return load_inference(folder, "cpu")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder is a project that says how to search, and the number of threads is put back."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "params.yaml").write_text(PARAMS)
    monkeypatch.chdir(tmp_path / "project")
    threads = torch.get_num_threads()
    yield tmp_path / "project"
    torch.set_num_threads(threads)


def command(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> tuple[str, str]:
    """What a command that succeeds prints on both streams."""
    assert main(["translate", "--model", str(folder), *arguments]) == 0
    captured = capsys.readouterr()
    return captured.out, captured.err


def typed(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


def outputs(inference: Inference, sentences: list[str]) -> list[str]:
    """What the search of evaluation finds, a sentence at a time."""
    objective = inference.objective
    found = [translate(objective.network, objective.sources([sentence]), **SEARCH)[0].tokens for sentence in sentences]
    return bpe.decode(objective.vocabularies.target, found)


def test_a_sentence_is_translated(capsys: pytest.CaptureFixture[str], folder: Path, inference: Inference) -> None:
    assert command(capsys, folder, "ba do ki") == (outputs(inference, ["ba do ki"])[0] + "\n", "")


def test_a_file_and_standard_input_give_a_line_for_each_line(
    capsys: pytest.CaptureFixture[str], folder: Path, inference: Inference, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentences = ["ba do ki", "me", "lu lu ba me ki", "do ba", "ki ki"]
    expected = outputs(inference, sentences)
    assert len(set(expected)) > 3
    text = "".join(f"{line}\n" for line in expected)
    Path("in.txt").write_bytes("\n".join(sentences).encode())  # no line end at the end
    assert command(capsys, folder, "--input", "in.txt") == (text, "")
    typed(monkeypatch, "".join(f"{sentence}\r\n" for sentence in sentences).encode())
    assert command(capsys, folder) == (text, "")
    assert command(capsys, folder, "--input", "in.txt", "--output", "out.txt") == ("", "")
    assert Path("out.txt").read_bytes() == text.encode()
    assert sorted(path.name for path in project.iterdir()) == ["in.txt", "out.txt", "params.yaml"]
    typed(monkeypatch, b"")
    assert command(capsys, folder) == ("", "")


def test_what_cannot_be_read_as_it_stands_is_translated_all_the_same_and_said(
    capsys: pytest.CaptureFixture[str], folder: Path, inference: Inference
) -> None:
    lines = ["\ufeffba do", "", " \u200b ", "ba x \U000f1234 x é do", "ba " * 5000, "lu"]
    Path("in.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    out, err = command(capsys, folder, "--input", "in.txt")
    unknown, *rest = inference.objective.sources(["ba x \U000f1234 x é do", "ba " * 100])
    assert unknown.count(bpe.UNK) == 4
    hypotheses = translate(inference.objective.network, [unknown, rest[0][:16]], **SEARCH)
    fourth, fifth = bpe.decode(inference.objective.vocabularies.target, [hypothesis.tokens for hypothesis in hypotheses])
    assert out.split("\n") == [*outputs(inference, ["ba do"]), "", "", fourth, fifth, *outputs(inference, ["lu"]), ""]
    assert err.splitlines() == [
        "translab: line 2: The sentence is empty, and so is its translation.",
        "translab: line 3: The sentence is empty, and so is its translation.",
        "translab: line 4: The model does not know x U+F1234 é; each was read as [UNK].",
        "translab: line 5: The sentence is longer than the 16 types that the model can read; the rest was left out.",
    ]
    assert command(capsys, folder, "é")[1] == "translab: The model does not know é; each was read as [UNK].\n"


def test_a_huge_line_costs_no_more_than_the_model_can_read(inference: Inference) -> None:
    huge, same = ({"sentences": ["ba " * count]} for count in (10_000_000, 1_000))
    more = {**SEARCH, "best": 1, "progress": None}
    (found,), (expected,) = inference.translate(**huge, **more), inference.translate(**same, **more)
    assert found.candidates == expected.candidates and found.notes == expected.notes
    assert len(found.source) < 10_000


def test_many_notes_are_counted(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    Path("in.txt").write_text("\n" * 53)
    out, err = command(capsys, folder, "--input", "in.txt")
    assert out == "\n" * 53
    assert err.splitlines()[49:] == [
        "translab: line 50: The sentence is empty, and so is its translation.",
        "translab: and 3 more such notes, all of them with --json.",
    ]
    assert command(capsys, folder, "".join(chr(code) for code in range(0x4E00, 0x4E0D)))[1] == (
        "translab: The model does not know 一 丁 丂 七 丄 丅 丆 万 丈 三 and 3 more; each was read as [UNK].\n"
    )


def test_half_a_surrogate_pair_is_an_unknown_character_and_a_whole_one_is_joined(inference: Inference) -> None:
    texts = ["ba \udcff do", "ba \ud83d\ude00 do", "ba \U0001f600 do"]
    found = inference.translate(texts, **SEARCH, best=1, progress=None)
    assert [each.source for each in found] == ["ba \ufffd do", texts[2], texts[2]]
    assert found[0].notes == ["The model does not know \ufffd; each was read as [UNK]."]


def test_the_n_best_are_printed_with_line_and_score(
    capsys: pytest.CaptureFixture[str], folder: Path, inference: Inference
) -> None:
    Path("in.txt").write_text("ba do ki\n\nlu me\n")
    out, _ = command(capsys, folder, "--input", "in.txt", "--best", "3")
    rows = [line.split("\t") for line in out.splitlines()]
    assert {row[0] for row in rows} == {"1", "2", "3"}
    for number in "13":
        own = [row for row in rows if row[0] == number]
        scores = [float(score) for _, score, _ in own]
        assert scores == sorted(scores, reverse=True)
        assert len({text for *_, text in own}) == len(own) > 1
    assert [row for row in rows if row[0] == "2"] == [["2", "0.0000", ""]]
    plain = command(capsys, folder, "--input", "in.txt")[0].splitlines()
    assert [next(text for n, _, text in rows if n == number) for number in "123"] == plain
    one, _ = command(capsys, folder, "--best", "1", "ba do ki")
    assert one.split("\t") == [*rows[0][:2], f"{rows[0][2]}\n"]


def test_of_two_translations_with_the_same_text_the_better_is_kept(
    inference: Inference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("translab.inference.decode", lambda _, sequences: [f"{sum(ids) % 2}" for ids in sequences])
    (found,) = inference.translate(["ba do"], beam=9, length_penalty=1.0, batch_tokens=50, best=9, progress=None)
    ids = inference.objective.sources(["ba do"])
    (every,) = n_best(inference.objective.network, ids, beam=9, best=9, length_penalty=1.0, batch_tokens=50)
    assert sorted(each.text for each in found.candidates) == ["0", "1"]
    for candidate in found.candidates:
        assert candidate.score == max(each.score for each in every if f"{sum(each.tokens) % 2}" == candidate.text)


def test_json_has_everything(capsys: pytest.CaptureFixture[str], folder: Path, inference: Inference) -> None:
    Path("in.txt").write_text("ba  do\n\n")
    out, err = command(capsys, folder, "--input", "in.txt", "--json", "--best", "2", "--explain")
    first, second = (json.loads(line) for line in out.splitlines())
    assert err == "translab: line 2: The sentence is empty, and so is its translation.\n"
    assert (first["line"], first["source"], first["notes"], len(first["candidates"])) == (1, "ba do", [], 2)
    for candidate in first["candidates"]:
        attention = candidate["attention"]
        assert attention["source_tokens"][-1] == "[END]" and "".join(attention["source_tokens"][:-1]) == "▁ba▁do"
        assert attention["target_tokens"] == [*candidate["tokens"], "[END]"]
        ((*heads,),) = attention["weights"]
        assert len(heads) == 2
        for head in heads:
            assert len(head) == len(attention["target_tokens"])
            assert all(len(row) == len(attention["source_tokens"]) and sum(row) == pytest.approx(1, abs=1e-3) for row in head)
    nothing = {"source_tokens": [], "target_tokens": ["[END]"], "weights": []}
    assert second == {
        "line": 2,
        "source": "",
        "candidates": [{"text": "", "score": 0.0, "tokens": [], "attention": nothing}],
        "notes": ["The sentence is empty, and so is its translation."],
    }
    plain = json.loads(command(capsys, folder, "ba do", "--json")[0])
    assert [set(candidate) for candidate in plain["candidates"]] == [{"text", "score", "tokens"}]


def test_attention_is_shown_as_a_table_with_the_strongest_source_type(
    capsys: pytest.CaptureFixture[str], folder: Path, inference: Inference
) -> None:
    out, _ = command(capsys, folder, "ba do", "--explain")
    (result,) = inference.translate(["ba do"], **SEARCH, best=1, progress=None)
    candidate = result.candidates[0]
    source, target, weights = inference.attention("ba do", candidate)
    lines = out.splitlines()
    assert lines[:3] == [
        "ba do",
        f"{candidate.score:.4f}  {candidate.text}",
        "  attention of decoder layer 1, mean of 2 heads, %",
    ]
    assert lines[3].split() == [*source, "strongest"]
    rows = [line.split() for line in lines[4 : 4 + len(target)]]
    for place, row in enumerate(rows):
        means = [(weights[0][0][place][column] + weights[0][1][place][column]) / 2 for column in range(len(source))]
        assert row == [target[place], *(f"{100 * mean:.0f}" for mean in means), source[means.index(max(means))]]
    assert "%" not in command(capsys, folder, "", "--explain")[0]


def test_wide_characters_keep_the_tables_columns() -> None:
    from translab.commands.translate import _table

    lines = _table(["▁a", "b"], ["那只", "狗", "[END]"], [[0.25, 0.75], [1, 0], [0.5, 0.5]])
    assert lines == [
        "          ▁a   b  strongest",
        "  那只    25  75  b",
        "  狗     100   0  ▁a",
        "  [END]   50  50  ▁a",
    ]


def test_attention_is_that_of_evaluation(inference: Inference, folder: Path) -> None:
    from translab.evaluation.evaluate import _attention

    expected = _attention(inference.objective, 0, "ba do", "DO BA", inference.run)
    source, target, weights = inference.attention("ba do", Candidate("DO BA", 0.0, expected["target_tokens"][:-1]))
    assert (source, target) == (expected["source_tokens"], expected["target_tokens"])
    assert torch.allclose(torch.tensor(weights), torch.tensor(expected["weights"]), atol=1e-4)


def test_how_to_search_is_said_by_options_or_else_by_the_project(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def record(self: Inference, sentences: list[str], **values: Any) -> list[Any]:
        asked.append({**values, "threads": torch.get_num_threads()})
        return []

    monkeypatch.setattr(Inference, "translate", record)
    command(capsys, folder, "ba")
    command(capsys, folder, "ba", "--beam", "7", "--best", "2", "--threads", "2")
    Path("params.yaml").unlink()
    command(capsys, folder, "ba", "--beam", "1", "--length-penalty", "0.5", "--batch-tokens", "9")
    assert [{name: value for name, value in each.items() if name != "progress"} for each in asked] == [
        {"beam": 3, "length_penalty": 1.0, "batch_tokens": 50, "best": 1, "threads": 1},
        {"beam": 7, "length_penalty": 1.0, "batch_tokens": 50, "best": 2, "threads": 2},
        {"beam": 1, "length_penalty": 0.5, "batch_tokens": 9, "best": 1, "threads": 1},
    ]


def test_a_model_of_mlflow_is_fetched(
    capsys: pytest.CaptureFixture[str], folder: Path, inference: Inference, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = SimpleNamespace(model_folder=lambda uri: {"models:/translab@best": folder}[uri])
    monkeypatch.setitem(sys.modules, "translab.tracking.models", fetched)
    out, _ = command(capsys, Path("unused"), "ba", "--model", "models:/translab@best")
    assert out.splitlines() == outputs(inference, ["ba"])


def test_progress_is_shown_on_a_terminal_alone(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("in.txt").write_text("ba\n\ndo\n")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    out, err = command(capsys, folder, "--input", "in.txt")
    assert out.count("\n") == 3
    assert "3/3" in err and "sentence/s" in err
    assert command(capsys, folder, "ba")[1] == ""


def test_a_terminal_is_told_that_sentences_are_awaited(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, b"ba\n")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    out, err = command(capsys, folder)
    assert out.count("\n") == 1
    assert err == "translab: Reading sentences, one a line, until the input ends (Ctrl-D).\n"


def test_another_process_prints_the_same_bytes(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    Path("in.txt").write_text("ba do ki\nlu x\nme me do\n")
    arguments = ["--input", "in.txt", "--json", "--best", "3", "--explain"]
    environment = {**os.environ, "PYTHONHASHSEED": "5", "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "1"}
    whole = [sys.executable, "-m", "translab_dvc.command", "translate", "--model", str(folder), *arguments]
    printed = subprocess.run(whole, env=environment, capture_output=True, check=True).stdout
    assert printed.decode() == command(capsys, folder, *arguments)[0] != ""


def test_help_imports_nothing_heavy(capsys: pytest.CaptureFixture[str]) -> None:
    code = (
        "import sys; from translab_dvc.command import main\n"
        "try: main(['translate', '--help'])\n"
        "except SystemExit: print(sorted({'torch', 'tokenizers', 'mlflow', 'pyarrow', 'pydantic'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "1"}
    out = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True, text=True).stdout
    assert 'translab translate --model data/runs/base/1 "The dog saw the man."' in out
    assert out.splitlines()[-1] == "[]"


def test_text_is_cleaned_as_the_corpus_was(inference: Inference) -> None:
    texts = ["  ba\tdo\u00a0ki ", "e\u0301 \u200bba\u202e", "ba\r\ndo\u2028ki", "\u3000ba\x00 \ufeffdo", "Ｂａ ﬁ"]
    rules = Cleaning(minimum_length=1, maximum_length=99, maximum_ratio=9.0, simplified_chinese=True)
    pairs = table(Row(text, f"{row}", None, None, "train") for row, text in enumerate(texts))
    expected, _ = clean(pairs.to_reader(), ("en", "de"), rules)
    found = inference.translate(texts, **SEARCH, best=1, progress=None)
    assert [each.source for each in found] == expected["source"].to_pylist()


def test_chinese_is_made_simplified_where_the_training_text_was(tmp_path: Path) -> None:
    def read(name: str, training: str) -> str:
        folder = toy.write_run(tmp_path / name, toy.run(source_language="zh"))
        bpe.train([training], len(set(training)) + 8, "toy").save(str(folder / "source.json"))
        run = toy.run(source_language="zh")
        objective = build(run, load_vocabularies(folder), torch.Generator().manual_seed(3))
        write_weights(folder / "model.safetensors", objective.network.state_dict())
        (found,) = load_inference(folder, "cpu").translate(["他學過乾隆"], **SEARCH, best=1, progress=None)
        return found.source

    assert read("simplified", "他学过德语乾隆") == simplified("他學過乾隆") == "他学过乾隆"
    assert read("traditional", "他學過德語乾隆") == "他學過乾隆"


def test_the_ambiguous_characters_are_those_that_opencc_leaves_in_a_phrase() -> None:
    import opencc

    dictionary = Path(opencc.__file__).parent / "dictionary"
    left = {
        character
        for name in ("TSCharacters.txt", "TSPhrases.txt")
        for line in (dictionary / name).read_text(encoding="utf-8").splitlines()
        for character in line.split("\t")[1].split(" ")[0]
        if simplified(character) != character
    }
    assert left == AMBIGUOUS


def refused(capsys: pytest.CaptureFixture[str], model: Path | str, *arguments: str) -> str:
    """The sentence of a command that fails and prints nothing else."""
    assert main(["translate", "--model", str(model), *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    (sentence,) = captured.err.splitlines()
    return sentence


def copied(folder: Path, place: Path) -> Path:
    return Path(shutil.copytree(folder, place / "copy"))


def test_a_folder_that_holds_no_run_is_refused(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path) -> None:
    assert refused(capsys, "data/runs/bse/1", "ba") == (
        "translab: data/runs/bse/1 does not exist; give a run folder, such as data/runs/base/1."
    )
    assert refused(capsys, tmp_path, "ba") == (
        f"translab: {tmp_path} has no config.json, so it is no run folder; give one, such as data/runs/base/1."
    )
    assert refused(capsys, folder.parent, "ba") == (
        f"translab: {folder.parent} holds the runs 1; give one of them, such as {folder}."
    )


def test_a_model_that_does_not_translate_is_refused(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path) -> None:
    other = copied(folder, tmp_path)
    run = toy.run(stage="pretrain", task="a", name="small", method="ngram", method_values={"order": 3, "side": "source"})
    write_json(other / "config.json", run.model_dump(mode="json"))
    assert refused(capsys, other, "ba") == (
        f"translab: {other} holds a model of the method `ngram`, which does not translate; give a run of a variant, of a "
        "fine-tuned model, or of the method `translation`."
    )


def test_a_parent_translator_of_task_a_translates(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    parent = toy.write_run(tmp_path / "parent", toy.run(stage="pretrain", task="a", name="translation", method="translation"))
    assert command(capsys, parent, "ba")[0].count("\n") == 1


@pytest.mark.parametrize("file", ["model.safetensors", "source.json", "target.json"])
def test_a_missing_or_damaged_file_is_named(
    file: str, capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    other = copied(folder, tmp_path)
    data = (other / file).read_bytes()
    (other / file).write_bytes(data[: len(data) // 2])
    assert re.fullmatch(f"translab: {re.escape(str(other / file))} is damaged \\(.+\\); {AGAIN}", refused(capsys, other, "ba"))
    (other / file).unlink()
    assert refused(capsys, other, "ba") == f"translab: {other / file} is missing; {AGAIN}"


def test_a_damaged_configuration_is_named(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path) -> None:
    other = copied(folder, tmp_path)
    (other / "config.json").write_bytes(b"{")
    assert re.fullmatch(f"translab: {other}/config.json is damaged \\(.+\\); {AGAIN}", refused(capsys, other, "ba"))
    (other / "config.json").write_text("{}")
    assert refused(capsys, other, "ba") == f"translab: {other}/config.json.name is missing; give it a value."


def test_weights_of_another_model_are_refused(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path) -> None:
    other = copied(folder, tmp_path)
    write_json(other / "config.json", toy.run(model={"feedforward": 24}).model_dump(mode="json"))
    assert refused(capsys, other, "ba") == (
        f"translab: {other}/model.safetensors does not fit config.json and the vocabularies beside it: tensor "
        f"`decoder.layers.0.feedforward.inner.bias` has shape (32,), and the model needs (24,); {AGAIN}"
    )
    write_json(other / "config.json", toy.run(model={"decoder_layers": 2}).model_dump(mode="json"))
    assert "has shape none, and the model needs (" in refused(capsys, other, "ba")


def test_a_device_that_is_not_there_is_refused(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert refused(capsys, folder, "ba", "--device", "cuda") == "translab: There is no device cuda here; choose cpu."
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert refused(capsys, folder, "ba", "--device", "cuda:2") == (
        "translab: There is no device cuda:2 here; choose cpu or cuda or cuda:0 or cuda:1."
    )


def test_input_that_cannot_be_read_is_refused_and_the_output_stays_what_it_was(
    capsys: pytest.CaptureFixture[str], folder: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("out.txt").write_text("before")
    assert refused(capsys, folder, "--input", "no.txt", "--output", "out.txt") == (
        "translab: --input no.txt cannot be read: No such file or directory; give a text file in UTF-8."
    )
    assert refused(capsys, folder, "--input", str(project)) == (
        f"translab: --input {project} cannot be read: Is a directory; give a text file in UTF-8."
    )
    Path("in.txt").write_bytes(b"ba do\nba \xc4\xe3\n")
    convert = "convert the text, for instance with `iconv -f GB18030 -t UTF-8`."
    assert refused(capsys, folder, "--input", "in.txt", "--output", "out.txt") == (
        f"translab: in.txt: line 2 is not UTF-8 (byte 0xc4 at place 4); {convert}"
    )
    typed(monkeypatch, b"\xff")
    assert refused(capsys, folder) == f"translab: standard input: line 1 is not UTF-8 (byte 0xff at place 1); {convert}"
    assert Path("out.txt").read_text() == "before"


def test_an_output_that_cannot_be_written_is_refused_before_anything_is_translated(
    capsys: pytest.CaptureFixture[str], folder: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "kept").mkdir()
    (project / "kept" / "file").write_text("1")
    assert refused(capsys, folder, "ba", "--output", "kept") == (
        "translab: --output kept is no file, and would be replaced; give the name of a file."
    )
    assert (project / "kept" / "file").read_text() == "1"
    assert refused(capsys, folder, "ba", "--output", "/dev/null") == (
        "translab: --output /dev/null is no file, and would be replaced; give the name of a file."
    )
    assert refused(capsys, folder, "ba", "--output", "none/out.txt") == (
        "translab: --output none/out.txt: the folder none does not exist or is read-only; give another."
    )

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("translab.files.write_text", full)
    assert refused(capsys, folder, "ba", "--output", "out.txt") == (
        "translab: out.txt cannot be written: No space left on device; give another --output."
    )


def test_values_of_the_search_that_are_wrong_or_missing_are_refused(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert refused(capsys, folder, "ba", "--beam", "0") == (
        "translab: options.beam: input should be greater than or equal to 1, found 0."
    )
    assert refused(capsys, folder, "ba", "--best", "4") == (
        "translab: best is 4, but a beam of 3 can give 1 to 3 translations; take one of these, or a larger beam."
    )
    Path("params.yaml").write_text("decoding: {beam: 3}\n")
    assert refused(capsys, folder, "ba") == "translab: params.yaml: decoding.length_penalty is missing; give it a value."
    Path("params.yaml").write_text("model: {}\n")
    assert refused(capsys, folder, "ba") == "translab: params.yaml: decoding is empty; give its values by name."
    Path("params.yaml").unlink()
    advice = "give what is missing, or run the command from the project's folder."
    assert refused(capsys, folder, "ba") == (
        "translab: --beam, --length-penalty, --batch-tokens are not given, and this folder has no params.yaml that says how to "
        f"search; {advice}"
    )
    assert refused(capsys, folder, "ba", "--beam", "2", "--batch-tokens", "9") == (
        f"translab: --length-penalty is not given, and this folder has no params.yaml that says how to search; {advice}"
    )


def test_a_body_without_attention_cannot_be_explained(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lstm = toy.write_run(tmp_path / "lstm", toy.run(model={"body": "lstm", "encoder_layers": 1}))
    assert refused(capsys, lstm, "ba", "--explain") == (
        f"translab: {lstm} has the body `lstm`, which has no attention to show; leave --explain out, or give a model of "
        "another body."
    )
    assert command(capsys, lstm, "ba")[0].count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ba", "--input", "x"), "a sentence and --input are both given; give one of them."),
        (("ba", "--best", "0"), "--best is 0; give a whole number from 1 on."),
        (("ba", "--threads", "-1"), "--threads is -1; give a whole number from 1 on."),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["translate", "--model", str(folder), *arguments])
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"translab translate: error: {message}"
