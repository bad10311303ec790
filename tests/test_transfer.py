"""What a donor gives to a fresh model, what stays fresh, and what does not learn."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models
from torch import Tensor, nn

import toy
from translab import config
from translab.freezing import GradualUnfreezing, fingerprints, freeze, stop_dropout
from translab.models.attention import causal_mask
from translab.models.blocks import EncoderLayer
from translab.models.features import ContextualFeatures, FeatureEmbedding, FeatureValues, spellings
from translab.models.initialisation import initialise
from translab.models.transformer import Encoder, Transformer
from translab.seeds import stream
from translab.text import bpe
from translab.transfer import LADDERS, Ladder, TransferError, transplant

TYPES = 23
VALUES = config.Model(
    body="transformer",
    width=8,
    feedforward=12,
    heads=2,
    encoder_layers=2,
    decoder_layers=2,
    positions="sinusoidal",
    normalisation="pre",
    connection="residual",
    attention_scale="sqrt",
    cross_projection="separate",
    causal=True,
    dropout=0.3,
    maximum_length=12,
)
SOURCE = torch.tensor([[8, 9, 10, 3], [11, 12, 3, 0]])
TARGET = torch.tensor([[2, 13, 14, 3], [2, 15, 3, 0]])


def vocabulary(words: list[str], types: int) -> Tokenizer:
    generator = random.Random(5)
    return bpe.train([" ".join(generator.choices(words, k=4)) for _ in range(200)], types, "toy")


WORDS = vocabulary(toy.WORDS, TYPES)
SAME = {"source": (WORDS, WORDS), "target": (WORDS, WORDS)}


def build(purpose: str = "transfer", seed: int = 1, types: int = TYPES, **changes: Any) -> Transformer:
    values = config.Model(**(VALUES.model_dump() | changes))
    return Transformer(values, types, types, torch.Generator().manual_seed(stream(seed, purpose)))


def tensors(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def donated(**changes: Any) -> dict[str, Tensor]:
    """Tensors of a trained donor: no value is one of those that `build` draws."""
    model = build("initialisation", **changes)
    generator = torch.Generator().manual_seed(9)
    return {name: tensor + 0.1 * torch.rand(tensor.shape, generator=generator) for name, tensor in tensors(model).items()}


def causal_donor() -> dict[str, Tensor]:
    """A language model's tensors: a decoder without cross-attention."""
    return {name: tensor for name, tensor in donated().items() if name.startswith("decoder.") and "cross_attention" not in name}


def train(model: Transformer, updates: int, after: Callable[[int], None] = lambda update: None) -> None:
    """Updates with a heavy weight decay."""
    torch.manual_seed(1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.5)
    model.train()
    for update in range(1, updates + 1):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(SOURCE, TARGET).flatten(0, 1), TARGET.flatten()).backward()
        optimizer.step()
        after(update)


def differing(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> set[str]:
    return {name for name in left if name not in right or not torch.equal(left[name], right[name])}


def refusal(**changes: Any) -> str:
    arguments: dict[str, Any] = {
        "model": build(),
        "ladder": "encoder",
        "shallow_layers": 1,
        "donor": donated(),
        "donor_name": "runs/donor/1",
        "vocabularies": SAME,
    }
    arguments |= changes
    before = tensors(arguments["model"])
    with pytest.raises(TransferError) as error:
        transplant(**arguments)
    assert not differing(before, tensors(arguments["model"])), "a refused transfer leaves the model as it was"
    return str(error.value)


@pytest.mark.parametrize("ladder", LADDERS)
@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_a_ladder_takes_its_depths_and_nothing_else(ladder: Ladder, depth: int) -> None:
    model, donor = build(positions="learned"), donated(positions="learned")
    received = transplant(model, ladder, depth, donor, "donor", SAME)
    rungs = [[f"{half}.embedding.", f"{half}.layers.0.", f"{half}.layers.1."][:depth] for half in LADDERS[ladder]]
    wanted = {name for half in rungs for prefix in half for name in donor if name.startswith(prefix)}
    after = tensors(model)
    assert differing(after, tensors(build(positions="learned"))) == wanted
    assert not {name for name in wanted if not torch.equal(after[name], donor[name])}
    assert len(received.parts) == depth
    assert (received.copied_rows, received.fresh_rows) == (TYPES * len(LADDERS[ladder]) * (depth > 0), 0)
    assert received.silent == []


def test_final_norms_and_the_output_are_fresh_at_every_depth() -> None:
    model = build()
    transplant(model, "joint", 3, donated(), "donor", SAME)
    fresh = {name for name, tensor in tensors(build()).items() if torch.equal(tensor, tensors(model)[name])}
    assert fresh == {"encoder.norm.weight", "encoder.norm.bias", "decoder.norm.weight", "decoder.norm.bias"} | {
        "output.weight",
        "output.bias",
    }


def test_a_layer_whose_number_begins_like_anothers_is_not_meant() -> None:
    model, donor = build(encoder_layers=11), donated(encoder_layers=11)
    received = transplant(model, "encoder", 3, donor, "donor", SAME)
    freeze(received)
    frozen = {".".join(name.split(".")[:3]) for name in fingerprints(model)}
    assert frozen == {"encoder.embedding.tokens", "encoder.layers.0", "encoder.layers.1"}
    train(model, 1)
    assert not torch.equal(
        model.encoder.layers[10].feedforward.inner.weight, build(encoder_layers=11).encoder.layers[10].feedforward.inner.weight
    )


@pytest.mark.parametrize("ladder", LADDERS)
def test_frozen_tensors_stay_what_the_donor_gave_bit_for_bit(ladder: Ladder) -> None:
    model, donor = build(), donated()
    frozen = freeze(transplant(model, ladder, 2, donor, "donor", SAME))
    before = fingerprints(model)
    train(model, 3)
    after = tensors(model)
    assert before and fingerprints(model) == before
    assert not {name for name in before if not torch.equal(after[name], donor[name])}
    assert frozen == sum(donor[name].numel() for name in before)
    assert "output.weight" in differing(tensors(build()), after), "the rest learns"
    assert all(parameter.grad is None for name, parameter in model.named_parameters() if name in before)


def test_fresh_layers_are_not_what_the_donor_began_with() -> None:
    # The frozen control takes the very values that a model of its seed begins with.
    beginning = tensors(build("initialisation"))
    for ladder in LADDERS:
        model = build()
        transplant(model, ladder, 2, beginning, "untrained", SAME)
        upper = {name: tensor for name, tensor in tensors(model).items() if ".layers.1." in name or name == "output.weight"}
        matrices = {name for name, tensor in upper.items() if tensor.dim() == 2}
        assert len(matrices) == 11
        assert not {name for name in matrices if torch.isclose(upper[name], beginning[name]).any()}


def test_without_depth_a_model_is_scratch_byte_for_byte() -> None:
    model = build()
    transplant(model, "joint", 0, donated(), "donor", SAME)
    assert not differing(tensors(model), tensors(build()))


@pytest.mark.parametrize("normalisation", ["pre", "post"])
def test_under_a_donor_without_cross_attention_it_is_fresh_silent_and_learns(normalisation: str) -> None:
    model, donor = build(normalisation=normalisation), causal_donor()
    for layer in model.decoder.layers:
        nn.init.ones_(layer.cross_attention.output.bias)
    received = transplant(model, "decoder", 3, donor, "causal", SAME)
    assert received.silent == ["decoder.layers.0.cross_attention", "decoder.layers.1.cross_attention"]
    freeze(received)
    assert not {name for name in fingerprints(model) if "cross_attention" in name}
    fresh, after = tensors(build()), tensors(model)
    for name in received.silent:
        assert torch.equal(after[f"{name}.projection.weight"], fresh[f"{name}.projection.weight"])
        assert not after[f"{name}.output.weight"].any() and not after[f"{name}.output.bias"].any()
    other = SOURCE.flip(0)

    def depends_on_the_source() -> bool:
        model.eval()
        return not torch.equal(model(SOURCE, TARGET), model(other, TARGET))

    assert not depends_on_the_source()
    train(model, 1)
    assert depends_on_the_source()


def test_a_decoder_begins_as_the_language_model_that_it_came_from() -> None:
    model, donor = build().eval(), causal_donor()
    transplant(model, "decoder", 3, donor, "causal", SAME)
    states = model.decoder.embedding(TARGET)
    causal = causal_mask(VALUES.maximum_length)[: TARGET.size(1), : TARGET.size(1)]
    for number in range(VALUES.decoder_layers):
        layer = EncoderLayer(VALUES).eval()
        prefix = f"decoder.layers.{number}."
        layer.load_state_dict({name.removeprefix(prefix): donor[name] for name in donor if name.startswith(prefix)})
        states, _ = layer(states, causal)
    assert torch.allclose(model.decode(TARGET, model.encode(SOURCE), SOURCE), model.decoder.norm(states), atol=1e-6)


@pytest.mark.parametrize("connection", ["highway", "none"])
def test_cross_attention_cannot_begin_silent_without_residual_connections(connection: str) -> None:
    assert refusal(model=build(connection=connection), ladder="decoder", shallow_layers=2, donor=causal_donor()) == (
        "params.yaml: model.connection: runs/donor/1 has no cross-attention, and a fresh one can only begin silent where x + 0 "
        "is x; choose model.connection: residual, or a donor that has it."
    )


def test_cross_attention_of_a_fresh_layer_is_not_silent() -> None:
    model = build()
    assert transplant(model, "decoder", 2, causal_donor(), "causal", SAME).silent == ["decoder.layers.0.cross_attention"]
    name = "decoder.layers.1.cross_attention.output.weight"
    assert torch.equal(tensors(model)[name], tensors(build())[name])


def test_a_trained_donors_cross_attention_is_taken_with_its_norm() -> None:
    model, donor = build(), donated()
    transplant(model, "decoder", 2, donor, "translation", SAME)
    names = [name for name in donor if name.startswith("decoder.layers.0.cross_attention")]
    assert len(names) == 6
    assert not {name for name in names if not torch.equal(tensors(model)[name], donor[name])}


@pytest.mark.parametrize("length", [100.0, 0.001])
def test_word_vectors_get_the_size_of_a_fresh_table(length: float) -> None:
    given = length * donated()["encoder.embedding.tokens.weight"]
    model = build()
    fresh = model.encoder.embedding.tokens.weight[1:].square().mean().sqrt().item()
    received = transplant(model, "encoder", 1, {"encoder.embedding.tokens.weight": given, "output.weight": given}, "cbow", SAME)
    table = model.encoder.embedding.tokens.weight
    assert table[1:].square().mean().sqrt().item() == pytest.approx(fresh, rel=1e-6)
    assert received.tables[0].scale == pytest.approx(fresh / given[1:].square().mean().sqrt().item(), rel=1e-6)
    assert torch.nn.functional.cosine_similarity(table[1:], given[1:]).min() > 1 - 1e-6


def test_a_donor_with_layers_keeps_its_size() -> None:
    model, donor = build(), {name: 7 * tensor for name, tensor in donated().items()}
    received = transplant(model, "encoder", 1, donor, "masked", SAME)
    assert torch.equal(model.encoder.embedding.tokens.weight, donor["encoder.embedding.tokens.weight"])
    assert received.tables[0].scale == 1.0


@pytest.mark.parametrize(
    ("own", "donors", "copied"), [("learned", "learned", True), ("learned", "none", False), ("none", "learned", False)]
)
def test_a_table_of_positions_is_taken_where_both_have_one(own: str, donors: str, copied: bool) -> None:
    model, donor = build(positions=own), donated(positions=donors)
    freeze(transplant(model, "encoder", 1, donor, "donor", SAME))
    name = "encoder.embedding.positions.table"
    assert (name in fingerprints(model)) == copied
    if own == "learned":
        assert torch.equal(tensors(model)[name], donor[name] if copied else tensors(build(positions=own))[name])


def test_another_vocabulary_gives_the_rows_of_equal_types() -> None:
    theirs, ours = vocabulary(toy.WORDS, 24), vocabulary(["ba", "do", "zu", "zo"], 20)
    donor = donated(types=24)
    model, fresh = build(types=20), build(types=20)
    both = {"source": (WORDS, WORDS), "target": (theirs, ours)}
    received = transplant(model, "decoder", 1, donor, "donor", both)
    shared = set(theirs.get_vocab()) & set(ours.get_vocab())
    name = "decoder.embedding.tokens.weight"
    assert "▁ba" in shared and "z" in set(ours.get_vocab()) - shared
    for string, row in ours.get_vocab().items():
        expected = donor[name][theirs.token_to_id(string)] if string in shared else tensors(fresh)[name][row]
        assert torch.equal(tensors(model)[name][row], expected), string
    assert (received.copied_rows, received.fresh_rows) == (len(shared), 20 - len(shared))
    for refused in (freeze, lambda received: GradualUnfreezing(model, received, 10)):
        with pytest.raises(TransferError) as error:
            refused(received)
        assert str(error.value) == (
            f"`{name}` cannot be frozen: {20 - len(shared)} of its 20 rows belong to types that the donor does not know; "
            "choose a surgery that trains always, or give donor and model one vocabulary."
        )
    assert fingerprints(model) == {}


def test_a_vocabulary_in_another_order_can_be_frozen() -> None:
    ours = Tokenizer.from_str(WORDS.to_str().replace('"b":', '"swap":').replace('"a":', '"b":').replace('"swap":', '"a":'))
    assert ours.token_to_id("a") == WORDS.token_to_id("b")
    model, donor = build(), donated()
    received = transplant(model, "encoder", 1, donor, "donor", {"source": (WORDS, ours), "target": (WORDS, WORDS)})
    name = "encoder.embedding.tokens.weight"
    assert torch.equal(tensors(model)[name][ours.token_to_id("a")], donor[name][WORDS.token_to_id("a")])
    assert freeze(received) == TYPES * VALUES.width


FEATURES = FeatureValues(character_width=3, windows=[1, 2], filters=4, layers=1, cells=5, width=6)


def test_contextual_features_are_what_is_taken_at_depth_1_whatever_the_vocabulary() -> None:
    theirs = vocabulary(["zu", "zo"], 13)
    donor_features = ContextualFeatures(FEATURES, spellings(theirs, FEATURES), 0.0)
    for parameter in donor_features.parameters():
        nn.init.normal_(parameter)
    donor = {f"encoder.embedding.features.{name}": tensor for name, tensor in donor_features.state_dict().items()}
    model = build()
    model.encoder.embedding = FeatureEmbedding(VALUES, FEATURES, spellings(WORDS, FEATURES))
    initialise(model, torch.Generator().manual_seed(1))
    before = tensors(model)
    vocabularies = {"source": (theirs, WORDS), "target": (WORDS, WORDS)}
    received = transplant(model, "encoder", 1, donor, "elmo", vocabularies)
    features = {f"encoder.embedding.features.{name}" for name, _ in donor_features.named_parameters()}
    assert differing(before, tensors(model)) == features, "the spellings are those of the model's own types"
    assert not {name for name in features if not torch.equal(tensors(model)[name], donor[name])}
    freeze(received)
    assert set(fingerprints(model)) == features
    assert (received.copied_rows, received.tables) == (0, [])


def test_what_cannot_be_transferred_is_refused_in_a_sentence() -> None:
    foreign = {string: number for number, string in enumerate([*bpe.SPECIALS, bpe.SPACE, "漢", "字"])}
    nothing = Tokenizer(models.WordLevel(foreign, bpe.SPECIALS[bpe.UNK]))
    missing = "which depth {} of the {} ladder needs; choose a donor that has it, a smaller depth, or another ladder.".format
    tokens = {name: tensor for name, tensor in donated().items() if name == "encoder.embedding.tokens.weight"}
    assert refusal(model=nn.LSTM(2, 2)) == (
        "params.yaml: model.body: only a `transformer` can receive layers, found LSTM; "
        "choose model.body: transformer, or empty the lists of `sweep` that transfer."
    )
    assert refusal(shallow_layers=4) == (
        "params.yaml: sweep: found depth 4 of the encoder ladder, but a model with 2 encoder layers has depths 0 to 3 "
        "(1 is the embedding); lower it or raise model.encoder_layers."
    )
    assert refusal(ladder="joint", shallow_layers=3, model=build(decoder_layers=1)) == (
        "params.yaml: sweep: found depth 3 of the joint ladder, but a model with 1 decoder layers has depths 0 to 2 "
        "(1 is the embedding); lower it or raise model.decoder_layers."
    )
    assert refusal(donor=tokens, shallow_layers=2) == (
        f"runs/donor/1 has no tensor `encoder.layers.0.self_attention.projection.weight`, {missing(2, 'encoder')}"
    )
    assert refusal(donor=tokens, ladder="joint") == (
        f"runs/donor/1 has no tensor `decoder.embedding.tokens.weight`, {missing(1, 'joint')}"
    )
    assert refusal(donor={"counts": torch.ones(3)}) == (
        f"runs/donor/1 has no tensor `encoder.embedding.tokens.weight`, {missing(1, 'encoder')}"
    )
    assert refusal(donor=donated(positions="learned", maximum_length=9), model=build(positions="learned")) == (
        "runs/donor/1: tensor `encoder.embedding.positions.table` has shape (9, 8), the model needs (12, 8); "
        "donor and model must agree in width, feed-forward width, cross-projection and maximum length."
    )
    assert refusal(vocabularies={"source": (nothing, WORDS)}) == (
        "runs/donor/1: no type of its source vocabulary is one of the model's, so there is no row to copy into "
        "`encoder.embedding.tokens.weight`; choose a donor whose source text is written in the same script."
    )


@pytest.mark.parametrize("ladder", LADDERS)
def test_gradual_unfreezing_releases_the_uppermost_layer_first(ladder: Ladder) -> None:
    model, donor = build(), donated()
    unfreezing = GradualUnfreezing(model, transplant(model, ladder, 3, donor, "donor", SAME), 8)
    assert sum(parameter.numel() for parameter in unfreezing.waiting) == sum(
        parameter.numel() for parameter in model.parameters() if not parameter.requires_grad
    )
    still: list[set[str]] = []

    def after(update: int) -> None:
        still.append({name for name, tensor in tensors(model).items() if torch.equal(tensor, donor[name])})
        unfreezing.after(update)

    train(model, 8, after)
    half = LADDERS[ladder][-1]
    kept = [{name.split(".")[2] for name in names if name.startswith(f"{half}.layers.")} for names in still]
    # Released after 2, 4 and 6 of 8 updates; an update later the values have moved.
    assert kept == [{"0", "1"}] * 2 + [{"0"}] * 2 + [set()] * 4
    assert [f"{half}.embedding.tokens.weight" in names for names in still] == [True] * 6 + [False] * 2
    assert [(release["depth"], release["update"]) for release in unfreezing.released] == [(3, 2), (2, 4), (1, 6)]
    assert unfreezing.waiting == []
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_tensor_that_moved_before_its_release_is_found() -> None:
    model = build()
    unfreezing = GradualUnfreezing(model, transplant(model, "encoder", 1, donated(), "donor", SAME), 2)
    model.encoder.embedding.tokens.weight.data[3, 3] += 1e-3
    with pytest.raises(TransferError) as error:
        unfreezing.after(1)
    assert str(error.value) == (
        "encoder.embedding.tokens.weight should be frozen until update 1 but changed before; this is a defect of translab."
    )


def test_dropout_stops_in_transferred_layers_alone() -> None:
    model = build()
    stop_dropout(transplant(model, "joint", 2, causal_donor() | donated(), "donor", SAME))
    acting = {name for name, module in model.named_modules() if module.training and getattr(module, "dropout", 0)}
    assert acting == {
        f"{layer}.{part}"
        for layer, parts in (
            ("encoder.layers.1", ("self_attention", "feedforward")),
            ("decoder.layers.1", ("self_attention", "cross_attention", "feedforward")),
        )
        for part in [*parts, *(f"{part}_residual" for part in parts)]
    }


def test_encoder_and_language_model_hand_on_their_halves() -> None:
    generator = torch.Generator().manual_seed(3)
    half = {f"encoder.{name}": tensor for name, tensor in Encoder(VALUES, TYPES, generator).state_dict().items()}
    model = build()
    transplant(model, "encoder", 3, half, "masked", SAME)
    assert not differing({name: tensor for name, tensor in half.items() if ".norm" not in name}, tensors(model))
