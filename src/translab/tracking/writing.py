"""How a projection becomes a run of the store, in as few and as light calls as MLflow allows.

Every call costs milliseconds and a commit, and most read the whole run before they change it. So files come first, while the
run is still empty, and values last, in few batches. The very last thing that is set is the hash of the content (tag
`translab.content`): a run without it is partial.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from translab.tracking.projection import Point, Projection
from translab.tracking.views import Place

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run
    from mlflow.tracking import MlflowClient

CONTENT, CODE = "translab.content", "translab.projection"
REPORT = "report"
METRICS, PARAMETERS = 800, 100
"""What one call takes: MLflow's limits are 100 parameters, and 1000 parameters, tags and points together."""


@dataclass(frozen=True)
class Placed:
    """A run that is in the store and complete: where, and its tags."""

    place: Place
    tags: dict[str, str]


def placed(run: Run) -> Placed:
    """A complete run of the store."""
    return Placed(Place(run.info.experiment_id, run.info.run_id), dict(run.data.tags))


def stands_for(run: Run) -> str:
    """What a run of the store is the one run of in its experiment: `base-1`, a claim's name, or the report."""
    tags: dict[str, str] = run.data.tags
    return f"{tags['variant']}-{tags.get('seed')}" if "variant" in tags else tags.get("claim", REPORT)


def shows(run: Run, content: str, code: str) -> bool:
    """Whether a run is complete and was made of this content by this code."""
    tags: dict[str, str] = run.data.tags
    return tags.get(CONTENT) == content and tags.get(CODE) == code


def is_deleted(run: Run) -> bool:
    """Whether it is out of sight in MLflow's pages."""
    stage: str = run.info.lifecycle_stage
    return stage == "deleted"


def create(client: MlflowClient, experiment: str, projection: Projection, code: str, content: str) -> Placed:
    """Make a run."""
    tags = projection.tags | {CODE: code}
    run = client.create_run(experiment, start_time=projection.start, run_name=projection.run_name, tags=tags)
    _fill(client, run, projection, projection.points, {CONTENT: content})
    return Placed(Place(experiment, run.info.run_id), tags)


def complete(
    client: MlflowClient, run: Run, projection: Projection, missing: Sequence[Point], code: str, content: str
) -> Placed:
    """Add what a partial run lacks."""
    tags = projection.tags | {CODE: code}
    _fill(client, run, projection, missing, tags | {CONTENT: content})
    return Placed(Place(run.info.experiment_id, run.info.run_id), tags)


def missing_points(client: MlflowClient, run: Run, projection: Projection) -> list[Point] | None:
    """The points a partial run lacks; None if it holds something else, since MLflow can add to a run but not correct it."""
    if any(projection.params.get(key) != value for key, value in run.data.params.items()):
        return None
    wanted = {(point.key, point.step): point.value for point in projection.points}
    for key in run.data.metrics:
        for point in client.get_metric_history(run.info.run_id, key):
            value = wanted.pop((key, point.step), None)
            if value is None or not _same(value, point.value):
                return None
    return [Point(key, value, step) for (key, step), value in wanted.items()]


def _fill(client: MlflowClient, run: Run, projection: Projection, points: Sequence[Point], tags: dict[str, str]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag, Param, RunTag

    identifier = run.info.run_id
    with tempfile.TemporaryDirectory() as folder:
        for name, attachment in projection.attachments.items():
            path = Path(folder) / name
            path.parent.mkdir(exist_ok=True)
            if isinstance(attachment, Path):
                path.symlink_to(attachment)
            else:
                path.write_bytes(attachment.encode("utf-8"))
        client.log_artifacts(identifier, folder)
    client.set_terminated(identifier, "FINISHED", projection.end)
    if projection.dataset is not None:
        context = [InputTag("mlflow.data.context", "training")]
        client.log_inputs(identifier, [DatasetInput(Dataset(**projection.dataset), context)])
    metrics = _metrics(points, projection)
    params = [Param(key, value) for key, value in projection.params.items() if key not in run.data.params]
    calls = max(1, math.ceil(len(metrics) / METRICS), math.ceil(len(params) / PARAMETERS))
    for call in range(calls):
        client.log_batch(
            identifier,
            metrics[call * METRICS : (call + 1) * METRICS],
            params[call * PARAMETERS : (call + 1) * PARAMETERS],
            [RunTag(key, value) for key, value in tags.items()] if call == calls - 1 else [],
        )


def _metrics(points: Sequence[Point], projection: Projection) -> list[Metric]:
    """Points with times: those of curves spread over the run, the others at its end."""
    from mlflow.entities import Metric

    last = max((point.step for point in projection.points), default=0) or 1
    span = projection.end - projection.start
    times = [projection.start + span * point.step // last if point.step else projection.end for point in points]
    return [Metric(point.key, point.value, time, point.step) for point, time in zip(points, times, strict=True)]


def _same(wanted: float, found: float) -> bool:
    """Equal, or not a number on both sides; MLflow keeps infinity as the largest float."""
    return wanted == found or (math.isnan(wanted) and math.isnan(found)) or (math.isinf(wanted) and abs(found) > 1e308)
