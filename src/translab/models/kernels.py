"""The few primitives that decide how fast a Transformer trains on a CPU, each the same mathematics as PyTorch's own.

    dropout                    its mask costs an eighth of a random number for each element
    softmax                    for short rows
    smoothed_cross_entropy     the projection to the vocabulary and its loss in chunks that stay in the cache, with the gradient
                               made in the forward pass
    use_fast_matrix_products   single-precision products through oneDNN where that is faster and equally exact

Shapes: N tokens · D width · V vocabulary.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

PADDING = 0
"""Id of [PAD]: masked in attention, ignored by the loss."""

CHUNK_LOGITS = 1 << 20
"""Logits that a chunk of the loss holds (4 MiB): small enough for the cache, large enough for full speed of the products."""


def dropout(x: Tensor, rate: float, training: bool) -> Tensor:
    """Set a share of the elements to zero and scale the others, so that the mean stays.

    On a CPU each element is judged by one byte of a 64-bit random number, so the rate that acts is the nearest multiple of
    1/256 (0.1 becomes 26/256 = 0.1016), and the scale fits the rate that acts. Draws from PyTorch's global generator.

    Args:
        x: any shape.
        rate: share of elements set to zero, 0 ≤ rate < 1.
        training: without it, x is returned as it is.
    """
    if not training or rate == 0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, rate)
    dropped = min(round(rate * 256), 255)
    # The range is given because `random_()` alone leaves the sign bit at zero, and with it a bit of every eighth byte.
    words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
    kept = torch.empty_like(x, memory_format=torch.contiguous_format, requires_grad=False)
    # Written as numbers at once: a tensor of truth values, and its conversion, would each cost several times the rest.
    torch.ge(words.view(torch.uint8)[: x.numel()].view(x.shape), dropped, out=kept)
    return x * kept.mul_(256 / (256 - dropped))


def softmax(scores: Tensor) -> Tensor:
    """Softmax over the last dimension; on a CPU several times as fast as PyTorch's for sentences of some ten words.

    Shares below 1e-34 become exactly 0, those of hidden positions among them.
    """
    if scores.device.type != "cpu" or scores.dtype != torch.float32:
        return scores.softmax(-1)
    weights: Tensor = _Softmax.apply(scores)  # type: ignore[no-untyped-call]
    return weights


class _Softmax(torch.autograd.Function):
    """y = exp(x) / Σ exp(x), and dL/dx = y · (dL/dy − Σ y · dL/dy)."""

    @staticmethod
    def forward(ctx, scores):  # type: ignore[no-untyped-def]
        # Where it underflows, `exp` costs thirty times as much, so it is kept from that: exp(-80) is 2e-35.
        weights = (scores - scores.amax(-1, keepdim=True)).clamp_(min=-80).exp_()
        torch.threshold_(weights, 1e-34, 0)
        weights /= weights.sum(-1, keepdim=True)
        ctx.save_for_backward(weights)
        return weights

    @staticmethod
    def backward(ctx, of_weights):  # type: ignore[no-untyped-def]
        (weights,) = ctx.saved_tensors
        product = of_weights * weights
        return product.addcmul_(weights, product.sum(-1, keepdim=True), value=-1)


def smoothed_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    """Loss of a linear layer's softmax, without ever holding all its logits.

    Equals `F.cross_entropy(hidden @ weight.T + bias, targets, ignore_index=PADDING, label_smoothing=smoothing)`.

    Args:
        hidden: [N, D].
        weight, bias: of the projection, [V, D] and [V].
        targets: [N] ids; [PAD] counts nothing.
        smoothing: probability spread evenly over the whole vocabulary (Szegedy et al. 2016).

    Returns:
        The smoothed loss, which has a gradient, and the plain negative log-likelihood, which has none; both in nats, as
        means over the tokens that are not padding (0 where there is none).
    """
    needs_gradient = torch.is_grad_enabled()
    objective, likelihood = _SmoothedCrossEntropy.apply(  # type: ignore[no-untyped-call]
        hidden, weight, bias, targets, smoothing, needs_gradient
    )
    return objective, likelihood


class _SmoothedCrossEntropy(torch.autograd.Function):
    """For a chunk of logits z with target t and smoothing s: L = logsumexp(z) − (1 − s) z_t − s mean(z), and
    dL/dz = softmax(z) − (1 − s) onehot(t) − s/V, so the gradient is at hand as soon as the loss is.
    """

    @staticmethod
    def forward(ctx, hidden, weight, bias, targets, smoothing, needs_gradient):  # type: ignore[no-untyped-def]
        vocabulary = weight.size(0)
        counted = (targets != PADDING).to(torch.float32)  # [N]
        share = counted / counted.sum().clamp(min=1)  # [N], sums to 1
        rows = max(CHUNK_LOGITS // vocabulary, 1)
        objective = hidden.new_zeros((), dtype=torch.float32)
        likelihood = hidden.new_zeros((), dtype=torch.float32)
        if needs_gradient:
            of_hidden, of_weight, of_bias = torch.empty_like(hidden), torch.zeros_like(weight), torch.zeros_like(bias)
            ctx.save_for_backward(of_hidden, of_weight, of_bias)
        for start in range(0, hidden.size(0), rows):
            chunk = slice(start, start + rows)
            part, target = hidden[chunk], targets[chunk, None]
            logits = F.linear(part, weight, bias).float()  # [rows, V]
            of_target = logits.gather(1, target)[:, 0]
            average = logits.mean(1)
            largest = logits.amax(1)
            exponentials = logits.sub_(largest[:, None]).exp_()
            total = exponentials.sum(1)
            normaliser = total.log() + largest
            weighting = share[chunk]
            objective += ((normaliser - (1 - smoothing) * of_target - smoothing * average) * weighting).sum()
            likelihood += ((normaliser - of_target) * weighting).sum()
            if needs_gradient:
                gradient = exponentials.mul_((weighting / total)[:, None]).sub_((smoothing / vocabulary * weighting)[:, None])
                gradient.scatter_add_(1, target, (smoothing - 1) * weighting[:, None])
                of_hidden[chunk] = gradient @ weight
                of_weight.add_(gradient.T @ part)
                of_bias.add_(gradient.sum(0))
        ctx.mark_non_differentiable(likelihood)
        return objective, likelihood

    @staticmethod
    def backward(ctx, of_objective, of_likelihood):  # type: ignore[no-untyped-def]
        of_hidden, of_weight, of_bias = ctx.saved_tensors
        return of_hidden * of_objective, of_weight * of_objective, of_bias * of_objective, None, None, None


def use_fast_matrix_products() -> bool:
    """Let oneDNN compute single-precision matrix products in this process, where that is faster and equally exact.

    PyTorch's own library (MKL) leaves half of an AMD processor unused; oneDNN does not, but is only asked if reduced precision
    is allowed. Processors with matrix units then really reduce it; whether this one does is found out by comparison with
    float64, and if so the setting is taken back. Meant for runs on the CPU: the setting would change a GPU's products too.

    Returns:
        Whether oneDNN is now in use.
    """
    if "AuthenticAMD" not in _processor():
        return False
    torch.set_float32_matmul_precision("medium")
    if not _products_are_exact():
        torch.set_float32_matmul_precision("highest")
        return False
    return True


def _processor() -> str:
    """What Linux says about the processor; nothing on other systems."""
    description = Path("/proc/cpuinfo")
    return description.read_text() if description.exists() else ""


def _products_are_exact() -> bool:
    """Whether a product of the size a model makes keeps single precision (its error is 1e-7; that of bfloat16 is 1e-3)."""
    generator = torch.Generator().manual_seed(1)
    a, b = (torch.randn(256, 256, generator=generator) for _ in range(2))
    exact = a.double() @ b.double().T
    error = (F.linear(a, b).double() - exact).abs().max() / exact.abs().max()
    return bool(error < 1e-5)
