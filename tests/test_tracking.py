"""The MLflow store is a projection of the run folders: complete, correct, made again at any time, and never in a run's way."""

from __future__ import annotations

import contextlib
import importlib
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
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import fabricated
from translab import files, layout
from translab.tracking import claims, identity, live, live_run, views
from translab.tracking.dashboard import dashboard, links
from translab.tracking.follow import follow
from translab.tracking.projection import project
from translab.tracking.publish import publish as publish_all
from translab.tracking.store import TrackingError, open_store

NAMES = ["base", "heads-1", "masked", "masked-encoder-3-frozen"]
FEW = ["base", "heads-1"]
SEEDS = [1, 2]
SOURCE = Path(live.__file__).resolve().parents[2]
ROOT = SOURCE.parent


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
    assert done(root, NAMES, SEEDS) == {"runs": {"created": 8}, "claims": {"created": 3}}
    return root


@pytest.fixture
def no_follower(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs start no process: the test follows their journals itself."""
    monkeypatch.setattr(live, "_start_follower", lambda root: None)


def publish(root: Path, names: list[str], seeds: list[int]) -> dict[str, int]:
    """Publish without a model to serve; what was done with the runs, without what was not."""
    return done(root, names, seeds)["runs"]


def done(root: Path, names: list[str], seeds: list[int]) -> dict[str, dict[str, int]]:
    """Publish without a model to serve; what was done, without what was not."""
    outcomes = publish_all(root, names, seeds, None)
    return {kind: {outcome: count for outcome, count in counts.items() if count} for kind, counts in outcomes.items()}


def runs(root: Path) -> dict[str, Any]:
    """Every run that a person sees in the store, by name."""
    client = open_store(root)
    experiments = [found.experiment_id for found in client.search_experiments()]
    found = client.search_runs(experiments, max_results=1000)
    assert len({run.info.run_name for run in found}) == len(found), "a run appears twice"
    return {run.info.run_name: run for run in found}


def picture(root: Path, *, times: bool = True) -> dict[str, Any]:
    """Everything the store says: experiments, runs, curves, files. Ids, which are each store's own, are names here.

    A run that was logged live has other times than one that was made of its folder: these are left out on demand.
    """
    client, found = open_store(root), runs(root)
    experiments = {each.experiment_id: each for each in client.search_experiments()}
    names = {run.info.run_id: name for name, run in found.items()}
    names |= {f"/experiments/{key}/": f"/experiments/{each.name}/" for key, each in experiments.items()}
    names |= {f"%22{key}%22": f"%22{each.name}%22" for key, each in experiments.items()}

    def named(text: str) -> str:
        for identifier, name in names.items():
            text = text.replace(identifier, name)
        return text

    seen: dict[str, Any] = {each.name: dict(each.tags) for each in experiments.values()}
    for name, run in found.items():
        info, run_id = run.info, run.info.run_id
        histories = {
            key: sorted((p.step, p.value, times and p.timestamp) for p in client.get_metric_history(run_id, key))
            for key in run.data.metrics
        }
        folder = Path(client.download_artifacts(run_id, ""))
        artifacts = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        tags = {key: named(value) for key, value in run.data.tags.items() if key != "translab.live"}
        inputs = [(item.dataset.to_dictionary(), [tag.value for tag in item.tags]) for item in run.inputs.dataset_inputs]
        said = (experiments[info.experiment_id].name, info.status, times and (info.start_time, info.end_time))
        seen[f"run {name}"] = (*said, run.data.params, run.data.metrics, tags, histories, artifacts, inputs)
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
        "phrasebook-travel: claims": {"four-heads-beat-one", "vectors-are-enough", "eight-heads-are-better"},
        "phrasebook-travel: report": {"report"},
    }
    loss = fabricated.history("masked", 1)[-1]["valid_loss"]
    assert own_note(published, "masked-1") == (
        "**masked**, seed 1: a model pretrained by the method masked on phrasebook-everyday (en→zh, task A). "
        f"On the test set: loss {loss:.3f} nats per predicted token, accuracy 0.800."
    )


def own_note(root: Path, name: str) -> str:
    """A run's description without the links after it."""
    return str(runs(root)[name].data.tags["mlflow.note.content"]).partition("\n\n")[0]


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
    assert note.endswith(f"\n\nDonor: [masked-1](#/experiments/{donor.experiment_id}/runs/{donor.run_id}).")


def test_a_donor_leads_to_all_that_have_its_layers(published: Path) -> None:
    found = runs(published)
    heir = found["masked-encoder-3-frozen-1"].info
    table = "runs?workflowType=machine_learning&searchFilter=tags.donor%20%3D%20%22masked-1%22"
    assert found["masked-1"].data.tags["mlflow.note.content"].partition("\n\n")[2] == (
        f"Fine-tuned from it ([as a table](#/experiments/{heir.experiment_id}/{table})): "
        f"[masked-encoder-3-frozen-1](#/experiments/{heir.experiment_id}/runs/{heir.run_id})."
    )
    filtered = open_store(published).search_runs([heir.experiment_id], 'tags.donor = "masked-1"')
    assert [run.info.run_name for run in filtered] == ["masked-encoder-3-frozen-1"]


def test_the_way_to_a_donor_is_right_after_the_donor_was_trained_anew(tmp_path: Path, empty_store: Path) -> None:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    names = ["masked", "masked-encoder-3-frozen"]
    fabricated.project(tmp_path, names, [1])
    publish(tmp_path, names, [1])
    before = runs(tmp_path)
    metrics = tmp_path / layout.run_folder("masked", 1) / "metrics.json"
    files.write_json(metrics, files.read_json(metrics) | {"best_valid_loss": 0.5})

    outcomes = publish(tmp_path, names, [1])

    assert outcomes == {"created": 1, "superseded": 1, "unchanged": 1}
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


def test_a_claim_in_the_store_says_what_the_report_says(published: Path) -> None:
    found, client = runs(published), open_store(published)
    for record in files.read_json(published / "reports/claims.json"):
        run = found[record["name"]]
        numbers = {
            key: value for key, value in record.items() if isinstance(value, float | int) and not isinstance(value, bool)
        }
        bounds = dict(zip(("interval/low", "interval/high"), record["interval"] or (), strict=False))
        assert run.data.metrics == {key: value for key, value in numbers.items() if key != "deciding"} | bounds | {"seeds": 2}
        assert run.info.status == "FINISHED"
        artifact = json.loads(Path(client.download_artifacts(run.info.run_id, "claim.json")).read_text(encoding="utf-8"))
        assert artifact == record
    claim = found["four-heads-beat-one"]
    tags = ("claim", "verdict", "family", "kind", "metric", "test_set", "direction", "corpus", "exploratory")
    assert [claim.data.tags[tag] for tag in tags] == [
        "four-heads-beat-one",
        "supported",
        "heads",
        "superior",
        "acceptance",
        "test",
        "higher",
        "phrasebook-travel",
        "false",
    ]
    assert claim.data.params == {
        "contrast": "base − heads-1",
        "looks": "2",
        "seeds": "1, 2",
        "source": "common belief.",
        "held": "everything else",
        "divergence": "invalid",
    }
    experiment = claim.info.experiment_id
    for condition in ('tags.verdict = "supported"', 'tags.family = "heads" and metrics.effect > 4'):
        assert [run.info.run_name for run in client.search_runs([experiment], condition)][-1:] == ["four-heads-beat-one"]


def test_a_claim_leads_to_the_report_and_to_its_runs(published: Path) -> None:
    found = runs(published)

    def page(name: str) -> str:
        return f"#/experiments/{found[name].info.experiment_id}/runs/{found[name].info.run_id}"

    names = ["base-1", "base-2", "heads-1-1", "heads-1-2"]
    compared = views.compare([views.Place(found[name].info.experiment_id, found[name].info.run_id) for name in names])
    assert found["four-heads-beat-one"].data.tags["mlflow.note.content"] == (
        "**four-heads-beat-one** is **supported**: It is so that four heads beat one.\n\n"
        "The effect is 4.2.\n\n"
        f"Runs by seed: base: [1]({page('base-1')}), [2]({page('base-2')}); heads-1: [1]({page('heads-1-1')}), "
        f"[2]({page('heads-1-2')}). [All side by side]({compared}).\n\n"
        f"Evidence: the claim `four-heads-beat-one` in [the report]({page('report')}/artifacts/index.html); `claim.json` and "
        "`evidence.json` under Artifacts.\n\n"
        "Source: common belief. Equal in all runs: everything else. Family for multiple testing: heads."
    )
    other = found["eight-heads-are-better"].data.tags["mlflow.note.content"]
    assert "Runs by seed: heads-16: none in the store; base: [1](" in other


def test_every_number_of_the_real_claims_is_a_metric() -> None:
    for record, evidence in claims.read_claims(ROOT):
        projected = claims.project_claim(ROOT, "phrasebook-travel: claims", record, evidence, "")
        metrics = {point.key: point.value for point in projected.points}
        parts = record["parts"] if len(record["parts"]) > 1 else []
        for prefix, numbers in [("", record), *((f"part-{number}/", part) for number, part in enumerate(parts, start=1))]:
            for key in ("effect", "p", "p_adjusted", "margin", "standard_error", "minimum_detectable_effect"):
                assert metrics.get(prefix + key) == numbers.get(key), (record["name"], prefix + key)
            low, high = numbers["interval"] or (None, None)
            assert (metrics.get(f"{prefix}interval/low"), metrics.get(f"{prefix}interval/high")) == (low, high)
        assert metrics["seeds"] == len(record["seeds"])


def test_a_description_with_more_links_than_fit_leads_to_tables() -> None:
    seeds = list(range(1, 41))
    record = fabricated.claim("four-heads-beat-one", "supported", seeds, {f"run-{number}": 1.0 for number in range(9)}, 4.2)
    places = {name: {seed: views.Place("123456789", "0" * 32) for seed in seeds} for name in record["runs"]}
    text = claims.description(record, views.Place("1", "2"), places)
    assert len(text) <= views.LONGEST_TAG
    table = "#/experiments/123456789/runs?workflowType=machine_learning&searchFilter=tags.variant%20%3D%20%22run-8%22"
    assert f"[run-8]({table}): 1, 2, 3, 4, " in text


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        ({"base": 1.0, "heads-1": -1.0}, "base − heads-1"),
        ({"a": -0.5, "b": -0.5, "c": 1.0}, "− 0.5 a − 0.5 b + c"),
        ({"a": 0.0, "b": 0.1}, "0 a + 0.1 b"),
    ],
)
def test_contrasts_read_as_sums(runs: dict[str, float], text: str) -> None:
    assert claims.contrast(runs) == text


def test_a_verdict_that_changes_and_a_claim_that_goes_are_followed(root: Path) -> None:
    publish(root, FEW, SEEDS)
    before, original = runs(root), files.read_json(root / "reports/claims.json")
    fabricated.claims(root, [original[0] | {"verdict": "inconclusive"}, original[2]])

    assert done(root, FEW, SEEDS) == {"runs": {"unchanged": 4}, "claims": {"created": 1, "superseded": 2, "unchanged": 1}}

    after = runs(root)
    assert after["four-heads-beat-one"].data.tags["verdict"] == "inconclusive"
    assert "vectors-are-enough" not in after

    fabricated.claims(root, original)
    assert done(root, FEW, SEEDS)["claims"] == {"restored": 2, "superseded": 1, "unchanged": 1}
    assert runs(root)["four-heads-beat-one"].info.run_id == before["four-heads-beat-one"].info.run_id


def test_publishing_twice_changes_nothing(published: Path) -> None:
    before = {name: run.info.run_id for name, run in runs(published).items()}
    entries = (published / "data/published.json").read_bytes()

    said = picture(published)

    assert done(published, NAMES, SEEDS) == {"runs": {"unchanged": 8}, "claims": {"unchanged": 3}}

    assert {name: run.info.run_id for name, run in runs(published).items()} == before
    assert picture(published) == said
    assert (published / "data/published.json").read_bytes() == entries


def test_a_store_that_was_deleted_comes_back_in_full(published: Path, tmp_path: Path, empty_store: Path) -> None:
    said, entries = picture(published), (published / "data/published.json").read_bytes()
    again = tmp_path / "again"
    shutil.copytree(published, again, ignore=shutil.ignore_patterns("mlartifacts", "mlflow.db*"))
    shutil.copy(empty_store, again / "mlflow.db")
    client = open_store(again)
    client.create_experiment("somebody else's")  # so that experiments have other ids than before

    publish(again, NAMES, SEEDS)

    client.delete_experiment(client.get_experiment_by_name("somebody else's").experiment_id)
    assert picture(again) == said
    assert (again / "data/published.json").read_bytes() == entries


def test_what_was_published_names_no_machine(published: Path) -> None:
    entries = files.read_json(published / "data/published.json")
    assert [(run["name"], run["seed"]) for run in entries["runs"]] == [(name, seed) for name in NAMES for seed in SEEDS]
    assert set(entries["runs"][0]) == {"name", "seed", "content_hash", "experiment"}
    assert [(claim["name"], claim["verdict"]) for claim in entries["claims"]] == [
        ("four-heads-beat-one", "supported"),
        ("vectors-are-enough", "inconclusive"),
        ("eight-heads-are-better", "not run"),
    ]
    text = json.dumps(entries)
    assert str(published) not in text
    assert not any(run.info.run_id in text for run in runs(published).values())


def test_the_best_model_is_chosen_among_the_published_runs_and_noted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed, decoding = [], {"beam": 4, "length_penalty": 1.0, "batch_tokens": 2000}
    stable = {"model": "translab-phrasebook-travel", "alias": "best", "name": "base", "seed": 2, "content_hash": "abc"}

    def best(client: Any, root: Path, runs: list[dict[str, Any]], values: dict[str, Any]) -> dict[str, Any]:
        handed.extend([runs, values])
        return stable | {"version": "3", "outcome": "registered"}

    monkeypatch.setattr(importlib.import_module("translab.tracking.publish"), "publish_best", best)
    publish_all(root, FEW, SEEDS, decoding)

    found = runs(root)
    assert handed == [
        [{"name": name, "seed": seed, "run_id": found[f"{name}-{seed}"].info.run_id} for name in FEW for seed in SEEDS],
        decoding,
    ]
    assert files.read_json(root / "data/published.json")["model"] == stable


def test_a_run_with_new_content_takes_the_place_of_the_old_and_gives_it_back(root: Path) -> None:
    publish(root, FEW, SEEDS)
    first = runs(root)["base-1"].info.run_id
    metrics = root / layout.run_folder("base", 1) / "metrics.json"
    old = metrics.read_text(encoding="utf-8")
    files.write_json(metrics, files.read_json(metrics) | {"best_valid_loss": 0.5})

    outcomes = publish(root, FEW, SEEDS)

    assert outcomes == {"created": 1, "superseded": 1, "unchanged": 3}
    assert runs(root)["base-1"].data.metrics["best_valid_loss"] == 0.5

    files.write_text(metrics, old)
    outcomes = publish(root, FEW, SEEDS)

    assert outcomes == {"restored": 1, "superseded": 1, "unchanged": 3}
    assert runs(root)["base-1"].info.run_id == first


def test_a_publication_that_was_cut_off_is_completed(root: Path) -> None:
    publish(root, FEW, SEEDS)
    before = picture(root)
    client = open_store(root)
    cut_off = runs(root)["base-1"].info.run_id
    client.delete_tag(cut_off, "translab.content")
    shutil.rmtree(Path(client.get_run(cut_off).info.artifact_uri))

    assert publish(root, FEW, SEEDS) == {"completed": 1, "unchanged": 3}

    assert runs(root)["base-1"].info.run_id == cut_off
    assert picture(root) == before


def test_a_publication_that_fails_says_so_and_goes_on_from_there(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.tracking import MlflowClient

    log_batch, calls = MlflowClient.log_batch, []

    def second_fails(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError("the cable was pulled")
        log_batch(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", second_fails)
        with pytest.raises(TrackingError) as error:
            publish(root, FEW, SEEDS)
    assert str(error.value) == (
        f"Publishing to the MLflow store sqlite:///{root / 'mlflow.db'} failed (the cable was pulled); what was sent is kept, "
        "and `make publish` goes on from there."
    )
    assert publish(root, FEW, SEEDS) == {"unchanged": 1, "completed": 1, "created": 2}


def test_a_claim_without_evidence_is_named(root: Path) -> None:
    files.write_json(root / "reports/evidence.json", [])
    with pytest.raises(TrackingError) as error:
        publish(root, FEW, SEEDS)
    assert str(error.value) == (
        f"{root / 'reports/evidence.json'} says nothing of the claim four-heads-beat-one, which claims.json has; "
        "`make report` writes both anew."
    )


@pytest.mark.usefixtures("no_follower")
def test_a_partial_run_that_holds_something_else_is_replaced(root: Path) -> None:
    with live_run(fabricated.config("base", 1), root) as run:
        run.log(100, {"valid_loss": 99.0})
    follow(root, 0.1, 0.05)

    outcomes = publish(root, FEW, SEEDS)

    assert outcomes == {"created": 4, "superseded": 1}
    assert runs(root)["base-1"].data.metrics["curves/valid_loss"] == fabricated.history("base", 1)[-1]["valid_loss"]


def test_a_missing_run_folder_is_named(root: Path) -> None:
    folder = root / layout.run_folder("heads-1", 2)
    shutil.rmtree(folder)

    with pytest.raises(TrackingError) as error:
        publish(root, FEW, SEEDS)

    assert str(error.value) == (
        f"{folder} does not exist, so it cannot be published; `make repro` makes what is missing, `dvc pull` fetches it."
    )


def test_in_a_moved_project_artifacts_are_where_the_project_is(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    publish(root, FEW, SEEDS)
    moved = tmp_path_factory.mktemp("elsewhere") / "project"
    shutil.move(root, moved)

    publish(moved, FEW, SEEDS)

    assert Path(runs(moved)["base-1"].info.artifact_uri).is_relative_to(moved)
    assert (Path(runs(moved)["base-1"].info.artifact_uri) / "config.json").exists()


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

    assert outcomes == {"completed": 1, "created": 3}
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
        assert first.wait(timeout=240) == 0
        wait_for(lambda: follower_finds(tmp_path, "base-2"), seconds=240)
        second.kill()
        second.wait()
        wait_for(lambda: {run.info.status for run in runs(tmp_path).values()} == {"FINISHED", "KILLED"}, seconds=240)
        assert set(runs(tmp_path)) == {"base-1", "base-2"}
    finally:
        second.kill()
        second.wait()
        stop_follower(tmp_path)


class Refusing(BaseHTTPRequestHandler):
    """Answers every request with an error: that of the server's `status`."""

    server: Refuser

    def do_POST(self) -> None:
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(b"no")

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class Refuser(ThreadingHTTPServer):
    """A server that is there and helps nobody."""

    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), Refusing)
        self.status = status
        self.address = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Refuser:
        threading.Thread(target=self.serve_forever, args=(0.05,)).start()
        return self

    def __exit__(self, *arguments: object) -> None:
        self.shutdown()
        self.server_close()


@pytest.fixture(params=["away", "silent", "failing"])
def broken_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """Address of a server that refuses connections, or takes them and never answers, or answers with an error."""
    if request.param == "failing":
        with Refuser(500) as server:
            yield server.address
        return
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        if request.param == "away":
            listening.close()
        yield address


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow asks once and waits for a second."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")


class Network:
    """Notes what a thread does with the network."""

    def __init__(self) -> None:
        self.thread: int | None = None
        self.seen: list[str] = []
        sys.addaudithook(self.note)

    def note(self, event: str, arguments: object) -> None:
        if event.startswith(("socket.", "http.", "urllib.")) and threading.get_ident() == self.thread:
            self.seen.append(event)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        self.thread = threading.get_ident()
        try:
            yield
        finally:
            self.thread = None


@pytest.mark.usefixtures("no_follower", "impatient")
def test_a_run_never_waits_for_a_broken_server_and_nothing_is_lost(
    root: Path, broken_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", broken_server)
    network = Network()
    with warnings.catch_warnings(record=True) as caught, network.watched(), live_run(fabricated.config("base", 1), root) as run:
        warnings.simplefilter("always")
        following = threading.Thread(target=follow, args=(root, 0.1, 0.05))
        following.start()
        wait_for(lambda: live.trouble_file(root).exists() and live.trouble_file(root).stat().st_size > 0)
        for row in fabricated.history("base", 1):
            run.log(int(row["step"]), {key: value for key, value in row.items() if key != "step"})
    following.join()
    assert network.seen == [], "what asks nobody waits for nobody"
    (warning,) = [str(item.message) for item in caught if item.category is RuntimeWarning]
    assert warning.startswith(f"The MLflow store {broken_server} takes no live values (")
    assert warning.endswith("; training goes on, and `publish` completes the dashboard.")

    with pytest.raises(TrackingError, match=r"cannot be opened .* start its server or repair it, or unset MLFLOW_TRACKING_URI"):
        publish(root, FEW, SEEDS)
    (journal,) = live.live_folder(root).iterdir()
    assert len(journal.read_text(encoding="utf-8").splitlines()) == 1 + len(fabricated.STEPS) + 1
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert publish(root, FEW, SEEDS) == {"created": 4}
    assert not list(live.live_folder(root).iterdir())


def test_what_watches_the_network_sees_a_connection() -> None:
    network = Network()
    with network.watched(), socket.create_server(("127.0.0.1", 0)) as listening:
        socket.create_connection(listening.getsockname()).close()
    assert "socket.connect" in network.seen


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (401, "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to a user of this server and the password."),
        (
            403,
            "this user lacks the right: get it from who runs the server, or let MLFLOW_TRACKING_URI name another store "
            "(unset, it is the project's own).",
        ),
    ],
)
def test_a_server_that_refuses_a_user_is_answered_in_a_sentence_without_the_password(
    root: Path, status: int, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Refuser(status) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address.replace("//", "//me:secret@"))
        with pytest.raises(TrackingError) as error:
            publish(root, FEW, SEEDS)
    assert str(error.value) == (
        f"The MLflow store {server.address.replace('//', '//***@')} cannot be opened (API request to endpoint "
        f"/api/2.0/mlflow/experiments/search failed with error code {status} != 200. Response body: 'no'); {remedy}"
    )


def test_a_store_that_can_only_be_read_is_named(
    root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    uri = f"sqlite:///file:{root / 'mlflow.db'}?mode=ro&uri=true"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(TrackingError) as error:
        publish(root, FEW, SEEDS)
    assert str(error.value) == (
        f"Publishing to the MLflow store {uri.partition('?')[0]}?*** failed (attempt to write a readonly database); it can "
        "only be read: get the right to write there, or let MLFLOW_TRACKING_URI name another store (unset, it is the project's "
        "own)."
    )
    assert capfd.readouterr().err == "", "the sentence stands alone"


def gone(folder: Path) -> bool:
    """Delete a folder into which another thread may just be writing, and say whether that worked."""
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


@pytest.mark.usefixtures("no_follower")
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


def test_the_dashboard_links_to_charts_comparisons_claims_and_the_report(published: Path) -> None:
    address = "http://127.0.0.1:5000"
    lines = [line.strip() for line in links(published, address)]
    found = runs(published)

    def compared(*names: str) -> str:
        places = [views.Place(found[name].info.experiment_id, found[name].info.run_id) for name in names]
        return f"{address}/{views.compare(places)}"

    base, donor, claim, report = (found[name].info for name in ("base-1", "masked-1", "four-heads-beat-one", "report"))
    charts = "runs?workflowType=machine_learning&compareRunsMode=CHART&viewStateShareKey=by-variant"
    supported = "runs?workflowType=machine_learning&searchFilter=tags.verdict%20%3D%20%22supported%22"
    axis, heirs = ("base-1", "base-2", "heads-1-1", "heads-1-2"), ("masked-encoder-3-frozen-1", "masked-encoder-3-frozen-2")
    heir = found[heirs[0]].info
    means = "charts, mean over seeds of every variant"
    assert lines == [
        "phrasebook-everyday: pretraining",
        f"{means}: {address}/#/experiments/{donor.experiment_id}/{charts}",
        "phrasebook-travel: ablations",
        f"{means}: {address}/#/experiments/{base.experiment_id}/{charts}",
        f"compare model.heads: {compared(*axis)}",
        "phrasebook-travel: claims",
        f"all, by verdict: {address}/#/experiments/{claim.experiment_id}/runs?workflowType=machine_learning&"
        "viewStateShareKey=by-verdict",
        f"inconclusive (1): {address}/#/experiments/{claim.experiment_id}/{supported.replace('supported', 'inconclusive')}",
        f"not run (1): {address}/#/experiments/{claim.experiment_id}/{supported.replace('supported', 'not%20run')}",
        f"supported (1): {address}/#/experiments/{claim.experiment_id}/{supported}",
        "phrasebook-travel: report",
        f"the report: {address}/#/experiments/{report.experiment_id}/runs/{report.run_id}/artifacts/index.html",
        "phrasebook-travel: transfer",
        f"{means}: {address}/#/experiments/{heir.experiment_id}/{charts}",
        f"pretraining and transfer, masked: {compared('masked-1', 'masked-2', *heirs)}",
    ]


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
