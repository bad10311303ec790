"""The library's own Transformer, torch.nn.Transformer, in the interface of the other bodies.

It is the yardstick for transformer.py, whose logits it has for equal weights: the same embeddings, positions, projection to the
vocabulary and values, but PyTorch's layers, with the first values that PyTorch gives them (matrices Xavier uniform, as ours;
biases of the feed-forward uniform instead of zero), PyTorch's dropout (the exact rate) and PyTorch's shortcut for layers that
are not trained.

Decoding reads all that was written so far again at each step, because the library's layers keep no keys and values.

Shapes: B batch · S source length · T target length · D width · H heads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from translab import config
from translab.models.blocks import Embedding
from translab.models.initialisation import Linear, initialise
from translab.models.kernels import PADDING
from translab.models.translator import Translator


def _library(values: config.Model, seed: int) -> nn.Transformer:
    """The library's layers with the first values that it gives them; its draws leave PyTorch's generator as it was."""
    sizes: dict[str, Any] = {
        "d_model": values.width,
        "nhead": values.heads,
        "dim_feedforward": values.feedforward,
        "dropout": values.dropout,
        "batch_first": True,
        "norm_first": values.normalisation == "pre",
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(**sizes),
            values.encoder_layers,
            nn.LayerNorm(values.width),
            # Batches are padded on purpose (batching.py); nested tensors are a prototype that only `post` could use.
            enable_nested_tensor=False,
        )
        return nn.Transformer(**sizes, num_decoder_layers=values.decoder_layers, custom_encoder=encoder)


def _hidden(tokens: Tensor) -> Tensor:
    """Which tokens [B, S] are padding; not those of a source of padding alone, whose softmax would be over nothing."""
    real = tokens != PADDING
    return ~real & real.any(1, keepdim=True)


class TorchEncoder(nn.Module):
    """Our embedding and the library's encoder.

    Args:
        values: the model's section of params.yaml.
        types: size of the vocabulary.
        stack: the library's layers, which have their first values.
        generator: of the embedding's; one number is drawn from it.
    """

    def __init__(self, values: config.Model, types: int, stack: nn.TransformerEncoder, generator: torch.Generator) -> None:
        super().__init__()
        self.embedding = Embedding(values, types)
        self.stack = stack
        initialise(self, generator)

    def forward(self, tokens: Tensor) -> Tensor:
        """Ids [B, S] → hidden states [B, S, D]."""
        hidden: Tensor = self.stack(self.embedding(tokens), src_key_padding_mask=_hidden(tokens))
        return hidden


class TorchDecoder(nn.Module):
    """Our embedding and the library's decoder.

    Args: as for `TorchEncoder`.
    """

    causal: Tensor

    def __init__(self, values: config.Model, types: int, stack: nn.TransformerDecoder, generator: torch.Generator) -> None:
        super().__init__()
        self.embedding = Embedding(values, types)
        self.stack = stack
        mask = nn.Transformer.generate_square_subsequent_mask(values.maximum_length)
        self.register_buffer("causal", mask, persistent=False)
        initialise(self, generator)

    def forward(self, tokens: Tensor, memory: Tensor, source: Tensor) -> Tensor:
        """Ids [B, T], the encoder's output [B, S, D], the source's ids [B, S] → hidden states [B, T, D]."""
        length = tokens.size(1)
        hidden: Tensor = self.stack(
            self.embedding(tokens),
            memory,
            tgt_mask=self.causal[:length, :length],
            memory_key_padding_mask=_hidden(source),
            tgt_is_causal=True,
        )
        return hidden


class TorchTransformer(Translator):
    """The body `torch`; its memory is the encoder's states [B, S, D].

    Args: as for `transformer.Transformer`, whose embeddings and projection start with the same values.
    """

    encoder: TorchEncoder
    decoder: TorchDecoder
    reads_backwards = False

    def __init__(self, values: config.Model, source_types: int, target_types: int, generator: torch.Generator) -> None:
        super().__init__()
        self.maximum_length = values.maximum_length
        # A number from a copy, so that what follows draws from `generator` what it draws in every other body.
        copy = torch.Generator().set_state(generator.get_state())
        library = _library(values, int(torch.randint(2**63 - 1, (), generator=copy)))
        self.encoder = TorchEncoder(values, source_types, library.encoder, generator)
        self.decoder = TorchDecoder(values, target_types, library.decoder, generator)
        self.output = Linear(values.width, target_types)
        initialise(self.output, generator)

    def encode(self, source: Tensor) -> Tensor:
        """Ids [B, S] → memory [B, S, D]."""
        memory: Tensor = self.encoder(source)
        return memory

    def decode(self, target: Tensor, memory: Tensor, source: Tensor) -> Tensor:
        """Ids [B, T] that begin with [START], memory [B, S, D], source ids [B, S] → hidden states [B, T, D]."""
        hidden: Tensor = self.decoder(target, memory, source)
        return hidden

    def encoder_attention(self, source: Tensor) -> list[Tensor]:
        """How much each source token looks at each source token, for each layer [B, H, S, S]; rows sum to 1."""
        return _weights([layer.self_attn for layer in self.encoder.stack.layers], lambda: self.encode(source))

    def cross_attention(self, source: Tensor, target: Tensor) -> list[Tensor]:
        """How much each target token looks at each source token, for each layer [B, H, T, S]; rows sum to 1."""
        return _weights([layer.multihead_attn for layer in self.decoder.stack.layers], lambda: self(source, target))


def _weights(attentions: Iterable[nn.Module], run: Callable[[], object]) -> list[Tensor]:
    """The weights [B, H, T, S] that each of the library's attentions has during `run`, which calls each of them once."""
    found: list[Tensor] = []

    def ask(_module: nn.Module, inputs: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return inputs, options | {"need_weights": True, "average_attn_weights": False}

    def keep(_module: nn.Module, _inputs: Any, output: tuple[Tensor, Tensor]) -> None:
        found.append(output[1])

    hooks = [
        hook
        for attention in attentions
        for hook in (attention.register_forward_pre_hook(ask, with_kwargs=True), attention.register_forward_hook(keep))
    ]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return found
