"""Beam search: the best translations that a model can find, from left to right.

A beam of k keeps, for each sentence, the k most probable unfinished hypotheses; k = 1 is greedy decoding (always the most
probable next token). Search and length normalisation follow Wu et al. 2016, "Google's Neural Machine Translation System"
(https://arxiv.org/abs/1609.08144), section 7, with the plainer score

    score = log P(tokens, [END] | source) / length^α        length counts [END]; α = 0 compares log probabilities

and these rules:

    finishing   a hypothesis finishes when its [END] is among the k best of all continuations of its sentence
    stopping    a sentence is done when k hypotheses have finished, or none that is unfinished could still score better than
                the best finished one; that one is the result (where the n best are asked for: better than the last of these)
    length      at a sentence's maximum length [END] is the only continuation, so every result is a whole one
    text only   [END] apart, no special token is ever generated, [UNK] included: the output is always text. Probabilities are
                the model's, without renormalisation
    ties        of equal scores the better hypothesis of the step before comes first, then the smaller id

Keys and values of the tokens so far are kept, the source is read once, long sentences go first in batches with a token budget,
and a finished sentence leaves its batch. What else is in a batch changes a result by rounding alone.

Shapes: B sentences still in the batch · k beam · V vocabulary · T tokens so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from translab.config import ConfigError
from translab.models.translator import Translator
from translab.text.batching import pad
from translab.text.bpe import CLS, END, MASK, PAD, SEP, START, UNK

FORBIDDEN = (PAD, UNK, START, MASK, CLS, SEP)
"""Ids that are never generated."""

IMPOSSIBLE = float("-inf")

WORTHWHILE = 0.9
"""Greedy decoding leaves finished sentences out when at most this share of a batch is unfinished."""


@dataclass(frozen=True)
class Hypothesis:
    """A translation, without [START] and [END], and its score."""

    tokens: list[int]
    score: float


def usual_maximum_length(source_length: int) -> int:
    """Twice the source's length and 10 more: far beyond any translation of a sentence, and near enough to stop a runaway."""
    return 2 * source_length + 10


@torch.inference_mode()
def translate(
    model: Translator,
    sources: Sequence[Sequence[int]],
    *,
    beam: int,
    length_penalty: float,
    batch_tokens: int,
    maximum_length: Callable[[int], int] = usual_maximum_length,
    progress: Callable[[int], object] | None = None,
) -> list[Hypothesis]:
    """Translate sentences: the best hypothesis of each.

    Args:
        model: its mode (training or evaluation) is put back afterwards.
        sources: ids of each sentence, as the encoder reads them; a sentence without tokens has the empty translation.
        beam: hypotheses kept; 1 is greedy.
        length_penalty: exponent α of the length; 0 is none.
        batch_tokens: source tokens in a batch, padding included (at least one sentence).
        maximum_length: of a source's length: tokens its translation may have, [END] included; the model's own maximum length
            is a second bound.
        progress: called with the number of sentences that have just been finished (`tqdm.update`, for instance).

    Returns:
        One hypothesis for each sentence, in the order of `sources`.

    Raises:
        SentenceTooLong: if a source has more tokens than the model's maximum length.
    """
    found = n_best(
        model,
        sources,
        beam=beam,
        best=1,
        length_penalty=length_penalty,
        batch_tokens=batch_tokens,
        maximum_length=maximum_length,
        progress=progress,
    )
    return [hypothesis for (hypothesis,) in found]


@torch.inference_mode()
def n_best(
    model: Translator,
    sources: Sequence[Sequence[int]],
    *,
    beam: int,
    best: int,
    length_penalty: float,
    batch_tokens: int,
    maximum_length: Callable[[int], int] = usual_maximum_length,
    progress: Callable[[int], object] | None = None,
) -> list[list[Hypothesis]]:
    """Translate sentences in several ways: the n best finished hypotheses of each.

    Args:
        best: how many are wanted, at most as many as the beam has.
        model, sources, beam, length_penalty, batch_tokens, maximum_length, progress: as for `translate`.

    Returns:
        For each sentence, in the order of `sources`, its hypotheses, best first; no two have the same tokens. There are fewer
        than `best` only where there are no more: a sentence without tokens has the empty one alone.

    Raises:
        ConfigError: if `best` is less than 1 or more than the beam.
        SentenceTooLong: if a source has more tokens than the model's maximum length.
    """
    if not 1 <= best <= beam:
        raise ConfigError(
            f"best is {best}, but a beam of {beam} can give 1 to {beam} translations; take one of these, or a larger beam."
        )
    mode = model.training
    model.eval()
    device = model.output.weight.device
    results = [[Hypothesis([], 0.0)] for _ in sources]
    try:
        for rows in _batches([len(source) for source in sources], batch_tokens):
            source = pad([sources[row] for row in rows]).to(device)
            limits = [min(maximum_length(len(sources[row])), model.maximum_length) for row in rows]
            search = _greedy if beam == 1 else partial(_search, beam=beam, best=best)
            for place, hypotheses in search(model, source, torch.tensor(limits, device=device), length_penalty=length_penalty):
                results[rows[place]] = hypotheses
            if progress is not None:
                progress(len(rows))
    finally:
        model.train(mode)
    return results


def _batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Rows of sentences that have tokens, longest first, in batches of at most `batch_tokens` with padding."""
    rows = sorted((row for row, length in enumerate(lengths) if length), key=lambda row: -lengths[row])
    while rows:
        size = max(batch_tokens // lengths[rows[0]], 1)
        yield rows[:size]
        rows = rows[size:]


def _greedy(model: Translator, source: Tensor, limits: Tensor, length_penalty: float) -> Iterator[tuple[int, list[Hypothesis]]]:
    """What `_search` does with a beam of 1, where nothing is sorted and no row changes its place."""
    device = source.device
    cache = model.start(model.encode(source), source, 1)
    places = torch.arange(source.size(0), device=device)  # [B], in the batch as it was
    written = torch.full((source.size(0), int(limits.max())), END, device=device)  # [B, greatest length]
    totals = torch.zeros(source.size(0), device=device)  # log probabilities, [B]
    tokens = torch.full_like(places, START)  # [B]
    running = torch.ones_like(places, dtype=torch.bool)
    length = 0
    while len(places):
        logits = model.output(model.step(tokens, cache)).float()  # [B, V]
        normaliser = logits.logsumexp(1)
        logits[:, FORBIDDEN] = IMPOSSIBLE
        tokens = _largest(logits)
        best = logits.gather(1, tokens[:, None])[:, 0]
        at_limit = limits == length + 1
        best, tokens = torch.where(at_limit, logits[:, END], best), tokens.masked_fill(at_limit, END)
        totals += torch.where(running, best - normaliser, 0.0)
        written[places, length] = tokens.masked_fill(~running, END)
        length += 1
        ended = running & (tokens == END)
        for row in ended.nonzero()[:, 0].tolist():
            place = int(places[row])
            yield place, [Hypothesis(written[place, : length - 1].tolist(), float(totals[row]) / length**length_penalty)]
        running &= ~ended
        # To leave out rows, all keys and values are copied; a few that have finished cost less.
        left = running.nonzero()[:, 0]
        if len(left) <= WORTHWHILE * len(places):
            cache.select(left, left)
            places, limits, totals, tokens, running = (part[left] for part in (places, limits, totals, tokens, running))


def _search(
    model: Translator, source: Tensor, limits: Tensor, beam: int, best: int, length_penalty: float
) -> Iterator[tuple[int, list[Hypothesis]]]:
    """Translate one batch, source [B, S] with `limits` [B]; yields each sentence's place in the batch and its results."""
    device = source.device
    sentences = source.size(0)
    cache = model.start(model.encode(source), source, beam)
    places = torch.arange(sentences, device=device)  # [B], in the batch as it was
    tokens = torch.full((sentences, beam, 1), START, device=device)  # [B, k, T]
    # All hypotheses of a sentence are [START] at first, so only one of them counts.
    scores = torch.full((sentences, beam), IMPOSSIBLE, device=device)  # log probabilities, [B, k]
    scores[:, 0] = 0
    finished = torch.zeros(sentences, dtype=torch.int64, device=device)  # how many, [B]
    kept: list[list[Hypothesis]] = [[] for _ in range(sentences)]  # the best that have finished
    # What a hypothesis has to beat: the score of the last that is kept, once there are as many as wanted. [B]
    least = torch.full((sentences,), IMPOSSIBLE, device=device)
    length = 0
    while len(places):
        length += 1
        logits = model.output(model.step(tokens[:, :, -1].flatten(), cache)).float()  # [B·k, V]
        at_limit = (limits == length).repeat_interleave(beam)
        ids, gains = _continuations(logits, at_limit, beam + 1)
        candidates = (scores[:, :, None] + gains.view(-1, beam, gains.size(-1))).flatten(1)  # [B, k·n]
        candidates, order = candidates.sort(dim=1, descending=True, stable=True)
        parents = order // gains.size(-1)
        ids = ids.reshape(len(places), -1).gather(1, order)

        ends = (ids[:, :beam] == END) & (candidates[:, :beam] > IMPOSSIBLE)
        ended = torch.where(ends, candidates[:, :beam] / length**length_penalty, IMPOSSIBLE)
        for row, rank in (ended > least[:, None]).nonzero().tolist():
            hypothesis = Hypothesis(tokens[row, parents[row, rank], 1:].tolist(), float(ended[row, rank]))
            # The sort is stable, so of equal scores the one that finished first stays in front.
            kept[row] = sorted([*kept[row], hypothesis], key=lambda each: -each.score)[:best]
            if len(kept[row]) == best:
                least[row] = kept[row][-1].score
        finished += ends.sum(1)

        # The k best that go on, in order: a stable sort moves those that end to the back.
        going = (ids == END).sort(dim=1, stable=True).indices[:, :beam]
        scores, parents, ids = (part.gather(1, going) for part in (candidates, parents, ids))
        scores = scores.masked_fill(ids == END, IMPOSSIBLE)
        tokens = torch.cat((tokens.gather(1, parents[:, :, None].expand(-1, -1, length)), ids[:, :, None]), dim=2)
        rows = torch.arange(len(places), device=device)[:, None] * beam + parents  # [B, k]

        # A log probability only falls, so the best that a hypothesis can reach is what it has now, at the greatest length.
        hope = scores[:, 0] / limits**length_penalty
        done = (finished >= beam) | (hope <= least) | (limits == length)
        if not done.any():
            if beam > 1:
                cache.select_rows(rows.flatten())
            continue
        for row in done.nonzero()[:, 0].tolist():
            # A model whose logits are not numbers finishes nothing.
            yield int(places[row]), kept[row] or [Hypothesis([], IMPOSSIBLE)]
        left = (~done).nonzero()[:, 0]
        cache.select(left, rows[left].flatten())
        kept = [kept[row] for row in left.tolist()]
        places, limits, finished, least = places[left], limits[left], finished[left], least[left]
        tokens, scores = tokens[left], scores[left]


def _continuations(logits: Tensor, at_limit: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The best next tokens of each hypothesis.

    Args:
        logits: [R, V]; overwritten.
        at_limit: which rows may only end, [R].
        count: how many tokens to return, if the vocabulary has as many. One more than the beam is enough: only one can be
            [END], and so `beam` that go on are among them.

    Returns:
        Ids and log probabilities [R, n], in falling order; of equal ones the smaller id first.
    """
    normaliser = logits.logsumexp(1, keepdim=True)
    logits[:, FORBIDDEN] = IMPOSSIBLE
    if at_limit.any():
        end = logits[:, END].clone()
        logits[at_limit] = IMPOSSIBLE
        logits[:, END] = end
    count = min(count, logits.size(1))
    ids = []
    best = []
    for _ in range(count):
        largest = _largest(logits)[:, None]
        ids.append(largest)
        best.append(logits.gather(1, largest))
        logits.scatter_(1, largest, IMPOSSIBLE)
    return torch.cat(ids, dim=1), torch.cat(best, dim=1) - normaliser


def _largest(logits: Tensor) -> Tensor:
    """The id of the largest logit of each row [R], of equal ones the smallest; logits [R, V]."""
    # On a CPU, NumPy's search takes a tenth of the time of PyTorch's own.
    return torch.from_numpy(logits.numpy().argmax(1)) if logits.device.type == "cpu" else logits.argmax(1)
