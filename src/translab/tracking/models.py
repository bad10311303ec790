"""The best model of the grid as an MLflow model that can be served, and MLflow models as folders that can be loaded.

Which model is the best is decided on validation text, never on a test set:

    candidates   the runs of task B (ablations and fine-tunings) whose loss stayed a number, whose decoder is causal (one that
                 sees the words to come has a low loss and no translations), and whose target vocabulary is, byte for byte,
                 that of the base: a loss is nats per type, and other types make another unit
    best         the lowest validation loss of its best step (metrics.json: best_valid_loss); of equal ones the name that
                 comes first in the alphabet, then the smaller seed

It is registered as `translab-<corpus>` under the alias `best`. A version is found by the hash of what is served: the run
folder's configuration, weights and vocabularies, the code that reads them, the requirements, the values of decoding. So
publishing again registers nothing new, a better model is a new version to which the alias moves, and where the best model is an
older version again, the alias moves back.

What an MLflow model holds stands in packaging.py; the model's card is its README.md. A changed card is no new version: the
file is replaced, and the description of the version, which is the card's short form.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import math
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from translab import files, layout
from translab.cards.card import model_card, short_card
from translab.cards.facts import gather
from translab.config import without_secrets
from translab.tracking.packaging import RUN, RUN_FILES, content_hash, missing, sha256, write_model
from translab.tracking.store import TrackingError, database_file, first_line, tracking_uri

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

ALIAS = "best"
BASE = "base"
CONTENT, CARD, RUN_OF, LOGGED = "translab.content", "translab.card", "translab.run", "translab.logged_model"
VERSIONS = "mlflow.modelVersions"
"""Tag by which MLflow's page of a model leads to its registered versions."""


@dataclass(frozen=True)
class Candidate:
    """A run that may be the best."""

    name: str
    seed: int
    run_id: str
    valid_loss: float
    config: Mapping[str, Any]


def publish_best(
    client: MlflowClient, root: Path, runs: Sequence[Mapping[str, Any]], decoding: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Register the best model of the grid, if it is not registered yet, and let the alias `best` name it.

    Args:
        client: the open store.
        root: the project's folder.
        runs: the published runs: `name`, `seed`, `run_id`.
        decoding: `beam`, `length_penalty` and `batch_tokens` of params.yaml; what a request does not say is taken from there.

    Returns:
        `model`, `alias`, `name`, `seed`, `content_hash`, which are the same in every store, and `version` and `outcome`
        (`registered`, `moved`: the alias went to a version that was there, `described`: only the card changed, `unchanged`);
        None if no run is a candidate.

    Raises:
        TrackingError: a run folder is incomplete.
    """
    found = best_run(root, runs)
    if found is None:
        return None
    model, folder = f"translab-{found.config['corpus']}", root / layout.run_folder(found.name, found.seed)
    content, experiment = content_hash(folder, decoding), client.get_run(found.run_id).info.experiment_id
    aliased, versions = _registered(client, model)
    version = next((each for each in versions if _serves(client, each, content, experiment)), None)
    facts = gather(root, found.name, found.seed)
    if version is None:
        version = _register(client, model, found, folder, content, experiment, decoding)
        outcome = "registered"
    else:
        outcome = "unchanged" if version.version == aliased else "moved"
    description = f"{short_card(facts)}\n\n{_link(found, experiment)}"
    card = model_card(facts)
    digest = hashlib.sha256(f"{card}\n{description}".encode()).hexdigest()
    if version.tags.get(CARD) != digest:
        with tempfile.TemporaryDirectory() as temporary:
            files.write_text(Path(temporary) / "README.md", card)
            client.log_model_artifact(version.tags[LOGGED], str(Path(temporary) / "README.md"))
        client.update_model_version(model, version.version, description)
        client.set_model_version_tag(model, version.version, CARD, digest)
        outcome = "described" if outcome == "unchanged" else outcome
    if version.version != aliased:
        client.set_registered_model_alias(model, ALIAS, version.version)
    return {
        "model": model,
        "alias": ALIAS,
        "name": found.name,
        "seed": found.seed,
        "content_hash": content,
        "version": str(version.version),
        "outcome": outcome,
    }


def best_run(root: Path, runs: Sequence[Mapping[str, Any]]) -> Candidate | None:
    """The best of the published runs by the rule at the head of this file; None if none is a candidate.

    Raises:
        TrackingError: a file of a run folder is missing, or the base is not among the runs.
    """
    every = [(run, root / layout.run_folder(run["name"], run["seed"])) for run in runs]
    of_b = [(run, folder) for run, folder in every if _read(folder / "config.json")["task"] == "b"]
    if not of_b:
        return None
    bases = [folder for run, folder in of_b if run["name"] == BASE]
    if not bases:
        raise TrackingError(
            f"`{BASE}` is not among the published runs, so there is no target vocabulary in which losses can be compared; "
            "publish the whole grid."
        )
    vocabulary = sha256(bases[0] / "target.json")
    candidates = [
        candidate
        for run, folder in of_b
        if sha256(folder / "target.json") == vocabulary and (candidate := _candidate(run, folder)) is not None
    ]
    return min(candidates, key=lambda each: (each.valid_loss, each.name, each.seed), default=None)


def model_folder(uri: str) -> Path:
    """Fetch an MLflow model and give the run folder in it: config.json, model.safetensors, source.json, target.json.

    Args:
        uri: `models:/<name>@<alias>`, `models:/<name>/<version>` or `runs:/<run id>/<name>`, of the store that
            MLFLOW_TRACKING_URI names, or else of the project in the current folder.

    Returns:
        a folder that lasts as long as the process.

    Raises:
        TrackingError: there is no store, no such model in it, or it is not one of ours.
    """
    store = tracking_uri(Path.cwd())
    file = database_file(store)
    if file is not None and not file.exists():
        raise TrackingError(
            f"{uri} cannot be fetched: there is no MLflow store at {file}; run the command in the project's folder, or name a "
            "store with MLFLOW_TRACKING_URI."
        )
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    folder = Path(tempfile.mkdtemp(prefix="translab-model-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        download_artifacts(f"{uri.rstrip('/')}/{RUN}", dst_path=str(folder), tracking_uri=store, registry_uri=store)
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"{uri} cannot be fetched from the MLflow store {without_secrets(store)} ({first_line(error)}); `make publish` "
            f"registers the best model as models:/translab-<corpus>@{ALIAS}."
        ) from error
    found = next((path.parent for path in sorted(folder.rglob(RUN_FILES[0]))), None)
    if found is None:
        raise TrackingError(
            f"{uri} holds no folder {RUN}, so translab did not publish it; give a model that `make publish` made."
        )
    return found


def _candidate(run: Mapping[str, Any], folder: Path) -> Candidate | None:
    config, metrics = _read(folder / "config.json"), _read(folder / "metrics.json")
    loss = metrics["best_valid_loss"]
    if metrics["diverged_at"] is not None or loss is None or not math.isfinite(loss) or not config["values"]["model"]["causal"]:
        return None
    return Candidate(run["name"], run["seed"], run["run_id"], loss, config)


def _registered(client: MlflowClient, model: str) -> tuple[str | None, list[ModelVersion]]:
    """The version that the alias names, and all versions, the newest first; the registered model is made if there is none."""
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode

    try:
        present = client.get_registered_model(model)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            raise
        description = (
            f"The best translation models of the grid, by validation loss; the alias `{ALIAS}` names the best of the grid that "
            "was published last."
        )
        client.create_registered_model(model, description=description)
        return None, []
    versions = client.search_model_versions(f"name = '{model}'")
    return present.aliases.get(ALIAS), sorted(versions, key=lambda each: -int(each.version))


def _serves(client: MlflowClient, version: ModelVersion, content: str, experiment: str) -> bool:
    """Whether a version is this model, with its files where the experiment's are now (a project folder may have been moved)."""
    if version.tags.get(CONTENT) != content:
        return False
    found: str = client.get_logged_model(version.tags[LOGGED]).experiment_id
    return found == experiment


def _register(
    client: MlflowClient,
    model: str,
    best: Candidate,
    folder: Path,
    content: str,
    experiment: str,
    decoding: Mapping[str, Any],
) -> ModelVersion:
    """Write the MLflow model, attach it to its run, register it."""
    from mlflow.entities import LoggedModelOutput

    tags = {CONTENT: content, RUN_OF: f"{best.name}-{best.seed}", "best_valid_loss": f"{best.valid_loss:.6f}"}
    logged = client.create_logged_model(experiment, model, best.run_id, tags, model_type="translation")
    try:
        with tempfile.TemporaryDirectory() as temporary:
            write_model(Path(temporary), folder, decoding, logged.model_id, best.run_id)
            client.log_model_artifacts(logged.model_id, str(Path(temporary) / "model"))
        client.finalize_logged_model(logged.model_id, "READY")
        # The address of the files, since a `models:/` source is looked up in the process's default store, not in this client's.
        source, named = logged.artifact_location, tags | {LOGGED: logged.model_id}
        version = client.create_model_version(model, source, best.run_id, named, model_id=logged.model_id)
    except BaseException:
        client.delete_logged_model(logged.model_id)  # a model without its files would be offered in MLflow's pages
        raise
    client.set_logged_model_tags(logged.model_id, {VERSIONS: json.dumps([{"name": model, "version": str(version.version)}])})
    client.log_outputs(best.run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return version


def _link(best: Candidate, experiment: str) -> str:
    return f"Run: [{best.name}-{best.seed}](#/experiments/{experiment}/runs/{best.run_id})."


def _read(path: Path) -> Any:
    if not path.exists():
        raise TrackingError(missing(path))
    return files.read_json(path)
