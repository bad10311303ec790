"""Make the MLflow store say what the run folders and the report say.

A run of the store is found by the hash of what it shows (tag `translab.content`, set last). It is

    unchanged   if it is there and was made by the present code of the projection;
    restored    if it was deleted and its content is back (older values, from DVC's cache);
    completed   if it is partial: a run that was logged live, or a `publish` that was cut off;
    created     otherwise.

Other runs of the same experiment that stand for the same thing (a name and a seed, a claim, the report) are superseded: they
are deleted from the store's view (MLflow keeps deleted runs until `mlflow gc`), so that a name and a seed is always one run.
Runs of names that are not in the grid are left alone: another grid may share the store. A claim that is gone from claims.yaml
goes. Links between runs hold ids, which are each store's own: they stand in descriptions, set when all runs are there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from translab import files, layout
from translab.config import without_secrets
from translab.tracking import claims, projection, views, writing
from translab.tracking.identity import experiment_name
from translab.tracking.live import live_folder, work_lock
from translab.tracking.models import publish_best
from translab.tracking.projection import Projection, code_hash
from translab.tracking.store import (
    TrackingError,
    advice,
    all_runs,
    experiment_id,
    first_line,
    locked,
    open_store,
    tracking_uri,
)
from translab.tracking.views import NOTE
from translab.tracking.writing import CONTENT, REPORT, Placed, is_deleted, placed, shows, stands_for

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

OUTCOMES = ("unchanged", "restored", "completed", "created", "superseded")
LINKS = "\n\n"
"""What divides a run's own description from the links after it."""


def publish(
    root: Path | str, names: Iterable[str], seeds: Iterable[int], decoding: Mapping[str, Any] | None
) -> dict[str, Counter[str]]:
    """Make the store complete and correct for every name and seed, the claims and the report, and write data/published.json.

    Args:
        root: the project's folder.
        names: of the grid's runs.
        seeds: of every name.
        decoding: with which the best model is registered to be served (models.py); None registers none.

    Returns:
        Of `runs` and of `claims`: how many were unchanged, restored, completed, created and superseded.

    Raises:
        TrackingError: a run folder is missing, or the store fails.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    root = Path(root).resolve()
    grid = [(name, seed) for name in names for seed in seeds]
    try:
        with locked(work_lock(root)):
            publisher = _Publisher(root)
            runs = [publisher.publish_run(name, seed) for name, seed in grid]
            publisher.link_transfers()
            corpus = _corpus([run["experiment"] for run in runs])
            published = {"runs": runs, **publisher.publish_report(corpus)}
            publisher.describe_experiments()
            if decoding is not None:
                published["model"] = publisher.publish_model(decoding)
            for name, seed in grid:
                (live_folder(root) / f"{name}-{seed}.jsonl").unlink(missing_ok=True)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise TrackingError(
            f"Publishing to the MLflow store {without_secrets(tracking_uri(root))} failed ({first_line(error)}); "
            f"{advice(error, 'what was sent is kept, and `make publish` goes on from there')}."
        ) from error
    files.write_json(root / "data" / "published.json", published)
    return publisher.outcomes


class _Publisher:
    """One pass over the grid."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.client: MlflowClient = open_store(root)
        self.outcomes = {kind: Counter(dict.fromkeys(OUTCOMES, 0)) for kind in ("runs", "claims")}
        self._experiments: dict[str, str] = {}
        self._variants: dict[str, set[str]] = {}
        self._present: dict[str, dict[str, list[Run]]] = {}
        self._runs: dict[tuple[str, int], Placed] = {}

    def publish_run(self, name: str, seed: int) -> dict[str, Any]:
        """Publish one run folder; returns its entry of published.json."""
        content = projection.content_hash(self.root, name, seed)
        experiment = experiment_name(projection.required(self.root / layout.run_folder(name, seed) / "config.json"))
        self._runs[name, seed] = self._place(
            experiment,
            f"{name}-{seed}",
            content,
            code_hash(*projection.CODE),
            lambda: projection.project(self.root, name, seed),
            self.outcomes["runs"],
        )
        self._variants[experiment].add(name)
        return {"name": name, "seed": seed, "content_hash": content, "experiment": experiment}

    def link_transfers(self) -> None:
        """Let every fine-tuned run lead to the run whose layers it has, and that one to all that have its layers."""
        by_name = {f"{name}-{seed}": run for (name, seed), run in self._runs.items()}
        heirs: dict[str, list[str]] = {}
        for name, run in by_name.items():
            donor = run.tags.get("donor")
            if donor in by_name:
                heirs.setdefault(donor, []).append(name)
                self._describe(run, LINKS.join([_own(run), f"Donor: {_link(donor, by_name[donor])}."]))
        for donor, names in heirs.items():
            everything = views.table(by_name[names[0]].place.experiment, f'tags.donor = "{donor}"')
            tuned = f"Fine-tuned from it ({views.link('as a table', everything)}): "
            listed = (", ".join(_link(name, by_name[name]) for name in names), ", ".join(names), f"{len(names)} runs")
            own = _own(by_name[donor])
            self._describe(by_name[donor], views.first_short(*(f"{own}{LINKS}{tuned}{text}." for text in listed)))

    def publish_report(self, corpus: str) -> dict[str, Any]:
        """Publish the HTML report and the claims, each kind in an experiment of its own, where it is in no chart's way.

        Returns:
            Their entries of published.json.
        """
        page = self.root / "reports" / "index.html"
        if not page.exists():
            raise TrackingError(projection.missing(page))
        content, experiment = files.sha256(page), f"{corpus}: {REPORT}"
        code, project = code_hash(*claims.CODE), lambda: claims.project_report(page, experiment)
        report = self._place(experiment, REPORT, content, code, project, Counter())
        entries = [self._publish_claim(f"{corpus}: claims", *found, report) for found in claims.read_claims(self.root)]
        for name, runs in self._of_experiment(f"{corpus}: claims").items():
            if name not in {entry["name"] for entry in entries}:
                gone = self._remove(run for run in runs if "claim" in run.data.tags)
                self.outcomes["claims"]["superseded"] += gone
        return {"report": {"experiment": experiment, "content_hash": content}, "claims": entries}

    def publish_model(self, decoding: Mapping[str, Any]) -> dict[str, Any] | None:
        """Register the best model; returns what is the same of it in every store."""
        runs = [{"name": name, "seed": seed, "run_id": run.place.run_id} for (name, seed), run in self._runs.items()]
        best = publish_best(self.client, self.root, runs, decoding)
        return best and {key: value for key, value in best.items() if key not in ("version", "outcome")}

    def describe_experiments(self) -> None:
        """Set the experiments' descriptions and the views that the dashboard links to."""
        for name, identifier in self._experiments.items():
            present = self.client.get_experiment(identifier).tags
            for key, value in views.experiment_tags(name, self._variants[name]).items():
                if present.get(key) != value:
                    self.client.set_experiment_tag(identifier, key, value)

    def _publish_claim(self, experiment: str, record: claims.Record, evidence: claims.Record, report: Placed) -> dict[str, str]:
        runs: dict[str, dict[int, views.Place]] = {}
        for (name, seed), run in self._runs.items():
            runs.setdefault(name, {})[seed] = run.place
        text, content = claims.description(record, report.place, runs), claims.content_hash(record, evidence)
        claim = self._place(
            experiment,
            record["name"],
            content,
            code_hash(*claims.CODE),
            lambda: claims.project_claim(self.root, experiment, record, evidence, text),
            self.outcomes["claims"],
        )
        self._describe(claim, text)
        return {"name": record["name"], "verdict": record["verdict"], "content_hash": content}

    def _of_experiment(self, experiment: str) -> dict[str, list[Run]]:
        """All runs of an experiment, deleted ones too, by what they stand for."""
        if experiment not in self._present:
            self._experiments[experiment] = experiment_id(self.client, experiment, self.root)
            self._variants[experiment] = set()
            found: dict[str, list[Run]] = {}
            for run in all_runs(self.client, self._experiments[experiment], deleted=True):
                found.setdefault(stands_for(run), []).append(run)
            self._present[experiment] = found
        return self._present[experiment]

    def _place(
        self,
        experiment: str,
        name: str,
        content: str,
        code: str,
        project: Callable[[], Projection],
        outcomes: Counter[str],
    ) -> Placed:
        """Let exactly one run of an experiment stand for `name`, and say what `project` would; count what was done."""
        others = self._of_experiment(experiment).get(name, [])
        kept = next((run for run in others if shows(run, content, code)), None)
        if kept is None:
            outcome, found = self._create_or_complete(project(), content, code, others)
        else:
            outcome, found = "unchanged", placed(kept)
            if is_deleted(kept):
                self.client.restore_run(kept.info.run_id)
                outcome = "restored"
        superseded = self._remove(run for run in others if run.info.run_id != found.place.run_id)
        outcomes.update({outcome: 1, "superseded": superseded})
        return found

    def _create_or_complete(self, projected: Projection, content: str, code: str, others: Sequence[Run]) -> tuple[str, Placed]:
        for run in others:
            if CONTENT not in run.data.tags and not is_deleted(run):
                missing = writing.missing_points(self.client, run, projected)
                if missing is not None:
                    return "completed", writing.complete(self.client, run, projected, missing, code, content)
        experiment = self._experiments[projected.experiment]
        return "created", writing.create(self.client, experiment, projected, code, content)

    def _remove(self, runs: Iterable[Run]) -> int:
        """Delete those runs that are not deleted yet; how many."""
        gone = [run for run in runs if not is_deleted(run)]
        for run in gone:
            self.client.delete_run(run.info.run_id)
        return len(gone)

    def _describe(self, run: Placed, text: str) -> None:
        if run.tags[NOTE] != text:
            self.client.set_tag(run.place.run_id, NOTE, text)


def _corpus(experiments: Sequence[str]) -> str:
    """The corpus that the report is about: that of task B, or of task A where nothing else was trained."""
    return min(experiments, key=lambda name: name.endswith(": pretraining")).rpartition(": ")[0]


def _own(run: Placed) -> str:
    """A run's own description."""
    return run.tags[NOTE].partition(LINKS)[0]


def _link(name: str, run: Placed) -> str:
    return views.link(name, views.page(run.place))
