"""What a training is between two updates: taken after a validation, and put back before training goes on.

Lightning's own counters begin at 0 again; `Learner.made` holds the updates before. So the number of validations and the batches
between them fall where they fell, because a checkpoint stands at a validation.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pytorch_lightning as lightning
import torch
from torch import Tensor

from translab.training.callbacks import Record, Watch
from translab.training.checkpoints import Checkpoint
from translab.training.learner import Learner

NETWORK, BEST, OPTIMIZER, RANDOM = "network.", "best.", "optimizer.", "random."
"""How names of tensors begin: of the network, its best weights, the optimizer's state (by parameter), the generators."""

COUNTERS = ("tokens", "positions")
WATCHED = ("best_loss", "since_best", "stopped_early", "seconds")
"""Plain attributes of the learner and of the watch."""


def taken(learner: Learner, watch: Watch) -> Checkpoint:
    """The training as it is right after a validation."""
    (optimizer,) = learner.trainer.optimizers
    state: Mapping[int, Mapping[str, Tensor]] = optimizer.state_dict()["state"]
    tensors = {
        **{NETWORK + name: tensor for name, tensor in learner.network.state_dict().items()},
        **{BEST + name: tensor for name, tensor in watch.best.items()},
        **{f"{OPTIMIZER}{number}.{name}": tensor for number, own in state.items() for name, tensor in own.items()},
        RANDOM + "cpu": torch.get_rng_state(),
        "padded": learner.padded,
    }
    if learner.device.type == "cuda":
        tensors[RANDOM + "cuda"] = torch.cuda.get_rng_state(learner.device)
    values: dict[str, Any] = {name: getattr(learner, name) for name in COUNTERS}
    values |= {name: getattr(watch, name) for name in WATCHED}
    values |= {"history": [asdict(record) for record in watch.history], "samples": watch.samples_seen}
    values["elapsed"] = time.perf_counter() - watch.began
    # Copies: some tables may share memory, which a file of tensors cannot say.
    return Checkpoint(learner.update, {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}, values)


def put_back(checkpoint: Checkpoint, learner: Learner, watch: Watch) -> Generators:
    """Let a learner and a watch, fresh from the same configuration, go on from a checkpoint.

    Returns:
        a callback that puts the generators back.
    """
    values, tensors = checkpoint.values, checkpoint.tensors
    learner.made = checkpoint.update
    if learner.gradual is not None:
        for update in range(1, checkpoint.update + 1):
            learner.gradual.after(update)  # while the tensors are still the donor's, as they were then
    learner.network.load_state_dict(_under(NETWORK, tensors))
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under(OPTIMIZER, tensors).items():
        number, _, part = name.partition(".")
        moments.setdefault(int(number), {})[part] = tensor
    learner.moments = moments
    learner.padded = tensors["padded"]
    for name in COUNTERS:
        setattr(learner, name, values[name])
    for name in WATCHED:
        setattr(watch, name, values[name])
    watch.best = _under(BEST, tensors)
    watch.history = [Record(**row) for row in values["history"]]
    watch.samples_seen = [(step, source, text) for step, source, text in values["samples"]]
    watch.began -= values["elapsed"]
    for record in watch.history:
        watch.tell(record)
    return Generators(_under(RANDOM, tensors))


class Generators(lightning.Callback):
    """Puts PyTorch's generators back before the first update, since the loop draws from them while it is set up."""

    def __init__(self, states: Mapping[str, Tensor]) -> None:
        self._states = dict(states)

    def on_train_batch_start(self, *_: Any, **__: Any) -> None:
        """Nothing draws between this and the update."""
        if self._states:
            torch.set_rng_state(self._states["cpu"])
        if "cuda" in self._states:
            torch.cuda.set_rng_state(self._states["cuda"])
        self._states = {}


def _under(beginning: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(beginning): tensor for name, tensor in tensors.items() if name.startswith(beginning)}
