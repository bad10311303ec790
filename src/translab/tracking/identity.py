"""What the configuration of a run says about it, before there is any result: the store's names, parameters, tags, a sentence.

parameters   the values of config.json by their dotted path: `model.heads`, in a fine-tuning `transfer.shallow_layers` …
tags         variant (every run's name) axis method transfer ladder surgery donor (a run's name) seed corpus stage
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from translab.config import flatten

LADDERS = {"encoder": "the encoder", "decoder": "the decoder", "joint": "encoder and decoder"}
LEARNING = {"always": "go on learning", "never": "stay frozen", "gradually": "are released one after the other"}
QUESTIONS = {"ablate": "ablations", "finetune": "transfer", "pretrain": "pretraining"}
"""One experiment per corpus and question: the question that the runs of a stage answer."""


def experiment_name(config: Mapping[str, Any]) -> str:
    """One experiment per corpus and question."""
    return f"{config['corpus']}: {QUESTIONS[config['stage']]}"


def run_name(config: Mapping[str, Any]) -> str:
    """`heads-1-3`: the variant and the seed."""
    return f"{config['name']}-{config['seed']}"


def parameters(config: Mapping[str, Any]) -> dict[str, str]:
    """The values a run was trained with, by their dotted path."""
    flat = flatten(config["values"])
    if config["transfer"]:
        flat |= flatten({"transfer": config["transfer"]})
    return {key: _plain(value) for key, value in sorted(flat.items()) if value is not None}


def tags(config: Mapping[str, Any]) -> dict[str, str]:
    """What runs are filtered and grouped by, as far as the configuration says it."""
    transfer = config["transfer"]
    found = {
        "variant": config["name"],
        "axis": config["axis"],
        "method": transfer["source"] if transfer else config["method"],
        "seed": config["seed"],
        "corpus": config["corpus"],
        "stage": config["stage"],
        "mlflow.source.name": f"stages/{config['stage']}.py",
        "mlflow.source.type": "PROJECT",
    }
    if transfer:
        source, ladder, surgery = transfer["source"], transfer["ladder"], transfer["surgery"]
        found |= {
            "transfer": f"{source}, {ladder}, {transfer['shallow_layers']} layers, {surgery}",
            "ladder": ladder,
            "surgery": surgery,
            "donor": f"{source}-{config['seed']}",
        }
    return {key: str(value) for key, value in found.items() if value is not None}


def sentence(config: Mapping[str, Any]) -> str:
    """What a run is, in a sentence."""
    name, seed, corpus = config["name"], config["seed"], config["corpus"]
    languages = f"{config['source_language']}→{config['target_language']}"
    transfer, axis = config["transfer"], config["axis"]
    if config["stage"] == "pretrain":
        done = "pretrained" if config["values"]["optimisation"]["updates"] else "as it is before it is pretrained"
        return f"**{name}**, seed {seed}: a model {done} by the method {config['method']} on {corpus} ({languages}, task A)."
    if transfer:
        pairs, side = config["values"]["data"]["training_pairs"], LADDERS[transfer["ladder"]]
        text = corpus if pairs == "all" else f"{pairs} pairs of {corpus}"
        return (
            f"**{name}**, seed {seed}: a model trained on {text} ({languages}) that starts with the "
            f"{transfer['shallow_layers']} shallowest layers of {side} of {transfer['source']}; "
            f"these {LEARNING[transfer['train']]}."
        )
    if axis is None:
        return f"**{name}**, seed {seed}: the base model, trained on {corpus} ({languages}) from scratch."
    values = flatten(config["values"])
    changes = " and ".join(f"{path} = {_plain(values[path])}" for path in axis.split("+"))
    return f"**{name}**, seed {seed}: the base model with {changes}, trained on {corpus} ({languages}) from scratch."


def _plain(value: object) -> str:
    """A value as params.yaml writes it."""
    return value if isinstance(value, str) else json.dumps(value)
