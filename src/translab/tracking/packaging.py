"""A run folder as an MLflow model: what it holds, what it needs, and the hash of all that.

An MLflow model holds a plain copy of the run folder, the files of translab that read it, so that it needs no checkout, and
served.py as its code. Nothing in it is pickled.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from translab import files
from translab.tracking.store import TrackingError

RUN_FILES = ("config.json", "model.safetensors", "source.json", "target.json")
RUN = "artifacts/run"
"""Where the run folder lies in an MLflow model."""

SOURCE = Path(__file__).resolve().parents[1]
REQUIREMENTS = (
    "mlflow",
    "numpy",
    "opencc-python-reimplemented",
    "pandas",
    "pyarrow",
    "pydantic",
    "safetensors",
    "tokenizers",
    "torch",
)
"""What those files and served.py import."""

SERVED = Path(__file__).with_name("served.py")
EXAMPLE = ["She gave the boy a book.", "How much is the ticket?"]
"""Any two sentences: they show the shape of a request."""


def content_hash(folder: Path, decoding: Mapping[str, Any]) -> str:
    """Hash of everything that an MLflow model of a run folder serves.

    Raises:
        TrackingError: a file of the run folder is missing.
    """
    digest = hashlib.sha256()
    for name in RUN_FILES:
        digest.update(f"{RUN}/{name} {sha256(folder / name)}\n".encode())
    for path in [SERVED, *code_files()]:
        digest.update(f"{path.relative_to(SOURCE).as_posix()} {files.sha256(path)}\n".encode())
    digest.update(json.dumps([requirements(), dict(sorted(decoding.items()))]).encode())
    return digest.hexdigest()


def requirements() -> list[str]:
    """What an MLflow model needs beside its own code, pinned to what is installed here.

    A local build's mark (`2.13.0+cpu`) is left out: another machine brings its own build of the same version.
    """
    return [f"{name}=={importlib.metadata.version(name).partition('+')[0]}" for name in REQUIREMENTS]


def write_model(temporary: Path, folder: Path, decoding: Mapping[str, Any], model_id: str, run_id: str) -> None:
    """Write an MLflow model of a run folder to `temporary/model`."""
    import pandas as pd
    from mlflow import pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import Array, Object, Property

    run, code = temporary / "run", temporary / "code" / SOURCE.name
    for target, sources, base in ((run, [folder / name for name in RUN_FILES], folder), (code, code_files(), SOURCE)):
        for source in sources:
            place = target / source.relative_to(base)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place)
    candidate = Object([Property("text", DataType.string), Property("score", DataType.double)])
    signature = ModelSignature(
        inputs=Schema([ColSpec(DataType.string, "source")]),
        outputs=Schema(
            [
                ColSpec(DataType.string, "translation"),
                ColSpec(DataType.double, "score"),
                ColSpec(Array(candidate), "candidates"),
                ColSpec(Array(DataType.string), "notes"),
            ]
        ),
        params=ParamSchema(
            [
                ParamSpec("beam", DataType.long, decoding["beam"]),
                ParamSpec("length_penalty", DataType.double, decoding["length_penalty"]),
                ParamSpec("best", DataType.long, 1),
            ]
        ),
    )
    pyfunc.save_model(
        temporary / "model",
        python_model=str(SERVED),
        artifacts={Path(RUN).name: str(run)},
        code_paths=[str(code)],
        pip_requirements=requirements(),
        signature=signature,
        input_example=pd.DataFrame({"source": EXAMPLE}),
        model_config={"batch_tokens": decoding["batch_tokens"], "device": "cpu"},
        mlflow_model=Model(model_id=model_id, run_id=run_id),
    )


def code_files() -> list[Path]:
    """The files of translab that an MLflow model holds: inference.py and what it imports, followed from file to file."""
    found: set[Path] = set()
    left = [SOURCE / "inference.py"]
    while left:
        file = left.pop()
        if file not in found:
            found.add(file)
            left += _imported(file)
    return sorted(found)


def _imported(file: Path) -> Iterator[Path]:
    """Files of translab that a file imports, its packages' own files included."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{name.name}" for name in node.names]
        for top, *parts in (name.split(".") for name in names):
            stems = [SOURCE.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)] if top == SOURCE.name else []
            yield from (path for stem in stems for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file())


def sha256(path: Path) -> str:
    """Hash of a file of a run folder.

    Raises:
        TrackingError: it is missing.
    """
    if not path.exists():
        raise TrackingError(missing(path))
    return files.sha256(path)


def missing(path: Path) -> str:
    """What to say of a file of a run folder that is not there."""
    return (
        f"{path} does not exist, so the best model cannot be published; `make repro` makes what is missing, `dvc pull` "
        "fetches it."
    )
