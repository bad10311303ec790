"""The ladder of pretraining methods: one file each, all with the interface of objective.py.

A method's file defines `build(run, vocabularies, generator) -> Objective`. A name here, a file beside it, and a section under
`methods` in params.yaml make a method.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from translab.config import ConfigError, Run, nearest

if TYPE_CHECKING:
    import torch

    from translab.pretraining.objective import Objective, Vocabularies

METHODS = (
    "translation",  # task A itself, or task B: the parent of Zoph et al. 2016
    "masked",  # BERT's masked language model, Devlin et al. 2019
)


def build(run: Run, vocabularies: Vocabularies, generator: torch.Generator) -> Objective:
    """The objective of a run: its pretraining method, or translation where it has none.

    Raises:
        ConfigError: if the method is unknown.
    """
    method = run.method or "translation"
    if method not in METHODS:
        raise ConfigError(f"params.yaml: methods.{method} is not a pretraining method.{nearest(method, list(METHODS))}")
    module = importlib.import_module(f"translab.pretraining.{method}")
    return cast("Objective", module.build(run, vocabularies, generator))
