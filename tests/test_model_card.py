"""A model card says what the project's files say: the whole text for a made-up run, and what is missing in full sentences."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import carded
import toy
from translab import files, layout
from translab.cards.card import model_card, short_card
from translab.cards.facts import CardError, gather, run_of
from translab_dvc.command import main

CARD = """\
# base, seed 2

**base**, seed 2: the base model, trained on toy (en→de) from scratch. \
A card after Mitchell et al. (2019), written from the project's files.

## Use

```sh
translab translate --model data/runs/base/2 "How much is the ticket?"
```

## Data

**toy** (en→de, kind `files`; trained and tested on it)

- Source: made up for tests. Licence of the data: CC0 1.0.
- Cleaning: of 1,250 pairs 1,240 were kept; rewritten: 1,100 rid of superfluous white space; dropped: 10 duplicates.
- Splits (drawn, pairs that share a sentence stay together): train 1,000, valid 100, test 140, 1 probe with 20 pairs.
- Leakage audit: 1 comparison of one set's sentences with another's; 0 sentences were in both.

## Model

- Parameters: 390,000, of which 390,000 were trained and 128,000 are embeddings.
- Vocabularies (byte-pair encoding): 23 source types, 23 target types.
- Training: 500 updates, 225,000 target types; the weights are those of update 500, \
with the lowest validation loss, 0.500 nats per type.
- Cost: 22.0 s on cpu with 1 thread, 400 MiB at most; torch 2.13.0.

Values:

- `batch.bucketing`: true
- `batch.source_end`: true
- `batch.source_start`: false
- `batch.tokens`: 100
- `data.add_a`: false
- `data.training_pairs`: all
- `machine.accelerator`: cpu
- `machine.precision`: 32-true
- `machine.threads`: 1
- `model.attention_scale`: sqrt
- `model.body`: transformer
- `model.causal`: true
- `model.connection`: residual
- `model.cross_projection`: separate
- `model.decoder_layers`: 1
- `model.dropout`: 0.1
- `model.encoder_layers`: 2
- `model.feedforward`: 32
- `model.heads`: 2
- `model.maximum_length`: 16
- `model.normalisation`: pre
- `model.positions`: sinusoidal
- `model.width`: 16
- `optimisation.consistency`: 0.0
- `optimisation.decay`: decoupled
- `optimisation.gradient_clip`: 1.0
- `optimisation.label_smoothing`: 0.1
- `optimisation.learning_rate`: 0.01
- `optimisation.passes`: 1
- `optimisation.patience`: 5
- `optimisation.schedule`: inverse-square-root
- `optimisation.updates`: 12
- `optimisation.validate_every`: 4
- `optimisation.warmup`: 4
- `optimisation.weight_decay`: 0.01
- `randomness.dropout`: run
- `randomness.initialisation`: run
- `randomness.order`: run
- `randomness.subset`: run

## Scores

Beam 4, length penalty 1. Intervals are the report's, for the mean; they count chance between seeds and between test sentences.

Test set, 8 sentences:

| metric | this model | mean of seeds 1, 2 | 95 % interval |
| :-- | --: | --: | --: |
| accepted % | 75.0 | 75.0 | 70.1 to 79.9 |
| BLEU | 28.00 | 28.00 | 26.50 to 29.50 |
| BLEU with tokeniser char | 31.87 | 31.00 | – |

sacreBLEU signatures:

- BLEU zh: `tok:zh`
- BLEU char: `tok:char`
- chrF: `chrF2`
- TER: `ter`

Probes (forced choice between a right and a wrong translation, % right):

| probe | items | this model | mean of seeds 1, 2 | 95 % interval | chance |
| :-- | --: | --: | --: | --: | --: |
| end | 20 | 55.0 | 52.5 | 48.0 to 57.0 | 50.0 |

## Limits

- It learned from text like that of toy; other domains and styles were not tested.
- It reads at most 16 types of a sentence, the rest is cut; the longest sentence of its corpus has 5 words.
- No better than chance, as far as the interval says: end.
- A character that its vocabulary does not have is read as [UNK].
- A translation can read well and be wrong; its score does not tell.
- It was made to compare models, not for use: where a wrong translation does harm, do not rely on it.

## How to make it again

It was trained at commit `0123456789abcdef0123456789abcdef01234567`, \
with the values above in `params.yaml` (a recipe may have put them there; \
`src/translab/config/` says what each one means).

```sh
git checkout 0123456789abcdef0123456789abcdef01234567
make setup
.venv/bin/dvc repro ablate@base-2
sha256sum data/runs/base/2/model.safetensors
```

On a machine of the same kind the last line says `WEIGHTS`.
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    carded.project(tmp_path, {"base": [0.9, 0.5]})
    return tmp_path


def card(root: Path, name: str = "base", seed: int = 2) -> str:
    return model_card(gather(root, name, seed))


def change(path: Path, **changes: Any) -> None:
    files.write_json(path, files.read_json(path) | changes)


def refused(root: Path, name: str = "base", seed: int = 2) -> str:
    with pytest.raises(CardError) as error:
        gather(root, name, seed)
    return str(error.value)


# ---- what a card says


def test_a_card_is_the_same_for_the_same_files(root: Path) -> None:
    weights = files.sha256(root / layout.run_folder("base", 2) / "model.safetensors")
    assert card(root) == CARD.replace("WEIGHTS", weights)


def test_a_short_card_says_what_it_is_its_scores_and_the_licence(root: Path) -> None:
    assert short_card(gather(root, "base", 2)) == (
        "**base**, seed 2: the base model, trained on toy (en→de) from scratch. Best validation loss 0.500 nats per type. On "
        "the test set: 75.0 % accepted, BLEU 28.00. Licence of the data: toy: CC0 1.0. The whole card is README.md among the "
        "model's files."
    )


def test_a_fine_tuned_model_names_its_donor_and_the_donors_data(root: Path) -> None:
    transfer = {
        "source": "translation",
        "ladder": "encoder",
        "shallow_layers": 2,
        "surgery": "tuned",
        "train": "always",
        "dropout": True,
        "features": None,
    }
    name = "translation-encoder-2-tuned"
    carded.run(root, toy.run(name="translation", stage="pretrain", task="a", method="translation"), 1.0)
    carded.run(root, toy.run(name=name, stage="finetune", transfer=transfer, data={"training_pairs": 300}), 0.4)
    files.write_json(root / "reports" / "transfer.json", [carded.record(name, [0.4])])
    text = card(root, name, 1)
    assert "**toy-large** (en→de, kind `files`; what its first layers, or further text, came from)" in text
    assert "- Source: the same authors. Licence of the data: unknown." in text
    assert "1,235 were kept" in text and "5 that share a sentence with the held-out sets of task B." in text
    assert "Of the training pairs it saw 300, drawn by its seed." in text
    assert (
        "- It began with the 2 shallowest layers of the encoder of translation, seed 1 (its cost is not counted here)." in text
    )
    assert ".venv/bin/dvc repro --glob 'finetune-*@translation-encoder-2-tuned-1'" in text
    assert "| metric | this model | seed 1 | 95 % interval |" in text


def test_a_phrasebook_model_says_that_its_language_is_artificial_and_where_it_fails(root: Path) -> None:
    corpora = root / "corpora.yaml"
    corpora.write_text(corpora.read_text().replace("toy: {kind: files", "toy: {kind: phrasebook"))
    split = carded.probe("base", 2) | {"kind": "split", "chance": None, "at_chance": None}
    records = [split | {"set": "test-longer"}, split | {"set": "test-compositional", "raw": [1.0, 31.5]}]
    files.write_json(root / "reports" / "probes.json", records)
    scores = root / layout.EVALUATIONS / "base" / "2" / "scores.json"
    sets = files.read_json(scores)["test_sets"]
    change(scores, test_sets=sets | {"test-longer": sets["test"]})
    text = card(root)
    assert (
        "- Its language is artificial: a grammar wrote every sentence, out of 5 source words and 6 target words (a Chinese "
        "character counts as one). It can translate nothing else.\n"
    ) in text
    assert "- Of known words in combinations never seen it translates 31.5 % acceptably.\n" in text
    assert "- Of longer sentences than in training it translates 55.0 % acceptably.\n" in text
    assert "| test-longer | 8 | 55.0 | 52.5 | 48.0 to 57.0 | 28.87 | 23.87 |" in text
    assert "Probes" not in text and "No better than chance" not in text


def test_a_model_without_scores_or_commit_says_so(root: Path) -> None:
    record = carded.record("base", [0.9, 0.5]) | {"scores": {}, "problems": ["seed 1 is missing"]}
    files.write_json(root / "reports" / "ablations.json", [record])
    change(root / layout.cost_file("base", 2), git_commit=None)
    change(root / layout.run_folder("base", 2) / "metrics.json", diverged_at=40, best_valid_loss=None)
    text = card(root)
    assert "The report has no scores of this model: seed 1 is missing." in text
    assert "It was trained at an unknown commit, since it was trained outside of git, with" in text
    assert "git checkout" not in text
    assert "- Its loss stopped being a number after 40 updates." in text


# ---- what is wrong


@pytest.mark.parametrize(
    "name",
    [
        "data/runs/base/2/config.json",
        "data/runs/base/2/model.safetensors",
        "data/audit.json",
        "data/evaluations/base/2/scores.json",
        "data/costs/base/2.json",
        "reports/ablations.json",
        "reports/probes.json",
    ],
)
def test_a_missing_file_is_named(root: Path, name: str) -> None:
    (root / name).unlink()
    assert refused(root) == (
        f"{root / name} does not exist, so the card cannot be written; `make repro` makes what is missing, `dvc pull` "
        "fetches it."
    )


def test_a_model_that_the_report_does_not_know_is_refused(root: Path) -> None:
    carded.run(root, toy.run(name="base", seed=3), 0.3)
    report = root / "reports" / "ablations.json"
    assert refused(root, seed=3) == (f"{report} does not know base with seed 3; `make report` writes it from what was trained.")


def test_a_corpus_without_an_entry_has_no_licence(root: Path) -> None:
    (root / "corpora.yaml").write_text("other: {kind: files}\n")
    assert refused(root) == f"{root / 'corpora.yaml'} has no entry toy, on which base was trained; put it back."


def test_a_model_that_does_not_translate_is_refused(root: Path) -> None:
    folder = root / layout.run_folder("base", 2)
    change(folder / "config.json", stage="pretrain", method="cbow")
    assert refused(root) == (
        f"{folder} is a model of the method cbow, which does not translate; give a run of a variant, of a fine-tuned model, "
        "or of the method translation."
    )


# ---- the command


def test_the_command_prints_or_writes_the_card_or_its_figures(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root)
    assert main(["card", "--model", "data/runs/base/2"]) == 0
    assert capsys.readouterr().out == card(root)
    assert main(["card", "--model", str(root / "data/runs/base/2/"), "--output", "out/CARD.md"]) == 0
    assert (root / "out" / "CARD.md").read_text(encoding="utf-8") == card(root)
    assert main(["card", "--model", "data/runs/base/2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["record"]["scores"]["bleu"]["interval"] == [26.5, 29.5]


def test_a_folder_that_is_no_run_of_this_project_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(root / "data/runs/base/2", root / "elsewhere")
    monkeypatch.chdir(root)
    for folder in ("elsewhere", "data/runs/base", "data/runs/base/7", "data/runs/base/2/config.json", "nowhere"):
        assert main(["card", "--model", folder]) == 1
        assert capsys.readouterr().err == (
            f"translab: {folder} is no run folder of this project, data/runs/<name>/<seed>; a card needs the project's audit, "
            "scores and report, so run the command in the project's folder with one of its run folders.\n"
        )
    assert run_of(root, root / "data/runs/base/2") == ("base", 2)
