"""A trained Transformer in the words of CTranslate2: which of our tensors is which of its variables, and what it has none for.

CTranslate2 computes what models/transformer.py computes, with these equivalents:

    positions          every kind is a table of the decoder's and the encoder's own, `none` a table of zeros
    normalisation      `pre` and `post`, both with a final normalisation; one of post-norm is known to the library's
                       computation, though not to its function that makes specifications
    attention_scale    the number that queries are multiplied by
    cross_projection   without it, the projection of keys and values is the identity
    projections        rows of queries, keys and values in one matrix for self-attention; in cross-attention those of the
                       queries are a matrix of their own

It has no recurrent layers, no connection but the residual one, and no decoder that looks ahead.

Shapes: D width · M maximum length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from translab import config
from translab.models.attention import Attention, CrossAttention
from translab.models.blocks import Connection, DecoderLayer, Embedding, EncoderLayer, FeedForward
from translab.models.features import FeatureEmbedding
from translab.models.transformer import Decoder, Encoder, Transformer
from translab.models.translator import Translator
from translab.text.bpe import END, SPECIALS, START, UNK

Quantization = Literal["float32", "float16", "int8"]
"""Numbers of the exported weights; on a CPU float16 saves room alone, and is computed in float32."""

KNOWN: dict[str, str | bool] = {"body": "transformer", "connection": "residual", "causal": True}
"""Values of the model that the export needs; all other values may be any."""
EPSILON = 1e-5
"""What PyTorch's layer normalisation adds to the variance."""


class ExportError(ValueError):
    """A model cannot be exported; the message says which, what is in the way, and what to do."""


def library() -> Any:
    """CTranslate2, which is an optional dependency.

    Raises:
        ExportError: if it is not installed.
    """
    try:
        import ctranslate2
    except ModuleNotFoundError as missing:
        if missing.name != "ctranslate2":
            raise
        raise ExportError(
            "translab export needs the package ctranslate2, which is not installed; install it in the project's folder with "
            "`.venv/bin/python -m pip install --editable '.[export]'`."
        ) from None
    return ctranslate2


def refuse(network: Translator, values: config.Model, name: str) -> None:
    """Say what CTranslate2 cannot compute.

    Args:
        network: the trained model.
        values: the model's section of its configuration.
        name: of the model, for the error.

    Raises:
        ExportError: if there is such a thing.
    """
    for key, known in KNOWN.items():
        if (found := getattr(values, key)) != known:
            raise ExportError(
                f"{name} has model.{key} {str(found).lower()}, but the export to CTranslate2 knows model.{key} "
                f"{str(known).lower()} alone; export a model that has it, or use this one with `translab translate`."
            )
    if isinstance(network.encoder.embedding, FeatureEmbedding):
        raise ExportError(
            f"{name} reads features of a pretrained language model beside its source embedding, which the export to "
            f"CTranslate2 does not know; export a model without them, or use this one with `translab translate`."
        )


@dataclass(frozen=True)
class Reading:
    """What surrounds the tensors: types by their ids, and what stands at the source's ends."""

    source_types: list[str]
    target_types: list[str]
    source_start: bool
    source_end: bool


def specification(network: Transformer, values: config.Model, reading: Reading, quantization: Quantization) -> Any:
    """The model as a `ctranslate2.specs.TransformerSpec`, which can be saved.

    Args:
        network: the trained model, one that `refuse` lets pass.
        values: the model's section of its configuration.
        reading: what surrounds it.
        quantization: numbers of the weights.
    """
    specs = library().specs
    found = specs.TransformerSpec.from_config((values.encoder_layers, values.decoder_layers), values.heads)
    _encoder(found.encoder, network.encoder, values)
    _decoder(found.decoder, network.decoder, values)
    _linear(found.decoder.projection, network.output)
    found.config.layer_norm_epsilon = EPSILON
    found.config.unk_token, found.config.eos_token = SPECIALS[UNK], SPECIALS[END]
    found.config.bos_token = found.config.decoder_start_token = SPECIALS[START]
    found.config.add_source_bos, found.config.add_source_eos = reading.source_start, reading.source_end
    found.register_source_vocabulary(reading.source_types)
    found.register_target_vocabulary(reading.target_types)
    found.validate()
    found.optimize(quantization)
    return found


def _encoder(spec: Any, encoder: Encoder, values: config.Model) -> None:
    _embedding(spec.embeddings[0], spec.position_encodings, encoder.embedding)
    # `from_config` makes room for the final normalisation with pre-norm alone, so it is told of post-norm afterwards.
    spec.pre_norm = values.normalisation == "pre"
    _norm(spec.layer_norm, encoder.norm)
    for part, layer in zip(spec.layer, cast(list[EncoderLayer], encoder.layers), strict=True):
        _self_attention(part.self_attention, layer.self_attention, layer.self_attention_residual)
        _feedforward(part.ffn, layer.feedforward, layer.feedforward_residual)


def _decoder(spec: Any, decoder: Decoder, values: config.Model) -> None:
    _embedding(spec.embeddings, spec.position_encodings, decoder.embedding)
    spec.pre_norm = values.normalisation == "pre"
    _norm(spec.layer_norm, decoder.norm)
    for part, layer in zip(spec.layer, cast(list[DecoderLayer], decoder.layers), strict=True):
        _self_attention(part.self_attention, layer.self_attention, layer.self_attention_residual)
        _cross_attention(part.attention, layer.cross_attention, layer.cross_attention_residual)
        _feedforward(part.ffn, layer.feedforward, layer.feedforward_residual)


def _embedding(spec: Any, positions: Any, embedding: Embedding) -> None:
    # A specification multiplies embeddings by sqrt(D) unless it is told otherwise, as ours do.
    spec.weight = _array(embedding.tokens.weight)
    table: Tensor | None = embedding.positions.table
    if table is None:
        table = torch.zeros(embedding.positions.maximum_length, embedding.tokens.embedding_dim)
    positions.encodings = _array(table)  # [M, D]


def _self_attention(spec: Any, attention: Attention, around: Connection) -> None:
    _norm(spec.layer_norm, around.norm)
    _linear(spec.linear[0], attention.projection)
    _linear(spec.linear[1], attention.output)
    spec.queries_scale = attention.scale


def _cross_attention(spec: Any, attention: CrossAttention, around: Connection) -> None:
    _norm(spec.layer_norm, around.norm)
    # Rows of queries, keys and values, [3 D, D]; where nothing projects the memory, of queries alone, [D, D].
    weight, bias = attention.projection.weight.detach(), attention.projection.bias.detach()
    width = weight.size(1)
    if not attention.projects_memory:
        identity = torch.eye(width)
        weight, bias = torch.cat((weight, identity, identity)), torch.cat((bias, torch.zeros(2 * width)))
    queries, keys_values, output = spec.linear
    queries.weight, queries.bias = _array(weight[:width]), _array(bias[:width])
    keys_values.weight, keys_values.bias = _array(weight[width:]), _array(bias[width:])
    _linear(output, attention.output)
    spec.queries_scale = attention.scale


def _feedforward(spec: Any, feedforward: FeedForward, around: Connection) -> None:
    _norm(spec.layer_norm, around.norm)
    _linear(spec.linear_0, feedforward.inner)
    _linear(spec.linear_1, feedforward.outer)


def _norm(spec: Any, norm: nn.LayerNorm) -> None:
    spec.gamma, spec.beta = _array(norm.weight), _array(norm.bias)


def _linear(spec: Any, linear: nn.Linear) -> None:
    spec.weight, spec.bias = _array(linear.weight), _array(linear.bias)


def _array(tensor: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A copy, because quantisation scales a specification's arrays in place."""
    return tensor.detach().float().cpu().numpy().copy()
