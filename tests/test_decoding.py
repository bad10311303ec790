"""Search: cached equals uncached, a beam of 1 is greedy, a wide beam finds what trying everything finds; so for the n best."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from translab import config
from translab.decoding import FORBIDDEN, Hypothesis, _continuations, n_best, translate, usual_maximum_length
from translab.models.bodies import build_translator
from translab.models.kernels import PADDING
from translab.models.positions import SentenceTooLong
from translab.models.translator import Translator
from translab.text.batching import pad
from translab.text.bpe import END, PAD, START

SOURCE_TYPES, TARGET_TYPES = 31, 23
VALUES = config.Model(
    body="transformer",
    width=26,
    feedforward=41,
    heads=2,
    encoder_layers=1,
    decoder_layers=3,
    positions="sinusoidal",
    normalisation="pre",
    connection="residual",
    attention_scale="sqrt",
    cross_projection="separate",
    causal=True,
    dropout=0.1,
    maximum_length=29,
)
RECURRENT = [{"body": body, "encoder_layers": 2, "decoder_layers": 2} for body in ("lstm-attention", "lstm", "rnn")]
TORCH = {"body": "torch"}
NOT_CAUSAL = {"causal": False}
LENGTHS = (5, 11, 3, 17, 2, 7, 13, 19, 1)


def build(seed: int = 1, target_types: int = TARGET_TYPES, sharpness: float = 4.0, **changes: object) -> Translator:
    """A model with random weights, whose output projection is sharpened so that its choices are not ties."""
    values = config.Model(**(VALUES.model_dump() | changes))
    model = build_translator(values, SOURCE_TYPES, target_types, torch.Generator().manual_seed(seed)).eval()
    with torch.no_grad():
        model.output.weight *= sharpness
        model.output.bias[END] = 3
    return model


def sentences(seed: int = 1) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(7, SOURCE_TYPES, (length,), generator=generator).tolist() for length in LENGTHS]


def search(model: Translator, sources: list[list[int]], beam: int, **changes: object) -> list[Hypothesis]:
    arguments: dict[str, object] = {"length_penalty": 1.0, "batch_tokens": 43} | changes
    return translate(model, sources, beam=beam, **arguments)


def several(model: Translator, sources: list[list[int]], beam: int, best: int, **changes: object) -> list[list[Hypothesis]]:
    arguments: dict[str, object] = {"length_penalty": 1.0, "batch_tokens": 43} | changes
    return n_best(model, sources, beam=beam, best=best, **arguments)


@torch.no_grad()
def log_probability(model: Translator, source: list[int], tokens: list[int]) -> float:
    """Of a whole translation, [END] included, without any cache."""
    logits = model(torch.tensor([source]), torch.tensor([[START, *tokens]]))[0]
    return float(logits.log_softmax(-1).gather(1, torch.tensor([*tokens, END])[:, None]).sum())


@torch.no_grad()
def greedy(model: Translator, source: list[int], maximum_length: int) -> list[int]:
    """The plainest possible greedy decoder."""
    tokens: list[int] = []
    while len(tokens) + 1 < maximum_length:
        logits = model(torch.tensor([source]), torch.tensor([[START, *tokens]]))[0, -1]
        logits[list(FORBIDDEN)] = -math.inf
        token = int(logits.argmax())
        if token == END:
            break
        tokens.append(token)
    return tokens


def test_padding_is_the_same_id_everywhere() -> None:
    assert PADDING == PAD


@pytest.mark.parametrize(
    "changes",
    [
        {"normalisation": "pre"},
        {"normalisation": "post"},
        {"connection": "highway"},
        {"connection": "none"},
        {"attention_scale": "none"},
        {"cross_projection": "none"},
        TORCH,
        *RECURRENT,
    ],
)
@pytest.mark.parametrize("rows", [1, 3])
def test_cached_decoding_equals_uncached(rows: int, changes: dict[str, object]) -> None:
    model = build(**changes)
    source = pad(sentences()[:4])
    generator = torch.Generator().manual_seed(2)
    target = torch.randint(7, TARGET_TYPES, (4 * rows, 11), generator=generator)
    repeated = source.repeat_interleave(rows, 0)
    with torch.no_grad():
        expected = model.decode(target, model.encode(repeated), repeated)
        cache = model.start(model.encode(source), source, rows)
        found = torch.stack([model.step(target[:, step], cache) for step in range(11)], dim=1)
    assert (found - expected).abs().max() < 1e-5


def test_a_decoder_that_is_not_causal_reads_its_own_prefix_in_both_directions() -> None:
    model = build(causal=False)
    source = pad(sentences()[:3])
    target = torch.randint(7, TARGET_TYPES, (6, 5), generator=torch.Generator().manual_seed(2))
    repeated = source.repeat_interleave(2, 0)
    with torch.no_grad():
        memory, cache = model.encode(repeated), model.start(model.encode(source), source, 2)
        found = [model.step(target[:, step], cache) for step in range(5)]
        for step, states in enumerate(found):
            prefix = model.decode(target[:, : step + 1], memory, repeated)
            assert (states - prefix[:, -1]).abs().max() < 1e-5
        leaking = model.decode(target, memory, repeated)
    assert (leaking[:, 2] - found[2]).abs().max() > 1e-2


@pytest.mark.parametrize("changes", [{}, {"cross_projection": "none"}, TORCH, *RECURRENT])
def test_a_cache_follows_its_rows(changes: dict[str, object]) -> None:
    model = build(**changes)
    source = pad(sentences()[:3])
    target = torch.randint(7, TARGET_TYPES, (6, 5), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        cache = model.start(model.encode(source), source, 2)
        for step in range(3):
            model.step(target[:, step], cache)
        cache.select(torch.tensor([2, 0]), torch.tensor([5, 5, 1, 0]))
        history = target[torch.tensor([5, 5, 1, 0])]
        found = [model.step(history[:, 3], cache)]
        cache.select_rows(torch.tensor([0, 1, 3, 3]))
        found.append(model.step(history[torch.tensor([0, 1, 3, 3]), 4], cache))
        kept = source[torch.tensor([2, 2, 0, 0])]
        expected = model.decode(history, model.encode(kept), kept)
    assert (found[0] - expected[:, 3]).abs().max() < 1e-5
    assert (found[1] - expected[torch.tensor([0, 1, 3, 3]), 4]).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("seed", "changes"), [(1, {}), (2, {}), (3, {}), *((1, changes) for changes in (NOT_CAUSAL, TORCH, *RECURRENT))]
)
def test_a_beam_of_one_is_greedy(seed: int, changes: dict[str, object]) -> None:
    model, sources = build(seed, sharpness=30.0 if changes else 4.0, **changes), sentences(seed)
    found = search(model, sources, beam=1)
    expected = [greedy(model, source, min(usual_maximum_length(len(source)), 29)) for source in sources]
    assert [hypothesis.tokens for hypothesis in found] == expected
    assert len({len(tokens) for tokens in expected}) > 2


@torch.no_grad()
def plain_beam_search(model: Translator, source: list[int], beam: int, penalty: float, maximum_length: int) -> list[list[int]]:
    """The rules of the search as the module states them, for one sentence, without a cache or a bound; all that finish."""
    running: list[tuple[float, list[int]]] = [(0.0, [])]
    finished: list[tuple[float, list[int]]] = []
    for length in range(1, maximum_length + 1):
        candidates = []
        for score, tokens in running:
            gains = model(torch.tensor([source]), torch.tensor([[START, *tokens]]))[0, -1].log_softmax(-1)
            allowed = [END, *range(7, TARGET_TYPES)] if length < maximum_length else [END]
            candidates += [(score + float(gains[token]), [*tokens, token]) for token in allowed]
        candidates.sort(key=lambda candidate: -candidate[0])
        finished += [(score / length**penalty, tokens[:-1]) for score, tokens in candidates[:beam] if tokens[-1] == END]
        running = [candidate for candidate in candidates if candidate[1][-1] != END][:beam]
        if len(finished) >= beam:
            break
    return [tokens for _, tokens in sorted(finished, key=lambda hypothesis: -hypothesis[0])]


@pytest.mark.parametrize(("beam", "length_penalty"), [(2, 0.0), (2, 1.0), (5, 0.6)])
@pytest.mark.parametrize(("seed", "changes"), [(1, {}), (2, {}), (3, {}), (1, NOT_CAUSAL), (1, TORCH)])
def test_a_narrow_beam_follows_the_stated_rules(
    seed: int, changes: dict[str, object], beam: int, length_penalty: float
) -> None:
    model, sources = build(seed, sharpness=2.0, **changes), sentences(seed)[:5]
    with torch.no_grad():
        model.output.bias[END] = 2
    found = search(model, sources, beam, length_penalty=length_penalty, maximum_length=lambda length: 5 + length // 3)
    expected = [plain_beam_search(model, source, beam, length_penalty, 5 + len(source) // 3) for source in sources]
    assert [hypothesis.tokens for hypothesis in found] == [tokens for tokens, *_ in expected]
    for best in {2, beam}:
        listed = several(
            model, sources, beam, best, length_penalty=length_penalty, maximum_length=lambda length: 5 + length // 3
        )
        assert [[hypothesis.tokens for hypothesis in some] for some in listed] == [some[:best] for some in expected]


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("beam", [1, 4])
def test_a_score_is_the_log_probability_over_a_power_of_the_length(beam: int, length_penalty: float) -> None:
    model, sources = build(), sentences()
    for source, hypothesis in zip(sources, search(model, sources, beam, length_penalty=length_penalty), strict=True):
        expected = log_probability(model, source, hypothesis.tokens) / (len(hypothesis.tokens) + 1) ** length_penalty
        assert hypothesis.score == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 1.7])
@pytest.mark.parametrize(("seed", "changes"), [*((seed, {}) for seed in (1, 2, 3, 4)), *((1, each) for each in RECURRENT)])
def test_a_wide_beam_finds_what_trying_everything_finds(seed: int, changes: dict[str, object], length_penalty: float) -> None:
    words, longest = (7, 8, 9), 4
    model = build(seed, target_types=10, sharpness=1.0, **changes)
    with torch.no_grad():
        model.output.bias[END] = 0
    sources = sentences(seed)[:3]
    everything = [list(some) for length in range(longest) for some in itertools.product(words, repeat=length)]
    found = search(model, sources, beam=len(everything), length_penalty=length_penalty, maximum_length=lambda _: longest)
    for source, hypothesis in zip(sources, found, strict=True):
        scores = {
            tuple(tokens): log_probability(model, source, tokens) / (len(tokens) + 1) ** length_penalty for tokens in everything
        }
        best = max(scores, key=lambda tokens: scores[tokens])
        assert tuple(hypothesis.tokens) == best
        assert hypothesis.score == pytest.approx(scores[best], abs=1e-5)


def test_length_normalisation_favours_longer_translations() -> None:
    model, sources = build(sharpness=2.0), sentences()
    totals = [
        sum(len(hypothesis.tokens) for hypothesis in search(model, sources, 5, length_penalty=penalty))
        for penalty in (0.0, 1.0, 3.0)
    ]
    assert totals[0] < totals[1] < totals[2]


@pytest.mark.parametrize("beam", [1, 3])
def test_what_else_is_in_the_batch_does_not_matter(beam: int) -> None:
    model, sources = build(), sentences()
    together = search(model, sources, beam, batch_tokens=1009)
    for alone in (search(model, sources, beam, batch_tokens=1), search(model, sources[::-1], beam)[::-1]):
        assert [hypothesis.tokens for hypothesis in alone] == [hypothesis.tokens for hypothesis in together]
        for one, other in zip(alone, together, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-5)


@pytest.mark.parametrize("beam", [1, 3])
def test_only_text_is_generated(beam: int) -> None:
    model = build()
    with torch.no_grad():
        model.output.bias[list(FORBIDDEN)] = 10
    for hypothesis in search(model, sentences(), beam):
        assert not set(hypothesis.tokens) & {*FORBIDDEN, END}


@pytest.mark.parametrize("beam", [1, 3])
def test_a_translation_never_passes_its_maximum_length(beam: int) -> None:
    model, sources = build(), sentences()
    with torch.no_grad():
        model.output.bias[END] = -20
    for source, hypothesis in zip(sources, search(model, sources, beam), strict=True):
        assert len(hypothesis.tokens) + 1 == min(2 * len(source) + 10, VALUES.maximum_length)
    short = search(model, sources, beam, maximum_length=lambda length: length)
    assert [len(hypothesis.tokens) + 1 for hypothesis in short] == list(LENGTHS)


def test_no_sentence_gives_no_translation_and_an_empty_sentence_an_empty_one() -> None:
    model = build()
    assert search(model, [], beam=2) == []
    found = search(model, [[], *sentences()[:1]], beam=2)
    assert found[0] == Hypothesis([], 0.0)
    assert found[1:] == search(model, sentences()[:1], beam=2)


def test_a_source_beyond_the_maximum_length_is_refused() -> None:
    with pytest.raises(SentenceTooLong, match="found a sentence of 31 tokens"):
        search(build(), [[7] * 31], beam=1)


def test_the_models_mode_is_put_back_and_dropout_is_off() -> None:
    model, sources = build(), sentences()
    expected = search(model, sources, beam=2)
    assert not model.training
    assert search(model.train(), sources, beam=2) == expected
    assert model.training


def test_progress_counts_every_sentence() -> None:
    done: list[int] = []
    search(build(), sentences(), beam=2, progress=done.append)
    assert sum(done) == len(LENGTHS) and len(done) > 2


def test_equal_scores_are_taken_in_the_order_of_their_ids() -> None:
    logits = torch.zeros(2, 13)
    logits[1, 11] = 1
    ids, gains = _continuations(logits, torch.tensor([False, False]), 3)
    assert ids.tolist() == [[END, 7, 8], [11, END, 7]]
    assert gains[0].tolist() == pytest.approx([-math.log(13)] * 3)


def test_at_the_limit_only_the_end_is_possible() -> None:
    logits = torch.arange(26.0).view(2, 13)
    ids, gains = _continuations(logits.clone(), torch.tensor([True, False]), 2)
    expected: Tensor = logits.log_softmax(1)
    assert ids[0, 0] == END and gains[0, 0] == pytest.approx(expected[0, END].item(), abs=1e-5) and gains[0, 1] == -math.inf
    assert ids[1].tolist() == [12, 11] and gains[1].tolist() == pytest.approx(expected[1, [12, 11]].tolist(), abs=1e-5)


@pytest.mark.parametrize("beam", [1, 3])
def test_a_model_that_finds_all_types_alike_takes_those_with_the_smallest_ids(beam: int) -> None:
    model = build(sharpness=0.0)
    with torch.no_grad():
        model.output.bias.zero_()
    hypotheses = search(model, sentences(), beam=beam, length_penalty=0.0)
    # [END] is the smallest id of all that may be chosen, and a longer translation is never more probable.
    assert [hypothesis.tokens for hypothesis in hypotheses] == [[]] * len(LENGTHS)


@pytest.mark.parametrize("changes", [{}, RECURRENT[1]])
@pytest.mark.parametrize("best", [2, 4])
def test_the_n_best_differ_and_are_sorted_and_the_first_is_what_is_found_alone(best: int, changes: dict[str, object]) -> None:
    model, sources = build(sharpness=2.0, **changes), sentences()
    listed = several(model, sources, 4, best, batch_tokens=1)
    # A sentence a batch: what else is in one changes scores by rounding.
    assert [some[0] for some in listed] == search(model, sources, 4, batch_tokens=1)
    for source, some in zip(sources, listed, strict=True):
        assert len({tuple(hypothesis.tokens) for hypothesis in some}) == best
        assert [hypothesis.score for hypothesis in some] == sorted((each.score for each in some), reverse=True)
        for hypothesis in some:
            expected = log_probability(model, source, hypothesis.tokens) / (len(hypothesis.tokens) + 1)
            assert hypothesis.score == pytest.approx(expected, abs=1e-4)
    together = several(model, sources, 4, best, batch_tokens=1009)
    assert [[each.tokens for each in some] for some in together] == [[each.tokens for each in some] for some in listed]


@pytest.mark.parametrize("length_penalty", [0.0, 1.7])
def test_the_n_best_of_a_wide_beam_are_all_that_there_are_in_the_order_of_their_scores(length_penalty: float) -> None:
    words, longest = (7, 8), 4
    model, source = build(target_types=9, sharpness=1.0), sentences()[0]
    everything = [list(some) for length in range(longest) for some in itertools.product(words, repeat=length)]
    scores = {
        tuple(tokens): log_probability(model, source, tokens) / (len(tokens) + 1) ** length_penalty for tokens in everything
    }
    (found,) = several(model, [source], 20, 20, length_penalty=length_penalty, maximum_length=lambda _: longest)
    assert [tuple(each.tokens) for each in found] == sorted(scores, key=lambda tokens: -scores[tokens])
    assert [each.score for each in found] == pytest.approx(sorted(scores.values(), reverse=True), abs=1e-5)


def test_fewer_than_n_translations_are_returned_only_where_there_are_no_more() -> None:
    model, sources = build(), [[], *sentences()[:1]]
    found = several(model, sources, beam=3, best=3, maximum_length=lambda _: 1)
    assert found[0] == [Hypothesis([], 0.0)]
    assert [hypothesis.tokens for hypothesis in found[1]] == [[]]
    assert several(model, [], beam=3, best=3) == []


def test_a_model_whose_logits_are_not_numbers_has_an_impossible_translation() -> None:
    model = build()
    with torch.no_grad():
        model.output.bias.fill_(math.nan)
    assert search(model, sentences()[:2], beam=3) == [Hypothesis([], -math.inf)] * 2
    assert several(model, sentences()[:2], beam=3, best=2) == [[Hypothesis([], -math.inf)]] * 2


def test_the_n_best_are_counted_for_progress_and_leave_the_models_mode() -> None:
    model, done = build().train(), list[int]()
    several(model, sentences(), beam=3, best=2, progress=done.append)
    assert sum(done) == len(LENGTHS) and len(done) > 2
    assert model.training


@pytest.mark.parametrize("best", [0, 5])
def test_more_translations_than_the_beam_has_are_refused(best: int) -> None:
    message = f"^best is {best}, but a beam of 4 can give 1 to 4 translations; take one of these, or a larger beam.$"
    with pytest.raises(config.ConfigError, match=message):
        several(build(), sentences(), beam=4, best=best)
