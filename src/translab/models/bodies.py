"""The bodies of a translation model by their names in params.yaml.

    transformer       self-attention in encoder and decoder, cross-attention                       Vaswani et al. 2017
    torch             the same with the layers of the library, torch.nn.Transformer
    lstm-attention    bidirectional LSTM encoder, LSTM decoder with attention to the source        Luong et al. 2015
    lstm              LSTM encoder and decoder; the last state is all that the decoder is given    Sutskever et al. 2014
    rnn               the same with plain tanh layers                                              Elman 1990

All have the same embeddings (the recurrent ones without positions), the same projection to the target vocabulary, and as many
layers of the same width; recurrent.py and recurrent_decoders.py say what differs from the papers, library.py what differs from
our Transformer.

Shapes: B batch · S source length · T target length · D width · L layers · P parts of a recurrent state.
"""

from __future__ import annotations

import torch
from torch import Tensor

from translab import config
from translab.models.initialisation import Linear, initialise
from translab.models.library import TorchTransformer
from translab.models.recurrent import BidirectionalEncoder, Kind, LastStateEncoder
from translab.models.recurrent_decoders import AttentionDecoder, Cache, LastStateDecoder, RecurrentDecoder
from translab.models.transformer import Transformer
from translab.models.translator import Translator


def build_translator(values: config.Model, source_types: int, target_types: int, generator: torch.Generator) -> Translator:
    """A fresh translation model with the body that `model.body` names.

    Args:
        values: the model's section of params.yaml.
        source_types, target_types: sizes of the vocabularies.
        generator: of the first values; each of encoder, decoder and output projection draws one number from it.

    Raises:
        ConfigError: if the decoder should start from the encoder's last state, layer by layer, but their numbers differ.
    """
    match values.body:
        case "transformer":
            return Transformer(values, source_types, target_types, generator)
        case "torch":
            return TorchTransformer(values, source_types, target_types, generator)
        case "lstm-attention":
            return AttentionTranslator(values, source_types, target_types, generator)
        case body:
            return LastStateTranslator(values, body, source_types, target_types, generator)


class _RecurrentTranslator(Translator):
    """What both recurrent translators have in common."""

    decoder: RecurrentDecoder

    def decode(self, target: Tensor, memory: Tensor, source: Tensor) -> Tensor:
        """Ids [B, T] that begin with [START], the memory, source ids [B, S] → hidden states [B, T, D]."""
        hidden: Tensor = self.decoder(target, memory, source)
        return hidden

    def start(self, memory: Tensor, source: Tensor, rows: int) -> Cache:
        """An empty cache for decoding `rows` hypotheses of each sentence; row r belongs to sentence r // rows."""
        return self.decoder.start(memory, source, rows)

    def step(self, tokens: Tensor, cache: Cache) -> Tensor:
        """One more token of each row, ids [R] → hidden states [R, D]; the cache goes on by it."""
        return self.decoder.step(tokens, cache)

    def encoder_attention(self, source: Tensor) -> list[Tensor]:
        """Nothing: a recurrent encoder has no self-attention."""
        return []

    def cross_attention(self, source: Tensor, target: Tensor) -> list[Tensor]:
        """How much each target token looks at each source token, one layer with one head [B, 1, T, S], or nothing."""
        return self.decoder.with_attention(target, self.encode(source), source)[1]


class AttentionTranslator(_RecurrentTranslator):
    """The body `lstm-attention`; its memory is the encoder's states [B, S, D].

    Args: as for `build_translator`.
    """

    encoder: BidirectionalEncoder
    decoder: AttentionDecoder
    reads_backwards = False

    def __init__(self, values: config.Model, source_types: int, target_types: int, generator: torch.Generator) -> None:
        super().__init__()
        self.maximum_length = values.maximum_length
        self.encoder = BidirectionalEncoder(values, "lstm", source_types, generator)
        self.decoder = AttentionDecoder(values, "lstm", target_types, generator)
        self.output = Linear(values.width, target_types)
        initialise(self.output, generator)

    def encode(self, source: Tensor) -> Tensor:
        """Ids [B, S] → memory [B, S, D]."""
        memory: Tensor = self.encoder(source)
        return memory


class LastStateTranslator(_RecurrentTranslator):
    """The bodies `lstm` and `rnn`; their memory is the last state of all layers in one vector, [B, 1, L·P·D].

    Args: as for `build_translator`, and `kind` of the layers.
    """

    encoder: LastStateEncoder
    decoder: LastStateDecoder
    reads_backwards = True

    def __init__(
        self, values: config.Model, kind: Kind, source_types: int, target_types: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        if values.encoder_layers != values.decoder_layers:
            raise config.ConfigError(
                f"params.yaml: model.body {kind} has {values.encoder_layers} encoder and {values.decoder_layers} decoder "
                "layers, but each decoder layer starts from the last state of an encoder layer; give both the same number."
            )
        self.maximum_length = values.maximum_length
        self.encoder = LastStateEncoder(values, kind, source_types, generator)
        self.decoder = LastStateDecoder(values, kind, target_types, generator)
        self.output = Linear(values.width, target_types)
        initialise(self.output, generator)

    def encode(self, source: Tensor) -> Tensor:
        """Ids [B, S] → memory [B, 1, L·P·D]."""
        _, last = self.encoder.read(source)
        return torch.stack(last).permute(2, 0, 1, 3).reshape(source.size(0), 1, -1)
