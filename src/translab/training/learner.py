"""Lightning's view of an objective.

AdamW (Loshchilov & Hutter 2019) with β = (0.9, 0.98) and ε = 1e-9 (Vaswani et al. 2017, section 5.3); weight decay acts on
matrices and not on biases or normalisation gains. A parameter without gradient is neither updated nor decayed.
"""

from __future__ import annotations

from typing import Any

import pytorch_lightning as lightning
import torch
from torch import Tensor, nn

from translab.config import Optimisation
from translab.freezing import GradualUnfreezing
from translab.pretraining.objective import Measure, Objective
from translab.text.batching import Batch
from translab.training.schedule import rate_factor

BETAS = (0.9, 0.98)
EPSILON = 1e-9


class Learner(lightning.LightningModule):
    """Lightning's view of an objective; it adds no mathematics."""

    def __init__(self, objective: Objective, optimisation: Optimisation, gradual: GradualUnfreezing | None) -> None:
        super().__init__()
        self.objective = objective
        self.network = objective.network
        self.optimisation = optimisation
        self.gradual = gradual
        self.gradient_norm = torch.zeros(())
        self.objective_sum = torch.zeros(())
        self.tokens_since = 0
        self.tokens = 0
        self.measures: list[list[Measure]] = [[], []]

    def training_step(self, batch: Batch) -> Tensor:
        """One update's loss."""
        loss = self.objective.loss(batch)
        self.objective_sum = self.objective_sum.to(loss.objective.device) + loss.objective.detach() * loss.tokens
        self.tokens_since += loss.tokens
        self.tokens += loss.tokens
        return loss.objective

    def configure_gradient_clipping(self, optimizer: torch.optim.Optimizer, *_: Any, **__: Any) -> None:
        """Clip the whole gradient's 2-norm and remember it."""
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self.gradient_norm = nn.utils.clip_grad_norm_(parameters, self.optimisation.gradient_clip)

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        """After an update, release what is due."""
        if self.gradual is not None:
            self.gradual.after(self.global_step)

    def validation_step(self, batch: Batch, _: int, dataloader_idx: int) -> None:
        """Measure one batch of the validation set (0) or of the training sample (1)."""
        self.measures[dataloader_idx].append(self.objective.measure(batch))

    def configure_optimizers(self) -> Any:
        """AdamW over what is trained now or later, and the schedule; AdamW passes over what has no gradient."""
        waiting = {id(parameter) for parameter in self.gradual.waiting} if self.gradual is not None else set()
        trained = [p for p in self.network.parameters() if p.requires_grad or id(p) in waiting]
        groups = [
            {"params": [p for p in trained if p.dim() >= 2], "weight_decay": self.optimisation.weight_decay},
            {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=self.optimisation.learning_rate, betas=BETAS, eps=EPSILON, fused=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(step, self.optimisation))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move a batch."""
        del dataloader_idx
        return batch.to(device)
