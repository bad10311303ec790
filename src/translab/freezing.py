"""Transferred layers that do not learn, for good or at first, and the proof that they did not.

Frozen against trained layers: Yosinski, Clune, Bengio & Lipson 2014, section 2. Gradual unfreezing: Howard & Ruder 2018,
"Universal Language Model Fine-tuning for Text Classification", section 3.3: the layer nearest to the fresh ones is released
first, then one more below it at a time. Deviation: the paper releases a layer each epoch; here the n depths are released at
equal shares of the U updates, number j of them after U·j / (n + 1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from torch import Tensor, nn

from translab.transfer import TransferError, Transplant


def freeze(transplant: Transplant) -> int:
    """Take what came from the donor out of training.

    Returns:
        how many parameters were frozen.

    Raises:
        TransferError: if nothing came from the donor, because a freeze that freezes nothing is a mistake, or if a table is only
            in part the donor's.
    """
    for table in transplant.tables:
        if table.fresh:
            raise TransferError(
                f"`{table.name}` cannot be frozen: {table.fresh} of its {table.copied + table.fresh} rows belong to types that "
                f"the donor does not know; choose a surgery that trains always, or give donor and model one vocabulary."
            )
    parameters = _parameters(part for parts in transplant.parts for part in parts)
    if not parameters:
        raise TransferError(
            "there is nothing to freeze in 0 shallow layers; give a depth of at least 1, or a surgery that trains always."
        )
    for parameter in parameters:
        parameter.requires_grad_(False)
    return sum(parameter.numel() for parameter in parameters)


def stop_dropout(transplant: Transplant) -> None:
    """Let no dropout act in transferred layers, whatever the rest does."""
    for module in transplant.dropouts:
        module.eval()


def fingerprints(model: nn.Module) -> dict[str, str]:
    """SHA-256 of every frozen tensor, by name: equal before and after training, or the freeze did not hold."""
    return {name: _fingerprint(parameter) for name, parameter in model.named_parameters() if not parameter.requires_grad}


@dataclass(frozen=True)
class Release:
    """The moment at which transferred layers begin to learn."""

    depth: int
    update: int
    """Updates that were made before."""
    tensors: dict[str, str]
    """SHA-256 by name: still what came from the donor."""


class GradualUnfreezing:
    """Freezes what came from the donor, then releases one depth after another, the uppermost first.

    Args:
        model: the receiving model.
        transplant: what it received.
        updates: U, how many there will be.

    Raises:
        TransferError: as `freeze`.
    """

    def __init__(self, model: nn.Module, transplant: Transplant, updates: int) -> None:
        freeze(transplant)
        self._before = fingerprints(model)
        self._names = {id(parameter): name for name, parameter in model.named_parameters()}
        depths = len(transplant.parts)
        self._waiting = [
            (max(1, updates * (depths + 1 - depth) // (depths + 1)), depth, _parameters(parts))
            for depth, parts in enumerate(transplant.parts, start=1)
        ]
        self._released: list[Release] = []

    @property
    def waiting(self) -> list[nn.Parameter]:
        """Parameters that do not learn yet; they belong into the optimizer, which passes over what has no gradient."""
        return [parameter for *_, parameters in self._waiting for parameter in parameters]

    @property
    def released(self) -> list[dict[str, object]]:
        """The releases so far, as plain values."""
        return [asdict(release) for release in self._released]

    def after(self, update: int) -> None:
        """Release what is due after so many updates; call it after each.

        Raises:
            TransferError: if a tensor is no longer what came from the donor.
        """
        while self._waiting and self._waiting[-1][0] <= update:
            _, depth, parameters = self._waiting.pop()
            tensors = {self._names[id(parameter)]: _fingerprint(parameter) for parameter in parameters}
            moved = [name for name, fingerprint in tensors.items() if fingerprint != self._before[name]]
            if moved:
                raise TransferError(
                    f"{', '.join(moved)} should be frozen until update {update} but changed before; "
                    f"this is a defect of translab."
                )
            for parameter in parameters:
                parameter.requires_grad_(True)
            self._released.append(Release(depth, update, tensors))


def _parameters(parts: Iterable[nn.Module]) -> list[nn.Parameter]:
    return [parameter for part in parts for parameter in part.parameters()]


def _fingerprint(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.detach().cpu().contiguous().numpy().tobytes()).hexdigest()
