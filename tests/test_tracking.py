"""The MLflow store is a projection of the run folders: complete, correct, made again at any time, and never in a run's way."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fabricated
from translab import files, layout
from translab.tracking import identity, live, live_run, views
from translab.tracking.dashboard import dashboard, links
from translab.tracking.follow import follow
from translab.tracking.projection import project
from translab.tracking.publish import publish
from translab.tracking.store import TrackingError, open_store

NAMES = ["base", "heads-1", "masked", "masked-encoder-3-frozen"]
FEW = ["base", "heads-1"]
SEEDS = [1, 2]
SOURCE = Path(live.__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store with tables and nothing else: making the tables takes seconds, copying the file does not."""
    root = tmp_path_factory.mktemp("store")
    open_store(root)
    return root / "mlflow.db"


@pytest.fixture
def root(tmp_path: Path, empty_store: Path) -> Path:
    """A project with finished runs and an empty store, for tests that change it."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    fabricated.project(tmp_path, FEW, SEEDS)
    return tmp_path


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A project with a complete store, for tests that only look."""
    root = tmp_path_factory.mktemp("published")
    shutil.copy(empty_store, root / "mlflow.db")
    fabricated.project(root, NAMES, SEEDS)
    assert publish(root, NAMES, SEEDS) == {"created": 8, "unchanged": 0, "restored": 0, "completed": 0, "superseded": 0}
    return root


@pytest.fixture
def no_follower(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs start no process: the test follows their journals itself."""
    monkeypatch.setattr(live, "_start_follower", lambda root: None)


def runs(root: Path) -> dict[str, Any]:
    """Every run that a person sees in the store, by name."""
    client = open_store(root)
    experiments = [found.experiment_id for found in client.search_experiments()]
    found = client.search_runs(experiments, max_results=1000)
    assert len({run.info.run_name for run in found}) == len(found), "a run appears twice"
    return {run.info.run_name: run for run in found}


def picture(root: Path) -> dict[str, Any]:
    """Everything the store says, without ids and times of writing."""
    client = open_store(root)
    seen = {}
    for name, run in runs(root).items():
        run_id = run.info.run_id
        histories = {key: [(p.step, p.value) for p in client.get_metric_history(run_id, key)] for key in run.data.metrics}
        folder = Path(client.download_artifacts(run_id, ""))
        artifacts = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        tags = {key: value for key, value in run.data.tags.items() if key != "translab.live"}
        inputs = [(item.dataset.name, item.dataset.digest) for item in run.inputs.dataset_inputs]
        seen[name] = (run.info.status, run.data.params, tags, histories, artifacts, inputs)
    return seen


def test_a_run_in_the_store_says_what_its_folder_says(published: Path) -> None:
    run = runs(published)["heads-1-2"]
    client = open_store(published)
    assert client.get_experiment(run.info.experiment_id).name == "phrasebook-travel: ablations"
    assert run.info.status == "FINISHED"
    assert run.info.end_time - run.info.start_time == 22_000
    assert run.data.params["model.heads"] == "1"
    assert run.data.params["batch.source_end"] == "true"
    tags = {key: run.data.tags[key] for key in ("variant", "axis", "seed", "corpus", "stage", "git_commit", "folder")}
    assert tags == {
        "variant": "heads-1",
        "axis": "model.heads",
        "seed": "2",
        "corpus": "phrasebook-travel",
        "stage": "ablate",
        "git_commit": "0123456789abcdef0123456789abcdef01234567",
        "folder": "data/runs/heads-1/2",
    }
    score = fabricated.bleu("heads-1", 2)
    assert run.data.tags["mlflow.note.content"] == (
        "**heads-1**, seed 2: the base model with model.heads = 1, trained on phrasebook-travel (en→zh) from scratch. "
        f"On the test set: 75.0 % accepted, BLEU {score:.2f} (zh), chrF {score - 5:.2f}."
    )
    assert run.data.metrics["test/acceptance"] == 0.75
    assert {key for key in run.data.metrics if key.startswith("test/errors/")} == {"test/errors/sense"}
    assert run.data.metrics["test/bleu"] == score
    assert run.data.metrics["test/bleu-char"] == pytest.approx(score + 3)
    assert run.data.metrics["cost/tokens_per_second"] == 11000
    curve = client.get_metric_history(run.info.run_id, "curves/valid_loss")
    assert [(point.step, point.value) for point in curve] == [
        (row["step"], row["valid_loss"]) for row in fabricated.history("heads-1", 2)
    ]
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("phrasebook-travel", run.data.tags["data_hash"])
    assert dataset.tags[0].value == "training"
    table = json.loads(Path(client.download_artifacts(run.info.run_id, "translations.json")).read_text(encoding="utf-8"))
    assert table["columns"][2:5] == ["source", "reference", "hypothesis"]
    assert table["data"][0][2:5] == ["I swim .", "我 游泳 。", "我 游泳 。"]
    figures = {item.path for item in client.list_artifacts(run.info.run_id, "figures")}
    assert figures == {"figures/curves.svg", "figures/attention-0.svg"}


def test_test_sets_and_probes_of_the_phrasebook_are_metrics_by_their_names(tmp_path: Path) -> None:
    fabricated.project(tmp_path, ["base"], [1])
    path = tmp_path / layout.EVALUATIONS / "base" / "1" / "scores.json"
    scores = files.read_json(path)
    scores["test_sets"]["test-compositional"] = {"sentences": 4, "acceptance": 0.5, "errors": {"wrong order": 2}}
    scores["probes"] = {"end": {"items": 10, "choice": 0.9, "acceptance": 0.7, "truncated": 0.1, "overrun": 0.0}}
    files.write_json(path, scores)
    found = {point.key: point.value for point in project(tmp_path, "base", 1).points}
    assert {key: value for key, value in found.items() if key.startswith(("test-", "probe-"))} == {
        "test-compositional/acceptance": 0.5,
        "test-compositional/errors/wrong order": 2,
        "probe-end/choice": 0.9,
        "probe-end/acceptance": 0.7,
        "probe-end/truncated": 0.1,
        "probe-end/overrun": 0.0,
    }


def test_transfer_and_pretraining_are_experiments_of_their_own(published: Path) -> None:
    found = {run.info.experiment_id: set() for run in runs(published).values()}
    for name, run in runs(published).items():
        found[run.info.experiment_id].add(name)
    client = open_store(published)
    assert {client.get_experiment(identifier).name: names for identifier, names in found.items()} == {
        "phrasebook-travel: ablations": {"base-1", "base-2", "heads-1-1", "heads-1-2"},
        "phrasebook-travel: transfer": {"masked-encoder-3-frozen-1", "masked-encoder-3-frozen-2"},
        "phrasebook-everyday: pretraining": {"masked-1", "masked-2"},
        "phrasebook-travel: report": {"report"},
    }
    loss = fabricated.history("masked", 1)[-1]["valid_loss"]
    assert runs(published)["masked-1"].data.tags["mlflow.note.content"] == (
        "**masked**, seed 1: a model pretrained by the method masked on phrasebook-everyday (en→zh, task A). "
        f"On the test set: loss {loss:.3f} nats per predicted token, accuracy 0.800."
    )


def test_a_run_that_diverged_at_once_is_shown_and_says_so(root: Path) -> None:
    folder, scores = root / layout.run_folder("base", 1), root / layout.EVALUATIONS / "base" / "1" / "scores.json"
    lost = {"diverged_at": 7, "best_step": None, "best_valid_loss": None, "last_valid_loss": None, "last_train_loss": None}
    files.write_json(folder / "metrics.json", files.read_json(folder / "metrics.json") | lost)
    header = (folder / "history.csv").read_text(encoding="utf-8").partition("\n")[0]
    files.write_text(folder / "history.csv", header + "\n")
    files.write_json(scores, {"name": "base", "seed": 1, "task": "b", "test_sets": {"test": {"sentences": 8, "loss": None}}})
    projected = project(root, "base", 1)
    assert projected.tags["mlflow.note.content"].endswith("Its loss stopped being a number after 7 updates.")
    assert {point.key: point.value for point in projected.points}["diverged_at"] == 7


def test_a_transfer_says_what_it_took_from_whom_and_leads_there(published: Path) -> None:
    found = runs(published)
    transfer, donor = found["masked-encoder-3-frozen-1"].data, found["masked-1"].info
    assert {key: value for key, value in transfer.params.items() if key.startswith("transfer.")} == {
        "transfer.source": "masked",
        "transfer.ladder": "encoder",
        "transfer.shallow_layers": "3",
        "transfer.surgery": "frozen",
        "transfer.train": "never",
        "transfer.dropout": "true",
    }
    tags = {key: transfer.tags[key] for key in ("method", "transfer", "ladder", "surgery", "donor")}
    assert tags == {
        "method": "masked",
        "transfer": "masked, encoder, 3 layers, frozen",
        "ladder": "encoder",
        "surgery": "frozen",
        "donor": "masked-1",
    }
    note = transfer.tags["mlflow.note.content"]
    assert note.startswith(
        "**masked-encoder-3-frozen**, seed 1: a model trained on phrasebook-travel (en→zh) that starts with the 3 shallowest "
        "layers of the encoder of masked; these stay frozen. On the test set: "
    )
    assert note.endswith(f" Donor: [masked-1](#/experiments/{donor.experiment_id}/runs/{donor.run_id}).")


def test_the_way_to_a_donor_is_right_after_the_donor_was_trained_anew(tmp_path: Path, empty_store: Path) -> None:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    names = ["masked", "masked-encoder-3-frozen"]
    fabricated.project(tmp_path, names, [1])
    publish(tmp_path, names, [1])
    before = runs(tmp_path)
    metrics = tmp_path / layout.run_folder("masked", 1) / "metrics.json"
    files.write_json(metrics, files.read_json(metrics) | {"best_valid_loss": 0.5})

    outcomes = publish(tmp_path, names, [1])

    assert (outcomes["created"], outcomes["unchanged"]) == (1, 1)
    after = runs(tmp_path)
    old, new = (found["masked-1"].info.run_id for found in (before, after))
    notes = [found["masked-encoder-3-frozen-1"].data.tags["mlflow.note.content"] for found in (before, after)]
    assert old != new
    assert notes[1] == notes[0].replace(old, new)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"train": "gradually", "ladder": "joint"},
            "layers of encoder and decoder of masked; these are released one after the other.",
        ),
        ({"train": "always", "ladder": "decoder"}, "layers of the decoder of masked; these go on learning."),
    ],
)
def test_what_becomes_of_transferred_layers_is_said(change: dict[str, str], sentence: str) -> None:
    config = fabricated.config("masked-encoder-3-frozen", 1)
    config["transfer"] |= change
    config["values"]["data"]["training_pairs"] = 300
    assert identity.sentence(config) == (
        "**masked-encoder-3-frozen**, seed 1: a model trained on 300 pairs of phrasebook-travel (en→zh) that starts with the 3 "
        f"shallowest {sentence}"
    )


def test_a_control_is_not_said_to_be_pretrained() -> None:
    config = fabricated.config("masked", 1)
    config["values"]["optimisation"]["updates"] = 0
    assert identity.sentence(config) == (
        "**masked**, seed 1: a model as it is before it is pretrained by the method masked on phrasebook-everyday "
        "(en→zh, task A)."
    )


def test_what_a_model_knows_by_itself_is_metrics_by_their_names(tmp_path: Path) -> None:
    fabricated.project(tmp_path, ["masked"], [1])
    evaluation = tmp_path / layout.EVALUATIONS / "masked" / "1"
    measures = {
        "name": "masked",
        "seed": 1,
        "method": "masked",
        "side": "source",
        "parameters": 7,
        "language_model": None,
        "cloze": {"accuracy": 0.5, "gaps": 40},
        "neighbours": {"red": [["blue", 0.9]]},
        "senses": {"contextual": {"bank": 0.75, "bat": 0.25}, "static": {"bank": 0.5, "bat": 0.5}, "context_mean": None},
    }
    files.write_json(evaluation / "intrinsic.json", measures)
    projected = project(tmp_path, "masked", 1)
    assert {point.key: point.value for point in projected.points if point.key.startswith("intrinsic/")} == {
        "intrinsic/cloze/accuracy": 0.5,
        "intrinsic/cloze/gaps": 40,
        "intrinsic/senses/contextual": 0.5,
        "intrinsic/senses/static": 0.5,
    }
    assert projected.attachments["intrinsic.json"] == evaluation / "intrinsic.json"


def test_publishing_twice_changes_nothing(published: Path) -> None:
    before = {name: run.info.run_id for name, run in runs(published).items()}
    entries = (published / "data/published.json").read_bytes()

    assert publish(published, NAMES, SEEDS)["unchanged"] == 8

    assert {name: run.info.run_id for name, run in runs(published).items()} == before
    assert (published / "data/published.json").read_bytes() == entries


def test_a_new_store_shows_the_same(root: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(root, FEW, SEEDS)
    before, published = picture(root), (root / "data/published.json").read_bytes()
    shutil.rmtree(root / "mlartifacts")
    shutil.copy(empty_store, root / "other.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root / 'other.db'}")

    publish(root, FEW, SEEDS)

    assert picture(root) == before
    assert (root / "data/published.json").read_bytes() == published


def test_what_was_published_names_no_machine(published: Path) -> None:
    entries = files.read_json(published / "data/published.json")
    assert [(run["name"], run["seed"]) for run in entries["runs"]] == [(name, seed) for name in NAMES for seed in SEEDS]
    assert set(entries["runs"][0]) == {"name", "seed", "content_hash", "experiment"}
    text = json.dumps(entries)
    assert str(published) not in text
    assert not any(run.info.run_id in text for run in runs(published).values())


def test_a_run_with_new_content_takes_the_place_of_the_old_and_gives_it_back(root: Path) -> None:
    publish(root, FEW, SEEDS)
    first = runs(root)["base-1"].info.run_id
    metrics = root / layout.run_folder("base", 1) / "metrics.json"
    old = metrics.read_text(encoding="utf-8")
    files.write_json(metrics, files.read_json(metrics) | {"best_valid_loss": 0.5})

    outcomes = publish(root, FEW, SEEDS)

    assert (outcomes["created"], outcomes["superseded"], outcomes["unchanged"]) == (1, 1, 3)
    assert runs(root)["base-1"].data.metrics["best_valid_loss"] == 0.5

    files.write_text(metrics, old)
    outcomes = publish(root, FEW, SEEDS)

    assert (outcomes["restored"], outcomes["superseded"], outcomes["unchanged"]) == (1, 1, 3)
    assert runs(root)["base-1"].info.run_id == first


def test_a_publication_that_was_cut_off_is_completed(root: Path) -> None:
    publish(root, FEW, SEEDS)
    before = picture(root)
    client = open_store(root)
    cut_off = runs(root)["base-1"].info.run_id
    client.delete_tag(cut_off, "translab.content")
    shutil.rmtree(Path(client.get_run(cut_off).info.artifact_uri))

    assert publish(root, FEW, SEEDS)["completed"] == 1

    assert runs(root)["base-1"].info.run_id == cut_off
    assert picture(root) == before


@pytest.mark.usefixtures("no_follower")
def test_a_partial_run_that_holds_something_else_is_replaced(root: Path) -> None:
    with live_run(fabricated.config("base", 1), root) as run:
        run.log(100, {"valid_loss": 99.0})
    follow(root, 0.1, 0.05)

    outcomes = publish(root, FEW, SEEDS)

    assert (outcomes["created"], outcomes["completed"], outcomes["superseded"]) == (4, 0, 1)
    assert runs(root)["base-1"].data.metrics["curves/valid_loss"] == fabricated.history("base", 1)[-1]["valid_loss"]


def test_a_missing_run_folder_is_named(root: Path) -> None:
    folder = root / layout.run_folder("heads-1", 2)
    shutil.rmtree(folder)

    with pytest.raises(TrackingError) as error:
        publish(root, FEW, SEEDS)

    assert str(error.value) == (
        f"{folder} does not exist, so its run cannot be published; `make repro` makes what is missing, `dvc pull` fetches it."
    )


def test_in_a_moved_project_artifacts_are_where_the_project_is(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    publish(root, FEW, SEEDS)
    moved = tmp_path_factory.mktemp("elsewhere") / "project"
    shutil.move(root, moved)

    publish(moved, FEW, SEEDS)

    assert Path(runs(moved)["base-1"].info.artifact_uri).is_relative_to(moved)
    assert "config.json" in picture(moved)["base-1"][4]


def test_training_does_not_wait_for_mlflow() -> None:
    code = "import sys, translab.tracking; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(SOURCE)}).returncode == 0


def train(root: Path, name: str, seed: int, steps: int = 5, pause: float = 0.0) -> None:
    """What the training does with a live run."""
    with live_run(fabricated.config(name, seed), root) as run:
        for row in fabricated.history(name, seed)[:steps]:
            run.log(int(row["step"]), {key: value for key, value in row.items() if key != "step"})
            time.sleep(pause)


@pytest.mark.usefixtures("no_follower")
def test_a_live_run_is_seen_while_it_trains_and_completed_afterwards(root: Path) -> None:
    with live_run(fabricated.config("base", 1), root) as run:
        first, *others = fabricated.history("base", 1)
        run.log(100, {key: value for key, value in first.items() if key != "step"})
        following = threading.Thread(target=follow, args=(root, 0.3, 0.05))
        following.start()
        wait_for(lambda: "base-1" in runs(root) and "curves/valid_loss" in runs(root)["base-1"].data.metrics)
        seen = runs(root)["base-1"]
        assert seen.info.status == "RUNNING"
        assert seen.data.metrics["curves/valid_loss"] == first["valid_loss"]
        assert (seen.data.tags.get("axis"), seen.data.params["model.heads"]) == (None, "4")
        for row in others:
            run.log(int(row["step"]), {key: value for key, value in row.items() if key != "step"})
    following.join()
    assert runs(root)["base-1"].info.status == "FINISHED"
    assert not list(live.live_folder(root).iterdir())

    outcomes = publish(root, FEW, SEEDS)

    assert (outcomes["completed"], outcomes["created"]) == (1, 3)
    assert runs(root)["base-1"].info.run_id == seen.info.run_id
    assert runs(root)["base-1"].data.metrics["test/bleu"] == fabricated.bleu("base", 1)
    assert len(open_store(root).get_metric_history(seen.info.run_id, "curves/valid_loss")) == 5


@pytest.mark.usefixtures("no_follower")
def test_a_follower_that_was_stopped_is_taken_over_without_repeating_points(root: Path) -> None:
    with live_run(fabricated.config("base", 1), root) as run:
        for row in fabricated.history("base", 1):
            run.log(int(row["step"]), {"valid_loss": row["valid_loss"]})
            follow_once(root)
    follow(root, 0.1, 0.05)

    (run_id,) = [run.info.run_id for run in runs(root).values()]
    assert [point.step for point in open_store(root).get_metric_history(run_id, "curves/valid_loss")] == list(fabricated.STEPS)


@pytest.mark.usefixtures("no_follower")
@pytest.mark.parametrize(("raised", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED"), (SystemExit, "KILLED")])
def test_how_a_run_ended_is_seen(root: Path, raised: type[BaseException], status: str) -> None:
    with pytest.raises(raised), live_run(fabricated.config("base", 1), root):
        raise raised
    follow(root, 0.1, 0.05)
    assert runs(root)["base-1"].info.status == status


@pytest.mark.usefixtures("no_follower")
def test_a_run_that_starts_again_takes_the_place_of_the_one_that_was_killed(root: Path) -> None:
    with pytest.raises(KeyboardInterrupt), live_run(fabricated.config("base", 1), root):
        raise KeyboardInterrupt
    follow(root, 0.1, 0.05)
    train(root, "base", 1)
    follow(root, 0.1, 0.05)
    assert runs(root)["base-1"].info.status == "FINISHED"


def test_two_runs_that_start_at_once_share_a_new_store_and_a_killed_one_is_seen(tmp_path: Path) -> None:
    fabricated.project(tmp_path, ["base"], SEEDS)
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\nimport test_tracking\n"
        f"test_tracking.train(Path({str(tmp_path)!r}), 'base', int(sys.argv[1]), pause=float(sys.argv[2]))"
    )
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    first = subprocess.Popen([sys.executable, "-c", code, "1", "0.1"], env=environment)
    second = subprocess.Popen([sys.executable, "-c", code, "2", "60"], env=environment)
    try:
        assert first.wait(timeout=60) == 0
        wait_for(lambda: follower_finds(tmp_path, "base-2"), seconds=60)
        second.kill()
        second.wait()
        wait_for(lambda: {run.info.status for run in runs(tmp_path).values()} == {"FINISHED", "KILLED"}, seconds=30)
        assert set(runs(tmp_path)) == {"base-1", "base-2"}
    finally:
        second.kill()
        second.wait()
        stop_follower(tmp_path)


@pytest.fixture(params=["away", "silent"])
def broken_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """Address of a server that refuses connections, or takes them and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        if request.param == "away":
            listening.close()
        yield address


@pytest.mark.usefixtures("no_follower")
def test_a_broken_server_neither_stops_nor_slows_a_run_and_nothing_is_lost(
    root: Path, broken_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", broken_server)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    following = None
    with warnings.catch_warnings(record=True) as caught, live_run(fabricated.config("base", 1), root) as run:
        warnings.simplefilter("always")
        following = threading.Thread(target=follow, args=(root, 0.1, 0.05))
        following.start()
        wait_for(lambda: live.trouble_file(root).exists() and live.trouble_file(root).stat().st_size > 0)
        began = time.perf_counter()
        for step in range(1000):
            run.log(step, {"valid_loss": 1.0})
        seconds = time.perf_counter() - began
    following.join()
    assert seconds < 1, "a thousand validations"
    (warning,) = [str(item.message) for item in caught if item.category is RuntimeWarning]
    assert warning.startswith(f"The MLflow store {broken_server} takes no live values (")
    assert warning.endswith("; training goes on, and `publish` completes the dashboard.")

    with pytest.raises(TrackingError, match=r"cannot be opened .* start its server or repair it, or unset MLFLOW_TRACKING_URI"):
        publish(root, FEW, SEEDS)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert publish(root, FEW, SEEDS)["created"] == 4
    assert not list(live.live_folder(root).iterdir())


@pytest.mark.usefixtures("no_follower")
def gone(folder: Path) -> bool:
    """Delete a folder into which another thread may just be writing, and say whether that worked."""
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def test_the_follower_of_a_deleted_project_leaves_and_brings_nothing_back(root: Path) -> None:
    with live_run(fabricated.config("base", 1), root):
        following = threading.Thread(target=follow, args=(root, 60.0, 0.05))
        following.start()
        wait_for(lambda: "base-1" in runs(root))
        wait_for(lambda: gone(root))
        following.join(timeout=30)
        assert not following.is_alive()
    assert not root.exists()


@pytest.mark.usefixtures("no_follower")
def test_a_run_goes_on_where_nothing_can_be_written(root: Path) -> None:
    files.write_text(root / ".cache", "a file where a folder should be")
    with pytest.warns(RuntimeWarning, match=r"Live logging did not start .* training goes on"):
        train(root, "base", 1)


def test_the_dashboard_says_what_to_do_without_a_store(tmp_path: Path) -> None:
    with pytest.raises(TrackingError) as error:
        dashboard(tmp_path, 5000)
    assert str(error.value) == (
        f"There is no MLflow store at {tmp_path / 'mlflow.db'} yet; `make repro` trains and fills it, `make publish` fills it "
        "from the run folders."
    )


def test_the_dashboard_links_to_charts_and_to_the_comparison_of_every_axis(published: Path) -> None:
    lines = list(links(published, "http://127.0.0.1:5000"))

    found = runs(published)
    identifier = found["base-1"].info.experiment_id
    compared = [found[name].info.run_id for name in ("base-1", "base-2", "heads-1-1", "heads-1-2")]
    assert f"    compare model.heads: {views.compare('http://127.0.0.1:5000', compared, [identifier])}" in lines
    assert any(
        line.startswith("phrasebook-travel: ablations\n")
        and line.endswith(
            f"/#/experiments/{identifier}/runs?workflowType=machine_learning&compareRunsMode=CHART&viewStateShareKey=by-variant"
        )
        for line in lines
    )


def wait_for(condition: Any, seconds: float = 20.0) -> None:
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.05)


def follow_once(root: Path) -> None:
    """A follower that is stopped after it sent what there was."""
    from translab.tracking.follow import Follower

    Follower(root).cycle()


def follower_finds(root: Path, name: str) -> bool:
    """Whether the follower made a run in the store; looks only once the store is there, since looking would make it."""
    return (root / "mlflow.db").exists() and name in runs(root)


def stop_follower(root: Path) -> None:
    """End the follower that the runs of a test started."""
    text = live.follower_lock(root).read_text(encoding="utf-8").strip()
    if text:
        with contextlib.suppress(ProcessLookupError):  # it may have left by itself
            os.kill(int(text), signal.SIGTERM)
