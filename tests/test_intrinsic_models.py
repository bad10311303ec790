"""Sentence vectors, probes, and all measures of one run: real networks and such as were made for the purpose."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor, nn

import toy
from translab.config import Decoding, Machine
from translab.files import read_json, read_table, write_json, write_table
from translab.intrinsic.measure import measure
from translab.intrinsic.sentences import Pairs, pairs, ranking, retrieval, spread
from translab.intrinsic.topics import L2, Topics, logistic_regression, probe
from translab.pretraining import build
from translab.pretraining.objective import Objective, Vocabularies
from translab.runs import BEST, write_weights
from translab.text import bpe

DECODING = Decoding(beam=2, length_penalty=1.0, batch_tokens=50)
MACHINE = Machine(accelerator="cpu", threads=1, precision="32-true")


# ---- sentence vectors


class Reader:
    """A sentence's vector is the mean of its types' rows."""

    side = "source"

    def __init__(self, rows: Tensor) -> None:
        self.network = nn.Sequential(nn.Embedding.from_pretrained(rows, freeze=False), nn.Dropout(0.5)).eval()

    def summaries(self, sentences: Sequence[Sequence[int]]) -> Tensor:
        vectors = self.network(torch.tensor([token for ids in sentences for token in ids]))
        return torch.stack([part.mean(0) for part in vectors.split([len(ids) for ids in sentences])])


class BothSides(Reader):
    def translations(self, sentences: Sequence[Sequence[int]]) -> Tensor:
        return self.summaries([[token - 100 for token in ids] for ids in sentences])


def test_a_query_that_finds_its_own_view_has_rank_1_and_ties_count_against_it() -> None:
    unit = torch.eye(4).double()
    assert ranking(unit, unit) == {"precision_at_1": 1.0, "mrr": 1.0}
    assert ranking(unit, unit.roll(1, 0)) == {"precision_at_1": 0.0, "mrr": 0.25}, "all other views are nearer or as near"
    same = torch.ones(4, 4).double()
    assert ranking(same, same) == {"precision_at_1": 0.0, "mrr": 0.25}, "a collapsed encoder finds nothing"
    candidates = torch.tensor([[1.0, 0], [0.9, 0.1]]).double()
    assert ranking(torch.tensor([[1.0, 0], [1.0, 0]]).double(), candidates) == {"precision_at_1": 0.5, "mrr": 0.75}


def test_alignment_and_uniformity_are_those_of_the_formula() -> None:
    one, other = (
        nn.functional.normalize(torch.randn(6, 3, generator=torch.Generator().manual_seed(seed)).double(), dim=1)
        for seed in (1, 2)
    )
    alignment = sum(float((x - y).norm() ** 2) for x, y in zip(one, other, strict=True)) / 6
    kernel = [math.exp(-2 * float((one[i] - one[j]).norm() ** 2)) for i in range(6) for j in range(i)]
    assert spread(one, other) == {
        "alignment": pytest.approx(alignment),
        "uniformity": pytest.approx(math.log(sum(kernel) / len(kernel))),
    }


def test_the_view_is_the_best_that_model_and_text_have() -> None:
    own = [[number] for number in range(210)]
    reader = Reader(torch.eye(210))
    apart = [[number + 100] for number in range(210)]
    assert pairs(BothSides(torch.eye(210)), own, apart) == Pairs("translation", own, apart)
    shared = [[number // 2 + 100] for number in range(210)]
    assert pairs(reader, own, shared) == Pairs("paraphrase", own[::2], own[1::2])
    assert pairs(reader, own, apart) == Pairs("dropout", own, own)
    twice = pairs(BothSides(torch.eye(210)), [[1], [2], [1], [3]], [[101], [102], [103], [101]])
    assert twice == Pairs("translation", [[1], [2]], [[101], [102]]), "no sentence stands in two pairs"
    many = pairs(reader, [[number] for number in range(1200)], [[number] for number in range(1200)])
    assert len(many.queries) == len(many.others) == 1000


def test_towers_that_agree_find_every_translation_and_dropout_is_off_again_afterwards() -> None:
    own, other = [[number] for number in range(20)], [[number + 100] for number in range(20)]
    towers = BothSides(torch.eye(20))
    found = retrieval(towers, towers.network, pairs(towers, own, other))
    assert found == {
        "precision_at_1": 1.0, "mrr": 1.0, "alignment": pytest.approx(0), "uniformity": pytest.approx(-4), "candidates": 20,
        "view": "translation",
    }  # fmt: skip
    reader = Reader(torch.randn(20, 64, generator=torch.Generator().manual_seed(1)))
    chosen = pairs(reader, own, other)
    once, again = (retrieval(reader, reader.network, chosen) for _ in range(2))
    assert once == again
    assert once["view"] == "dropout"
    assert 0 < once["alignment"] < 2, "two passes differ"
    assert not reader.network.training


# ---- topics


def test_logistic_regression_finds_the_minimum_that_another_optimiser_finds() -> None:
    generator = torch.Generator().manual_seed(1)
    features, labels = torch.randn(80, 2, generator=generator).double(), torch.randint(3, (80,), generator=generator)
    weight, bias = logistic_regression(features, labels, 3)

    def objective(flat: np.ndarray[Any, Any]) -> float:
        w, b = flat[:6].reshape(3, 2), flat[6:]
        logits = features.numpy() @ w.T + b
        likelihood = logits[np.arange(80), labels.numpy()] - np.log(np.exp(logits).sum(1))
        return float(-likelihood.mean() + L2 / 2 * (w**2).sum())

    best = minimize(objective, np.zeros(9), tol=1e-10)
    assert objective(np.concatenate([weight.numpy().ravel(), bias.numpy()])) == pytest.approx(best.fun, abs=1e-7)
    torch.testing.assert_close(weight, torch.from_numpy(best.x[:6].reshape(3, 2)), atol=1e-4, rtol=0)


def topics(count: int) -> Topics:
    """The label is whether the sentence's only type is even."""
    generator = random.Random(1)

    def part(size: int) -> tuple[list[list[int]], Tensor]:
        sentences = [[generator.randint(4, 9)] for _ in range(size)]
        return sentences, torch.tensor([ids[0] % 2 for ids in sentences])

    return Topics(part(count), part(60), ["odd", "even"])


def test_what_stands_in_the_vectors_is_read_off_frozen_and_what_does_not_after_fine_tuning_alone() -> None:
    spoken, silent = torch.zeros(10, 4), torch.zeros(10, 4)
    spoken[4::2, 0] = 1
    spoken[5::2, 1] = 1
    for rows, frozen in ((spoken, True), (silent, False)):
        reader = Reader(rows)
        before = {name: tensor.clone() for name, tensor in reader.network.state_dict().items()}
        chosen = topics(90)
        once, again = (probe(reader, reader.network, chosen, seed=1) for _ in range(2))
        assert once == again
        share = float((chosen.test[1] == chosen.train[1].mode().values).double().mean())
        assert (once["majority"], once["labels"]) == (share, 2)
        assert once["frozen"] == (1.0 if frozen else share)
        assert once["tuned"] > 0.95
        assert all(torch.equal(before[name], tensor) for name, tensor in reader.network.state_dict().items()), "put back"
        assert not reader.network.training


# ---- all measures of a run


SENSES = [
    {"form": "ki", "sense": sense, "source": f"{clue} ki{' lu' * number}", "start": 3, "end": 5, "fold": fold}
    for sense, fold, clue in (("ki/1", 0, "ba"), ("ki/2", 0, "do"), ("ki/1", 1, "me"), ("ki/2", 1, "lu"))
    for number in range(3)
]
CLASSES = {"ba": "noun", "do": "noun", "ki": "noun", "lu": "verb", "me": "verb"}
TOPICS = [
    {"source": f"{first} {second}", "label": first, "part": part}
    for part in ("train", "test")
    for first in ("ba", "do")
    for second in toy.WORDS
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The text with the phrasebook's truth, the same without, and the vocabularies."""
    folder = tmp_path_factory.mktemp("intrinsic")
    for name in ("text", "plain"):
        toy.write_text(folder / name)
    truth = folder / "text" / "intrinsic"
    for name, table in (
        ("senses", pa.Table.from_pylist(SENSES)),
        ("classes", pa.table({"word": list(CLASSES), "class": list(CLASSES.values())})),
    ):
        write_table(truth / f"{name}.parquet", table)
    write_table(truth / "topics.parquet", pa.Table.from_pylist(TOPICS))
    toy.write_tokenizers(folder / "tokenizer")
    generator = random.Random(5)
    sources = [toy.sentence(generator)[0] for _ in range(50)]
    bpe.train(sources, 28, "every word a type").save(str(folder / "tokenizer" / "source.json"))
    return folder


def measured(folder: Path, method: str, text: str, values: dict[str, Any], **changes: Any) -> Path:
    """Results of a run with the method's first weights."""
    run = toy.run(name=method, stage="pretrain", task="a", method=method, method_values=values, **changes)
    files = {side: folder / "tokenizer" / f"{side}.json" for side in toy.SIDES}
    vocabularies = Vocabularies(*(bpe.load(path) for path in files.values()))
    objective: Objective = build(run, vocabularies, torch.Generator().manual_seed(1))
    to = folder / "runs" / method / "1"
    write_json(to / "config.json", run.model_dump(mode="json"))
    write_weights(to / BEST, objective.network.state_dict())
    for side, path in files.items():
        (to / f"{side}.json").write_bytes(path.read_bytes())
    results = folder / "results" / text / method
    measure(method, [1], runs=to.parent, text=folder / text, folder=results, decoding=DECODING, machine=MACHINE)
    return results / "1"


KEYS = [
    "name", "seed", "method", "side", "parameters", "language_model", "cloze", "neighbours", "classes", "senses", "sentences",
    "topics",
]  # fmt: skip


def test_a_cloze_model_is_asked_all_that_it_can_answer(prepared: Path) -> None:
    folder = measured(prepared, "masked", "text", {"rate": 0.3})
    assert {path.name for path in folder.iterdir()} == {"scores.json", "intrinsic.json", "senses.parquet"}
    found = read_json(folder / "intrinsic.json")
    assert list(found) == KEYS
    assert (found["name"], found["seed"], found["method"], found["side"]) == ("masked", 1, "masked", "source")
    assert found["language_model"] is None, "it gives no sentence a probability"
    assert found["cloze"]["gaps"] == read_json(folder / "scores.json")["test_sets"]["test"]["sentences"] == 24
    assert {CLASSES[word] for word in found["neighbours"]} == {"noun", "verb"}, "a word of each class"
    assert {len(near) for near in found["neighbours"].values()} == {4}
    assert (found["classes"]["words"], found["classes"]["classes"]) == (5, 2)
    assert found["senses"]["static"] == {"ki": 0.5}
    assert 0 <= found["senses"]["contextual"]["ki"] <= 1
    assert all(-1 <= found["senses"][kind]["ki"] <= 1 for kind in ("cosine", "cosine_centred"))
    assert found["sentences"]["view"] == "dropout"
    assert found["topics"]["labels"] == 2
    assert found["topics"]["tuned"] > found["topics"]["majority"] == 0.5
    assert read_table(folder / "senses.parquet").num_rows == len(SENSES)


def test_a_corpus_without_a_phrasebook_leaves_what_it_has_no_truth_for_null(prepared: Path) -> None:
    folder = measured(prepared, "masked", "plain", {"rate": 0.3})
    found = json.loads((folder / "intrinsic.json").read_text())
    assert [key for key in KEYS if found[key] is None] == ["language_model", "classes", "senses", "topics"]
    assert set(found["neighbours"]) == set(toy.WORDS), "the most frequent words"
    assert not (folder / "senses.parquet").exists()


def test_the_controls_know_nothing_that_was_learned(prepared: Path) -> None:
    folder = measured(prepared, "translation", "text", {}, optimisation={"updates": 0})
    assert {path.name for path in folder.iterdir()} == {"scores.json", "intrinsic.json", "senses.parquet"}
    untrained = read_json(folder / "intrinsic.json")
    assert [key for key in KEYS if untrained[key] is None] == ["language_model", "cloze", "sentences", "topics"]
    assert set(untrained["senses"]["contextual"]) == {"ki"}
    onehot = read_json(measured(prepared, "onehot", "text", {}) / "intrinsic.json")
    assert onehot["classes"]["auc"] == 0.5
    assert onehot["senses"]["contextual"] is None
    assert onehot["senses"]["static"] == {"ki": 0.5}
    assert "cosine" not in onehot["senses"], "vectors that are the same in both senses have no two to compare"
    assert all(value == 0 for near in onehot["neighbours"].values() for _, value in near)


def test_measures_repeat_to_the_byte(prepared: Path) -> None:
    once = (measured(prepared, "masked", "plain", {"rate": 0.3}) / "intrinsic.json").read_bytes()
    assert once == (measured(prepared, "masked", "plain", {"rate": 0.3}) / "intrinsic.json").read_bytes()
