"""MLflow as a projection of the run folders: what runs log while they train, what `publish` completes, and the dashboard.

DVC's outputs are the truth. The store can be deleted at any time: `publish` builds it again from the run folders, with no
training. Nothing outside this package imports mlflow, and importing this package does not (that takes over a second).

    store.py       where the store is; creates it once, opens it
    live.py        `live_run`: a run writes its validations to a small file, and cannot be slowed or stopped by a server
    follow.py      the process beside the runs that carries those files to the store
    identity.py    what a run's configuration says: names, parameters, tags, a sentence
    projection.py  what the store should say about one run folder
    claims.py      what it should say about a claim, and about the report
    figures.py     curves and attention maps as SVG
    writing.py     how a projection becomes a run of the store
    publish.py     makes the store say all of it
    models.py      registers the best model, fetches models
    packaging.py   a run folder as an MLflow model
    served.py      what runs in an MLflow model
    views.py       links to MLflow's pages, and the saved views they open
    dashboard.py   starts MLflow's pages and prints direct links
"""

from __future__ import annotations

from translab.tracking.live import live_run

__all__ = ["live_run"]
