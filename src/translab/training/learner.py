"""Lightning's view of an objective.

Adam with β = (0.9, 0.98) and ε = 1e-9 (Vaswani et al. 2017, section 5.3). Its weight decay is that of Loshchilov & Hutter 2019,
"Decoupled Weight Decay Regularization", algorithm 2, at rate η and with g the gradient of the loss:

    decoupled   w ← w − η · (Adam's direction from g) − η λ w     AdamW
    l2          w ← w − η · (Adam's direction from g + λ w)       the penalty λ/2 · ‖w‖² in the loss

Both act on matrices and not on biases or normalisation gains. A parameter without gradient is neither updated nor decayed. The
gradient is clipped before the penalty's is added, so that both kinds clip the same gradient (the paper does not clip).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as lightning
import torch
from torch import Tensor, nn

from translab.config import Optimisation
from translab.freezing import GradualUnfreezing
from translab.pretraining.objective import Measure, Objective
from translab.text.batching import Batch
from translab.text.bpe import PAD
from translab.training.schedule import rate_factor

BETAS = (0.9, 0.98)
EPSILON = 1e-9
OPTIMIZERS = {"decoupled": torch.optim.AdamW, "l2": torch.optim.Adam}


class DivergedError(Exception):
    """The loss is no longer a number."""

    def __init__(self, update: int) -> None:
        super().__init__(f"the loss is not a number after update {update}")
        self.update = update


class Learner(lightning.LightningModule):
    """Lightning's view of an objective; it adds no mathematics.

    Args:
        objective: what is trained.
        optimisation: values of that section.
        gradual: what is released in the course of training, if anything.
        made: updates that were made before a training was stopped, which Lightning does not count.
    """

    moments: Mapping[int, Mapping[str, Tensor]] | None = None
    """What the optimizer begins with: its state of each parameter, in its own order."""

    def __init__(self, objective: Objective, optimisation: Optimisation, gradual: GradualUnfreezing | None, made: int) -> None:
        super().__init__()
        self.objective = objective
        self.network = objective.network
        self.optimisation = optimisation
        self.gradual = gradual
        self.made = made
        self.gradient_norm = torch.zeros(())
        self.objective_sum = torch.zeros(())
        self.tokens_since = 0
        self.tokens = 0
        self.positions = 0
        self.padded = torch.zeros((), dtype=torch.int64)
        self.measures: list[list[Measure]] = [[], []]

    @property
    def update(self) -> int:
        """Updates made, those before the training was stopped included."""
        return self.made + self.global_step

    def training_step(self, batch: Batch) -> Tensor:
        """One update's loss.

        Raises:
            DivergedError: if it is not a number.
        """
        loss = self.objective.loss(batch)
        if not loss.objective.isfinite():
            raise DivergedError(self.update)
        self.objective_sum = self.objective_sum.to(loss.objective.device) + loss.objective.detach() * loss.tokens
        self.tokens_since += loss.tokens
        self.tokens += loss.tokens
        self.positions += batch.source.numel() + batch.target.numel()
        self.padded = self.padded.to(batch.source.device) + (batch.source == PAD).sum() + (batch.target == PAD).sum()
        return loss.objective

    def configure_gradient_clipping(self, optimizer: torch.optim.Optimizer, *_: Any, **__: Any) -> None:
        """Clip the whole gradient's 2-norm and remember it."""
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self.gradient_norm = nn.utils.clip_grad_norm_(parameters, self.optimisation.gradient_clip)

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        """After an update, release what is due."""
        if self.gradual is not None:
            self.gradual.after(self.update)

    def validation_step(self, batch: Batch, _: int, dataloader_idx: int) -> None:
        """Measure one batch of the validation set (0) or of the training sample (1)."""
        self.measures[dataloader_idx].append(self.objective.measure(batch))

    def configure_optimizers(self) -> Any:
        """Adam over what is trained now or later, and the schedule; Adam passes over what has no gradient."""
        waiting = {id(parameter) for parameter in self.gradual.waiting} if self.gradual is not None else set()
        trained = [p for p in self.network.parameters() if p.requires_grad or id(p) in waiting]
        groups = [
            {"params": [p for p in trained if p.dim() >= 2], "weight_decay": self.optimisation.weight_decay},
            {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
        ]
        kind = OPTIMIZERS[self.optimisation.decay]
        optimizer = kind(groups, lr=self.optimisation.learning_rate, betas=BETAS, eps=EPSILON, fused=True)
        if self.moments is not None:
            optimizer.load_state_dict({"state": self.moments, "param_groups": optimizer.state_dict()["param_groups"]})
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(self.made + step, self.optimisation))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move a batch."""
        del dataloader_idx
        return batch.to(device)
