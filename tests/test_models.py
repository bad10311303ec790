"""The Transformer: equal to PyTorch's, and with the properties that make its ablations fair. All sizes are distinct."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from translab import config
from translab.models import attention
from translab.models.blocks import Connection
from translab.models.library import TorchTransformer
from translab.models.positions import SINUSOIDAL_RMS, SentenceTooLong, sinusoidal_table
from translab.models.transformer import Encoder, Transformer

SOURCE_TYPES, TARGET_TYPES = 31, 37
BATCH, SOURCE, TARGET = 3, 11, 7
VALUES = config.Model(
    body="transformer",
    width=34,
    feedforward=53,
    heads=2,
    encoder_layers=4,
    decoder_layers=5,
    positions="sinusoidal",
    normalisation="pre",
    connection="residual",
    attention_scale="sqrt",
    cross_projection="separate",
    causal=True,
    dropout=0.1,
    maximum_length=19,
)
AXES: list[dict[str, object]] = [
    {"attention_scale": "none"},
    {"cross_projection": "none"},
    {"connection": "highway"},
    {"connection": "none"},
    {"causal": False},
]
"""What else can be said of attention, connections and masks."""


def build(seed: int = 1, **changes: object) -> Transformer:
    values = config.Model(**(VALUES.model_dump() | changes))
    return Transformer(values, SOURCE_TYPES, TARGET_TYPES, torch.Generator().manual_seed(seed)).eval()


def draw(seed: int, types: int, batch: int, length: int) -> Tensor:
    """Sentences without special tokens."""
    return torch.randint(7, types, (batch, length), generator=torch.Generator().manual_seed(seed))


def pad(tokens: Tensor, sentence: int, length: int) -> Tensor:
    tokens = tokens.clone()
    tokens[sentence, length:] = 0
    return tokens


def copy_layers(encoder: nn.TransformerEncoder, decoder: nn.TransformerDecoder, model: Transformer) -> None:
    """Give PyTorch's own layers the weights of the model's."""

    def copy_attention(theirs: nn.MultiheadAttention, ours: nn.Module) -> None:
        theirs.in_proj_weight.copy_(ours.projection.weight)
        theirs.in_proj_bias.copy_(ours.projection.bias)
        theirs.out_proj.load_state_dict(ours.output.state_dict())

    with torch.no_grad():
        pairs = [
            *zip(encoder.layers, model.encoder.layers, strict=True),
            *zip(decoder.layers, model.decoder.layers, strict=True),
        ]
        for theirs, ours in pairs:
            copy_attention(theirs.self_attn, ours.self_attention)
            norms = [ours.self_attention_residual.norm, ours.feedforward_residual.norm]
            if hasattr(ours, "cross_attention"):
                copy_attention(theirs.multihead_attn, ours.cross_attention)
                norms.insert(1, ours.cross_attention_residual.norm)
            theirs.linear1.load_state_dict(ours.feedforward.inner.state_dict())
            theirs.linear2.load_state_dict(ours.feedforward.outer.state_dict())
            for number, norm in enumerate(norms, 1):
                getattr(theirs, f"norm{number}").load_state_dict(norm.state_dict())
        encoder.norm.load_state_dict(model.encoder.norm.state_dict())
        decoder.norm.load_state_dict(model.decoder.norm.state_dict())


def torch_twin(model: Transformer, normalisation: str) -> nn.Transformer:
    """PyTorch's own Transformer with the same weights."""
    twin = nn.Transformer(
        VALUES.width,
        VALUES.heads,
        VALUES.encoder_layers,
        VALUES.decoder_layers,
        VALUES.feedforward,
        dropout=0.0,
        batch_first=True,
        norm_first=normalisation == "pre",
    ).eval()
    copy_layers(twin.encoder, twin.decoder, model)
    return twin


def disturb(model: nn.Module) -> None:
    """Move every parameter off its first value, so that zero biases and unit norms hide nothing."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)


@pytest.mark.filterwarnings("ignore:.*nested.tensor")
@pytest.mark.parametrize("normalisation", ["pre", "post"])
def test_logits_equal_those_of_pytorchs_transformer(normalisation: str) -> None:
    model = build(normalisation=normalisation)
    disturb(model)
    twin = torch_twin(model, normalisation)
    source = pad(draw(1, SOURCE_TYPES, BATCH, SOURCE), 1, 6)
    target = pad(draw(2, TARGET_TYPES, BATCH, TARGET), 2, 4)
    with torch.no_grad():
        hidden = twin(
            model.encoder.embedding(source),
            model.decoder.embedding(target),
            tgt_mask=nn.Transformer.generate_square_subsequent_mask(TARGET),
            src_key_padding_mask=(source == 0).float() * -1e9,
            memory_key_padding_mask=(source == 0).float() * -1e9,
            tgt_key_padding_mask=(target == 0).float() * -1e9,
        )
        expected, found = model.output(hidden), model(source, target)
    real = target != 0
    assert (found - expected)[real].abs().max() < 1e-5
    assert found[real].std() > 0.1


@pytest.mark.parametrize("normalisation", ["pre", "post"])
def test_the_body_of_the_library_is_our_transformer_for_equal_weights(normalisation: str) -> None:
    model = build(normalisation=normalisation)
    disturb(model)
    values = config.Model(**(VALUES.model_dump() | {"body": "torch", "normalisation": normalisation}))
    twin = TorchTransformer(values, SOURCE_TYPES, TARGET_TYPES, torch.Generator().manual_seed(1)).eval()
    copy_layers(twin.encoder.stack, twin.decoder.stack, model)
    for part in ("encoder.embedding", "decoder.embedding", "output"):
        twin.get_submodule(part).load_state_dict(model.get_submodule(part).state_dict())
    source = pad(pad(draw(1, SOURCE_TYPES, BATCH, SOURCE), 1, 6), 2, 0)
    target = pad(draw(2, TARGET_TYPES, BATCH, TARGET), 1, 4)
    real = target != 0
    real[2] = False
    # Where gradients are kept and where they are not, the library takes different ways.
    for way in (torch.enable_grad, torch.inference_mode):
        with way():
            expected, found = model(source, target), twin(source, target)
            assert (found - expected)[real].abs().max() < 1e-5 and found[real].std() > 0.1 and found.isfinite().all()
            ours = [*model.encoder_attention(source), *model.cross_attention(source, target)]
            theirs = [*twin.encoder_attention(source), *twin.cross_attention(source, target)]
        for one, other in zip(ours, theirs, strict=True):
            assert one.shape == other.shape
            assert (one - other)[:2].abs().max() < 1e-6


def test_embeddings_are_scaled_by_the_root_of_the_width() -> None:
    model = build(positions="none")
    tokens = draw(1, SOURCE_TYPES, BATCH, SOURCE)
    expected = model.encoder.embedding.tokens.weight[tokens] * math.sqrt(VALUES.width)
    torch.testing.assert_close(model.encoder.embedding(tokens), expected)


def test_sinusoidal_positions_are_the_published_table() -> None:
    published = [
        [0, 1, 0, 1],
        [0.84147098, 0.54030231, 0.82185619, 0.56969501],
        [0.90929743, -0.41614684, 0.93641474, -0.35089519],
        [0.14112001, -0.9899925, 0.24508542, -0.96950149],
    ]
    torch.testing.assert_close(sinusoidal_table(5, 512)[:4, :4], torch.tensor(published), atol=1e-7, rtol=0)


def test_a_shifted_sinusoidal_position_is_a_linear_map_of_the_position() -> None:
    shift, table = 13, sinusoidal_table(101, 34).double()
    here, there = table[:-shift], table[shift:]
    linear = torch.linalg.lstsq(here, there, driver="gelsd").solution
    torch.testing.assert_close(here @ linear, there, atol=1e-5, rtol=0)


def test_learned_positions_start_at_the_root_mean_square_of_the_sinusoidal_table() -> None:
    model = build(positions="learned", maximum_length=1009)
    root_mean_square = model.encoder.embedding.positions.table.detach().pow(2).mean().sqrt()
    assert sinusoidal_table(1009, 34).pow(2).mean().sqrt() == pytest.approx(SINUSOIDAL_RMS, rel=1e-5)
    assert root_mean_square == pytest.approx(SINUSOIDAL_RMS, rel=0.02)


def test_learned_positions_from_sinusoidal_start_as_the_table_and_learn() -> None:
    model = build(positions="learned-from-sinusoidal")
    source, target = draw(1, SOURCE_TYPES, BATCH, SOURCE), draw(2, TARGET_TYPES, BATCH, TARGET)
    torch.testing.assert_close(model(source, target), build()(source, target))
    model(source, target).logsumexp(-1).sum().backward()
    assert model.encoder.embedding.positions.table.grad[:SOURCE].abs().sum() > 0
    assert model.decoder.embedding.positions.table.grad[TARGET:].abs().sum() == 0


@pytest.mark.parametrize("positions", ["learned", "learned-from-sinusoidal"])
def test_learned_positions_add_one_table_to_each_side(positions: str) -> None:
    added = count(build(positions=positions)) - count(build())
    assert added == 2 * VALUES.maximum_length * VALUES.width
    assert count(build(positions="none")) == count(build())


def test_without_positions_the_encoder_does_not_see_order() -> None:
    source = draw(1, SOURCE_TYPES, BATCH, SOURCE)
    order = torch.randperm(SOURCE, generator=torch.Generator().manual_seed(1))
    blind, seeing = build(positions="none"), build()
    torch.testing.assert_close(blind.encode(source[:, order]), blind.encode(source)[:, order], atol=1e-5, rtol=0)
    assert (seeing.encode(source[:, order]) - seeing.encode(source)[:, order]).abs().max() > 0.1


@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "learned-from-sinusoidal", "none"])
def test_a_sentence_beyond_the_maximum_length_is_refused(positions: str) -> None:
    model = build(positions=positions)
    assert model.encode(draw(1, SOURCE_TYPES, BATCH, VALUES.maximum_length)).shape == (BATCH, 19, 34)
    with pytest.raises(SentenceTooLong) as refusal:
        model.encode(draw(1, SOURCE_TYPES, BATCH, 23))
    assert str(refusal.value) == (
        "model.maximum_length: found a sentence of 23 tokens (START, END and the like included), allowed are at most 19; "
        "shorten the sentence or raise model.maximum_length."
    )


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("heads", [1, 17, 34])
def test_heads_change_neither_the_parameters_nor_their_first_values_but_the_result(heads: int) -> None:
    base, other = build(), build(heads=heads)
    assert count(base) == count(other)
    for (name, one), (same, two) in zip(base.named_parameters(), other.named_parameters(), strict=True):
        assert name == same and torch.equal(one, two)
    source, target = draw(1, SOURCE_TYPES, BATCH, SOURCE), draw(2, TARGET_TYPES, BATCH, TARGET)
    assert (base(source, target) - other(source, target)).abs().max() > 1e-3


def test_the_parameter_count_is_the_formula() -> None:
    width, inner = VALUES.width, VALUES.feedforward
    attention = 4 * width * width + 4 * width
    feedforward = 2 * width * inner + inner + width
    norm = 2 * width
    encoder = SOURCE_TYPES * width + VALUES.encoder_layers * (attention + feedforward + 2 * norm) + norm
    decoder = TARGET_TYPES * width + VALUES.decoder_layers * (2 * attention + feedforward + 3 * norm) + norm
    assert count(build()) == encoder + decoder + TARGET_TYPES * width + TARGET_TYPES


@pytest.mark.parametrize("changes", [{}, *AXES])
def test_padding_cannot_change_an_unpadded_output(changes: dict[str, object]) -> None:
    model = build(**changes)
    source, target = draw(1, SOURCE_TYPES, 1, 5), draw(2, TARGET_TYPES, 1, 3)
    alone = model(source, target)
    padded_source, padded_target = draw(3, SOURCE_TYPES, BATCH, SOURCE), draw(4, TARGET_TYPES, BATCH, TARGET)
    padded_source[1], padded_target[1] = 0, 0
    padded_source[1, :5], padded_target[1, :3] = source, target
    torch.testing.assert_close(model(padded_source, padded_target)[1:2, :3], alone, atol=1e-5, rtol=0)


def test_padding_takes_no_part_by_gradient() -> None:
    model = build()
    source, target = pad(draw(1, SOURCE_TYPES, BATCH, SOURCE), 1, 6), draw(2, TARGET_TYPES, BATCH, TARGET)
    memory = model.encode(source).detach().requires_grad_()
    model.decode(target, memory, source).sum().backward()
    strength = memory.grad.abs().sum(-1)
    assert (strength[1, 6:] == 0).all() and (strength[1, :6] > 0).all() and (strength[0] > 0).all()


def test_a_source_of_padding_alone_gives_numbers() -> None:
    model = build()
    source = pad(draw(1, SOURCE_TYPES, BATCH, SOURCE), 1, 0)
    assert model(source, draw(2, TARGET_TYPES, BATCH, TARGET)).isfinite().all()


def test_the_decoder_is_causal_by_gradient() -> None:
    model = build()
    source, target = draw(1, SOURCE_TYPES, BATCH, SOURCE), draw(2, TARGET_TYPES, BATCH, TARGET)
    embedded: list[Tensor] = []
    model.decoder.embedding.register_forward_hook(lambda _module, _inputs, output: embedded.append(output))
    hidden = model.decode(target, model.encode(source), source)
    for position in range(TARGET):
        (gradient,) = torch.autograd.grad(hidden[:, position].pow(2).sum(), embedded[0], retain_graph=True)
        strength = gradient.abs().sum(-1)  # [B, T]
        assert (strength[:, : position + 1] > 0).all()
        assert (strength[:, position + 1 :] == 0).all()


def test_a_decoder_that_is_not_causal_sees_all_of_the_target_but_its_padding() -> None:
    model = build(causal=False)
    source, target = draw(1, SOURCE_TYPES, BATCH, SOURCE), pad(draw(2, TARGET_TYPES, BATCH, TARGET), 1, 4)
    embedded: list[Tensor] = []
    model.decoder.embedding.register_forward_hook(lambda _module, _inputs, output: embedded.append(output))
    hidden = model.decode(target, model.encode(source), source)
    for position in range(TARGET):
        (gradient,) = torch.autograd.grad(hidden[:, position].pow(2).sum(), embedded[0], retain_graph=True)
        strength = gradient.abs().sum(-1)  # [B, T]
        assert (strength[[0, 2]] > 0).all() and (strength[1, :4] > 0).all()
        if position < 4:
            assert (strength[1, 4:] == 0).all()


def test_the_encoder_looks_in_both_directions() -> None:
    encoder = Encoder(VALUES, SOURCE_TYPES, torch.Generator().manual_seed(1)).eval()
    embedded: list[Tensor] = []
    encoder.embedding.register_forward_hook(lambda _module, _inputs, output: embedded.append(output))
    hidden = encoder(draw(1, SOURCE_TYPES, BATCH, SOURCE))
    (gradient,) = torch.autograd.grad(hidden[:, 5].pow(2).sum(), embedded[0])
    assert (gradient.abs().sum(-1) > 0).all()


def test_permuting_the_batch_permutes_the_outputs() -> None:
    model = build()
    source, target = pad(draw(1, SOURCE_TYPES, BATCH, SOURCE), 1, 6), draw(2, TARGET_TYPES, BATCH, TARGET)
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(model(source[order], target[order]), model(source, target)[order], atol=1e-5, rtol=0)


def test_cross_attention_is_a_distribution_over_the_words_that_are_there() -> None:
    model = build()
    source, target = pad(draw(1, SOURCE_TYPES, BATCH, SOURCE), 1, 6), draw(2, TARGET_TYPES, BATCH, TARGET)
    maps = model.cross_attention(source, target)
    assert len(maps) == VALUES.decoder_layers
    for weights in maps:
        assert weights.shape == (BATCH, VALUES.heads, TARGET, SOURCE)
        torch.testing.assert_close(weights.sum(-1), torch.ones(BATCH, VALUES.heads, TARGET))
        assert (weights[1, :, :, 6:] == 0).all()


def test_cross_attention_puts_sentences_and_heads_where_they_belong() -> None:
    model = build()
    source, target = draw(1, SOURCE_TYPES, BATCH, SOURCE), draw(2, TARGET_TYPES, BATCH, TARGET)
    together = model.cross_attention(source, target)
    alone = model.cross_attention(source[2:], target[2:])
    torch.testing.assert_close(together[3][2:], alone[3], atol=1e-6, rtol=0)


def test_the_generator_alone_decides_the_first_values() -> None:
    before = torch.random.get_rng_state()
    one, same, other = build(1).state_dict(), build(1).state_dict(), build(2).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    for name in one:
        assert torch.equal(one[name], same[name])
        drawn = name.endswith("weight") and "norm" not in name
        assert torch.equal(one[name], other[name]) != drawn


@pytest.mark.parametrize(
    "changes", [{"positions": "learned"}, {"encoder_layers": 3, "decoder_layers": 6}, {"normalisation": "post"}, *AXES]
)
def test_parameters_that_two_variants_share_start_alike(changes: dict[str, object]) -> None:
    base, variant = build().state_dict(), build(**changes).state_dict()
    shared = base.keys() & variant.keys()
    assert len(shared) > 0.5 * len(base)
    # Without projections of keys and values the rows of the queries are left of the matrix of all three.
    assert all(torch.equal(base[name][: len(variant[name])], variant[name]) for name in shared)


@pytest.mark.parametrize("changes", AXES)
def test_each_axis_changes_what_the_model_computes(changes: dict[str, object]) -> None:
    source, target = draw(1, SOURCE_TYPES, BATCH, SOURCE), draw(2, TARGET_TYPES, BATCH, TARGET)
    assert (build(**changes)(source, target) - build()(source, target)).abs().max() > 1e-2


def test_no_two_matrices_start_alike() -> None:
    matrices = [parameter.flatten()[:30] for parameter in build().parameters() if parameter.dim() == 2]
    distinct = {tuple(values.tolist()) for values in matrices if values.any()}
    assert len(distinct) == len([values for values in matrices if values.any()])


def test_first_values_follow_their_distributions() -> None:
    model = build(width=202, positions="learned")
    projection = model.encoder.layers[0].self_attention.projection.requires_grad_(False)
    bound = math.sqrt(6 / (202 + 3 * 202))
    assert projection.weight.abs().max() == pytest.approx(bound, rel=0.01)
    assert projection.weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert not projection.bias.any()
    tokens = model.encoder.embedding.tokens.weight.detach()
    assert tokens[1:].std() == pytest.approx(202**-0.5, rel=0.05)
    assert not tokens[0].any()


def test_dropout_acts_in_training_alone() -> None:
    model = build()
    source, target = draw(1, SOURCE_TYPES, BATCH, SOURCE), draw(2, TARGET_TYPES, BATCH, TARGET)
    assert torch.equal(model(source, target), model(source, target))
    model.train()
    assert not torch.equal(model(source, target), model(source, target))
    torch.manual_seed(3)
    once = model(source, target)
    torch.manual_seed(3)
    assert torch.equal(once, model(source, target))
    torch.testing.assert_close(build(dropout=0.0).train()(source, target), model.eval()(source, target))


def test_dropout_reaches_embeddings_attention_feed_forward_and_every_sub_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    from translab.models import blocks

    shapes: list[tuple[int, ...]] = []

    def record(x: Tensor, rate: float, training: bool) -> Tensor:
        assert rate == VALUES.dropout and training
        shapes.append(tuple(x.shape))
        return x

    monkeypatch.setattr(attention, "dropout", record)
    monkeypatch.setattr(blocks, "dropout", record)
    build().train()(draw(1, SOURCE_TYPES, BATCH, SOURCE), draw(2, TARGET_TYPES, BATCH, TARGET))
    rows = BATCH * VALUES.heads
    encoder, decoder = (BATCH, SOURCE, VALUES.width), (BATCH, TARGET, VALUES.width)
    inner, outer = (BATCH, SOURCE, VALUES.feedforward), (BATCH, TARGET, VALUES.feedforward)
    of_source, of_target, across = (rows, SOURCE, SOURCE), (rows, TARGET, TARGET), (rows, TARGET, SOURCE)
    assert shapes == [
        encoder,
        *[of_source, encoder, inner, encoder] * VALUES.encoder_layers,
        decoder,
        *[of_target, decoder, across, decoder, outer, decoder] * VALUES.decoder_layers,
    ]


@pytest.mark.parametrize(("scale", "heads"), [("sqrt", 2), ("none", 1), ("none", 2)])
def test_a_score_of_unit_variance_has_the_variance_of_a_heads_width_unless_divided(
    monkeypatch: pytest.MonkeyPatch, scale: str, heads: int
) -> None:
    seen: list[Tensor] = []

    def record(scores: Tensor) -> Tensor:
        seen.append(scores)
        return scores.softmax(-1)

    monkeypatch.setattr(attention, "softmax", record)
    layer = build(attention_scale=scale, heads=heads).encoder.layers[0].self_attention
    head_width = VALUES.width // heads
    generator = torch.Generator().manual_seed(1)
    queries, keys, values = (torch.randn(101 * heads, 29, head_width, generator=generator) for _ in range(3))
    layer.attend(queries, keys, values, None)
    assert seen[0].var() == pytest.approx(1 if scale == "sqrt" else head_width, rel=0.05)


def test_without_the_scale_queries_are_longer_and_nothing_else_is_different() -> None:
    base, other = build(), build(attention_scale="none")
    for model in (base, other):
        disturb(model)
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            if ".projection." in name:
                parameter[: VALUES.width] /= math.sqrt(VALUES.width / VALUES.heads)
    source, target = draw(1, SOURCE_TYPES, BATCH, SOURCE), draw(2, TARGET_TYPES, BATCH, TARGET)
    torch.testing.assert_close(other(source, target), base(source, target), atol=1e-5, rtol=0)


def test_without_projections_a_heads_keys_and_values_are_its_columns_of_the_memory() -> None:
    layer = build(cross_projection="none").decoder.layers[0].cross_attention
    memory = torch.randn(BATCH, SOURCE, VALUES.width, generator=torch.Generator().manual_seed(1))
    for part in layer.keys_values(memory):
        heads = layer.by_head(part)  # [B, H, S, K]
        assert torch.equal(heads[:, 0], memory[..., :17]) and torch.equal(heads[:, 1], memory[..., 17:])


def test_projections_of_keys_and_values_are_the_parameters_that_are_freed() -> None:
    freed = count(build()) - count(build(cross_projection="none"))
    assert freed == VALUES.decoder_layers * 2 * (VALUES.width**2 + VALUES.width)


def test_with_one_head_projections_of_keys_and_values_fold_away() -> None:
    base, folded = build(heads=1), build(heads=1, cross_projection="none")
    disturb(base)
    width = VALUES.width
    with torch.no_grad():
        for name, parameter in folded.named_parameters():
            if ".cross_attention." not in name:
                parameter.copy_(base.get_parameter(name))
        for ours, theirs in zip(folded.decoder.layers, base.decoder.layers, strict=True):
            own, other = ours.cross_attention, theirs.cross_attention
            of_queries, of_keys, of_values = other.projection.weight.split(width)
            query_bias, _, value_bias = other.projection.bias.split(width)
            # The bias of the keys adds the same to all scores of a query, and the softmax ignores it.
            own.projection.weight.copy_(of_keys.T @ of_queries)
            own.projection.bias.copy_(of_keys.T @ query_bias)
            own.output.weight.copy_(other.output.weight @ of_values)
            own.output.bias.copy_(other.output.weight @ value_bias + other.output.bias)
    source, target = pad(draw(1, SOURCE_TYPES, BATCH, SOURCE), 1, 6), draw(2, TARGET_TYPES, BATCH, TARGET)
    torch.testing.assert_close(folded(source, target), base(source, target), atol=1e-5, rtol=0)


@pytest.mark.parametrize("normalisation", ["pre", "post"])
@pytest.mark.parametrize("connection", ["residual", "highway", "none"])
def test_a_connection_is_its_equation(connection: str, normalisation: str) -> None:
    values = config.Model(**(VALUES.model_dump() | {"connection": connection, "normalisation": normalisation}))
    around = Connection(values).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    x, output = (torch.randn(BATCH, TARGET, VALUES.width, generator=generator) for _ in range(2))
    expected = {"residual": x + output, "none": output}.get(connection)
    if around.gate is not None:
        for parameter in around.gate.parameters():
            parameter.normal_(generator=generator)
        through = torch.sigmoid(x @ around.gate.weight.T + around.gate.bias - 2)
        expected = x * (1 - through) + through * output
    assert torch.equal(around.enter(x), around.norm(x) if normalisation == "pre" else x)
    torch.testing.assert_close(around.leave(x, output), expected if normalisation == "pre" else around.norm(expected))


def test_a_highway_starts_by_carrying_most_of_what_came_in_and_counts_its_gates() -> None:
    model = build(connection="highway")
    gates = [part.gate for part in model.modules() if isinstance(part, Connection)]
    assert len(gates) == 2 * VALUES.encoder_layers + 3 * VALUES.decoder_layers
    assert count(model) - count(build()) == len(gates) * (VALUES.width**2 + VALUES.width)
    assert count(build(connection="none")) == count(build())
    x, output = torch.zeros(1, 1, VALUES.width), torch.ones(1, 1, VALUES.width)
    for part in (part for part in model.modules() if isinstance(part, Connection)):
        assert part.leave(x, output).mean().item() == pytest.approx(1 / (1 + math.exp(2)))


@pytest.mark.parametrize("normalisation", ["pre", "post"])
def test_a_highway_with_open_gates_is_no_connection(normalisation: str) -> None:
    highway, none = (build(connection=connection, normalisation=normalisation) for connection in ("highway", "none"))
    source, target = draw(1, SOURCE_TYPES, BATCH, SOURCE), draw(2, TARGET_TYPES, BATCH, TARGET)
    with torch.no_grad():
        for part in highway.modules():
            if isinstance(part, Connection):
                part.gate.bias += 1000
    torch.testing.assert_close(highway(source, target), none(source, target))
