"""Make the MLflow store say what the run folders say.

A run of the store is found by the hash of its run folder's content (tag `translab.content`, set last). It is

    unchanged   if it is there and was made by the present code of the projection;
    restored    if it was deleted and its run folder is back (older values, from DVC's cache);
    completed   if it is partial: a run that was logged live, or a `publish` that was cut off;
    created     otherwise.

Other runs of the same experiment, name and seed are superseded: they are deleted from the store's view (MLflow keeps deleted
runs until `mlflow gc`), so that a name and a seed is always one run. Runs of names that are not in the grid are left alone:
another grid may share the store.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from translab import files, layout
from translab.tracking import views
from translab.tracking.identity import experiment_name
from translab.tracking.live import live_folder, work_lock
from translab.tracking.projection import Point, Projection, content_hash, project, projection_hash
from translab.tracking.store import TrackingError, experiment_id, first_line, locked, open_store

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

CONTENT, CODE = "translab.content", "translab.projection"
NOTE, DONOR = "mlflow.note.content", " Donor: "
BATCH = 1000
"""Points that MLflow takes in one call."""

PAGE = 1000
"""Runs that are asked for at a time."""


def publish(root: Path | str, names: Iterable[str], seeds: Iterable[int]) -> Counter[str]:
    """Make the store complete and correct for every name and seed, and write data/published.json.

    Returns:
        How many runs were unchanged, restored, completed, created and superseded.

    Raises:
        TrackingError: a run folder is missing, or the store fails.
    """
    from mlflow.exceptions import MlflowException

    root = Path(root).resolve()
    grid = [(name, seed) for name in names for seed in seeds]
    with locked(work_lock(root)):
        publisher = _Publisher(root)
        try:
            runs = [publisher.publish_run(name, seed) for name, seed in grid]
            publisher.link_donors()
            report = publisher.publish_report([run["experiment"] for run in runs])
            publisher.describe_experiments()
        except (MlflowException, OSError) as error:
            raise TrackingError(
                f"Publishing to the MLflow store {publisher.client.tracking_uri} failed ({first_line(error)}); "
                "what was sent is kept, and `make publish` goes on from there."
            ) from error
        for name, seed in grid:
            (live_folder(root) / f"{name}-{seed}.jsonl").unlink(missing_ok=True)
    files.write_json(root / "data" / "published.json", {"runs": runs, "report": report})
    return publisher.outcomes


class _Publisher:
    """One pass over the grid."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.client: MlflowClient = open_store(root)
        self.outcomes: Counter[str] = Counter(unchanged=0, restored=0, completed=0, created=0, superseded=0)
        self._experiments: dict[str, str] = {}
        self._variants: dict[str, set[str]] = {}
        self._runs: dict[str, dict[tuple[str | None, str | None], list[Run]]] = {}
        self._kept: dict[str, Run] = {}

    def publish_run(self, name: str, seed: int) -> dict[str, Any]:
        """Publish one run folder; returns its entry of published.json."""
        content = content_hash(self.root, name, seed)
        experiment = experiment_name(files.read_json(self.root / layout.run_folder(name, seed) / "config.json"))
        others = list(self._of_experiment(experiment).get((name, str(seed)), []))
        self._variants[experiment].add(name)
        kept = next((run for run in others if _is(run, content)), None)
        if kept is None:
            kept = self._fill_or_create(project(self.root, name, seed), content, others)
        elif _deleted(kept):
            self.client.restore_run(kept.info.run_id)
            self.outcomes["restored"] += 1
        else:
            self.outcomes["unchanged"] += 1
        for run in others:
            if run.info.run_id != kept.info.run_id and not _deleted(run):
                self.client.delete_run(run.info.run_id)
                self.outcomes["superseded"] += 1
        self._kept[f"{name}-{seed}"] = kept
        return {"name": name, "seed": seed, "content_hash": content, "experiment": experiment}

    def link_donors(self) -> None:
        """Let the description of every fine-tuned run lead to the run whose layers it has."""
        for kept in self._kept.values():
            donor = self._kept.get(kept.data.tags.get("donor", ""))
            if donor is not None:
                present = self.client.get_run(kept.info.run_id).data.tags[NOTE]
                link = f"[{kept.data.tags['donor']}](#/experiments/{donor.info.experiment_id}/runs/{donor.info.run_id})"
                wanted = f"{present.partition(DONOR)[0]}{DONOR}{link}."
                if wanted != present:
                    self.client.set_tag(kept.info.run_id, NOTE, wanted)

    def publish_report(self, experiments: Iterable[str]) -> dict[str, str]:
        """Attach the HTML report to a run of its own in an experiment of its own, where it is in no chart's way."""
        page = self.root / "reports" / "index.html"
        content = files.sha256(page)
        corpus = next(name.rpartition(": ")[0] for name in sorted(experiments, key=lambda name: name.endswith(": pretraining")))
        experiment = f"{corpus}: report"
        runs = [run for found in self._of_experiment(experiment).values() for run in found]
        current = [run for run in runs if _is(run, content) and not _deleted(run)]
        if not current:
            tags = {CODE: projection_hash(), NOTE: "The report: open `index.html` under Artifacts."}
            run = self.client.create_run(self._experiments[experiment], run_name="report", tags=tags)
            self.client.log_artifact(run.info.run_id, str(page))
            self.client.set_terminated(run.info.run_id)
            self.client.set_tag(run.info.run_id, CONTENT, content)
        for run in runs:
            if run not in current[:1] and not _deleted(run):
                self.client.delete_run(run.info.run_id)
        return {"experiment": experiment, "content_hash": content}

    def describe_experiments(self) -> None:
        """Set the experiments' descriptions and the views that the dashboard links to."""
        for name, identifier in self._experiments.items():
            present = self.client.get_experiment(identifier).tags
            for key, value in views.experiment_tags(name, self._variants[name]).items():
                if present.get(key) != value:
                    self.client.set_experiment_tag(identifier, key, value)

    def _of_experiment(self, experiment: str) -> dict[tuple[str | None, str | None], list[Run]]:
        """All runs of an experiment, deleted ones too, by variant and seed."""
        if experiment not in self._runs:
            self._experiments[experiment] = experiment_id(self.client, experiment, self.root)
            self._variants[experiment] = set()
            found: dict[tuple[str | None, str | None], list[Run]] = {}
            for run in _all_runs(self.client, self._experiments[experiment]):
                found.setdefault((run.data.tags.get("variant"), run.data.tags.get("seed")), []).append(run)
            self._runs[experiment] = found
        return self._runs[experiment]

    def _fill_or_create(self, projection: Projection, content: str, others: list[Run]) -> Run:
        for run in others:
            if CONTENT not in run.data.tags and not _deleted(run):
                missing = self._missing_points(run, projection)
                if missing is not None:
                    self._fill(run, projection, missing, content)
                    self.outcomes["completed"] += 1
                    return run
        created = self.client.create_run(
            self._experiments[projection.experiment],
            start_time=projection.start,
            run_name=f"{projection.name}-{projection.seed}",
            tags=projection.tags,
        )
        self._fill(created, projection, projection.points, content)
        self.outcomes["created"] += 1
        return created

    def _missing_points(self, run: Run, projection: Projection) -> list[Point] | None:
        """The points a partial run lacks; None if it holds something else, since MLflow can add to a run but not correct it."""
        if any(projection.params.get(key) != value for key, value in run.data.params.items()):
            return None
        wanted = {(point.key, point.step): point.value for point in projection.points}
        for key in run.data.metrics:
            for point in self.client.get_metric_history(run.info.run_id, key):
                value = wanted.pop((key, point.step), None)
                if value is None or not _same(value, point.value):
                    return None
        return [Point(key, value, step) for (key, step), value in wanted.items()]

    def _fill(self, run: Run, projection: Projection, points: list[Point], content: str) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

        identifier = run.info.run_id
        last = max((point.step for point in projection.points), default=0) or 1
        span = projection.end - projection.start
        metrics = [
            Metric(
                point.key,
                point.value,
                projection.start + span * point.step // last if point.step else projection.end,
                point.step,
            )
            for point in points
        ]
        params = [Param(key, value) for key, value in projection.params.items() if key not in run.data.params]
        tags = [RunTag(key, value) for key, value in (projection.tags | {CODE: projection_hash()}).items()]
        self.client.log_batch(identifier, metrics[: BATCH // 2], params, tags)
        for start in range(BATCH // 2, len(metrics), BATCH):
            self.client.log_batch(identifier, metrics[start : start + BATCH])
        dataset = DatasetInput(Dataset(**projection.dataset), [InputTag("mlflow.data.context", "training")])
        self.client.log_inputs(identifier, [dataset])
        with tempfile.TemporaryDirectory() as folder:
            for name, attachment in projection.attachments.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                if isinstance(attachment, Path):
                    shutil.copyfile(attachment, path)
                else:
                    files.write_text(path, attachment)
            self.client.log_artifacts(identifier, folder)
        self.client.set_terminated(identifier, "FINISHED", projection.end)
        self.client.set_tag(identifier, CONTENT, content)


def _all_runs(client: MlflowClient, experiment: str) -> Iterator[Run]:
    from mlflow.entities import ViewType

    token: str | None = None
    while True:
        page = client.search_runs([experiment], run_view_type=ViewType.ALL, max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _is(run: Run, content: str) -> bool:
    tags: dict[str, str] = run.data.tags
    return tags.get(CONTENT) == content and tags.get(CODE) == projection_hash()


def _deleted(run: Run) -> bool:
    stage: str = run.info.lifecycle_stage
    return stage == "deleted"


def _same(wanted: float, found: float) -> bool:
    """Equal, or not a number on both sides; MLflow keeps infinity as the largest float."""
    return wanted == found or (math.isnan(wanted) and math.isnan(found)) or (math.isinf(wanted) and abs(found) > 1e308)
