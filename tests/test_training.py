"""One run from its configuration to its folder."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import toy
from translab.config import Run
from translab.files import sha256
from translab.runs import load_objective, load_weights
from translab.training.fit import TrainingError
from translab.training.train import train
from translab.transfer import TransferError

Train = Callable[..., Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    toy.write_text(folder / "text")
    toy.write_tokenizers(folder / "tokenizer")
    return folder


@pytest.fixture
def trained(folder: Path, tmp_path: Path) -> Train:
    def one(name: str, run: Run, donor: Path | None = None, log: Any = lambda step, values: None) -> Path:
        train(
            run,
            text=folder / "text",
            tokenizers=(folder / "tokenizer/source.json", folder / "tokenizer/target.json"),
            donor=donor,
            folder=tmp_path / name,
            cost=tmp_path / f"{name}-cost.json",
            log=log,
        )
        return tmp_path / name

    return one


def transfer(layers: int, surgery: str) -> dict[str, Any]:
    train = surgery == "tuned"
    return {"source": "donor", "shallow_layers": layers, "surgery": surgery, "train": train, "dropout": True}


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
    assert len(objective.samples(["ba do", "ki"])) == 2


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


def test_fresh_layers_are_not_where_the_donor_began(trained: Train) -> None:
    stand_still = {"updates": 1, "warmup": 1, "learning_rate": 1.0e-30, "validate_every": 1, "weight_decay": 0.0}
    donor = trained("donor", toy.run(optimisation=stand_still))
    run = toy.run(stage="finetune", transfer=transfer(1, "tuned"), optimisation=stand_still)
    fresh, given = load_weights(trained("run", run, donor)), load_weights(donor)
    matrices = [name for name in given if given[name].dim() == 2 and not name.startswith("encoder.embedding.")]
    assert matrices
    for name in matrices:
        assert not torch.allclose(fresh[name], given[name]), name


def test_a_masked_model_hands_on_its_encoder(trained: Train) -> None:
    masked = toy.run(name="masked", stage="pretrain", task="a", method="masked", method_values={"rate": 0.3})
    donor = trained("masked", masked)
    tuned = trained("run", toy.run(stage="finetune", transfer=transfer(3, "frozen")), donor)
    given, after = load_weights(donor), load_weights(tuned)
    for name in given:
        assert not name.startswith("encoder.layers") or torch.equal(given[name], after[name])


def test_a_donor_that_does_not_fit_is_refused(trained: Train) -> None:
    donor = trained("donor", toy.run(model={"width": 8}))
    with pytest.raises(TransferError) as error:
        trained("run", toy.run(stage="finetune", transfer=transfer(1, "frozen")), donor)
    assert str(error.value) == (
        f"{donor}: tensor `encoder.embedding.tokens.weight` has shape (23, 8), the model needs (23, 16); "
        "donor and model must agree in width, feed-forward width and vocabulary."
    )
    shallow = trained("shallow", toy.run(model={"encoder_layers": 1}))
    with pytest.raises(TransferError) as error:
        trained("run", toy.run(stage="finetune", transfer=transfer(3, "frozen")), shallow)
    assert str(error.value).endswith(
        "which 3 shallow layers need; "
        "choose a donor with as many encoder layers and the same kind of positions, or fewer layers."
    )
    assert not (donor.parent / "run").exists(), "nothing is half-written"


@pytest.mark.parametrize(
    ("layers", "surgery", "sentence"),
    [
        (
            4,
            "frozen",
            "params.yaml: sweep.shallow_layers holds 4, "
            "but a model with 2 encoder layers has depths 0 to 3 (1 is the embedding); lower it or raise model.encoder_layers.",
        ),
        (0, "frozen", "there is nothing to freeze in 0 shallow layers; give a depth of at least 1, or a surgery that trains."),
    ],
)
def test_an_impossible_depth_is_refused(trained: Train, layers: int, surgery: str, sentence: str) -> None:
    donor = trained("donor", toy.run())
    with pytest.raises(TransferError) as error:
        trained("run", toy.run(stage="finetune", transfer=transfer(layers, surgery)), donor)
    assert str(error.value) == sentence


def test_training_stops_when_validation_no_longer_improves(trained: Train) -> None:
    steps = {"updates": 400, "validate_every": 2, "patience": 3, "learning_rate": 0.05}
    metrics = json.loads((trained("run", toy.run(optimisation=steps)) / "metrics.json").read_text())
    assert metrics["stopped_early"]
    assert metrics["updates"] == metrics["best_step"] + 2 * 3


def test_a_loss_that_is_not_a_number_stops_the_run_and_writes_nothing(trained: Train, tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as error:
        trained("run", toy.run(optimisation={"learning_rate": 1.0e30, "gradient_clip": 1.0e30}))
    assert str(error.value) == (
        "training: the loss is not a number after update 4 (no validation was good); "
        "lower optimisation.learning_rate or raise optimisation.warmup."
    )
    assert not (tmp_path / "run").exists()


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
        'params.yaml: data.training_pairs is 201, but toy has 200 training pairs; give at most that, or "all".'
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
