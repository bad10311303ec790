"""The bodies beside our Transformer: recurrent ones equal to their equations written out, and all whole in an evaluation."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

import toy
from translab import config
from translab.config import ConfigError, Decoding, Machine
from translab.evaluation.choices import attention_margins
from translab.evaluation.evaluate import evaluate
from translab.models.bodies import build_translator
from translab.models.recurrent import Recurrence
from translab.training.train import train

SOURCE_TYPES, TARGET_TYPES = 31, 37
BATCH, SOURCE, TARGET = 3, 11, 7
VALUES = config.Model(
    body="lstm",
    width=10,
    feedforward=13,
    heads=2,
    encoder_layers=2,
    decoder_layers=2,
    positions="sinusoidal",
    normalisation="pre",
    connection="residual",
    attention_scale="sqrt",
    cross_projection="separate",
    causal=True,
    dropout=0.1,
    maximum_length=19,
)
RECURRENT = ["lstm-attention", "lstm", "rnn"]
BODIES = ["transformer", "torch", *RECURRENT]
ATTENTIVE = {"transformer", "torch"}


def build(body: str, seed: int = 1, **changes: object) -> Any:
    values = config.Model(**(VALUES.model_dump() | {"body": body} | changes))
    return build_translator(values, SOURCE_TYPES, TARGET_TYPES, torch.Generator().manual_seed(seed)).eval()


def draw(seed: int, types: int, batch: int, length: int) -> Tensor:
    """Sentences without special tokens."""
    return torch.randint(7, types, (batch, length), generator=torch.Generator().manual_seed(seed))


def padded(tokens: Tensor, lengths: list[int]) -> Tensor:
    tokens = tokens.clone()
    for row, length in enumerate(lengths):
        tokens[row, length:] = 0
    return tokens


def disturb(model: nn.Module) -> None:
    """Move every parameter off its first value, so that zero biases hide nothing; the row of [PAD] stays zero."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
            if name.endswith("tokens.weight"):
                parameter[0] = 0


# The equations of the papers, one step and one sentence at a time, without padding.


def cell(layer: Recurrence, x: Tensor, state: list[Tensor]) -> list[Tensor]:
    sums = layer.input @ x + layer.recurrent @ state[0] + layer.bias
    if layer.kind == "rnn":
        return [torch.tanh(sums)]
    i, f, g, o = sums.chunk(4)
    c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    return [torch.sigmoid(o) * torch.tanh(c), c]


def reading(layer: Recurrence, xs: list[Tensor], state: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    outputs = []
    for x in xs:
        state = cell(layer, x, state)
        outputs.append(state[0])
    return outputs, state


def nothing(layer: Recurrence) -> list[Tensor]:
    return [torch.zeros(layer.recurrent.size(1))] * (1 if layer.kind == "rnn" else 2)


def normalised(norm: Any, x: Tensor) -> Tensor:
    return norm.weight * (x - x.mean()) / (x.var(correction=0) + norm.eps).sqrt() + norm.bias


def vectors(embedding: Any, tokens: list[int]) -> list[Tensor]:
    return list(embedding.tokens.weight[tokens] * math.sqrt(VALUES.width))


def written_out(model: Any, source: list[int], target: list[int]) -> Tensor:
    """Logits [T, V]."""
    xs = vectors(model.encoder.embedding, source)
    ys = vectors(model.decoder.embedding, target)
    if hasattr(model.decoder, "score"):
        for layer in model.encoder.layers:
            right, _ = reading(layer.forwards, xs, nothing(layer.forwards))
            left, _ = reading(layer.backwards, xs[::-1], nothing(layer.backwards))
            xs = [torch.cat(pair) for pair in zip(right, left[::-1], strict=True)]
        xs = [normalised(model.encoder.norm, x) for x in xs]
        starts = torch.tanh(model.decoder.first(xs[0][VALUES.width // 2 :])).chunk(len(model.decoder.layers))
        states = [[start, torch.zeros_like(start)] for start in starts]
    else:
        xs, states = xs[::-1], []
        for layer in model.encoder.layers:
            xs, last = reading(layer, xs, nothing(layer))
            states.append(last)
    for layer, state in zip(model.decoder.layers, states, strict=True):
        ys, _ = reading(layer, ys, state)
    if hasattr(model.decoder, "score"):
        for place, h in enumerate(ys):
            weights = torch.stack([model.decoder.score(h) @ x for x in xs]).softmax(0)
            context = sum(weight * x for weight, x in zip(weights, xs, strict=True))
            ys[place] = torch.tanh(model.decoder.combined(torch.cat((cast(Tensor, context), h))))
    return torch.stack([model.output(normalised(model.decoder.norm, y)) for y in ys])


@pytest.mark.parametrize("body", RECURRENT)
def test_a_batch_with_padding_gives_the_logits_and_gradients_of_the_equations_written_out(body: str) -> None:
    model = build(body)
    disturb(model)
    sources, targets = [11, 4, 1], [3, 7, 5]
    source, target = draw(1, SOURCE_TYPES, BATCH, SOURCE), draw(2, TARGET_TYPES, BATCH, TARGET)
    logits = model(padded(source, sources), padded(target, targets))
    found = [logits[row, :length] for row, length in enumerate(targets)]
    expected = [
        written_out(model, source[row, : sources[row]].tolist(), target[row, : targets[row]].tolist()) for row in range(BATCH)
    ]
    parameters = list(model.parameters())
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
        assert other.std() > 0.1
    gradients = [
        torch.autograd.grad(sum(each.logsumexp(1).sum() for each in each_side), parameters) for each_side in (found, expected)
    ]
    for (name, _), one, other in zip(model.named_parameters(), *gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4, msg=name)
        assert other.abs().sum() > 0, name


@pytest.mark.parametrize("kind", ["lstm", "rnn"])
def test_padding_in_front_leaves_the_zero_state_exactly_zero(kind: Any) -> None:
    layer = Recurrence(kind, 6, 5)
    layer.initialise(torch.Generator().manual_seed(1))
    nn.init.normal_(layer.bias)
    real = torch.tensor([0.0, 0.0, 1.0])[None, :, None]
    x = torch.randn(1, 3, 6, generator=torch.Generator().manual_seed(1)) * real
    outputs, _ = layer(x, real, layer.before(1))
    assert (outputs[0, :2] == 0).all() and (outputs[0, 2] != 0).all()


@pytest.mark.parametrize("body", BODIES)
def test_the_decoder_sees_the_past_and_never_the_future(body: str) -> None:
    model = build(body)
    source, target = draw(1, SOURCE_TYPES, 1, SOURCE), draw(2, TARGET_TYPES, 1, TARGET)
    made: list[Tensor] = []

    def cut(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        made.append(output.detach().requires_grad_())
        return made[-1]

    model.decoder.embedding.register_forward_hook(cut)
    hidden = model.decode(target, model.encode(source), source)
    for place in range(TARGET):
        strength = torch.autograd.grad(hidden[0, place, 0], made[0], retain_graph=True)[0][0].abs().sum(1)
        assert (strength[: place + 1] > 0).all() and (strength[place + 1 :] == 0).all()


@pytest.mark.parametrize("body", BODIES)
def test_a_seed_gives_a_model_and_all_bodies_share_the_first_embeddings_and_projection(body: str) -> None:
    before = torch.random.get_rng_state()
    one, same, other, transformer = build(body), build(body), build(body, seed=2), build("transformer")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.output.weight, other.output.weight)
    for part in ("encoder.embedding.tokens.weight", "decoder.embedding.tokens.weight", "output.weight", "output.bias"):
        assert torch.equal(one.get_parameter(part), transformer.get_parameter(part)), part


def test_recurrent_layers_start_orthogonal_with_an_open_forget_gate() -> None:
    layer = build("lstm").encoder.layers[1]
    for gate in layer.recurrent.chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(VALUES.width), atol=1e-5, rtol=0)
    assert layer.bias.chunk(4)[1].eq(1).all() and layer.bias.sum() == VALUES.width
    limit = math.sqrt(6 / (2 * VALUES.width))
    assert 0.9 * limit < layer.input.abs().max() <= limit


@pytest.mark.parametrize("body", RECURRENT)
def test_a_recurrent_body_knows_order_without_positions(body: str) -> None:
    model, other = build(body), build(body, positions="learned")
    assert list(model.state_dict()) == list(other.state_dict())
    source, target = draw(1, SOURCE_TYPES, BATCH, SOURCE), draw(2, TARGET_TYPES, BATCH, TARGET)
    assert torch.equal(model(source, target), other(source, target))
    assert (model(source, target) - model(source.flip(1), target)).abs().max() > 1e-3


@pytest.mark.parametrize("body", ["torch", *RECURRENT])
def test_dropout_acts_in_training_alone(body: str) -> None:
    model = build(body, dropout=0.5)
    source, target = draw(1, SOURCE_TYPES, BATCH, SOURCE), draw(2, TARGET_TYPES, BATCH, TARGET)
    quiet = model(source, target)
    assert torch.equal(model(source, target), quiet)
    assert not torch.equal(model.train()(source, target), quiet)


@pytest.mark.parametrize(
    ("key", "value", "found", "neutral"),
    [
        ("connection", "highway", "highway", "residual"),
        ("attention_scale", "none", "none", "sqrt"),
        ("cross_projection", "none", "none", "separate"),
        ("causal", False, "false", "true"),
    ],
)
@pytest.mark.parametrize("body", ["torch", *RECURRENT])
def test_what_only_our_transformer_can_change_is_refused_for_other_bodies(
    body: str, key: str, value: object, found: str, neutral: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        config.check(config.Model, VALUES.model_dump() | {"body": body, key: value}, "params.yaml: model")
    assert str(refusal.value) == (
        f"params.yaml: model: {key} {found} has no meaning for body {body}, which only knows {key} {neutral}; set it to that, "
        "or take body transformer."
    )


def test_the_library_gives_its_own_first_values_to_each_layer() -> None:
    layers = build("torch").encoder.stack.layers
    weights = [layer.self_attn.in_proj_weight for layer in layers]
    bound = math.sqrt(6 / (4 * VALUES.width))
    assert all(0.9 * bound < weight.abs().max() <= bound for weight in weights)
    assert not torch.equal(*weights)


@pytest.mark.parametrize("body", ["lstm", "rnn"])
def test_a_last_state_needs_as_many_layers_on_both_sides(body: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        build(body, encoder_layers=3)
    assert str(refusal.value) == (
        f"params.yaml: model.body {body} has 3 encoder and 2 decoder layers, but each decoder layer starts from the last state "
        "of an encoder layer; give both the same number."
    )
    assert build("lstm-attention", encoder_layers=3, decoder_layers=1).encoder is not None


def test_attention_is_a_share_of_the_real_source_and_there_is_none_in_the_other_bodies() -> None:
    source, target = padded(draw(1, SOURCE_TYPES, BATCH, SOURCE), [11, 4, 6]), draw(2, TARGET_TYPES, BATCH, TARGET)
    (weights,) = build("lstm-attention").cross_attention(source, target)
    assert weights.shape == (BATCH, 1, TARGET, SOURCE)
    torch.testing.assert_close(weights.sum(-1), torch.ones(BATCH, 1, TARGET))
    assert (weights[1, :, :, 4:] == 0).all() and (weights[1, :, :, :4] > 0).all()
    for body in ("lstm", "rnn"):
        assert build(body).cross_attention(source, target) == []
    for body in RECURRENT:
        assert build(body).encoder_attention(source) == []


@pytest.mark.parametrize("body", BODIES)
def test_a_choice_by_attention_is_undecided_without_self_attention(body: str) -> None:
    sources = draw(1, SOURCE_TYPES, BATCH, SOURCE).tolist()
    margins = attention_margins(build(body), sources, [[4]] * BATCH, [[1]] * BATCH, [[2]] * BATCH, 12)
    assert all((margin == 0) is (body not in ATTENTIVE) for margin in margins)


@pytest.mark.parametrize("model", [{"body": "rnn"}, {"body": "torch"}, {"causal": False}])
def test_an_evaluation_is_whole(model: dict[str, object], tmp_path: Path) -> None:
    toy.write_text(tmp_path / "text")
    machine = Machine(accelerator="cpu", threads=1, precision="32-true")
    train(
        toy.run(model={"decoder_layers": 2} | model),
        text=tmp_path / "text",
        tokenizers=toy.write_tokenizers(tmp_path / "tokenizer"),
        added=None,
        donor=None,
        folder=tmp_path / "runs" / "1",
        cost_file=tmp_path / "cost.json",
        checkpoints=tmp_path / "checkpoints",
        log=lambda step, values: None,
    )
    evaluate(
        "other",
        [1],
        runs=tmp_path / "runs",
        text=tmp_path / "text",
        folder=tmp_path / "out",
        decoding=Decoding(beam=2, length_penalty=1.0, batch_tokens=50),
        machine=machine,
    )
    attention = json.loads((tmp_path / "out/1/attention.json").read_text())
    assert (attention == []) is (model == {"body": "rnn"})
    curve = json.loads((tmp_path / "out/1/scores.json").read_text())["memory"]
    assert curve[0]["distance"] == 0 and curve[0]["sentences"] == 24 and curve[0]["norm"] > 0
