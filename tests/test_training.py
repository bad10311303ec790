"""One run from its configuration to its folder."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import math
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import toy
from contextual import OPTIONS
from translab.config import Run
from translab.files import read_table, sha256
from translab.pretraining import METHODS, build
from translab.pretraining.objective import Loss, Measure, Objective
from translab.pretraining.translation import Translation
from translab.runs import LAST, load_objective, load_vocabularies, load_weights
from translab.seeds import stream
from translab.text.batching import Batch, EndlessBatches
from translab.text.bpe import PAD
from translab.training.fit import TrainingError
from translab.training.learner import Learner
from translab.training.train import train

Train = Callable[..., Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    toy.write_text(folder / "text")
    toy.write_tokenizers(folder / "tokenizer")
    return folder


@pytest.fixture
def trained(folder: Path, tmp_path: Path) -> Train:
    def one(
        name: str, run: Run, donor: Path | None = None, log: Any = lambda step, values: None, added: Path | None = None
    ) -> Path:
        train(
            run,
            text=folder / "text",
            added=added,
            tokenizers=(folder / "tokenizer/source.json", folder / "tokenizer/target.json"),
            donor=donor,
            folder=tmp_path / name,
            cost_file=tmp_path / f"{name}-cost.json",
            checkpoints=tmp_path / "checkpoints",
            log=log,
        )
        return tmp_path / name

    return one


def transfer(layers: int, surgery: str) -> dict[str, Any]:
    return {
        "source": "donor",
        "ladder": "encoder",
        "shallow_layers": layers,
        "surgery": surgery,
        "train": {"frozen": "never", "tuned": "always", "gradual": "gradually"}[surgery],
        "dropout": True,
        "features": None,
    }


class OneMatrix(Objective):
    """A network of one matrix and one bias; it is only there to be optimised."""

    examples = loss = measure = samples = None  # type: ignore[assignment]

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.network = torch.nn.Linear(2, 2)


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path) for path in sorted(folder.iterdir())}


def test_a_run_folder_is_complete(trained: Train) -> None:
    folder = trained("run", toy.run())
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "history.csv",
        "last.safetensors",
        "metrics.json",
        "model.safetensors",
        "samples.tsv",
        "source.json",
        "target.json",
    ]
    with (folder / "history.csv").open() as file:
        history = list(csv.DictReader(file))
    assert [row["step"] for row in history] == ["4", "8", "12"]
    assert float(history[-1]["valid_loss"]) < float(history[0]["valid_loss"]), "the loss falls"
    metrics = json.loads((folder / "metrics.json").read_text())
    weights = load_weights(folder)
    assert metrics["parameters"]["total"] == metrics["parameters"]["trainable"]
    assert metrics["parameters"]["total"] == sum(tensor.numel() for tensor in weights.values())
    assert metrics["best_valid_loss"] == min(float(row["valid_loss"]) for row in history)
    samples = (folder / "samples.tsv").read_text().splitlines()
    assert samples[0] == "step\tsource\treference\ttranslation"
    assert len(samples) == 1 + 3 * 5
    cost = json.loads(folder.with_name("run-cost.json").read_text())
    assert cost["threads"] == 1
    assert cost["tokens_per_second"] > 0


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(trained: Train) -> None:
    first, second = hashes(trained("first", toy.run())), hashes(trained("second", toy.run()))
    assert first == second
    other = hashes(trained("other", toy.run(seed=2)))
    assert other["model.safetensors"] != first["model.safetensors"]


def test_a_trained_model_is_read_back_from_its_folder_alone(trained: Train) -> None:
    folder = trained("run", toy.run(batch={"source_end": False}))
    objective = load_objective(folder, "cpu")
    for name, tensor in objective.network.state_dict().items():
        assert torch.equal(tensor, safetensors.torch.load_file(folder / "model.safetensors")[name])
    assert not objective.network.training
    assert len(objective.samples(["ba do", "ki"], ["DO BA", "KI"])) == 2


def test_frozen_layers_keep_the_donors_values_and_tuned_ones_move(trained: Train) -> None:
    donor = trained("donor", toy.run(seed=3))
    frozen = trained("frozen", toy.run(stage="finetune", transfer=transfer(2, "frozen")), donor)
    tuned = trained("tuned", toy.run(stage="finetune", transfer=transfer(2, "tuned")), donor)
    metrics = json.loads((frozen / "metrics.json").read_text())
    given, after, moved = load_weights(donor), load_weights(frozen), load_weights(tuned)
    shallow = [name for name in given if name.startswith(("encoder.embedding.", "encoder.layers.0."))]
    assert sorted(metrics["frozen"]) == sorted(shallow)
    for name in shallow:
        assert torch.equal(given[name], after[name])
    assert any(not torch.equal(given[name], moved[name]) for name in shallow)
    parameters = metrics["parameters"]
    assert parameters["total"] - parameters["trainable"] == sum(given[name].numel() for name in shallow)
    assert json.loads((tuned / "metrics.json").read_text())["frozen"] == {}
    assert not torch.equal(
        given["encoder.layers.1.feedforward.inner.weight"], after["encoder.layers.1.feedforward.inner.weight"]
    )


def test_no_transferred_layer_is_scratch_to_the_byte(trained: Train) -> None:
    run = toy.run(stage="finetune", transfer=transfer(0, "tuned"))
    donors = [trained(f"donor-{seed}", toy.run(seed=seed)) for seed in (3, 4)]
    weights = [hashes(trained(f"run-{index}", run, donor))["model.safetensors"] for index, donor in enumerate(donors)]
    assert weights[0] == weights[1], "at depth 0 the donor has no say"


def test_training_stops_when_validation_no_longer_improves(trained: Train) -> None:
    steps = {"updates": 400, "validate_every": 2, "patience": 3, "learning_rate": 0.05}
    metrics = json.loads((trained("run", toy.run(optimisation=steps)) / "metrics.json").read_text())
    assert metrics["stopped_early"]
    assert metrics["updates"] == metrics["best_step"] + 2 * 3


def test_each_validation_is_logged_while_training_goes_on(trained: Train) -> None:
    seen: list[tuple[int, Mapping[str, float]]] = []
    trained("run", toy.run(), log=lambda step, values: seen.append((step, values)))
    assert [step for step, _ in seen] == [4, 8, 12]
    assert {"train_loss", "valid_loss", "learning_rate", "gradient_norm"} <= set(seen[0][1])


def test_a_subset_is_drawn_by_the_runs_seed(trained: Train) -> None:
    few = {"training_pairs": 20}
    one, two = (load_weights(trained(f"run-{seed}", toy.run(seed=seed, data=few))) for seed in (1, 2))
    assert any(not torch.equal(one[name], two[name]) for name in one)
    with pytest.raises(TrainingError) as error:
        trained("run", toy.run(data={"training_pairs": 201}))
    assert str(error.value) == (
        'params.yaml: base asks for 201 training pairs, but toy has 200; give data.training_pairs at most that, or "all".'
    )


def test_dropout_in_transferred_layers_is_a_value(trained: Train) -> None:
    donor = trained("donor", toy.run(seed=3))
    weights = [
        load_weights(
            trained(
                f"dropout-{dropout}",
                toy.run(stage="finetune", transfer=transfer(3, "frozen") | {"dropout": dropout}, model={"dropout": 0.5}),
                donor,
            )
        )
        for dropout in (True, False)
    ]
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


# ---- divergence is a result


def test_a_training_that_diverges_at_once_keeps_its_first_values(trained: Train, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="translab")
    values = {"learning_rate": 1.0e30, "gradient_clip": 1.0e30}
    folder = trained("run", toy.run(optimisation=values))
    assert caplog.messages == [
        "training: the loss is not a number after update 1: the run has diverged and ends here (no validation was good, so its "
        "first values are kept); lower optimisation.learning_rate or raise optimisation.warmup."
    ]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert (metrics["diverged_at"], metrics["updates"], metrics["stopped_early"]) == (1, 1, False)
    assert [metrics[key] for key in ("best_step", "best_valid_loss", "last_valid_loss", "last_train_loss")] == [None] * 4
    assert metrics["tokens"] > 0
    untrained = trained("untrained", toy.run(optimisation=values | UNTRAINED))
    assert hashes(folder)["model.safetensors"] == hashes(untrained)["model.safetensors"]
    heads = [(one / "history.csv").read_text().splitlines()[0] for one in (folder, untrained)]
    assert (folder / "history.csv").read_text() == heads[1] + "\n", "the names of the columns and no row"
    assert len((folder / "samples.tsv").read_text().splitlines()) == 1
    assert trained("again", toy.run(optimisation=values)).exists()
    assert hashes(folder) == hashes(folder.with_name("again"))


def test_a_training_that_diverges_later_keeps_its_best(
    trained: Train, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    whole = trained("whole", toy.run(optimisation={"updates": 8, "schedule": "inverse-square-root"}))
    seen: list[int] = []
    loss = Translation.loss

    def broken(self: Translation, batch: Batch) -> Loss:
        seen.append(1)
        found = loss(self, batch)
        return Loss(found.objective * math.nan, found.tokens) if len(seen) == 11 else found

    monkeypatch.setattr(Translation, "loss", broken)
    folder = trained("run", toy.run(optimisation={"schedule": "inverse-square-root"}))
    assert len(seen) == 11, "the update whose loss is no number is the last"
    assert caplog.messages[-1].startswith(
        "training: the loss is not a number after update 10: the run has diverged and ends here (the last validation, at "
        "update 8, was good; the weights of update 8 are kept);"
    )
    metrics, before = (json.loads((one / "metrics.json").read_text()) for one in (folder, whole))
    assert (metrics["diverged_at"], metrics["updates"], before["diverged_at"]) == (10, 10, None)
    same = ("best_step", "best_valid_loss", "last_valid_loss", "last_train_loss")
    assert [metrics[key] for key in same] == [before[key] for key in same]
    assert hashes(folder)["model.safetensors"] == hashes(whole)["model.safetensors"]
    assert (folder / "history.csv").read_text() == (whole / "history.csv").read_text()
    assert all(tensor.isfinite().all() for tensor in load_weights(folder, LAST).values()), "no update was made with it"


def test_a_validation_that_is_no_number_is_a_divergence_too(trained: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    measure = Translation.measure

    def broken(self: Translation, batch: Batch) -> Measure:
        seen.append(1)
        found = measure(self, batch)
        return Measure(math.inf, found.correct, found.tokens) if len(seen) > 2 else found

    monkeypatch.setattr(Translation, "measure", broken)
    metrics = json.loads((trained("run", toy.run()) / "metrics.json").read_text())
    assert (metrics["diverged_at"], metrics["updates"], metrics["best_step"]) == (8, 8, 4)


# ---- sources of randomness, batches, decay


def test_each_source_of_randomness_can_be_given_a_seed_of_its_own(trained: Train) -> None:
    few, sources = {"training_pairs": 50}, ("initialisation", "order", "dropout", "subset")

    def weights(name: str, seed: int, own: dict[str, Any]) -> str:
        return hashes(trained(name, toy.run(seed=seed, data=few, randomness=own)))["model.safetensors"]

    first = weights("first", 1, {})
    assert weights("all", 2, dict.fromkeys(sources, 1)) == first, "with every source fixed the run's seed has no say"
    varied = [weights(f"free-{free}", 2, dict.fromkeys(set(sources) - {free}, 1)) for free in sources]
    assert len({first, *varied}) == 1 + len(sources), "and each source has a say of its own"


def test_fresh_layers_above_transferred_ones_are_drawn_by_the_seed_of_initialisation(trained: Train) -> None:
    donor = trained("donor", toy.run(seed=3))
    about = {"stage": "finetune", "transfer": transfer(1, "tuned"), "optimisation": UNTRAINED}
    runs = [(1, {}), (2, {"initialisation": 1}), (2, {})]
    one, fixed, other = (
        hashes(trained(f"run-{number}", toy.run(seed=seed, randomness=own, **about), donor))["model.safetensors"]
        for number, (seed, own) in enumerate(runs)
    )
    assert one == fixed != other


def test_an_ngram_model_is_loaded_with_tables_as_large_as_it_counted(trained: Train) -> None:
    about = {"name": "ngram", "stage": "pretrain", "task": "a", "method": "ngram", "optimisation": UNTRAINED}
    written = trained("ngram", toy.run(method_values={"order": 2, "side": "source"}, **about))
    loaded = load_objective(written, "cpu").network.state_dict()
    stored = load_weights(written)
    assert loaded.keys() == stored.keys() and all(loaded[name].equal(stored[name]) for name in stored)
    assert any(tensor.numel() for tensor in stored.values())


def test_padding_is_counted_over_the_batches_of_the_training(trained: Train, folder: Path) -> None:
    shares = {}
    for bucketing in (True, False):
        run = toy.run(batch={"bucketing": bucketing})
        written = trained(f"bucketing-{bucketing}", run)
        shares[bucketing] = json.loads((written / "metrics.json").read_text())["padding"]
        objective = load_objective(written, "cpu")
        pairs = read_table(folder / "text/train.parquet", ["source", "target"])
        training = objective.examples(pairs["source"].to_pylist(), pairs["target"].to_pylist())
        batches = list(islice(EndlessBatches(training, 100, bucketing, stream(run.seed, "order"), 0), 12))
        every = torch.cat([ids.flatten() for batch in batches for ids in (batch.source, batch.target)])
        assert shares[bucketing] == (every == PAD).sum().item() / len(every)
    assert shares[False] > 2 * shares[True] > 0
    assert json.loads((trained("untrained", toy.run(optimisation=UNTRAINED)) / "metrics.json").read_text())["padding"] is None


@pytest.mark.parametrize("decay", ["decoupled", "l2"])
def test_weight_decay_acts_on_the_weights_or_in_the_loss_and_on_matrices_alone(decay: str) -> None:
    rate, strength, beta, root = 0.1, 0.5, 0.9, 0.98
    values = toy.run(optimisation={"decay": decay, "weight_decay": strength, "learning_rate": rate, "warmup": 0})
    objective = OneMatrix()
    learner = Learner(objective, values.values.optimisation, None, made=0)
    optimizer = learner.configure_optimizers()["optimizer"]
    matrix, bias = objective.network.weight, objective.network.bias
    before = {"matrix": matrix.detach().clone(), "bias": bias.detach().clone()}
    gradients = [torch.full_like(matrix, 0.3), torch.tensor([[0.2, -0.1], [0.0, 0.4]])]
    expected, mean, square = before["matrix"], torch.zeros(2, 2), torch.zeros(2, 2)
    for step, gradient in enumerate(gradients, 1):
        matrix.grad, bias.grad = gradient.clone(), torch.zeros(2)
        optimizer.step()
        used = gradient + strength * expected if decay == "l2" else gradient
        mean, square = beta * mean + (1 - beta) * used, root * square + (1 - root) * used**2
        direction = (mean / (1 - beta**step)) / ((square / (1 - root**step)).sqrt() + 1e-9)
        shrunk = expected if decay == "l2" else expected - rate * strength * expected
        expected = shrunk - rate * direction
    torch.testing.assert_close(matrix.detach(), expected)
    assert torch.equal(bias.detach(), before["bias"]), "a bias without gradient stays: nothing decays it"
    matrix.grad = bias.grad = None
    stays = matrix.detach().clone()
    optimizer.step()
    assert torch.equal(matrix.detach(), stays), "what has no gradient, frozen layers for instance, is not decayed"


def test_two_passes_cost_updates_and_tokens_of_one(trained: Train) -> None:
    once, twice = (
        json.loads((trained(f"passes-{number}", toy.run(optimisation=own)) / "metrics.json").read_text())
        for number, own in enumerate(({}, {"passes": 2, "consistency": 1.0}))
    )
    assert (once["updates"], once["tokens"]) == (twice["updates"], twice["tokens"])
    assert once["best_valid_loss"] != twice["best_valid_loss"]


# ---- what is counted, what is not trained, what is released, what is added

EVERY_METHOD: dict[str, dict[str, Any]] = {
    **OPTIONS,
    "ngram": {"order": 3, "side": "source"},
    "nnlm": {"side": "source", "input": "embedding", "context": 3, "hidden": 12},
    "cbow": {"side": "source", "window": 2, "objective": "negative-sampling", "negatives": 3},
    "skipgram": {"side": "source", "window": 2, "objective": "negative-sampling", "negatives": 3},
    "glove": {"side": "source", "window": 3, "exponent": 0.75, "ceiling": 20.0},
    "onehot": {},
}
UNTRAINED = {"updates": 0}


def pretrained(name: str, method: str, own: dict[str, Any], **changes: Any) -> Run:
    return toy.run(name=name, stage="pretrain", task="a", method=method, method_values=own, **changes)


def measured_once(folder: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """The one row of a run's history, and its metrics."""
    with (folder / "history.csv").open() as file:
        (row,) = csv.DictReader(file)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert (row["step"], row["tokens"], row["learning_rate"]) == ("0", "0", "0.0")
    assert (metrics["updates"], metrics["tokens"], metrics["best_step"], metrics["stopped_early"]) == (0, 0, 0, False)
    assert metrics["best_valid_loss"] == metrics["last_valid_loss"] == float(row["valid_loss"]) < math.inf
    assert len((folder / "samples.tsv").read_text().splitlines()) == 1 + 5
    assert json.loads(folder.with_name(f"{folder.name}-cost.json").read_text())["tokens_per_second"] == 0
    return row, metrics


@pytest.mark.parametrize("updates", [12, 0])
def test_a_method_counts_its_training_text_once_before_the_first_update(
    trained: Train, monkeypatch: pytest.MonkeyPatch, updates: int
) -> None:
    seen: list[str] = []
    loss = Translation.loss

    def watched(self: Translation, batch: Batch) -> Loss:
        seen.append("update")
        return loss(self, batch)

    monkeypatch.setattr(Translation, "count", lambda self, training: seen.append(f"count {len(training)}"))
    monkeypatch.setattr(Translation, "loss", watched)
    trained("run", toy.run(data={"training_pairs": 50}, optimisation={"updates": updates}))
    assert seen == ["count 50", *["update"] * updates]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_without_updates_keeps_its_first_values_and_is_measured_once(trained: Train, method: str) -> None:
    seen: list[int] = []
    run = pretrained("untrained", method, EVERY_METHOD[method], optimisation=UNTRAINED)
    folder = trained("untrained", run, log=lambda step, values: seen.append(step))
    _, metrics = measured_once(folder)
    assert seen == [0]
    generator = torch.Generator().manual_seed(stream(run.seed, "initialisation"))
    first, kept = build(run, load_vocabularies(folder), generator).network, load_weights(folder)
    assert all(torch.equal(parameter, kept[name]) for name, parameter in first.named_parameters())
    assert metrics["parameters"]["total"] == sum(parameter.numel() for parameter in first.parameters())
    assert metrics["parameters"]["trainable"] == (0 if method == "onehot" else metrics["parameters"]["total"])
    again = trained("again", run)
    assert hashes(again) == hashes(folder)


def test_a_network_with_nothing_to_train_is_measured_once_however_many_updates_it_has(trained: Train) -> None:
    folder = trained("onehot", pretrained("onehot", "onehot", {}))
    row, metrics = measured_once(folder)
    assert float(row["valid_loss"]) == pytest.approx(math.log(23))
    assert metrics["parameters"]["trainable"] == 0
    assert set(metrics["frozen"]) == set(load_weights(folder)), "nothing moved"


@pytest.mark.parametrize("surgery", ["frozen", "tuned", "gradual"])
def test_a_fine_tuned_model_without_updates_is_what_it_was_given_and_fresh_otherwise(trained: Train, surgery: str) -> None:
    donor = trained("donor", toy.run(seed=3))
    run = toy.run(stage="finetune", transfer=transfer(2, surgery), optimisation=UNTRAINED)
    folder = trained("run", run, donor)
    _, metrics = measured_once(folder)
    given, kept = load_weights(donor), load_weights(folder)
    shallow = [name for name in given if name.startswith(("encoder.embedding.", "encoder.layers.0."))]
    assert all(torch.equal(given[name], kept[name]) for name in shallow)
    assert sorted(metrics["frozen"]) == ([] if surgery == "tuned" else sorted(shallow))
    assert metrics["released"] == []
    frozen = sum(given[name].numel() for name in metrics["frozen"])
    assert metrics["parameters"]["trainable"] == metrics["parameters"]["total"] - frozen


def test_layers_are_released_one_after_the_other_the_uppermost_first(trained: Train) -> None:
    donor = trained("donor", toy.run(seed=3))
    folder = trained("run", toy.run(stage="finetune", transfer=transfer(3, "gradual")), donor)
    given, after = load_weights(donor), load_weights(folder, LAST)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert [(release["depth"], release["update"]) for release in metrics["released"]] == [(3, 3), (2, 6), (1, 9)]
    for release, part in zip(metrics["released"], ("layers.1.", "layers.0.", "embedding."), strict=True):
        assert {name.startswith(f"encoder.{part}") for name in release["tensors"]} == {True}
        for name, fingerprint in release["tensors"].items():
            assert hashlib.sha256(given[name].numpy().tobytes()).hexdigest() == fingerprint, "as it came until its release"
            assert not torch.equal(given[name], after[name]), "and it learned from then on"
    assert metrics["frozen"] == {}
    assert metrics["parameters"]["trainable"] == metrics["parameters"]["total"]


def test_what_was_not_released_when_training_stopped_is_still_the_donors(trained: Train) -> None:
    donor = trained("donor", toy.run(seed=3))
    stopping = {"updates": 40, "validate_every": 2, "patience": 1, "warmup": 0, "learning_rate": 5.0}
    folder = trained("run", toy.run(stage="finetune", transfer=transfer(3, "gradual"), optimisation=stopping), donor)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["stopped_early"]
    given, last = load_weights(donor), load_weights(folder, LAST)
    assert "encoder.embedding.tokens.weight" in metrics["frozen"]
    assert all(torch.equal(given[name], last[name]) for name in metrics["frozen"])


def test_what_was_transferred_is_counted(trained: Train) -> None:
    donor = trained("donor", toy.run(seed=3))
    run = trained("run", toy.run(stage="finetune", transfer=transfer(1, "tuned")), donor)
    transferred = json.loads((run / "metrics.json").read_text())["transferred"]
    assert (transferred["copied_rows"], transferred["fresh_rows"], transferred["silent"]) == (23, 0, [])
    assert [(table["name"], table["scale"]) for table in transferred["tables"]] == [("encoder.embedding.tokens.weight", 1.0)]
    assert json.loads((donor / "metrics.json").read_text())["transferred"] is None


def test_pretraining_may_use_less_text_too(trained: Train) -> None:
    few = {"training_pairs": 20}
    one, all_ = (trained(f"run-{data}", pretrained("small", "translation", {}, data=data)) for data in (few, {}))
    assert hashes(one)["model.safetensors"] != hashes(all_)["model.safetensors"]


def test_the_text_of_a_is_added_to_that_of_b(trained: Train, folder: Path, tmp_path: Path) -> None:
    both = toy.run(data={"add_a": True, "training_pairs": 20})
    seen: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Translation, "count", lambda self, training: seen.append(len(training)))
        trained("both", both, added=folder / "text")
    assert seen == [20 + 200], "all of A beside the part of B"

    languages = json.loads((folder / "text/languages.json").read_text())
    toy.write_text(tmp_path / "french")
    (tmp_path / "french/languages.json").write_text(json.dumps(languages | {"corpus": "other", "target_language": "fr"}))
    with pytest.raises(TrainingError) as error:
        trained("run", both, added=tmp_path / "french")
    assert str(error.value) == (
        "params.yaml: data.add_a is true, but other en→fr cannot be added to toy en→de; "
        "take corpora of the same languages, or leave it false."
    )
    with pytest.raises(TrainingError) as error:
        trained("run", both)
    assert str(error.value) == "params.yaml: data.add_a is true, but task A itself has nothing to add; leave it false there."
