"""`make serve`: the best model behind MLflow's scoring server, on loopback.

`mlflow models serve` answers by whatever name it is asked, so that a web page under a name that leads to loopback could ask it;
this one answers to loopback's own names alone.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from translab import files
from translab.config import without_secrets
from translab.tracking.models import ALIAS
from translab.tracking.store import TrackingError, first_line, open_store, tracking_uri

if TYPE_CHECKING:
    from fastapi import FastAPI
    from mlflow.pyfunc import PyFuncModel

HOST = "127.0.0.1"
NAMES = [HOST, "localhost"]


def serve(root: Path, port: int) -> None:
    """Serve the best model until Ctrl-C.

    Raises:
        TrackingError: no model was published, or it cannot be loaded from the store.
    """
    published = root / "data" / "published.json"
    best = files.read_json(published).get("model") if published.exists() else None
    if best is None:
        raise TrackingError(
            f"{published} names no model to be served; `make repro` trains and publishes one, `make publish` publishes what is "
            "trained."
        )
    import mlflow
    import uvicorn
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    store, address = tracking_uri(root), f"models:/{best['model']}@{ALIAS}"
    open_store(root)
    with tempfile.TemporaryDirectory(prefix="translab-model-") as folder:
        try:
            model = mlflow.pyfunc.load_model(
                download_artifacts(address, dst_path=folder, tracking_uri=store, registry_uri=store)
            )
        except (MlflowException, OSError) as error:
            raise TrackingError(
                f"{address} cannot be loaded from the MLflow store {without_secrets(store)} ({first_line(error)}); "
                "`make publish` registers it."
            ) from error
        uvicorn.run(application(model), host=HOST, port=port, log_level="warning")


def application(model: PyFuncModel) -> FastAPI:
    """MLflow's scoring server of a model, for requests that ask by a name of loopback; any other is answered with 400."""
    from mlflow.pyfunc import scoring_server
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    served: FastAPI = scoring_server.init(model)
    served.add_middleware(TrustedHostMiddleware, allowed_hosts=NAMES)
    return served
