"""Scores from statistics are sacreBLEU's; intervals cover what they promise; p values, equivalence and Holm are as defined."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

import scored
from translab.comparison.claims import read_claims
from translab.comparison.looks import nominal, sequential
from translab.comparison.planning import Noise, plan
from translab.comparison.statistics import Effect, Variance, effect, holm, run_variances
from translab.comparison.sufficient import COUNTS, resamples, score, scores

SENTENCES = st.lists(
    st.tuples(
        *(2 * [st.lists(st.sampled_from(["我", "喜欢", "a", "red", "house", ",", "。", "3.5"]), max_size=9).map(" ".join)])
    ),
    min_size=1,
    max_size=12,
)
METRICS = [("bleu", BLEU(tokenize="zh")), ("bleu", BLEU(tokenize="char")), ("bleu", BLEU(tokenize="13a"))]
METRICS += [("chrf", CHRF()), ("ter", TER()), ("ter", TER(asian_support=True, normalized=True))]


@settings(max_examples=40, deadline=None)
@given(pairs=SENTENCES)
@pytest.mark.parametrize(("metric", "official"), METRICS, ids=lambda value: str(value) if isinstance(value, str) else "")
def test_scores_from_statistics_are_those_of_sacrebleu(
    metric: str, official: BLEU | CHRF | TER, pairs: list[tuple[str, str]]
) -> None:
    hypotheses, references = [list(side) for side in zip(*pairs, strict=True)]
    expected = official.corpus_score(hypotheses, [references]).score
    counts = np.array(official._extract_corpus_statistics(hypotheses, [references]), dtype=float)
    assert counts.shape[1] == COUNTS[metric]
    assert score(metric, counts.sum(axis=0)) == expected, "to the last digit"
    assert scores(metric, counts.sum(axis=0)[None])[0] == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_a_resample_is_what_sacrebleu_gives_for_the_sentences_drawn() -> None:
    generator = np.random.default_rng(3)
    words = ["a", "b", "c", "d", "e"]
    references = [" ".join(generator.choice(words, 7)) for _ in range(20)]
    hypotheses = [" ".join(generator.choice(words, 7)) for _ in range(20)]
    counts = np.array(BLEU()._extract_corpus_statistics(hypotheses, [references]), dtype=float)
    marked = np.concatenate([np.eye(20), counts], axis=1)  # the identity tells how often each sentence was drawn
    (sums,) = resamples(marked, 5, seed=1)
    for times, made in zip(sums[:, :20], scores("bleu", sums[:, 20:]), strict=True):
        drawn = list(itertools.chain.from_iterable([row] * int(number) for row, number in enumerate(times)))
        assert len(drawn) == 20
        official = BLEU().corpus_score([hypotheses[row] for row in drawn], [[references[row] for row in drawn]]).score
        assert made == pytest.approx(official, rel=1e-12)


def test_every_model_is_resampled_with_the_same_sentences_whatever_stands_beside_it() -> None:
    counts = np.random.default_rng(0).integers(0, 9, (30, 2)).astype(float)
    alone = np.concatenate(list(resamples(counts, 700, seed=4)))
    together = np.concatenate(list(resamples(np.concatenate([counts, counts], axis=1), 700, seed=4)))
    assert len(alone) == 700
    assert (together[:, :2] == alone).all()
    assert (together[:, 2:] == alone).all()


def simulate(seeds: int, seed_noise: list[float], sentence_noise: float, repetitions: int) -> float:
    """Share of nominal 95 % intervals that hold the true difference, 0, between two of the cells."""
    generator = np.random.default_rng(11)
    names = [f"model-{number}" for number in range(len(seed_noise))]
    covered = 0
    for _ in range(repetitions):
        cells = {
            name: generator.normal(0, sentence_noise) + generator.normal(0, noise, seeds)
            for name, noise in zip(names, seed_noise, strict=True)
        }
        # What a resample adds is the same for all seeds of a model.
        resampled = {name: cells[name][:, None] + generator.normal(0, sentence_noise, 200) for name in names}
        found = effect({names[0]: 1, names[1]: -1}, cells, run_variances(cells), resampled, sentences=300)
        low, high = found.interval(0.95)
        covered += low <= 0 <= high
    return covered / repetitions


@pytest.mark.parametrize(("seeds", "sentence_noise"), [(3, 0.02), (3, 0.5), (3, 3.0), (10, 0.02)])
def test_intervals_cover_the_truth_as_often_as_they_say(seeds: int, sentence_noise: float) -> None:
    assert 0.92 <= simulate(seeds, 12 * [1.0], sentence_noise, 250) <= 0.98


def test_intervals_cover_when_one_model_is_far_noisier_than_the_others() -> None:
    assert simulate(5, [1.0, 10.0, *(10 * [1.0])], 0.02, 250) >= 0.9


def test_alike_cells_are_pooled_and_an_unlike_one_keeps_its_own_variance() -> None:
    generator = np.random.default_rng(5)
    cells = {f"calm-{number}": generator.normal(0, 1, 6) for number in range(8)} | {"wild": generator.normal(0, 30, 6)}
    variances = run_variances(cells)
    assert variances["wild"].own
    assert variances["wild"].value == pytest.approx(np.var(cells["wild"], ddof=1))
    assert variances["wild"].freedom == 5
    calm = [variances[name] for name in cells if name != "wild"]
    assert not any(variance.own for variance in calm)
    assert max(variance.value for variance in calm) < 2 * min(variance.value for variance in calm)
    assert all(variance.freedom > 5 for variance in calm)


def test_cells_that_do_not_vary_have_no_variance() -> None:
    variances = run_variances({"a": np.array([1.0, 1.0, 1.0]), "b": np.array([2.0, 2.0, 2.0])})
    found = effect({"a": 1, "b": -1}, {"a": np.ones(3), "b": 2 * np.ones(3)}, variances, None, sentences=10)
    assert found.interval(0.95) == (-1.0, -1.0)
    assert found.p() == 0
    assert found.p_equivalent(2.0) == 0


def test_without_sentences_two_models_of_one_variance_are_students_test() -> None:
    a, b = np.array([1.0, 2.0, 4.0]), np.array([3.0, 5.0, 6.0])
    found = effect({"a": 1, "b": -1}, {"a": a, "b": b}, run_variances({"a": a, "b": b}), None, sentences=10)
    official = scipy.stats.ttest_ind(a, b)
    assert found.p() == pytest.approx(official.pvalue)
    assert found.interval(0.95) == pytest.approx(tuple(official.confidence_interval(0.95)))


def plain(estimate: float, error: float = 1.0) -> Effect:
    return Effect(estimate, 3, error**2, math.inf, 0.0, math.inf)


def test_p_values_and_intervals_agree() -> None:
    for estimate in (-3.0, -1.9, 0.5, 1.97):
        low, high = plain(estimate).interval(0.95)
        assert (plain(estimate).p() < 0.05) == (not low <= 0 <= high)


@pytest.mark.parametrize(
    ("estimate", "equivalent"), [(0.0, True), (0.3, True), (-0.3, True), (0.4, False), (-0.4, False), (5.0, False)]
)
def test_equivalence_is_the_90_percent_interval_inside_the_margin(estimate: float, equivalent: bool) -> None:
    found = plain(estimate)
    low, high = found.interval(0.9)
    assert (low > -2 and high < 2) == equivalent
    assert (found.p_equivalent(2.0) < 0.05) == equivalent


def test_the_detectable_effect_depends_on_noise_alone_and_is_detected_as_often_as_said() -> None:
    for estimate in (0.0, 7.0):
        assert plain(estimate).minimum_detectable(0.05) == pytest.approx(1.96 + 0.8416, abs=1e-3)
    draws = np.random.default_rng(2).normal(plain(0.0).minimum_detectable(0.05), 1, 2000)
    assert np.mean([plain(float(draw)).p() < 0.05 for draw in draws]) == pytest.approx(0.8, abs=0.03)


def test_more_seeds_help_against_seed_noise_but_not_against_a_small_test_set() -> None:
    noisy_seeds = Effect(0.0, 3, 1.0, 4.0, 0.01, 999)
    needed = noisy_seeds.seeds_needed(1.0, 0.05)
    assert needed is not None
    assert 20 < needed < 40
    assert Effect(0.0, 3, 0.01, 4.0, 1.0, 999).seeds_needed(1.0, 0.05) is None


def test_holm_multiplies_the_smallest_most_and_never_reverses_an_order() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_levels_of_looks_are_those_of_obrien_and_fleming_spending() -> None:
    """Two-sided bounds of the Lan-DeMets function, as tables of group-sequential designs have them."""
    bounds = [scipy.stats.norm.isf(level / 2) for level in nominal(0.05, [1, 2, 3, 4])]
    assert bounds == pytest.approx([4.333, 2.963, 2.359, 2.014], abs=2e-3)
    assert [scipy.stats.norm.isf(level / 2) for level in nominal(0.05, [3, 5])] == pytest.approx([2.669, 1.981], abs=2e-3)
    assert nominal(0.05, [7]) == pytest.approx([0.05], abs=1e-6)


def test_all_looks_together_are_wrong_as_seldom_as_one() -> None:
    steps = np.random.default_rng(8).normal(size=(40_000, 10)).cumsum(axis=1)
    looks = [3, 5, 10]
    scores = steps[:, [look - 1 for look in looks]] / np.sqrt(looks)
    levels = np.array(nominal(0.05, looks))
    assert np.mean((2 * scipy.stats.norm.sf(np.abs(scores)) < levels).any(axis=1)) == pytest.approx(0.05, abs=0.004)
    assert np.mean((2 * scipy.stats.norm.sf(np.abs(scores)) < 0.05).any(axis=1)) > 0.09, "what looking thrice costs"


@pytest.mark.parametrize("looks", [[3], [3, 5], [3, 5, 10]])
def test_a_sequential_p_value_is_the_error_at_which_its_look_would_decide(looks: list[int]) -> None:
    for alpha in (0.05, 0.01):
        for look, level in zip(looks, nominal(alpha, looks), strict=True):
            assert sequential(level, looks, look) == pytest.approx(alpha, rel=1e-2)
    assert sequential(0.02, looks, looks[0]) >= sequential(0.01, looks, looks[0])


def test_what_runs_do_with_sentences_is_counted_once() -> None:
    generator = np.random.default_rng(4)
    values = generator.normal(size=(3, 400))  # [seeds, sentences]: nothing but what each run does with each sentence
    draws = generator.multinomial(400, np.full(400, 1 / 400), size=500)
    resampled = values @ draws.T / 400  # [seeds, R]
    cells = {name: values.mean(axis=1) for name in ("a", "b")}
    found = effect({"a": 1}, cells, run_variances(cells), {"a": resampled}, sentences=400)
    assert found.sentence_variance < 0.3 * np.var(resampled.mean(axis=0)), "the seeds' variance has it already"
    shared = np.repeat(values[:1], 3, axis=0)  # the same sentences are hard for every run
    resampled = shared @ draws.T / 400
    found = effect({"a": 1}, {"a": shared.mean(axis=1)}, {"a": Variance(0.0, 2, True)}, {"a": resampled}, sentences=400)
    assert found.sentence_variance == pytest.approx(np.var(resampled[0], ddof=1))


def test_a_plan_says_from_noise_alone_what_a_claim_can_find() -> None:
    claims = read_claims([scored.claim(margin=2.5, looks=[3, 5]), scored.claim(name="other", margin=0.5, looks=[3, 5])], "here")
    noise = Noise(run_variance=1.0, run_freedom=40.0, seeds=10, sentence_variance=0.04, sentence_freedom=999.0)
    wide, narrow = plan(claims, {("test", "bleu"): noise}, 0.05, "phrasebook")
    assert (wide.seeds, wide.reachable, narrow.reachable) == (5, True, False)
    assert wide.minimum_detectable == narrow.minimum_detectable == pytest.approx(3.25 * math.sqrt(2 / 5 + 0.04), rel=0.06)
    assert narrow.seeds_needed is None, "0.2 of noise between sentences leaves no room below 0.5"
    (unknown,) = plan(claims[:1], {}, 0.05, "phrasebook")
    assert (unknown.minimum_detectable, unknown.seeds_needed, unknown.reachable) == (None, None, False)


def test_a_claim_about_another_corpus_has_no_noise_here_and_no_part_in_the_family() -> None:
    here, elsewhere = scored.claim(), scored.claim(name="elsewhere", corpus="french")
    noise = {("test", "bleu"): Noise(1.0, 40.0, 10, 0.04, 999.0)}
    (alone,) = plan(read_claims([here], "here"), noise, 0.05, "phrasebook")
    both = plan(read_claims([here, elsewhere], "here"), noise, 0.05, "phrasebook")
    assert both[0] == alone
    assert both[1].minimum_detectable is None


def test_interactions_and_trends_are_planned_with_their_weights() -> None:
    four = {"a": 0.5, "b": -0.5, "c": -0.5, "d": 0.5}
    claims = read_claims([scored.claim(), scored.claim(name="four", contrast=four, family="other")], "here")
    noise = Noise(1.0, 40.0, 3, 0.0, math.inf)
    two, interaction = (
        found.minimum_detectable or 0.0 for found in plan(claims, {("test", "bleu"): noise}, 0.05, "phrasebook")
    )
    assert interaction == pytest.approx(two / math.sqrt(2))
