"""The training loop: one objective, one network, PyTorch Lightning around it.

Validation comes every `validate_every` updates; training ends at `updates`, or after `patience` validations in a row without a
lower validation loss. A network that is not trained, because it has no updates or nothing to train, is measured once. A
training whose loss stops being a number has diverged, which is a result like others: it ends there, and what was best before is
its outcome. A training that was stopped goes on from its last checkpoint, and ends with the bits that it would have had.
"""

from __future__ import annotations

import logging
import math
import signal
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.utilities.exceptions import SIGTERMException
from pytorch_lightning.utilities.model_summary.model_summary import ModelSummary
from torch import Tensor, nn
from torch.utils.data import DataLoader

from translab.config import Machine, Optimisation
from translab.freezing import GradualUnfreezing
from translab.models.kernels import use_fast_matrix_products
from translab.pretraining.objective import Objective
from translab.text.batching import EndlessBatches, Examples, bucketed, collate
from translab.training.callbacks import Pairs, Progress, Record, Watch, total
from translab.training.checkpoints import Checkpoints
from translab.training.learner import DivergedError, Learner
from translab.training.state import put_back, taken

logger = logging.getLogger(__name__)


class TrainingError(ValueError):
    """Training cannot go on."""


@dataclass(frozen=True)
class Fit:
    """A finished training."""

    best: dict[str, Tensor]
    """Weights at the lowest validation loss; the first values where none was a number."""
    last: dict[str, Tensor]
    """Weights after the last update."""
    history: list[Record]
    """One for each validation; without any where the training diverged before the first."""
    updates: int
    """Updates made, up to the last validation or to the divergence."""
    tokens: int
    """Types predicted in them."""
    diverged_at: int | None
    """Updates made when a loss was no number; None where all were."""
    padding: float | None
    """Share of the positions in the training's batches, source and target, that were padding; None without any batch."""
    samples: list[tuple[int, str, str]]
    """Step, source, and what the network made of it, at each validation."""
    stopped_early: bool
    seconds: dict[str, float]
    """Wall seconds: total, training, validation."""


def fit(
    objective: Objective,
    train: Examples,
    valid: Examples,
    *,
    optimisation: Optimisation,
    machine: Machine,
    tokens: int,
    bucketing: bool,
    order_seed: int,
    dropout_seed: int,
    samples: Pairs,
    log: Callable[[int, Mapping[str, float]], None],
    gradual: GradualUnfreezing | None,
    checkpoints: Checkpoints,
) -> Fit:
    """Train an objective's network.

    Args:
        objective: what is trained.
        train, valid: encoded pairs.
        optimisation, machine: values of those sections.
        tokens: batch budget in target types.
        bucketing: whether sentences of similar lengths share a training batch.
        order_seed, dropout_seed: seeds of the order of the batches and of dropout.
        samples: sentence pairs to show the network at each validation.
        log: called once a validation with the step and its measures.
        gradual: what is released in the course of training, if anything.
        checkpoints: where the training goes on from, and leaves its state after each validation.

    Returns:
        weights, history and samples; the network itself keeps the last weights.

    Raises:
        TrainingError: if the loss of a network that is not trained is not a number.
        TransferError: if a tensor moved before its release.
        SystemExit: with 143 on SIGTERM, so that nobody takes the run for a finished one.
    """
    torch.set_num_threads(machine.threads)
    if machine.accelerator == "cpu":
        use_fast_matrix_products()
    # Deterministic algorithms also fill every new tensor with NaN; no result depends on it, and it costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.manual_seed(dropout_seed)
    every = max(1, len(train) // max(1, len(valid)))
    seen = train.take(range(0, len(train), every)[: len(valid)])
    trainable = gradual is not None or any(parameter.requires_grad for parameter in objective.network.parameters())
    if not (optimisation.updates and trainable):
        return _measured(objective, valid, seen, machine, tokens, samples, log)
    learner = Learner(objective, optimisation, gradual, made=0)
    watch = Watch(samples, log, keep=lambda: checkpoints.write(taken(learner, watch)))
    first = _weights(objective.network)
    diverged_at = None
    logger.info("%s", ModelSummary(learner, max_depth=4))
    callbacks: list[lightning.Callback] = [watch, Progress()]
    if checkpoint := checkpoints.newest():
        logger.info("Training was stopped before; it goes on from update %d of %d.", checkpoint.update, optimisation.updates)
        callbacks.append(put_back(checkpoint, learner, watch))
    left = 0 if watch.stopped_early else optimisation.updates - learner.made
    with warnings.catch_warnings(), _Quiet():
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(
            accelerator=machine.accelerator,
            devices=1,
            precision=machine.precision,
            deterministic=True,
            max_steps=left,
            val_check_interval=optimisation.validate_every,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            callbacks=callbacks,
        )
        handler = signal.getsignal(signal.SIGTERM)
        try:
            trainer.fit(
                learner,
                DataLoader(EndlessBatches(train, tokens, bucketing, order_seed, learner.made), batch_size=None),
                [_in_order(valid, tokens), _in_order(seen, tokens)],
            )
        except SIGTERMException:
            raise SystemExit(143) from None
        except DivergedError as error:
            diverged_at = error.update
        finally:
            signal.signal(signal.SIGTERM, handler)
    seconds = time.perf_counter() - watch.began
    if diverged_at is not None:
        logger.warning("%s", _divergence(diverged_at, watch))
    return Fit(
        best=watch.best or first,
        last=_weights(objective.network),
        history=watch.history,
        updates=watch.history[-1].step if diverged_at is None else diverged_at,
        tokens=watch.history[-1].tokens if diverged_at is None else learner.tokens,
        diverged_at=diverged_at,
        padding=int(learner.padded) / learner.positions if learner.positions else None,
        samples=watch.samples_seen,
        stopped_early=watch.stopped_early,
        seconds={"total": seconds, "training": seconds - watch.seconds, "validation": watch.seconds},
    )


def _divergence(update: int, watch: Watch) -> str:
    """What a log says of a training that diverged after so many updates."""
    kept = "no validation was good, so its first values are kept"
    if watch.history:
        best = min(watch.history, key=lambda record: record.valid_loss)
        kept = f"the last validation, at update {watch.history[-1].step}, was good; the weights of update {best.step} are kept"
    return (
        f"training: the loss is not a number after update {update}: the run has diverged and ends here "
        f"({kept}); lower optimisation.learning_rate or raise optimisation.warmup."
    )


@torch.no_grad()
def _measured(
    objective: Objective,
    valid: Examples,
    seen: Examples,
    machine: Machine,
    tokens: int,
    samples: Pairs,
    log: Callable[[int, Mapping[str, float]], None],
) -> Fit:
    """One validation of a network that is not trained; its mean loss on the training sample stands for the objective."""
    start = time.perf_counter()
    device = torch.device(machine.accelerator)
    objective.network.to(device).eval()
    validation, training = (
        total([objective.measure(batch.to(device)) for batch in _in_order(examples, tokens)]) for examples in (valid, seen)
    )
    record = Record(
        step=0,
        tokens=0,
        objective=training.loss / training.tokens,
        train_loss=training.loss / training.tokens,
        valid_loss=validation.loss / validation.tokens,
        valid_accuracy=validation.correct / validation.tokens,
        learning_rate=0.0,
        gradient_norm=0.0,
        weight_norm=0.0,
    )
    if not math.isfinite(record.valid_loss):
        raise TrainingError(f"training: the validation loss of a network that is not trained is {record.valid_loss}.")
    log(0, {name: value for name, value in asdict(record).items() if name != "step"})
    shown = zip(samples[0], objective.samples(*samples), strict=True)
    weights, seconds = _weights(objective.network), time.perf_counter() - start
    return Fit(
        best=weights,
        last=weights,
        history=[record],
        updates=0,
        tokens=0,
        diverged_at=None,
        padding=None,
        samples=[(0, source, text) for source, text in shown],
        stopped_early=False,
        seconds={"total": seconds, "training": 0.0, "validation": seconds},
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
