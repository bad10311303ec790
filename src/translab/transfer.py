"""Transfer of shallow layers: copy, freeze, prove.

After Yosinski, Clune, Bengio & Lipson 2014, "How transferable are features in deep neural networks?", section 2: the first n
layers come from a donor, the layers above are fresh, and the copied layers are either frozen or trained with the rest. Here
depth is counted on the encoder: n = 1 is the source embedding, n = 1 + k adds encoder layers 1 to k.

A donor is a file of tensors named as the Transformer names its own. The parts to copy are module objects of the receiving
model, never name prefixes (`layers.1` is also the beginning of `layers.10`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from torch import Tensor, nn

from translab.models.transformer import Transformer


class TransferError(ValueError):
    """A donor cannot give what the receiving model should take."""


def shallow_parts(model: Transformer, shallow_layers: int) -> list[nn.Module]:
    """The receiving model's modules at depth n and below.

    Raises:
        TransferError: if the model is not that deep.
    """
    ladder: list[nn.Module] = [model.encoder.embedding, *model.encoder.layers]
    if shallow_layers > len(ladder):
        raise TransferError(
            f"params.yaml: sweep.shallow_layers holds {shallow_layers}, but a model with {len(ladder) - 1} encoder layers has "
            f"depths 0 to {len(ladder)} (1 is the embedding); lower it or raise model.encoder_layers."
        )
    return ladder[:shallow_layers]


def names_of(model: nn.Module, parts: list[nn.Module]) -> list[str]:
    """Names of all parameters that the parts own, in the model's order."""
    owned = {id(parameter) for part in parts for parameter in part.parameters()}
    return [name for name, parameter in model.named_parameters() if id(parameter) in owned]


def transplant(model: Transformer, shallow_layers: int, donor: Mapping[str, Tensor], donor_name: str) -> list[nn.Module]:
    """Give the model's shallow layers the donor's values.

    Args:
        model: the receiving model, freshly initialised.
        shallow_layers: depth n.
        donor: the donor's tensors by name.
        donor_name: its run folder, for the error.

    Returns:
        the modules that were filled.

    Raises:
        TransferError: if the donor lacks a tensor or has it in another shape; the model is then unchanged.
    """
    parts = shallow_parts(model, shallow_layers)
    wanted = {name: parameter for name, parameter in model.named_parameters() if name in set(names_of(model, parts))}
    for name, parameter in wanted.items():
        if name not in donor:
            raise TransferError(
                f"{donor_name} has no tensor `{name}`, which {shallow_layers} shallow layers need; "
                f"choose a donor with as many encoder layers and the same kind of positions, or fewer layers."
            )
        if donor[name].shape != parameter.shape:
            raise TransferError(
                f"{donor_name}: tensor `{name}` has shape {tuple(donor[name].shape)}, "
                f"the model needs {tuple(parameter.shape)}; "
                f"donor and model must agree in width, feed-forward width and vocabulary."
            )
    for name, parameter in wanted.items():
        parameter.data.copy_(donor[name])
    return parts


def freeze(parts: list[nn.Module]) -> int:
    """Take the parts' parameters out of training.

    Returns:
        how many parameters were frozen.

    Raises:
        TransferError: if the parts have none: a freeze that freezes nothing is a mistake.
    """
    parameters = [parameter for part in parts for parameter in part.parameters()]
    if not parameters:
        raise TransferError(
            "there is nothing to freeze in 0 shallow layers; give a depth of at least 1, or a surgery that trains."
        )
    for parameter in parameters:
        parameter.requires_grad_(False)
    return sum(parameter.numel() for parameter in parameters)


def fingerprints(model: nn.Module) -> dict[str, str]:
    """SHA-256 of every frozen tensor, by name: equal before and after training, or the freeze did not hold."""
    return {
        name: hashlib.sha256(parameter.detach().cpu().contiguous().numpy().tobytes()).hexdigest()
        for name, parameter in model.named_parameters()
        if not parameter.requires_grad
    }
