"""The best model of the grid: chosen on validation text, registered once, served, and fetched again."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import carded
import toy
from conftest import ROOT
from translab import files, layout
from translab.inference import load_inference
from translab.tracking import packaging
from translab.tracking.models import best_run, model_folder, publish_best
from translab.tracking.store import TrackingError, experiment_id, open_store

MODEL = "translab-toy"
LOSSES = {"base": [0.9, 0.5], "heads-1": [0.8, 0.7]}
START_SECONDS = 280


@pytest.fixture
def root(tmp_path: Path, empty_store: Path) -> Path:
    """A project with four models, and a store that knows none."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    carded.project(tmp_path, LOSSES)
    return tmp_path


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A project whose best model is registered, for tests that only look."""
    root = tmp_path_factory.mktemp("published")
    shutil.copy(empty_store, root / "mlflow.db")
    carded.project(root, LOSSES)
    publish(root)
    return root


def entries(root: Path) -> list[dict[str, Any]]:
    """What `publish` would hand in: every run folder, and a run of the store for each."""
    client = open_store(root)
    experiment = experiment_id(client, "toy: ablations", root)
    known = {run.info.run_name: run.info.run_id for run in client.search_runs([experiment])}
    found = []
    for folder in sorted((root / layout.RUNS).glob("*/*")):
        name, seed = folder.parent.name, int(folder.name)
        run_id = known.get(f"{name}-{seed}") or client.create_run(experiment, run_name=f"{name}-{seed}").info.run_id
        found.append({"name": name, "seed": seed, "run_id": run_id})
    return found


def publish(root: Path) -> dict[str, Any]:
    found = publish_best(open_store(root), root, entries(root), carded.DECODING)
    assert found is not None
    return found


def edit(root: Path, name: str, seed: int, file: str, **changes: Any) -> None:
    path = root / layout.run_folder(name, seed) / file
    files.write_json(path, files.read_json(path) | changes)


def best(root: Path) -> tuple[str, int] | None:
    found = best_run(root, [{**entry, "run_id": ""} for entry in runs_of(root)])
    return None if found is None else (found.name, found.seed)


def runs_of(root: Path) -> list[dict[str, Any]]:
    folders = sorted((root / layout.RUNS).glob("*/*"))
    return [{"name": folder.parent.name, "seed": int(folder.name)} for folder in folders]


# ---- which model is the best


def test_the_lowest_validation_loss_is_the_best_whatever_the_test_set_says(root: Path) -> None:
    assert best(root) == ("base", 2)
    scores = root / layout.EVALUATIONS / "heads-1" / "1" / "scores.json"
    table = files.read_json(scores)
    table["test_sets"]["test"]["bleu"]["zh"]["score"] = 99.0
    files.write_json(scores, table)
    assert best(root) == ("base", 2)
    edit(root, "heads-1", 1, "metrics.json", best_valid_loss=0.4)
    assert best(root) == ("heads-1", 1)


def test_of_equal_losses_the_name_decides_and_then_the_seed(root: Path) -> None:
    for entry in runs_of(root):
        edit(root, entry["name"], entry["seed"], "metrics.json", best_valid_loss=0.5)
    assert best(root) == ("base", 1)
    edit(root, "base", 1, "metrics.json", best_valid_loss=0.6)
    assert best(root) == ("base", 2)
    edit(root, "base", 2, "metrics.json", best_valid_loss=0.6)
    assert best(root) == ("heads-1", 1)


def test_a_loss_in_other_units_of_another_task_or_that_diverged_does_not_count(root: Path) -> None:
    target = root / layout.run_folder("base", 2) / "target.json"
    target.write_text(target.read_text().replace('"version"', '"Version"'))
    with target.open("a") as file:
        file.write("\n")
    edit(root, "base", 1, "metrics.json", best_valid_loss=0.6)
    assert best(root) == ("base", 1), "base-2 has other types, so its loss of 0.5 is in other units"
    edit(root, "base", 1, "metrics.json", diverged_at=300)
    assert best(root) == ("heads-1", 2)
    edit(root, "heads-1", 2, "config.json", task="a")
    assert best(root) == ("heads-1", 1)
    edit(root, "heads-1", 1, "metrics.json", best_valid_loss=None)
    assert best(root) is None


def test_a_decoder_that_sees_the_words_to_come_is_no_candidate(root: Path) -> None:
    edit(root, "base", 2, "config.json", values=toy.run(model={"causal": False}).values.model_dump(mode="json"))
    assert best(root) == ("heads-1", 2)


def test_without_the_base_there_is_no_unit_to_compare_losses_in(root: Path) -> None:
    shutil.rmtree(root / layout.RUNS / "base")
    with pytest.raises(TrackingError) as error:
        best(root)
    assert str(error.value) == (
        "`base` is not among the published runs, so there is no target vocabulary in which losses can be compared; publish the "
        "whole grid."
    )


def test_a_grid_without_translations_registers_nothing(root: Path) -> None:
    for entry in runs_of(root):
        edit(root, entry["name"], entry["seed"], "config.json", task="a")
    assert publish_best(open_store(root), root, entries(root), carded.DECODING) is None
    assert open_store(root).search_registered_models() == []


def test_a_missing_file_is_named(root: Path) -> None:
    missing = root / layout.run_folder("base", 2) / "model.safetensors"
    missing.unlink()
    with pytest.raises(TrackingError) as error:
        publish(root)
    assert str(error.value) == (
        f"{missing} does not exist, so the best model cannot be published; `make repro` makes what is missing, `dvc pull` "
        "fetches it."
    )


# ---- registered once


def test_publishing_again_registers_nothing_and_a_better_model_takes_the_alias_and_gives_it_back(root: Path) -> None:
    client = open_store(root)
    first = publish(root)
    assert {key: first[key] for key in ("model", "alias", "name", "seed", "version", "outcome")} == {
        "model": MODEL,
        "alias": "best",
        "name": "base",
        "seed": 2,
        "version": "1",
        "outcome": "registered",
    }
    assert publish(root) == first | {"outcome": "unchanged"}

    edit(root, "heads-1", 1, "metrics.json", best_valid_loss=0.1)
    better = publish(root)
    assert (better["name"], better["version"], better["outcome"]) == ("heads-1", "2", "registered")
    assert better["content_hash"] != first["content_hash"]
    assert client.get_model_version_by_alias(MODEL, "best").version == 2

    edit(root, "heads-1", 1, "metrics.json", best_valid_loss=0.8)
    assert publish(root) == first | {"outcome": "moved"}
    assert client.get_model_version_by_alias(MODEL, "best").version == 1
    assert len(client.search_model_versions(f"name = '{MODEL}'")) == 2


def test_a_changed_card_replaces_the_card_and_makes_no_version(root: Path) -> None:
    first = publish(root)
    records = files.read_json(root / "reports" / "ablations.json")
    records[0]["scores"]["bleu"]["interval"] = [1.0, 2.0]
    files.write_json(root / "reports" / "ablations.json", records)
    assert publish(root) == first | {"outcome": "described"}
    version = open_store(root).get_model_version_by_alias(MODEL, "best")
    readme = next((root / "mlartifacts").rglob("README.md")).read_text(encoding="utf-8")
    assert "| BLEU | 28.00 | 28.00 | 1.00 to 2.00 |" in readme
    assert version.description.startswith("**base**, seed 2: the base model, trained on toy (en→de) from scratch.")
    assert publish(root)["outcome"] == "unchanged"


def test_a_deleted_store_comes_back_with_the_same_model(root: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = publish(root)
    before = content_of(next((root / "mlartifacts").rglob("MLmodel")).parent)
    shutil.rmtree(root / "mlartifacts")
    shutil.copy(empty_store, root / "new.db")  # another name: this process still holds the first store open
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root / 'new.db'}")
    assert publish(root) == first
    assert content_of(next((root / "mlartifacts").rglob("MLmodel")).parent) == before


def content_of(model: Path) -> dict[str, bytes]:
    """An MLflow model's files that are ours, by name; its own say when it was written and where from."""
    own = ("MLmodel", "README.md")  # the card is compared elsewhere, and names no store
    return {
        path.relative_to(model).as_posix(): path.read_bytes()
        for path in model.rglob("*")
        if path.is_file() and path.name not in own
    }


def test_a_project_that_was_moved_registers_its_model_where_its_files_are_now(root: Path, tmp_path: Path) -> None:
    publish(root)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("data", "reports", "corpora.yaml", "params.yaml", "mlflow.db"):
        (root / name).rename(moved / name)
    again = publish(moved)
    assert (again["version"], again["outcome"]) == ("2", "registered")
    assert list((moved / "mlartifacts").rglob("MLmodel"))


def test_what_fails_half_way_leaves_no_model_without_files(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError("disk full")

    client = open_store(root)
    runs = entries(root)
    with monkeypatch.context() as patch:
        patch.setattr(type(client), "log_model_artifacts", fail)
        with pytest.raises(OSError, match="disk full"):
            publish_best(client, root, runs, carded.DECODING)
    experiment = client.get_experiment_by_name("toy: ablations").experiment_id
    assert list(client.search_logged_models([experiment])) == []
    assert publish(root)["outcome"] == "registered"


# ---- what is registered


def test_the_mlflow_model_holds_the_run_folder_its_code_and_its_card_and_nothing_pickled(published: Path) -> None:
    model = next((published / "mlartifacts").rglob("MLmodel")).parent
    held = {path.relative_to(model).as_posix() for path in model.rglob("*") if path.is_file()}
    for name in ("config.json", "model.safetensors", "source.json", "target.json"):
        original = published / layout.run_folder("base", 2) / name
        assert (model / "artifacts" / "run" / name).read_bytes() == original.read_bytes()
    assert {"served.py", "README.md", "requirements.txt", "input_example.json", "code/translab/inference.py"} <= held
    assert not [name for name in held if name.endswith((".pkl", ".pt", ".pth", ".ckpt", ".bin"))]
    assert (model / "README.md").read_text(encoding="utf-8").startswith("# base, seed 2\n")
    pinned = (model / "requirements.txt").read_text().split()
    assert {line.partition("==")[0] for line in pinned} == set(packaging.REQUIREMENTS)
    assert all(re.fullmatch(r"[a-z-]+==[0-9.]+", line) for line in pinned)
    metadata = YAML(typ="safe").load(model / "MLmodel")
    assert [(each["name"], each["type"]) for each in json.loads(metadata["signature"]["inputs"])] == [("source", "string")]
    assert [(each["name"], each["default"]) for each in json.loads(metadata["signature"]["params"])] == [
        ("beam", 4),
        ("length_penalty", 1.0),
        ("best", 1),
    ]


def test_publish_depends_on_the_code_that_it_packs() -> None:
    deps = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]["publish"]["deps"]
    packed = [path.relative_to(ROOT).as_posix() for path in packaging.code_files() if path.read_bytes()]
    exempt = ["src/translab/config", "src/translab/pretraining/__init__.py"]  # named at the head of dvc.yaml, with the reason
    places = [*deps, *exempt]
    assert [name for name in packed if not any(name == place or name.startswith(f"{place}/") for place in places)] == []


def test_the_registered_model_is_fetched_by_its_uri(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(published)
    folder = model_folder(f"models:/{MODEL}@best")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "source.json", "target.json"]
    assert load_inference(folder, "cpu").run.seed == 2
    assert (model_folder(f"models:/{MODEL}/1") / "config.json").read_bytes() == (folder / "config.json").read_bytes()


def test_what_cannot_be_fetched_is_said(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TrackingError) as error:
        model_folder(f"models:/{MODEL}@best")
    assert str(error.value) == (
        f"models:/{MODEL}@best cannot be fetched: there is no MLflow store at {tmp_path / 'mlflow.db'}; run the command in the "
        "project's folder, or name a store with MLFLOW_TRACKING_URI."
    )
    monkeypatch.chdir(published)
    for uri in ("models:/other@best", f"models:/{MODEL}@worst", f"models:/{MODEL}/7", "models:/", "runs:/none/model"):
        with pytest.raises(TrackingError) as error:
            model_folder(uri)
        assert str(error.value).startswith(f"{uri} cannot be fetched from the MLflow store sqlite:///")
        assert str(error.value).endswith("; `make publish` registers the best model as models:/translab-<corpus>@best.")


# ---- served


@pytest.fixture(scope="module")
def server(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`mlflow models serve` in the project's folder, without a checkout of translab on its path."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "MLFLOW_TRACKING_URI")}
    log = tmp_path_factory.mktemp("server") / "log"
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", f"models:/{MODEL}@best"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--env-manager", "local", "--port", str(port)],
            cwd=published,
            env=environment | {"OMP_NUM_THREADS": "1"},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + START_SECONDS
        while not answers(f"{address}/ping"):
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.2)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def ask(server: str, body: Any) -> tuple[int, Any]:
    """The code and the answer of a request."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{server}/invocations", data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)["predictions"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["message"]


def rows(*sentences: Any) -> dict[str, Any]:
    return {"dataframe_records": [{"source": sentence} for sentence in sentences]}


def test_the_server_translates_as_the_run_folder_does(server: str, published: Path) -> None:
    sentences = ["ba do ki", "lu", "me me ba lu do"]
    own = load_inference(published / layout.run_folder("base", 2), "cpu").translate(
        sentences, beam=4, length_penalty=1.0, batch_tokens=2000, best=1, progress=None
    )
    code, found = ask(server, rows(*sentences))
    assert code == 200
    assert [each["translation"] for each in found] == [each.candidates[0].text for each in own]
    assert [each["score"] for each in found] == pytest.approx([each.candidates[0].score for each in own])
    assert ask(server, rows(sentences[0]))[1][0]["translation"] == found[0]["translation"]
    assert [set(each) for each in found] == [{"translation", "score", "candidates", "notes"}] * 3


def test_the_request_says_how_wide_the_beam_is_and_how_many_translations_it_wants(server: str) -> None:
    code, [found] = ask(server, rows("ba do ki") | {"params": {"beam": 6, "best": 3, "length_penalty": 0.0}})
    assert code == 200
    scores = [candidate["score"] for candidate in found["candidates"]]
    assert len(scores) == 3 and scores == sorted(scores, reverse=True)
    assert (found["translation"], found["score"]) == (found["candidates"][0]["text"], scores[0])
    assert len(ask(server, rows("ba do ki"))[1][0]["candidates"]) == 1


def test_empty_huge_and_unknown_text_is_translated_and_noted(server: str) -> None:
    code, [empty, huge, strange] = ask(server, rows("", "ba do " * 50_000, "ba 猫"))
    assert code == 200
    assert (empty["translation"], empty["notes"]) == ("", ["The sentence is empty, and so is its translation."])
    assert len(huge["notes"]) == 1 and "the rest was left out" in huge["notes"][0]
    assert strange["notes"] == ["The model does not know 猫; each was read as [UNK]."]


WRONG = {
    "another column": ({"dataframe_records": [{"text": "ba"}]}, "Model is missing inputs ['source']."),
    "a number": (rows("ba", 7), 'Row 1 of the column `source` is 7, which is no text; give a sentence, or "".'),
    "nothing": (rows(None), 'Row 0 of the column `source` is None, which is no text; give a sentence, or "".'),
    "no row": ({"inputs": {"source": []}}, "The request has no sentence; give at least one in the column `source`."),
    "no column": ({"dataframe_records": []}, "Model is missing inputs ['source']."),
    "a narrow beam": (rows("ba") | {"params": {"beam": 0}}, "The parameter beam is 0; give a whole number from 1 to 64."),
    "a wide beam": (rows("ba") | {"params": {"beam": 65}}, "The parameter beam is 65; give a whole number from 1 to 64."),
    "half a beam": (rows("ba") | {"params": {"beam": 2.5}}, "Can not safely convert"),
    "too many": (
        rows("ba") | {"params": {"best": 5}},
        "The parameter best is 5 with a beam of 4; give a whole number from 1 to the beam.",
    ),
    "a negative length": (
        rows("ba") | {"params": {"length_penalty": -1.0}},
        "The parameter length_penalty is -1.0; give a number from 0 up.",
    ),
    "no JSON": (b"ba do ki", "Ensure that input is a valid JSON formatted string."),
    "a list": (["ba do ki"], "The input must be a JSON dictionary"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_is_answered_400_with_what_is_wrong(server: str, case: str) -> None:
    body, sentence = WRONG[case]
    code, message = ask(server, body)
    assert code == 400
    assert sentence in message
    assert "Traceback" not in message
    assert ask(server, rows("ba"))[0] == 200, "the server goes on"
