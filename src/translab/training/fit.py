"""The training loop: one objective, one network, PyTorch Lightning around it.

AdamW (Loshchilov & Hutter 2019) with β = (0.9, 0.98) and ε = 1e-9 (Vaswani et al. 2017, section 5.3); weight decay acts on
matrices and not on biases or normalisation gains. Validation comes every `validate_every` updates; training ends at `updates`,
or after `patience` validations in a row without a lower validation loss.
"""

from __future__ import annotations

import logging
import signal
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.utilities.exceptions import SIGTERMException
from pytorch_lightning.utilities.model_summary.model_summary import ModelSummary
from torch import Tensor, nn
from torch.utils.data import DataLoader

from translab.config import Machine, Optimisation
from translab.models.kernels import use_fast_matrix_products
from translab.pretraining.objective import Measure, Objective
from translab.text.batching import Batch, EndlessBatches, Examples, bucketed, collate
from translab.training.callbacks import Progress, Record, Watch
from translab.training.schedule import rate_factor

logger = logging.getLogger(__name__)

BETAS = (0.9, 0.98)
EPSILON = 1e-9


class TrainingError(ValueError):
    """Training cannot go on."""


@dataclass(frozen=True)
class Fit:
    """A finished training."""

    best: dict[str, Tensor]
    """Weights at the lowest validation loss."""
    last: dict[str, Tensor]
    """Weights after the last update."""
    history: list[Record]
    samples: list[tuple[int, str, str]]
    """Step, source, and what the network made of it, at each validation."""
    stopped_early: bool
    seconds: dict[str, float]
    """Wall seconds: total, training, validation."""


class Learner(lightning.LightningModule):
    """Lightning's view of an objective; it adds no mathematics."""

    def __init__(self, objective: Objective, optimisation: Optimisation) -> None:
        super().__init__()
        self.objective = objective
        self.network = objective.network
        self.optimisation = optimisation
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

    def validation_step(self, batch: Batch, _: int, dataloader_idx: int) -> None:
        """Measure one batch of the validation set (0) or of the training sample (1)."""
        self.measures[dataloader_idx].append(self.objective.measure(batch))

    def configure_optimizers(self) -> Any:
        """AdamW over what is trained, and the schedule."""
        trained = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
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


def fit(
    objective: Objective,
    train: Examples,
    valid: Examples,
    *,
    optimisation: Optimisation,
    machine: Machine,
    tokens: int,
    order_seed: int,
    dropout_seed: int,
    samples: Sequence[str],
    log: Callable[[int, Mapping[str, float]], None],
) -> Fit:
    """Train an objective's network.

    Args:
        objective: what is trained.
        train, valid: encoded pairs.
        optimisation, machine: values of those sections.
        tokens: batch budget in target types.
        order_seed, dropout_seed: seeds of the order of the batches and of dropout.
        samples: sentences to show the network at each validation.
        log: called once a validation with the step and its measures.

    Returns:
        weights, history and samples; the network itself keeps the last weights.

    Raises:
        TrainingError: if the loss stops being a number.
        SystemExit: with 143 on SIGTERM, so that nobody takes the run for a finished one.
    """
    torch.set_num_threads(machine.threads)
    use_fast_matrix_products()
    # Deterministic algorithms also fill every new tensor with NaN; no result depends on it, and it costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.manual_seed(dropout_seed)
    every = max(1, len(train) // max(1, len(valid)))
    seen = train.take(range(0, len(train), every)[: len(valid)])
    learner = Learner(objective, optimisation)
    watch = Watch(samples, log)
    logger.info("%s", ModelSummary(learner, max_depth=4))
    with warnings.catch_warnings(), _Quiet():
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(
            accelerator=machine.accelerator,
            devices=1,
            precision=machine.precision,
            deterministic=True,
            max_steps=optimisation.updates,
            val_check_interval=optimisation.validate_every,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            callbacks=[watch, Progress()],
        )
        start = time.perf_counter()
        handler = signal.getsignal(signal.SIGTERM)
        try:
            trainer.fit(
                learner,
                DataLoader(EndlessBatches(train, tokens, order_seed), batch_size=None),
                [_in_order(valid, tokens), _in_order(seen, tokens)],
            )
        except SIGTERMException:
            raise SystemExit(143) from None
        finally:
            signal.signal(signal.SIGTERM, handler)
    total = time.perf_counter() - start
    if watch.not_finite_at is not None:
        good = (
            f"the last validation, at update {watch.history[-1].step}, was good" if watch.history else "no validation was good"
        )
        raise TrainingError(
            f"training: the loss is not a number after update {watch.not_finite_at} ({good}); "
            f"lower optimisation.learning_rate or raise optimisation.warmup."
        )
    return Fit(
        best=watch.best,
        last=_weights(objective.network),
        history=watch.history,
        samples=watch.samples_seen,
        stopped_early=watch.stopped_early,
        seconds={"total": total, "training": total - watch.seconds, "validation": watch.seconds},
    )


def _in_order(examples: Examples, tokens: int) -> DataLoader[Any]:
    batches = [collate(examples, rows) for rows in bucketed(examples, tokens * 4, None)]
    return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]


def _weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}


class _Quiet:
    """Lightning's advice on loggers and loaders is not for the reader of an experiment's log."""

    def __enter__(self) -> None:
        self.logger = logging.getLogger("pytorch_lightning")
        self.level = self.logger.level
        self.logger.setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        self.logger.setLevel(self.level)
