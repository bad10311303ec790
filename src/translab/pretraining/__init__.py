"""The ladder of pretraining methods: one file each, all with the interface of objective.py.

A method's file defines its own values, `Options`, and `build(run, vocabularies, generator) -> Objective`. A file here, its name
in `METHODS`, and an entry under `methods` in params.yaml make a method.

An entry with `optimisation.updates: 0` is the control of its method: the same network with its first values, never trained.
What a reader of its states, or a model that takes its layers, gains from it was not learned: it comes from the shape of the
network and from random values alone (the random, untrained weights of Yosinski, Clune, Bengio & Lipson 2014, "How transferable
are features in deep neural networks?", section 4.3). What a method counts, it counts all the same.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, cast

from translab.config import ConfigError, Run, Values, nearest

if TYPE_CHECKING:
    import torch

    from translab.pretraining.objective import Objective, Vocabularies

METHODS = (
    "ngram",  # interpolated Kneser–Ney: the statistical floor
    "nnlm",  # Bengio et al. 2003
    "cbow",  # Mikolov et al. 2013
    "skipgram",  # Mikolov et al. 2013
    "glove",  # Pennington, Socher & Manning 2014
    "elmo",  # Peters et al. 2018
    "masked",  # BERT's masked language model, Devlin et al. 2019
    "causal",  # GPT, Radford et al. 2018
    "contrastive",  # sentence vectors by InfoNCE, van den Oord et al. 2018, Gao, Yao & Chen 2021
    "translation",  # task A itself, or task B: the parent of Zoph et al. 2016
    "onehot",  # the null method: no two types have anything in common
)


def options(method: str, where: str) -> type[Values]:
    """What a method's entry in params.yaml holds beside `method` and the sections it overrides.

    Args:
        method: its name.
        where: the entry, for the error.

    Raises:
        ConfigError: if there is no such method.
    """
    return cast("type[Values]", _module(method, where).Options)


def build(run: Run, vocabularies: Vocabularies, generator: torch.Generator) -> Objective:
    """The objective of a run: its pretraining method, or translation where it has none.

    Raises:
        ConfigError: if the method is unknown, or its values are wrong.
    """
    module = _module(run.method or "translation", f"params.yaml: methods.{run.name}")
    return cast("Objective", module.build(run, vocabularies, generator))


def _module(method: str, where: str) -> ModuleType:
    if method not in METHODS:
        raise ConfigError(f"{where}: `{method}` is not a pretraining method.{nearest(method, list(METHODS))}")
    return importlib.import_module(f"translab.pretraining.{method}")
