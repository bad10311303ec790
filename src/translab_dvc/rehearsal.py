"""Transfers tried on untrained models: what no donor can give is said before anything is trained.

A donor gives what its tensors are named after (translab/transfer.py), so a fresh network of each donor tells what that is; a
vocabulary of invented types, as large as the declared one, stands for the real one. What depends on the text itself (the rows
that two vocabularies share, the number of pairs) is known only when it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import torch
from tokenizers import Tokenizer, models

from translab.config import GROUPS, ConfigError, Model, Run
from translab.entries import PARAMS
from translab.params import ablation, finetuning, pretraining
from translab.pretraining import build
from translab.pretraining.objective import Objective, Vocabularies
from translab.text.bpe import SPECIALS
from translab.transfer import TransferError, transplant

LANGUAGES = {"corpus": "any", "source_language": "any", "target_language": "any"}
UNSEEN = ("heads", "normalisation", "connection", "attention_scale", "causal")
"""Values of `model` that no tensor's shape shows: layers trained with others would compute something else."""
SEED = 0


def rehearse(values: Mapping[str, Any], where: str) -> None:
    """Try every transfer of the sweep.

    Args:
        values: all of `params.yaml`, each section by itself already checked; of `data` what a run has.
        where: the file, for the error.

    Raises:
        ConfigError: for the first transfer that cannot be.
    """
    points = [
        (group, ladder, source, layers, surgery)
        for group, ladder in GROUPS.items()
        for source, layers, surgery in product(*(values["sweep"][group][key] for key in ("sources", "layers", "surgeries")))
    ]
    if not points:
        return
    text = values["text"]
    source_types = _vocabulary(text["source_types"])
    vocabularies = Vocabularies(source_types, source_types if text["joint"] else _vocabulary(text["target_types"]))
    sides = {side: (own := getattr(vocabularies, side), own) for side in ("source", "target")}
    donors = {source: _donor(values, source, vocabularies) for source in dict.fromkeys(source for _, _, source, _, _ in points)}
    receivers: dict[tuple[str, Model], Objective] = {}
    tried: set[tuple[str, str, int, Model]] = set()
    for group, ladder, source, layers, surgery in points:
        place = f"{where}: sweep.{group}"
        if layers == 0 and values["surgeries"][surgery]["train"] != "always":
            raise ConfigError(
                f"{place} has depth 0, where nothing is transferred that `{surgery}` could freeze; give at least 1."
            )
        donor, objective = donors[source]
        features = donor.values.method.get("features")
        run = finetuning(dict(values), source, ladder, layers, surgery, SEED, LANGUAGES, features)
        model = run.values.model
        if (source, ladder, layers, model) in tried:
            continue
        tried.add((source, ladder, layers, model))
        for unseen in UNSEEN:
            theirs, ours = getattr(donor.values.model, unseen), getattr(model, unseen)
            if theirs != ours:
                raise ConfigError(
                    f"{place}: `{source}` has model.{unseen} {theirs}, but the model that takes its layers has {ours}; "
                    f"choose a donor that agrees in it."
                )
        # One model serves all donors but those with features, which need a place of their own.
        key = (source if features else "", model)
        if key not in receivers:
            receivers[key] = _objective(run, vocabularies)
        try:
            transplant(receivers[key].network, ladder, layers, objective.network.state_dict(), f"`{source}`", sides)
        except TransferError as error:
            raise ConfigError(_placed(str(error), where, group)) from None


def _placed(sentence: str, where: str, group: str) -> str:
    """What a transfer says of itself, with the group of the sweep that asked for it."""
    said = sentence.removeprefix(f"{PARAMS}: ")
    return f"{where}: {said}" if said.startswith("model.") else f"{where}: sweep.{group}: {said.removeprefix('sweep: ')}"


def _donor(values: Mapping[str, Any], source: str, vocabularies: Vocabularies) -> tuple[Run, Objective]:
    make = pretraining if source in values["methods"] else ablation
    run = make(dict(values), source, SEED, LANGUAGES)
    return run, _objective(run, vocabularies)


def _objective(run: Run, vocabularies: Vocabularies) -> Objective:
    return build(run, vocabularies, torch.Generator().manual_seed(SEED))


def _vocabulary(types: int) -> Tokenizer:
    """The special types and as many invented ones as are missing."""
    invented = (str(number) for number in range(types - len(SPECIALS)))
    return Tokenizer(models.WordLevel({token: number for number, token in enumerate([*SPECIALS, *invented])}, SPECIALS[1]))
