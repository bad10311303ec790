"""Interpolated Kneser–Ney: an n-gram language model, the statistical floor of the ladder.

Kneser & Ney 1995, "Improved backing-off for m-gram language modeling"; interpolated as in Chen & Goodman 1999, "An empirical
study of smoothing techniques for language modeling", sections 2.7 and 2.8. For a type w after the m − 1 types h, where h' is h
without its first type:

    p_m(w | h) = (max(c(h w) − D_m, 0) + D_m · N(h ·) · p_{m−1}(w | h')) / c(h ·)      where c(h ·) > 0, else p_{m−1}(w | h')

c are counts at the highest order; below it c(h w) is the number of different types before h w. c(h ·) is the sum of c(h w) over
all w, N(h ·) the number of w with c(h w) > 0, and p_0 is uniform over [UNK], [END] and the ordinary types: no other is ever
predicted. Each order has one discount, D_m = n1 / (n1 + 2 n2), where n1 and n2 n-grams have the counts 1 and 2; where the text
has none of either, the formula says nothing and D_m = 1/2. A sentence stands between as many [START] as the highest order looks
back, and one [END].

Left out: the separate discounts of Chen & Goodman's modified form for the counts 1, 2, and 3 or more; cut-offs.

The n-grams of order m are a table of nodes. A node's key is the node of its first m − 1 types, times V, plus its last type, so
the continuations of a context lie side by side. Nothing is trained: everything is a count.

Shapes: R rows · L columns · P places at which a type is predicted · N highest order · V vocabulary · T types of the text.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from translab.config import Run, Values, check
from translab.pretraining.counts import CountTable
from translab.pretraining.gaps import batches, best_ordinary, guess_middle, in_order
from translab.pretraining.objective import Loss, Measure, Objective, Sentences, Side, Vocabularies
from translab.text.batching import Batch, Examples
from translab.text.bpe import END, PAD, SPECIALS, START, UNK, encode

FALLBACK_DISCOUNT = 0.5
PLACES_AT_ONCE = 1 << 21
"""Probabilities that are computed together: enough for speed, few enough for memory (16 MiB a tensor)."""


class Options(Values):
    """An n-gram language model of one side of task A."""

    order: Annotated[int, Field(ge=1, le=5)] = Field(description="types of the longest n-gram")
    side: Side = Field(description="whose text is counted")


class NGrams(nn.Module):
    """The counts, and the probabilities that follow from them.

    Args:
        order: N.
        types: V.
    """

    discounts: Tensor  # [N]
    ground: Tensor  # [V], p_0

    def __init__(self, order: int, types: int) -> None:
        super().__init__()
        self.order, self.types = order, types
        self.levels = nn.ModuleList(CountTable() for _ in range(order))
        self.register_buffer("discounts", torch.zeros(order, dtype=torch.float64))
        ground = torch.zeros(types, dtype=torch.float64)
        ground[[UNK, END, *range(len(SPECIALS), types)]] = 1
        self.register_buffer("ground", ground / ground.sum(), persistent=False)

    def level(self, order: int) -> CountTable:
        """The n-grams of an order from 1 to N."""
        return cast(CountTable, self.levels[order - 1])

    def framed(self, ids: Sequence[int]) -> list[int]:
        """A sentence with all that an n-gram may look back on, and its end."""
        return [START] * (self.order - 1) + [*ids, END]

    def count(self, sentences: Sentences) -> None:
        """Count a text, sentences without specials; what was counted before is forgotten."""
        rows = [self.framed(sentence) for sentence in sentences]
        device = self.ground.device
        x = torch.tensor(list(itertools.chain.from_iterable(rows)), device=device)  # [T]
        column = torch.tensor(list(itertools.chain.from_iterable(range(len(row)) for row in rows)), device=device)  # [T]
        predicted = x != START
        nodes, keys = [torch.zeros_like(x)], []
        for order in range(1, self.order + 1):
            here = column >= order - 1
            keys.append((nodes[-1].roll(1) * self.types + x)[here])
            nodes.append(torch.zeros_like(x).masked_scatter(here, torch.unique(keys[-1], return_inverse=True)[1]))
        counted = predicted
        for order in range(self.order, 0, -1):
            here = column >= order - 1
            self.level(order).count(keys[order - 1], counted[here])
            # Below the highest order each different n-gram counts once for the shorter one in which it ends.
            first = x.new_full((len(self.level(order)),), len(x))
            first.scatter_reduce_(0, nodes[order][here], here.nonzero()[:, 0], "amin")
            counted = torch.zeros_like(predicted).index_fill(0, first, True) & predicted
        for order in range(1, self.order + 1):
            once, twice = ((self.level(order).counts == count).sum().item() for count in (1, 2))
            self.discounts[order - 1] = once / (once + 2 * twice) if once and twice else FALLBACK_DISCOUNT

    def nodes(self, x: Tensor) -> list[Tensor]:
        """For m = 0 … N the node of the m types that end at each place, ids [R, L] → [R, L]; −1 where there is none."""
        found = [torch.zeros_like(x)]
        for order in range(1, self.order + 1):
            before = _before(found[-1], order)
            known = before >= 0
            rows, seen = self.level(order).find(before[known] * self.types + x[known])
            found.append(torch.full_like(x, -1).masked_scatter(known, torch.where(seen, rows, -1)))
        return found

    def probabilities(self, x: Tensor) -> Tensor:
        """Of each type after those before it in its row, ids [R, L] → [R, L]; the first N − 1 columns lack some of them."""
        nodes = self.nodes(x)
        p = self.ground[x]
        for order in range(1, self.order + 1):
            counts = _looked_up(self.level(order).counts, nodes[order])
            p = self._interpolated(order, counts, _before(nodes[order - 1], order), p)
        return p

    def distributions(self, contexts: Sequence[Tensor]) -> Tensor:
        """Of what comes next: for m = 1 … N the node of the last m − 1 types, or −1, each [P] → [P, V]."""
        p = self.ground.expand(len(contexts[0]), -1)
        for order, context in enumerate(contexts, start=1):
            keys = self.level(order).keys
            begin, end = (torch.searchsorted(keys, (context + ahead) * self.types) for ahead in (0, 1))  # [P]
            many = end - begin
            place = torch.repeat_interleave(torch.arange(len(context), device=keys.device), many)  # [continuations]
            child = torch.arange(len(place), device=keys.device) + (begin - many.cumsum(0) + many)[place]
            counts = self.level(order).counts.new_zeros(p.shape)
            counts[place, keys[child] % self.types] = self.level(order).counts[child]
            p = self._interpolated(order, counts, context[:, None], p)
        return p

    def _interpolated(self, order: int, counts: Tensor, context: Tensor, shorter: Tensor) -> Tensor:
        """p_m from c(h w), the node of h, and p_{m−1}."""
        table, discount = self.level(order), self.discounts[order - 1]
        parents = table.keys // self.types
        size = int(parents[-1]) + 1 if len(table) else 0
        total = _looked_up(table.counts.new_zeros(size).index_add_(0, parents, table.counts), context)  # c(h ·)
        different = _looked_up(table.counts.new_zeros(size).index_add_(0, parents, table.counts.sign()), context)  # N(h ·)
        p = ((counts - discount).clamp(min=0) + discount * different * shorter) / total.clamp(min=1)
        return torch.where(total > 0, p, shorter)


def _before(nodes: Tensor, order: int) -> Tensor:
    """What stood one column to the left; an n-gram of order 1 needs nothing there."""
    return nodes.roll(1, 1).index_fill(1, nodes.new_zeros(1), 0 if order == 1 else -1)


def _looked_up(values: Tensor, rows: Tensor) -> Tensor:
    """values [M] at rows, 0 where a row is negative or beyond."""
    if not len(values):
        return values.new_zeros(rows.shape)
    return torch.where((rows >= 0) & (rows < len(values)), values[rows.clamp(0, len(values) - 1)], 0)


class NGram(Objective):
    """The language model; a LanguageModel and a GapFiller."""

    network: NGrams

    def __init__(self, run: Run, vocabularies: Vocabularies) -> None:
        own = check(Options, run.values.method, f"params.yaml: methods.{run.name}")
        self.side = own.side
        self.tokenizer = getattr(vocabularies, own.side)
        self.network = NGrams(own.order, self.tokenizer.get_vocab_size())

    def examples(self, sources: Sequence[str], targets: Sequence[str]) -> Examples:
        """Sentences of the model's side, [END] last."""
        sentences = [[*ids, END] for ids in encode(self.tokenizer, sources if self.side == "source" else targets)]
        return Examples(sentences, sentences)

    def count(self, training: Examples) -> None:
        """Count the training text."""
        self.network.count([sentence[:-1] for sentence in training.source])

    def loss(self, batch: Batch) -> Loss:
        """Cross-entropy; there is nothing to train."""
        measure = self.measure(batch)
        return Loss(torch.tensor(measure.loss / measure.tokens), measure.tokens)

    def measure(self, batch: Batch) -> Measure:
        """Cross-entropy and accuracy of each next type."""
        network = self.network
        x = torch.cat((batch.source.new_full((len(batch.source), network.order - 1), START), batch.source), 1)  # [R, L]
        predicted = x[:, network.order - 1 :] != PAD
        contexts = [
            _before(nodes, order)[:, network.order - 1 :][predicted] for order, nodes in enumerate(network.nodes(x)[:-1], 1)
        ]
        right = batch.source[predicted]  # [P]
        loss, correct = 0.0, 0
        for rows in torch.split(torch.arange(len(right), device=right.device), max(1, PLACES_AT_ONCE // network.types)):
            p = network.distributions([context[rows] for context in contexts])  # [rows, V]
            loss -= p.gather(1, right[rows, None]).log().sum().item()
            correct += int((p.argmax(1) == right[rows]).sum())
        return Measure(loss, correct, len(right))

    def samples(self, sources: Sequence[str], targets: Sequence[str]) -> list[str]:
        """Each sentence of the model's side with its middle type hidden and guessed."""
        return guess_middle(self, self.tokenizer, sources if self.side == "source" else targets)

    def log_probabilities(self, sentences: Sentences) -> list[float]:
        """ln p of each sentence, its end included, nats."""
        results: dict[int, float] = {}
        look_back = self.network.order - 1
        for rows, x in batches([self.network.framed(sentence) for sentence in sentences], self.network.ground.device):
            logarithms = self.network.probabilities(x).log()[:, look_back:]
            sums = logarithms.where(x[:, look_back:] != PAD, 0).sum(1)
            results |= dict(zip(rows, sums.tolist(), strict=True))
        return in_order(results)

    def fill(self, sentences: Sentences, gaps: Sequence[int]) -> list[int]:
        """The ordinary type with the highest product of the probabilities of all n-grams in which the gap stands."""
        around = self.network.order - 1
        width = 2 * around + 1
        windows = torch.tensor(
            [
                [*framed, *[PAD] * around][gap : gap + width]
                for framed, gap in zip(map(self.network.framed, sentences), gaps, strict=True)
            ],
            device=self.network.ground.device,
        )  # [R, L]
        types = self.network.types
        candidates = torch.arange(types, device=windows.device)
        found: list[int] = []
        for some in torch.split(windows, max(1, PLACES_AT_ONCE // (types * width))):
            x = some.repeat_interleave(types, 0)  # [rows · V, L]
            x[:, around] = candidates.repeat(len(some))
            logarithms = self.network.probabilities(x)[:, around:].log()
            scores = logarithms.where(x[:, around:] != PAD, 0).sum(1).view(len(some), types)
            found += best_ordinary(scores).tolist()
        return found


def build(run: Run, vocabularies: Vocabularies, generator: torch.Generator) -> NGram:
    """An n-gram model that has counted nothing yet; it draws nothing from `generator`."""
    del generator
    return NGram(run, vocabularies)
