"""Word vectors and their kin: losses and gradients against written-out formulas, counts, gaps, and what is handed on."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch.nn import functional

import toy
from translab.config import ConfigError
from translab.pretraining import build
from translab.pretraining.cbow import ContinuousBagOfWords
from translab.pretraining.counts import CountTable
from translab.pretraining.glove import Glove
from translab.pretraining.nnlm import OneHotNetwork
from translab.pretraining.objective import GapFiller, LanguageModel, Objective, Vocabularies
from translab.pretraining.skipgram import SkipGram
from translab.pretraining.windows import Frequencies, near
from translab.text import bpe
from translab.text.batching import Batch, Examples, collate
from translab.text.bpe import END, PAD, SPECIALS, START, UNK

SAMPLING = {"side": "source", "window": 2, "objective": "negative-sampling", "negatives": 3}
SOFTMAX = {"side": "source", "window": 2, "objective": "softmax", "negatives": None}
GLOVE = {"side": "source", "window": 3, "exponent": 0.75, "ceiling": 20.0}
NNLM = {"side": "source", "input": "embedding", "context": 3, "hidden": 12}
METHODS: list[tuple[str, dict[str, Any]]] = [
    ("cbow", SAMPLING),
    ("cbow", SOFTMAX),
    ("skipgram", SAMPLING),
    ("skipgram", SOFTMAX),
    ("glove", GLOVE),
    ("nnlm", NNLM),
    ("nnlm", {**NNLM, "input": "one-hot"}),
]
NAMES = [f"{method}-{values.get('objective', values.get('input', ''))}".strip("-") for method, values in METHODS]
every_method = pytest.mark.parametrize(("method", "values"), METHODS, ids=NAMES)


@pytest.fixture(scope="module")
def vocabularies(tmp_path_factory: pytest.TempPathFactory) -> Vocabularies:
    source, target = toy.write_tokenizers(tmp_path_factory.mktemp("tokenizer"))
    return Vocabularies(bpe.load(source), bpe.load(target))


@pytest.fixture(scope="module")
def pairs() -> tuple[list[str], list[str]]:
    """A text in which a word is mostly followed by its neighbour in the list of words."""
    generator = random.Random(3)
    sources = []
    for _ in range(120):
        first = generator.randrange(5)
        sources.append(" ".join(toy.WORDS[(first + step) % 5] for step in range(generator.randint(3, 6))))
    return sources, [source.upper() for source in sources]


def counted(method: str, values: dict[str, Any], vocabularies: Vocabularies, pairs: tuple[list[str], list[str]]) -> Any:
    objective = build(toy.run(method=method, method_values=values, name=method), vocabularies, seeded())
    objective.count(objective.examples(*pairs))
    return objective


def batch_of(objective: Objective, pairs: tuple[list[str], list[str]], rows: int = 8) -> Batch:
    return collate(objective.examples(*pairs), list(range(rows)))


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def window(sentence: list[int], place: int, size: int) -> list[int]:
    """Types around a place, by slices of a list."""
    return sentence[max(0, place - size) : place] + sentence[place + 1 : place + 1 + size]


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def sentences_of(batch: Batch) -> list[list[int]]:
    return [[int(token) for token in row if token != PAD] for row in batch.source]


def doubles(objective: Any) -> dict[str, np.ndarray]:
    return {name: parameter.detach().double().numpy() for name, parameter in objective.network.named_parameters()}


def check_gradients(objective: Any, loss: torch.Tensor, expected: dict[str, np.ndarray]) -> None:
    objective.network.zero_grad()
    loss.backward()
    for name, parameter in objective.network.named_parameters():
        np.testing.assert_allclose(parameter.grad.numpy(), expected[name], rtol=1e-4, atol=1e-6, err_msg=name)


def test_windows_are_what_slices_of_the_sentence_give() -> None:
    sentence = [START, 9, 8, 9, 7, END]
    pairs = near(torch.tensor([[*sentence, PAD, PAD], [START, 9, END, PAD, PAD, PAD, PAD, PAD]]), 2)
    for place in range(len(sentence)):
        others = [sentence[other] for other in range(len(sentence)) if pairs[0, place, other]]
        assert others == window(sentence, place, 2)
    assert not pairs[0, len(sentence) :].any() and not pairs[0, :, len(sentence) :].any(), "padding is in no window"
    assert pairs[1].sum() == 6


def test_noise_is_drawn_in_proportion_to_the_count_to_three_quarters() -> None:
    frequencies = Frequencies(12)
    text = [[START, *[8] * 100, *[9] * 10, *[11] * 30, END]]
    frequencies.count(Examples(text, text), ends=False)
    drawn = torch.bincount(frequencies.draw((100, 400), seeded()).flatten(), minlength=12) / 40_000
    weights = torch.tensor([0.0] * 8 + [100**0.75, 10**0.75, 0, 30**0.75])
    torch.testing.assert_close(drawn, weights / weights.sum(), atol=1e-2, rtol=0)
    assert drawn[weights == 0].eq(0).all(), "what does not occur, and the ends, are never drawn"
    torch.testing.assert_close(frequencies.log_noise()[8:].exp(), (weights / weights.sum())[8:])
    frequencies.count(Examples(text, text), ends=True)
    assert frequencies.counts[[START, END, PAD]].tolist() == [1, 1, 0]


def test_cbow_with_negatives_has_the_papers_loss_and_gradients(vocabularies: Vocabularies, pairs: Any) -> None:
    objective: ContinuousBagOfWords = counted("cbow", SAMPLING, vocabularies, pairs)
    batch = batch_of(objective, pairs)
    hidden, right = objective.hidden(batch.source)
    noise = objective.noise(right, seeded())
    assert noise is not None and noise.shape == (len(right), 3)
    values = doubles(objective)
    q, u = values["encoder.embedding.tokens.weight"], values["output.weight"]
    of_q, of_u, total, gap = np.zeros_like(q), np.zeros_like(u), 0.0, 0
    for sentence in sentences_of(batch):
        for place, x in enumerate(sentence):
            if x < len(SPECIALS):
                continue
            around = window(sentence, place, 2)
            h = q[around].mean(0)
            of_h = np.zeros_like(h)
            for word, label in [(x, 1), *((int(z), 0) for z in noise[gap])]:
                score = u[word] @ h
                total -= math.log(sigmoid(score if label else -score))
                of_u[word] += (sigmoid(score) - label) * h
                of_h += (sigmoid(score) - label) * u[word]
            for word in around:
                of_q[word] += of_h / len(around)
            gap += 1
    loss = objective.losses(hidden, right, noise)
    assert loss.item() == pytest.approx(total / gap, rel=1e-5)
    check_gradients(objective, loss, {"encoder.embedding.tokens.weight": of_q / gap, "output.weight": of_u / gap})


def test_cbow_with_softmax_has_the_plain_loss_and_gradients(vocabularies: Vocabularies, pairs: Any) -> None:
    objective: ContinuousBagOfWords = counted("cbow", SOFTMAX, vocabularies, pairs)
    batch = batch_of(objective, pairs)
    values = doubles(objective)
    q, w, b = (values[name] for name in ("encoder.embedding.tokens.weight", "output.weight", "output_bias"))
    of_q, of_w, of_b, total, gap = np.zeros_like(q), np.zeros_like(w), np.zeros_like(b), 0.0, 0
    for sentence in sentences_of(batch):
        for place, x in enumerate(sentence):
            if x < len(SPECIALS):
                continue
            around = window(sentence, place, 2)
            h = q[around].mean(0)
            exponentials = np.exp(w @ h + b)
            p = exponentials / exponentials.sum()
            total -= math.log(p[x])
            p[x] -= 1
            of_w += np.outer(p, h)
            of_b += p
            for word in around:
                of_q[word] += w.T @ p / len(around)
            gap += 1
    loss = objective.loss(batch)
    assert loss.tokens == gap
    assert loss.objective.item() == pytest.approx(total / gap, rel=1e-5)
    expected = {"encoder.embedding.tokens.weight": of_q / gap, "output.weight": of_w / gap, "output_bias": of_b / gap}
    check_gradients(objective, loss.objective, expected)


def test_skipgram_with_negatives_has_the_papers_loss_and_gradients(vocabularies: Vocabularies, pairs: Any) -> None:
    objective: SkipGram = counted("skipgram", SAMPLING, vocabularies, pairs)
    batch = batch_of(objective, pairs)
    noise = objective.noise(batch.source, seeded())
    assert noise is not None and noise.shape == (*batch.source.shape, 3)
    values = doubles(objective)
    q, u = values["encoder.embedding.tokens.weight"], values["output.weight"]
    of_q, of_u, total, number = np.zeros_like(q), np.zeros_like(u), 0.0, 0
    for row, sentence in enumerate(sentences_of(batch)):
        for place, x in enumerate(sentence):
            for c in window(sentence, place, 2):
                for word, label in [(c, 1), *((int(z), 0) for z in noise[row, place])]:
                    score = u[word] @ q[x]
                    total -= math.log(sigmoid(score if label else -score))
                    of_u[word] += (sigmoid(score) - label) * q[x]
                    of_q[x] += (sigmoid(score) - label) * u[word]
                number += 1
    loss, found = objective.losses(batch.source, noise)
    assert found.item() == number
    assert loss.item() == pytest.approx(total, rel=1e-5)
    check_gradients(
        objective, loss / number, {"encoder.embedding.tokens.weight": of_q / number, "output.weight": of_u / number}
    )


def test_skipgram_with_softmax_has_the_plain_loss_and_gradients(vocabularies: Vocabularies, pairs: Any) -> None:
    objective: SkipGram = counted("skipgram", SOFTMAX, vocabularies, pairs)
    batch = batch_of(objective, pairs)
    values = doubles(objective)
    q, w, b = (values[name] for name in ("encoder.embedding.tokens.weight", "output.weight", "output_bias"))
    of_q, of_w, of_b, total, number = np.zeros_like(q), np.zeros_like(w), np.zeros_like(b), 0.0, 0
    for sentence in sentences_of(batch):
        for place, x in enumerate(sentence):
            for c in window(sentence, place, 2):
                exponentials = np.exp(w @ q[x] + b)
                p = exponentials / exponentials.sum()
                total -= math.log(p[c])
                p[c] -= 1
                of_w += np.outer(p, q[x])
                of_b += p
                of_q[x] += w.T @ p
                number += 1
    loss = objective.loss(batch)
    assert loss.tokens == number
    assert loss.objective.item() == pytest.approx(total / number, rel=1e-5)
    expected = {"encoder.embedding.tokens.weight": of_q / number, "output.weight": of_w / number, "output_bias": of_b / number}
    check_gradients(objective, loss.objective, expected)


def together(sentences: list[list[int]], size: int) -> dict[tuple[int, int], float]:
    """GloVe's X by two loops."""
    x: dict[tuple[int, int], float] = defaultdict(float)
    for sentence in sentences:
        for i, first in enumerate(sentence):
            for j, second in enumerate(sentence):
                if 0 < abs(i - j) <= size:
                    x[first, second] += 1 / abs(i - j)
    return x


def test_gloves_counts_are_symmetric_and_right(vocabularies: Vocabularies, pairs: Any) -> None:
    objective: Glove = counted("glove", GLOVE, vocabularies, pairs)
    x = together(objective.examples(*pairs).source, GLOVE["window"])
    table = objective.network.together
    assert len(table) == len(x)
    for (first, second), count in x.items():
        both = table(torch.tensor([first * objective.types + second, second * objective.types + first]))
        assert both[0].item() == pytest.approx(count, rel=1e-6)
        assert both[0].item() == pytest.approx(both[1].item(), rel=1e-12)
    assert table(torch.tensor([UNK * objective.types + 9])).item() == 0


def test_gloves_batches_add_up_to_the_papers_objective(vocabularies: Vocabularies, pairs: Any) -> None:
    objective: Glove = counted("glove", GLOVE, vocabularies, pairs)
    network = objective.network
    torch.nn.init.normal_(network.bias, generator=seeded())
    torch.nn.init.normal_(network.context_bias, generator=seeded(2))
    values = doubles(objective)
    s, d = values["encoder.embedding.tokens.weight"], values["difference.weight"]
    w, c, b, b_c = (s + d) / 2, (s - d) / 2, values["bias"], values["context_bias"]
    examples = objective.examples(*pairs)
    expected, of_w, of_c = 0.0, np.zeros_like(w), np.zeros_like(w)
    of_b, of_b_c = np.zeros_like(b), np.zeros_like(b)
    x = together(examples.source, GLOVE["window"])
    assert min(x.values()) < GLOVE["ceiling"] < max(x.values()), "both branches of f"
    for (i, j), count in x.items():
        f = min(1.0, (count / GLOVE["ceiling"]) ** GLOVE["exponent"])
        error = w[i] @ c[j] + b[i] + b_c[j] - math.log(count)
        expected += f * error**2
        of_w[i] += 2 * f * error * c[j]
        of_c[j] += 2 * f * error * w[i]
        of_b[i] += 2 * f * error
        of_b_c[j] += 2 * f * error
    rows = list(range(len(examples)))
    losses = [objective.loss(collate(examples, rows[start : start + 7])) for start in range(0, len(rows), 7)]
    total = torch.stack([loss.objective * loss.tokens for loss in losses]).sum()
    assert total.item() == pytest.approx(expected, rel=1e-4)
    gradients = {
        "encoder.embedding.tokens.weight": (of_w + of_c) / 2,
        "difference.weight": (of_w - of_c) / 2,
        "bias": of_b,
        "context_bias": of_b_c,
    }
    size = expected / 1000
    check_gradients(objective, total / size, {name: gradient / size for name, gradient in gradients.items()})


def test_glove_hands_on_the_sum_of_both_kinds_of_vectors(vocabularies: Vocabularies, pairs: Any) -> None:
    network = counted("glove", GLOVE, vocabularies, pairs).network
    everything = torch.arange(vocabularies.source.get_vocab_size())
    handed_on = network.state_dict()["encoder.embedding.tokens.weight"]
    torch.testing.assert_close(network.words(everything) + network.contexts(everything), handed_on)
    assert not network.words(everything).equal(network.contexts(everything))


def test_glove_gives_no_weight_to_a_pair_that_training_has_not(vocabularies: Vocabularies, pairs: Any) -> None:
    objective: Glove = counted("glove", GLOVE, vocabularies, pairs)
    loss, occurrences = objective.losses(torch.tensor([[UNK, UNK, UNK]]))
    assert (loss.item(), occurrences) == (0.0, 6)


def test_one_hot_input_is_the_product_with_one_hot_vectors(vocabularies: Vocabularies) -> None:
    objective = build(toy.run(method="nnlm", method_values={**NNLM, "input": "one-hot"}), vocabularies, seeded())
    network = objective.network
    assert isinstance(network, OneHotNetwork)
    torch.nn.init.normal_(network.bias, generator=seeded())
    history = torch.tensor([[START, START, 9, 8, 10, END]])  # [1, n - 1 + T] with n = 3, T = 4
    x = functional.one_hot(history.unfold(1, 3, 1), objective.types).flatten(2).float()  # [1, T, n·V]
    torch.testing.assert_close(network.first_layer(history), x @ network.columns.weight + network.bias)


def test_nnlm_is_the_papers_equation(vocabularies: Vocabularies) -> None:
    objective: Any = build(toy.run(method="nnlm", method_values=NNLM), vocabularies, seeded())
    values = doubles(objective)
    sentence = [8, 10, 9]
    total = 0.0
    for place, right in enumerate([*sentence, END]):
        context = ([START] * 3 + sentence)[place : place + 3]
        x = np.concatenate([values["encoder.embedding.tokens.weight"][word] for word in context])
        hidden = np.tanh(values["inner.weight"] @ x + values["inner.bias"])
        logits = values["output.weight"] @ hidden + values["output.bias"]
        total += logits[right] - np.log(np.exp(logits).sum())
    assert objective.log_probabilities([sentence])[0] == pytest.approx(total, rel=1e-5)
    together = objective.log_probabilities([[8, 8, 9, 10, 11], sentence, [], [10]])
    assert together[1] == pytest.approx(total, rel=1e-5), "neither padding nor the others matter"
    loss = objective.loss(collate(Examples([[START, *sentence, END]] * 2, [[START, *sentence, END]] * 2), [0, 1]))
    assert loss.objective.item() == pytest.approx(-total / 4, rel=1e-5)
    assert loss.tokens == 8


@pytest.mark.parametrize("form", ["one-hot", "embedding"])
def test_nnlm_has_as_many_parameters_as_its_description_says(form: str, vocabularies: Vocabularies) -> None:
    objective = build(toy.run(method="nnlm", method_values={**NNLM, "input": form}), vocabularies, seeded())
    v, n, h, d = vocabularies.source.get_vocab_size(), 3, 12, toy.VALUES["model"]["width"]
    rest = h + h * v + v
    expected = n * v * h + rest if form == "one-hot" else v * d + n * d * h + rest
    assert sum(parameter.numel() for parameter in objective.network.parameters()) == expected


def test_nnlm_does_not_look_right_of_a_gap(vocabularies: Vocabularies, pairs: Any) -> None:
    objective = counted("nnlm", NNLM, vocabularies, pairs)
    source = torch.tensor([[START, 8, 9, 10, 8, END]])
    other = torch.tensor([[START, 8, 9, 11, 9, END]])
    torch.testing.assert_close(objective.logits(source)[:, :3], objective.logits(other)[:, :3])
    assert not objective.logits(source)[:, 3].allclose(objective.logits(other)[:, 3])


@pytest.mark.parametrize(("method", "values"), METHODS[:5], ids=NAMES[:5])
def test_a_gaps_scores_are_what_the_method_says_of_it(
    method: str, values: dict[str, Any], vocabularies: Vocabularies, pairs: Any
) -> None:
    objective = counted(method, values, vocabularies, pairs)
    for parameter in objective.network.parameters():
        torch.nn.init.normal_(parameter, generator=seeded())
    arrays, around = doubles(objective), [8, 9, START]
    sums = objective.surrounding_table()[around].sum(0, keepdim=True)
    scores = objective.scores(sums, torch.tensor([[len(around)]]))[0].detach().double().numpy()
    ordinary = Counter(token for ids in bpe.encode(vocabularies.source, pairs[0]) for token in ids)
    q = arrays["encoder.embedding.tokens.weight"]
    if method == "cbow":
        h = q[around].mean(0)
        bias = arrays.get("output_bias")
        expected = {
            x: arrays["output.weight"][x] @ h + (0.75 * math.log(n) if bias is None else bias[x]) for x, n in ordinary.items()
        }
    elif method == "skipgram":
        logits = q @ arrays["output.weight"].T
        if values["objective"] == "softmax":
            logits = logits + arrays["output_bias"]
            logits -= np.log(np.exp(logits).sum(1, keepdims=True))
        expected = {x: math.log(n) + logits[x, around].sum() for x, n in ordinary.items()}
    else:
        w, c = (q + arrays["difference.weight"]) / 2, (q - arrays["difference.weight"]) / 2
        whole = Counter(token for ids in objective.examples(*pairs).source for token in ids)
        mean = sum(n * c[token] for token, n in whole.items()) / whole.total()
        expected = {x: math.log(n) + sum(w[x] @ (c[token] - mean) for token in around) for x, n in ordinary.items()}
    differences = [scores[x] - value for x, value in expected.items()]
    np.testing.assert_allclose(differences, differences[0], atol=1e-4, err_msg="equal up to one constant of the gap")


@every_method
def test_a_gap_is_filled_without_a_look_at_what_stands_there(
    method: str, values: dict[str, Any], vocabularies: Vocabularies, pairs: Any
) -> None:
    objective = counted(method, values, vocabularies, pairs)
    assert isinstance(objective, GapFiller)
    assert isinstance(objective, LanguageModel) == (method == "nnlm")
    sentences = [ids[2:-2] for ids in objective.examples(*pairs).source]
    gaps = [len(ids) // 2 for ids in sentences]
    guesses = objective.fill(sentences, gaps)
    assert all(guess >= len(SPECIALS) for guess in guesses)
    blank = [[*ids[:gap], UNK, *ids[gap + 1 :]] for ids, gap in zip(sentences, gaps, strict=True)]
    assert objective.fill(blank, gaps) == guesses


@every_method
def test_training_fills_gaps_of_a_regular_text(
    method: str, values: dict[str, Any], vocabularies: Vocabularies, pairs: Any
) -> None:
    objective = counted(method, values, vocabularies, pairs)
    optimizer = torch.optim.AdamW(objective.network.parameters(), lr=0.03)
    batch = batch_of(objective, pairs, len(pairs[0]))
    torch.manual_seed(1)
    before = objective.measure(batch)
    for _ in range(60):
        optimizer.zero_grad()
        objective.loss(batch).objective.backward()
        optimizer.step()
    after = objective.measure(batch)
    assert objective.measure(batch) == after, "the same negatives at every measure"
    assert after.loss < before.loss
    assert after.correct > before.correct
    sentences = bpe.encode(vocabularies.source, pairs[0])
    gaps = [len(ids) // 2 for ids in sentences]
    guesses = objective.fill(sentences, gaps)
    right = [guess == ids[gap] for guess, ids, gap in zip(guesses, sentences, gaps, strict=True)]
    most_frequent = max(Counter(ids[gap] for ids, gap in zip(sentences, gaps, strict=True)).values()) / len(gaps)
    assert sum(right) / len(right) > max(0.7, 2 * most_frequent)
    shown = objective.samples(*(side[:4] for side in pairs))
    assert len(shown) == 4 and all(len(line.split()) == len(text.split()) for line, text in zip(shown, pairs[0], strict=False))


@every_method
def test_a_saved_model_measures_alone(
    method: str, values: dict[str, Any], vocabularies: Vocabularies, pairs: Any, tmp_path: Path
) -> None:
    objective = counted(method, values, vocabularies, pairs)
    safetensors.torch.save_file(objective.network.state_dict(), tmp_path / "model.safetensors")
    again = build(toy.run(method=method, method_values=values, name=method), vocabularies, seeded(2))
    again.network.load_state_dict(safetensors.torch.load_file(tmp_path / "model.safetensors"))
    batch = batch_of(objective, pairs)
    assert again.measure(batch) == objective.measure(batch)


@every_method
@pytest.mark.parametrize(("side", "part"), [("source", "encoder"), ("target", "decoder")])
def test_the_table_is_named_as_the_transformers_own(
    method: str, values: dict[str, Any], side: str, part: str, vocabularies: Vocabularies, pairs: Any
) -> None:
    objective = counted(method, {**values, "side": side}, vocabularies, pairs)
    assert objective.side == side
    tables = {name: tensor.shape for name, tensor in objective.network.state_dict().items() if "embedding" in name}
    one_hot = values.get("input") == "one-hot"
    expected = {} if one_hot else {f"{part}.embedding.tokens.weight": (objective.types, toy.VALUES["model"]["width"])}
    assert tables == expected
    examples = objective.examples(["ba do"], ["DO BA"])
    text = {"source": "ba do", "target": "DO BA"}[side]
    ids = bpe.encode(getattr(vocabularies, side), [text])[0]
    assert examples.source == examples.target == [[START, *ids, END]]


def test_onehot_is_the_identity_and_has_nothing_to_train(vocabularies: Vocabularies) -> None:
    objective = build(toy.run(method="onehot", name="onehot"), vocabularies, seeded())
    types = vocabularies.source.get_vocab_size()
    ((name, table),) = objective.network.named_parameters()
    assert name == "encoder.embedding.tokens.weight"
    assert table.equal(torch.eye(types)) and not table.requires_grad
    batch = collate(objective.examples(["ba do", "ki"], ["", ""]), [0, 1])
    tokens = int((batch.source != PAD).sum())
    measure = objective.measure(batch)
    assert measure.loss / tokens == pytest.approx(math.log(types))
    assert (measure.correct, measure.tokens) == (0, tokens)
    assert objective.loss(batch).objective.item() == pytest.approx(math.log(types))
    assert objective.samples(["ba do", "ki"], ["", ""]) == ["", ""]


def test_a_count_table_counts_in_pieces_and_is_read_back_in_its_size() -> None:
    table = CountTable()
    assert table(torch.tensor([3])).tolist() == [0]
    table.add(torch.tensor([7, 3, 7]))
    table.add(torch.tensor([5, 3]), torch.tensor([2, 10]))
    assert (table.keys.tolist(), table.counts.tolist()) == ([3, 5, 7], [11, 2, 2])
    assert table(torch.tensor([[7, 0], [99, 3]])).tolist() == [[2, 0], [0, 11]]
    again = CountTable()
    again.load_state_dict(table.state_dict())
    assert (again.keys.tolist(), again.counts.tolist()) == ([3, 5, 7], [11, 2, 2])
    table.count(torch.tensor([1]))
    assert (table.keys.tolist(), table.counts.tolist()) == ([1], [1])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {**SOFTMAX, "negatives": 5},
            "params.yaml: methods.words: negatives is 5, but objective softmax samples none; set it to null.",
        ),
        (
            {**SAMPLING, "negatives": None},
            "params.yaml: methods.words: negatives is null, but objective negative-sampling needs a number; give 5 to 20.",
        ),
        ({**SAMPLING, "windows": 3}, "params.yaml: methods.words.windows is not a known value. Did you mean `window`?"),
    ],
)
@pytest.mark.parametrize("method", ["cbow", "skipgram"])
def test_wrong_values_are_named(method: str, values: dict[str, Any], message: str, vocabularies: Vocabularies) -> None:
    with pytest.raises(ConfigError) as error:
        build(toy.run(method=method, method_values=values, name="words"), vocabularies, seeded())
    assert str(error.value) == message
