"""Transfer of shallow layers: what a donor's tensors give to a fresh model.

After Yosinski, Clune, Bengio & Lipson 2014, "How transferable are features in deep neural networks?", section 2: the first n
layers come from a donor, the layers above are fresh. Depth n is counted on one of three ladders:

    encoder    1 is the source embedding, 1 + k adds encoder layer k
    decoder    1 is the target embedding, 1 + k adds decoder layer k
    joint      both to the same depth

The final normalisations and the output projection are always fresh. Freezing is in freezing.py.

A donor is a file of tensors named as the Transformer names its own; what it has decides what it gives:

    layers          copied as they are; cross-attention only where the donor has it, else it is fresh, is trained, and starts
                    silent: its output projection is zero, so that the decoder begins as the language model it was (under `post`
                    with one more normalisation in each layer); only residual connections let that through
    a token table   word vectors: multiplied so that their root mean square is that of the fresh table, because methods differ
    alone           widely in the length of their vectors
    features        contextual features as of Peters et al. 2018: the parameters that compute them; their mixture, projection
                    and the token table beside them are fresh, and the spellings are the model's own (models/features.py)

A table of positions is copied where donor and model have one. Where the vocabularies of donor and model differ, the rows of
exactly equal type strings are copied and the others stay fresh (Zoph et al. 2016 assign such rows at random instead).

The parts to copy are module objects of the receiving model, never name prefixes (`layers.1` is also the beginning of
`layers.10`).

Shapes: V types · D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from translab.models.blocks import DecoderLayer, Embedding
from translab.models.features import FeatureEmbedding
from translab.models.kernels import PADDING
from translab.models.transformer import Decoder, Encoder, Transformer
from translab.text.bpe import SPACE, SPECIALS

Ladder = Literal["encoder", "decoder", "joint"]
Half = Literal["encoder", "decoder"]

LADDERS: dict[Ladder, tuple[Half, ...]] = {
    "encoder": ("encoder",),
    "decoder": ("decoder",),
    "joint": ("encoder", "decoder"),
}
"""The ladders of depth, and the halves of the model that each of them climbs."""

SIDES = {"encoder": "source", "decoder": "target"}
"""Whose vocabulary a half reads."""


class TransferError(ValueError):
    """A donor cannot give what the receiving model should take."""


@dataclass(frozen=True)
class Table:
    """A token table that came from a donor."""

    name: str
    copied: int
    """Rows that came from the donor."""
    fresh: int
    """Rows whose types the donor does not know."""
    scale: float
    """By what the donor's rows were multiplied."""


@dataclass(frozen=True)
class Transplant:
    """What a model received."""

    parts: list[list[nn.Module]]
    """By depth, the embedding first: the modules whose tensors came from the donor, and nothing else."""
    dropouts: list[nn.Module]
    """The modules whose dropout acts in transferred layers."""
    tables: list[Table]
    silent: list[str]
    """Names of the cross-attentions that are fresh and start silent."""

    @property
    def copied_rows(self) -> int:
        """Rows of token tables that came from the donor."""
        return sum(table.copied for table in self.tables)

    @property
    def fresh_rows(self) -> int:
        """Rows of these tables whose types the donor does not know."""
        return sum(table.fresh for table in self.tables)


@dataclass(frozen=True)
class _Donor:
    tensors: Mapping[str, Tensor]
    name: str
    vocabularies: Mapping[str, tuple[Tokenizer, Tokenizer]]

    def has_any(self, part: nn.Module, names: Mapping[int, str]) -> bool:
        return any(names[id(parameter)] in self.tensors for parameter in part.parameters())

    def is_word_vectors(self) -> bool:
        return not any(name.startswith(("encoder.layers.", "decoder.layers.")) for name in self.tensors)


def transplant(
    model: nn.Module,
    ladder: Ladder,
    shallow_layers: int,
    donor: Mapping[str, Tensor],
    donor_name: str,
    vocabularies: Mapping[str, tuple[Tokenizer, Tokenizer]],
) -> Transplant:
    """Give the model's shallow layers the donor's values.

    Args:
        model: the receiving model, freshly initialised.
        ladder: what depth counts.
        shallow_layers: depth n; 0 changes nothing.
        donor: the donor's tensors by name.
        donor_name: its run folder, for the error.
        vocabularies: of the sides `source` and `target`, each the donor's and the model's.

    Raises:
        TransferError: if the model is no Transformer or not that deep, if the donor lacks a tensor, has it in another shape, or
            shares no type with the model, or if cross-attention cannot begin silent; the model is then unchanged.
    """
    if not isinstance(model, Transformer):
        raise TransferError(
            f"params.yaml: model.body: only a `transformer` can receive layers, found {type(model).__name__}; "
            f"choose model.body: transformer, or empty the lists of `sweep` that transfer."
        )
    given = _Donor(donor, donor_name, vocabularies)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    received = Transplant([[] for _ in range(shallow_layers)], [], [], [])
    outputs: list[nn.Linear] = []
    for half in LADDERS[ladder]:
        for depth, rung in enumerate(_rungs(model, half, ladder, shallow_layers)):
            parts = _parts(rung, given, names)
            received.parts[depth].extend(parts)
            # The embedding applies dropout itself, on the sum of its parts.
            received.dropouts.extend([rung] if isinstance(rung, Embedding) and rung.tokens in parts else parts)
            if isinstance(rung, DecoderLayer) and rung.cross_attention not in parts:
                around = rung.cross_attention_residual
                if around.gate is not None or not around.carries:
                    raise TransferError(
                        f"params.yaml: model.connection: {donor_name} has no cross-attention, and a fresh one can only begin "
                        f"silent where x + 0 is x; choose model.connection: residual, or a donor that has it."
                    )
                outputs.append(rung.cross_attention.output)
                received.silent.append(names[id(rung.cross_attention.output.weight)].removesuffix(".output.weight"))
    values = []
    for depth, parts in enumerate(received.parts, start=1):
        for parameter in (parameter for part in parts for parameter in part.parameters()):
            name = names[id(parameter)]
            if name not in donor:
                raise TransferError(
                    f"{donor_name} has no tensor `{name}`, which depth {depth} of the {ladder} ladder needs; "
                    f"choose a donor that has it, a smaller depth, or another ladder."
                )
            values.append((parameter, _value(model, parameter, name, given, received.tables)))
    with torch.no_grad():
        for parameter, value in values:
            parameter.copy_(value)
        for output in outputs:
            output.weight.zero_()
            output.bias.zero_()
    return received


def _rungs(model: Transformer, half: Half, ladder: Ladder, shallow_layers: int) -> list[nn.Module]:
    climbed: Encoder | Decoder = getattr(model, half)
    rungs = [climbed.embedding, *climbed.layers]
    if shallow_layers > len(rungs):
        raise TransferError(
            f"params.yaml: sweep: found depth {shallow_layers} of the {ladder} ladder, but a model with {len(rungs) - 1} "
            f"{half} layers has depths 0 to {len(rungs)} (1 is the embedding); lower it or raise model.{half}_layers."
        )
    return rungs[:shallow_layers]


def _parts(rung: nn.Module, donor: _Donor, names: Mapping[int, str]) -> list[nn.Module]:
    """The modules of one depth that come from this donor."""
    if isinstance(rung, Embedding):
        if isinstance(rung, FeatureEmbedding):
            return [rung.features]
        return [rung.tokens, *([rung.positions] if donor.has_any(rung.positions, names) else [])]
    if isinstance(rung, DecoderLayer):
        crossing = [rung.cross_attention, rung.cross_attention_residual]
        return [
            rung.self_attention,
            rung.self_attention_residual,
            *(crossing if donor.has_any(rung.cross_attention, names) else []),
            rung.feedforward,
            rung.feedforward_residual,
        ]
    return [rung]


def _value(model: Transformer, parameter: Tensor, name: str, donor: _Donor, tables: list[Table]) -> Tensor:
    """What a parameter of the model becomes."""
    given = donor.tensors[name]
    half = name.partition(".")[0]
    side = SIDES[half]
    is_table = parameter is getattr(model, half).embedding.tokens.weight
    if not is_table and given.shape == parameter.shape:
        return given
    theirs, ours = (tokenizer.get_vocab() for tokenizer in donor.vocabularies[side])
    if given.shape != parameter.shape and not (is_table and theirs != ours and given.shape[1:] == parameter.shape[1:]):
        raise TransferError(
            f"{donor.name}: tensor `{name}` has shape {tuple(given.shape)}, the model needs {tuple(parameter.shape)}; "
            f"donor and model must agree in width, feed-forward width, cross-projection and maximum length."
        )
    shared = sorted(theirs.keys() & ours.keys())
    # Every vocabulary has the special types and the space.
    if not set(shared) - {*SPECIALS, SPACE}:
        raise TransferError(
            f"{donor.name}: no type of its {side} vocabulary is one of the model's, so there is no row to copy into `{name}`; "
            f"choose a donor whose {side} text is written in the same script."
        )
    scale = _root_mean_square(parameter) / _root_mean_square(given) if donor.is_word_vectors() else 1.0
    tables.append(Table(name, len(shared), len(ours) - len(shared), scale))
    table = parameter.detach().clone()  # [V, D]
    table[[ours[string] for string in shared]] = scale * given[[theirs[string] for string in shared]].to(table)
    return table


def _root_mean_square(table: Tensor) -> float:
    """Of a table's values, the row of padding left out."""
    return float(table.detach()[PADDING + 1 :].square().mean().sqrt())
