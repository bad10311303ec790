"""What happens at each validation: record, keep the best weights, show samples, stop when nothing improves; and progress."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pytorch_lightning as lightning
import torch
from torch import Tensor
from tqdm import tqdm

from translab.pretraining.objective import Measure
from translab.training.learner import DivergedError, Learner

logger = logging.getLogger(__name__)

Pairs = tuple[Sequence[str], Sequence[str]]
"""Sources, and their translations in the same order."""


@dataclass(frozen=True)
class Record:
    """One row of `history.csv`."""

    step: int
    """Updates made."""
    tokens: int
    """Predicted types trained on, padding not counted."""
    objective: float
    """Mean training loss since the row before: under dropout, smoothing included; nats per type."""
    train_loss: float
    """Loss in evaluation mode on a fixed sample of the training pairs; nats per type."""
    valid_loss: float
    """The same on the validation pairs."""
    valid_accuracy: float
    """Share of validation types predicted right under teacher forcing."""
    learning_rate: float
    gradient_norm: float
    """2-norm of the last gradient before clipping."""
    weight_norm: float
    """2-norm of all trained parameters."""


class Watch(lightning.Callback):
    """Follows a training through its validations."""

    def __init__(self, samples: Pairs, report: Callable[[int, Mapping[str, float]], None], keep: Callable[[], None]) -> None:
        self.samples = samples
        self.report = report
        self.keep = keep
        self.history: list[Record] = []
        self.samples_seen: list[tuple[int, str, str]] = []
        self.best: dict[str, Tensor] = {}
        self.best_loss = math.inf
        self.since_best = 0
        self.stopped_early = False
        self.seconds = 0.0
        self.began = time.perf_counter()
        """When training began; where it was stopped in between, so much before now as it has taken."""
        self._start = 0.0

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Begin to count the seconds of validation."""
        self._start = time.perf_counter()

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Record; keep the best; decide whether to go on.

        Raises:
            DivergedError: if a loss is not a number.
        """
        learner: Learner = pl_module
        record = self._record(learner.update, learner, trainer.optimizers[0].param_groups[0]["lr"])
        if not (math.isfinite(record.train_loss) and math.isfinite(record.valid_loss)):
            raise DivergedError(record.step)
        self.history.append(record)
        if record.valid_loss < self.best_loss:
            self.best_loss = record.valid_loss
            self.since_best = 0
            self.best = {name: tensor.detach().cpu().clone() for name, tensor in learner.network.state_dict().items()}
        else:
            self.since_best += 1
            if self.since_best >= learner.optimisation.patience and record.step < learner.optimisation.updates:
                self.stopped_early = True
                trainer.should_stop = True
        shown = zip(self.samples[0], learner.objective.samples(*self.samples), strict=True)
        self.samples_seen += [(record.step, source, text) for source, text in shown]
        self.tell(record)
        self.seconds += time.perf_counter() - self._start
        self.keep()

    def tell(self, record: Record) -> None:
        """Report a validation."""
        self.report(record.step, {name: value for name, value in asdict(record).items() if name != "step"})

    def _record(self, step: int, learner: Learner, rate: float) -> Record:
        valid, train = (total(measures) for measures in learner.measures)
        trained = [parameter.detach() for parameter in learner.network.parameters() if parameter.requires_grad]
        norms = torch._foreach_norm(trained)
        record = Record(
            step=step,
            tokens=learner.tokens,
            objective=float(learner.objective_sum) / max(1, learner.tokens_since),
            train_loss=train.loss / train.tokens,
            valid_loss=valid.loss / valid.tokens,
            valid_accuracy=valid.correct / valid.tokens,
            learning_rate=rate,
            gradient_norm=float(learner.gradient_norm),
            weight_norm=float(torch.stack(norms).norm()),
        )
        learner.objective_sum = torch.zeros(())
        learner.tokens_since = 0
        learner.measures = [[], []]
        return record


def total(measures: list[Measure]) -> Measure:
    """The measures of several batches as one."""
    return Measure(
        loss=sum(measure.loss for measure in measures),
        correct=sum(measure.correct for measure in measures),
        tokens=sum(measure.tokens for measure in measures),
    )


class Progress(lightning.Callback):
    """A bar with the time left on a terminal; a line at each validation elsewhere."""

    def __init__(self) -> None:
        self.bar: tqdm[Any] | None = None
        self.start = 0.0
        self.tokens = 0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Open the bar."""
        learner: Learner = pl_module
        self.start, self.tokens = time.perf_counter(), learner.tokens
        total = learner.optimisation.updates
        self.bar = tqdm(initial=learner.made, total=total, unit="update", disable=None, dynamic_ncols=True)

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any, **__: Any) -> None:
        """One update done."""
        if self.bar is not None:
            self.bar.update()

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Show the newest validation."""
        watch = next(callback for callback in trainer.callbacks if isinstance(callback, Watch))  # type: ignore[attr-defined]
        if self.bar is None or not watch.history:
            return
        record = watch.history[-1]
        self.bar.set_postfix(train=f"{record.train_loss:.3f}", valid=f"{record.valid_loss:.3f}")
        if self.bar.disable:
            learner: Learner = pl_module
            updates = learner.optimisation.updates
            seconds = time.perf_counter() - self.start
            left = seconds / learner.global_step * (updates - record.step)
            logger.info(
                "update %d of %d  training %.3f  validation %.3f  accuracy %.3f  %.0f tokens/s  %.0f s left at most",
                record.step,
                updates,
                record.train_loss,
                record.valid_loss,
                record.valid_accuracy,
                (record.tokens - self.tokens) / seconds,
                left,
            )

    def on_train_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()

    def on_exception(self, trainer: lightning.Trainer, pl_module: Any, exception: BaseException) -> None:
        """Close the bar of a training that was broken off."""
        self.on_train_end(trainer, pl_module)
