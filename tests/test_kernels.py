"""The fast primitives equal PyTorch's own. All sizes are distinct."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from translab.models import kernels
from translab.models.kernels import dropout, smoothed_cross_entropy, softmax, use_fast_matrix_products

TOKENS, WIDTH, VOCABULARY = 103, 13, 41


def problem() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(TOKENS, WIDTH, generator=generator).requires_grad_()
    weight = torch.randn(VOCABULARY, WIDTH, generator=generator).requires_grad_()
    bias = torch.randn(VOCABULARY, generator=generator).requires_grad_()
    targets = torch.randint(1, VOCABULARY, (TOKENS,), generator=generator)
    targets[::7] = kernels.PADDING
    return hidden, weight, bias, targets


@pytest.mark.parametrize("chunk_logits", [1 << 20, 17 * VOCABULARY, 1])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_and_its_gradients_are_those_of_pytorch(
    smoothing: float, chunk_logits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "CHUNK_LOGITS", chunk_logits)
    hidden, weight, bias, targets = problem()
    objective, likelihood = smoothed_cross_entropy(hidden, weight, bias, targets, smoothing)
    logits = F.linear(hidden, weight, bias)
    expected = F.cross_entropy(logits, targets, ignore_index=0, label_smoothing=smoothing)
    torch.testing.assert_close(objective, expected)
    torch.testing.assert_close(likelihood, F.cross_entropy(logits, targets, ignore_index=0).detach())
    found = torch.autograd.grad(3 * objective, (hidden, weight, bias))
    for one, other in zip(found, torch.autograd.grad(3 * expected, (hidden, weight, bias)), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_the_plain_likelihood_has_no_gradient_and_no_gradient_is_made_where_none_is_asked_for() -> None:
    hidden, weight, bias, targets = problem()
    assert not smoothed_cross_entropy(hidden, weight, bias, targets, 0.1)[1].requires_grad
    with torch.no_grad():
        objective, likelihood = smoothed_cross_entropy(hidden, weight, bias, targets, 0.0)
    assert not objective.requires_grad
    torch.testing.assert_close(objective, likelihood)


def test_a_frozen_projection_still_hands_on_the_gradient() -> None:
    hidden, weight, bias, targets = problem()
    weight.requires_grad_(False)
    smoothed_cross_entropy(hidden, weight, bias, targets, 0.1)[0].backward()
    assert hidden.grad is not None and hidden.grad.any() and weight.grad is None


def test_targets_of_padding_alone_lose_nothing() -> None:
    hidden, weight, bias, targets = problem()
    objective, likelihood = smoothed_cross_entropy(hidden, weight, bias, torch.zeros_like(targets), 0.1)
    objective.backward()
    assert objective == 0 and likelihood == 0 and not weight.grad.any()


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5])
def test_dropout_drops_its_share_and_keeps_the_mean(rate: float) -> None:
    torch.manual_seed(1)
    acting = round(rate * 256) / 256
    dropped = dropout(torch.ones(1 << 20), rate, training=True)
    assert (dropped == 0).float().mean() == pytest.approx(acting, abs=0.002)
    assert dropped.mean() == pytest.approx(1, abs=0.003)
    assert dropped.max() == pytest.approx(1 / (1 - acting))


def test_dropout_judges_each_of_the_eight_bytes_of_a_word_alike() -> None:
    torch.manual_seed(2)
    share = (dropout(torch.ones(1 << 17, 8), 0.5, training=True) == 0).float().mean(0)
    assert share.sub(0.5).abs().max() < 0.01


def test_dropout_gives_the_gradient_of_what_was_kept() -> None:
    torch.manual_seed(3)
    x = torch.full((7, 11, 13), 2.0, requires_grad=True)
    y = dropout(x, 0.3, training=True)
    y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach() / 2)


def test_dropout_does_nothing_at_rate_zero_and_outside_training() -> None:
    x = torch.ones(17)
    before = torch.random.get_rng_state()
    assert dropout(x, 0.0, training=True) is x and dropout(x, 0.3, training=False) is x
    assert torch.equal(torch.random.get_rng_state(), before)


def test_softmax_and_its_gradient_are_those_of_pytorch_and_hidden_scores_get_exactly_nothing() -> None:
    generator = torch.Generator().manual_seed(4)
    scores = 30 * torch.randn(7, 11, 13, generator=generator)
    scores[:, 3:, 9:] = -1e9
    scores[2, 5] = -1e9
    scores.requires_grad_()
    found, expected = softmax(scores), scores.softmax(-1)
    torch.testing.assert_close(found, expected, atol=1e-7, rtol=1e-5)
    assert (found[0, 3:, 9:] == 0).all() and found[2, 5].tolist() == pytest.approx([1 / 13] * 13)
    outer = torch.randn(7, 11, 13, generator=generator)
    (one,), (other,) = torch.autograd.grad(found, scores, outer), torch.autograd.grad(expected, scores, outer)
    torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("processor", "exact", "used"),
    [("AuthenticAMD", True, True), ("AuthenticAMD", False, False), ("GenuineIntel", True, False)],
)
def test_fast_products_are_used_where_they_are_faster_and_exact(
    processor: str, exact: bool, used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "_processor", lambda: f"vendor_id : {processor}")
    monkeypatch.setattr(kernels, "_products_are_exact", lambda: exact)
    try:
        assert use_fast_matrix_products() is used
        assert torch.get_float32_matmul_precision() == ("medium" if used else "highest")
    finally:
        torch.set_float32_matmul_precision("highest")


def test_products_of_bfloat16_are_not_taken_for_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kernels._products_are_exact()
    reduced = F.linear
    monkeypatch.setattr(F, "linear", lambda a, b: reduced(a.bfloat16(), b.bfloat16()).float())
    assert not kernels._products_are_exact()
