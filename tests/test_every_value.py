"""Every value does something: each leaf of params.yaml is changed, and every stage that reads it must do something else then.

The leaves are those that the classes of translab.config and of the pretraining methods declare, and dvc.yaml says which stage
reads which; a stage is run as dvc would run it, on what it depends on and nothing else. So a new value, or a new reader of an
old one, fails here until TABLE has a line for it.

What shows the effect is the smallest thing that is the stage's own: the files that it writes (a run's config.json left out,
which repeats the values), the loss and the gradients of a pretraining method, or what it hands to the function that does the
work, where another stage has shown what this function makes of it. The same values must give the same first.
"""

from __future__ import annotations

import copy
import itertools
import json
import random
import re
import runpy
import types
import typing
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from dvc.parsing import DataResolver
from dvc.repo import Repo

import contextual
import scored
import toy
from conftest import ROOT
from translab.comparison.pilot import base_digest
from translab.config import GROUPS, NOT_RECURRENT, RECURRENT, ConfigError, Run, Surgery, Text, Values, check, flatten
from translab.config.model import TRANSFORMER_ALONE
from translab.corpora.readers import SCHEMA
from translab.entries import DATA_OF_A, METHOD_SECTIONS, UNREAD, method_values, put, with_delta
from translab.files import read_json, sha256, write_json, write_table
from translab.models.transformer import Transformer
from translab.params import declared, pretraining, read_yaml
from translab.pretraining import METHODS, build, options
from translab.pretraining.objective import Vocabularies
from translab.text import bpe
from translab.text.batching import collate, fitting
from translab_dvc.recipes import SECTIONS, names

PIPELINE: dict[str, Any] = read_yaml(ROOT / "dvc.yaml")
PARAMS: dict[str, Any] = read_yaml(ROOT / "params.yaml")
OTHER_GROUPS = tuple(f"{kind}-{group}" for kind in ("finetune", "evaluate") for group in GROUPS if group != "words")
"""Stages that differ from the one of the group `words` in their matrix alone (test_pipeline.py)."""
EVERY_STAGE: dict[str, Any] = PIPELINE["stages"]
STAGES = {name: stage for name, stage in EVERY_STAGE.items() if name not in (*OTHER_GROUPS, "evaluate-words")}
"""One stage of each kind; the evaluation of fine-tuned models reads what that of variants does (below)."""
GRID = "the pipeline"
"""Reads what the templates of dvc.yaml name: which instances there are, and their commands."""


# ---- the leaves


def leaves(group: type[Values], prefix: str) -> Iterator[str]:
    """Dotted names of all values that a class holds."""
    hints = typing.get_type_hints(group)
    for name in group.model_fields:
        inner = [part for part in (hints[name], *typing.get_args(hints[name])) if isinstance(part, type)]
        groups = [part for part in inner if issubclass(part, Values)]
        if groups:
            yield from leaves(groups[0], f"{prefix}.{name}")
        else:
            yield f"{prefix}.{name}"


LEAVES = [
    *(leaf for section, group in SECTIONS.items() for leaf in leaves(group, section)),
    *leaves(Surgery, "surgeries"),
    *(leaf for method in METHODS for leaf in leaves(options(method, method), f"methods.{method}")),
]


def leaf_of(path: str, values: Mapping[str, Any]) -> str:
    """The leaf that a path of params.yaml or of a recipe gives a value to."""
    section, _, rest = path.partition(".")
    if section not in ("methods", "variants", "surgeries"):
        return path
    name, _, inner = rest.partition(".")
    part, _, more = inner.partition(".")
    if section == "variants" or (section == "methods" and part in METHOD_SECTIONS):
        return inner
    if section == "methods":
        return f"methods.{values['methods'][name]['method']}.{inner}"
    return inner if more and f"surgeries.{part}" in LEAVES else f"surgeries.{inner}"  # values of a section as a whole


# ---- who reads a leaf


def covers(declaration: str, leaf: str) -> bool:
    """Whether an entry of `params` in dvc.yaml (`model`, `methods.${item.method}`) holds a leaf."""
    path = declaration.partition(".${")[0]
    return leaf == path or leaf.startswith(f"{path}.")


def readers(leaf: str) -> list[str]:
    """The stages that are given a leaf by dvc.yaml."""
    found = [
        name
        for name, stage in STAGES.items()
        if any(covers(entry, leaf) for entry in stage.get("params", []) if isinstance(entry, str))
    ]
    templates = set(re.findall(r"\$\{([a-z.]+)\}", json.dumps(PIPELINE)))
    return [*found, *([GRID] if leaf in templates else [])]


# ---- the table


@dataclass(frozen=True)
class Line:
    """How a leaf is shown to do something."""

    value: Any
    """Another value than that of the tiny project."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """Values under which it has an effect, by path; before and after the change."""
    along: Mapping[str, Any] = field(default_factory=dict)
    """Values that must change with it, by path."""
    inert: Mapping[str, str] = field(default_factory=dict)
    """Stages that read it in vain, and why."""


PASSED_ON = {"publish": "it stands among the stage's values with its section; what it does arrives with the reports"}
ENTRIES = {
    "compare": "the comparison knows the entries' names; what they hold arrives with the models",
    "publish": "the store knows the entries' names; what they hold arrives with the models",
}
CORPORA = {"publish": "it says which entries of corpora.yaml the stage depends on; what they hold arrives with the texts"}
BITS = {
    "evaluate-ablate": "scores are computed in 32 bits, whatever a model was trained in; it stands there with its section",
    "evaluate-pretrain": "scores are computed in 32 bits, whatever a model was trained in; it stands there with its section",
}
CARD = {"publish": "the card of the best model states it (test_model_card.py)"}
SIDE = Line("target")

TABLE: dict[str, Line] = {
    "data.a": Line("toy-b", inert=CORPORA),
    "data.b": Line("toy-a", inert=CORPORA),
    "data.training_pairs": Line(50, inert=PASSED_ON),
    "data.add_a": Line(True, inert=PASSED_ON),
    "cleaning.minimum_length": Line(8),
    "cleaning.maximum_length": Line(25),
    "cleaning.maximum_ratio": Line(1.2),
    "cleaning.simplified_chinese": Line(False),
    "splitting.valid": Line(6),
    "splitting.test": Line(6),
    "splitting.seed": Line(2),
    "text.source_types": Line(22),
    "text.target_types": Line(22),
    "text.joint": Line(True, given={"text.source_types": 28, "text.target_types": 28}),
    "model.body": Line("torch"),
    "model.width": Line(12),
    "model.feedforward": Line(24),
    "model.heads": Line(1),
    "model.encoder_layers": Line(1),
    "model.decoder_layers": Line(2),
    "model.positions": Line("none"),
    "model.normalisation": Line("post"),
    "model.connection": Line("highway"),
    "model.attention_scale": Line("none"),
    "model.cross_projection": Line("none"),
    "model.causal": Line(False),
    "model.dropout": Line(0.2),
    "model.maximum_length": Line(8),
    "batch.tokens": Line(60),
    "batch.bucketing": Line(False),
    "batch.source_start": Line(True),
    "batch.source_end": Line(False),
    "optimisation.updates": Line(3),
    "optimisation.learning_rate": Line(5.0e-3),
    "optimisation.schedule": Line("cosine"),
    "optimisation.warmup": Line(2),
    "optimisation.weight_decay": Line(0.1),
    "optimisation.decay": Line("l2"),
    "optimisation.label_smoothing": Line(0.2),
    "optimisation.passes": Line(2),
    "optimisation.consistency": Line(1.0, given={"optimisation.passes": 2}),
    "optimisation.gradient_clip": Line(0.1),
    "optimisation.validate_every": Line(2),
    "optimisation.patience": Line(1, given={"optimisation.learning_rate": 1.0, "optimisation.validate_every": 1}),
    "randomness.initialisation": Line(7),
    "randomness.order": Line(7),
    "randomness.dropout": Line(7),
    "randomness.subset": Line(7, given={"data.training_pairs": 50}),
    "machine.accelerator": Line("cuda"),
    "machine.threads": Line(2),
    "machine.precision": Line("bf16-mixed", inert=BITS),
    "decoding.beam": Line(3),
    "decoding.length_penalty": Line(0.0),
    "decoding.batch_tokens": Line(30),
    "statistics.confidence": Line(0.8, inert=CARD),
    "statistics.resamples": Line(150, inert=PASSED_ON),
    "statistics.seed": Line(2, inert=PASSED_ON),
    "sweep.seeds": Line([1]),
    "surgeries.train": Line("gradually", inert=ENTRIES),
    "surgeries.dropout": Line(False, inert=ENTRIES),
    "surgeries.data.training_pairs": Line(50, inert=ENTRIES),
    "surgeries.model": Line({"decoder_layers": 2}, inert=ENTRIES),
    "surgeries.optimisation": Line({"learning_rate": 5.0e-3}, inert=ENTRIES),
}
for _group in GROUPS:
    _given = {f"sweep.{_group}": {"sources": ["translation"], "layers": [2], "surgeries": ["frozen"]}}
    TABLE |= {
        f"sweep.{_group}.{_key}": Line(_value, given=_given)
        for _key, _value in {"sources": ["base"], "layers": [1, 2], "surgeries": ["frozen", "tuned"]}.items()
    }

OF_METHODS: dict[str, Line] = {
    "methods.ngram.order": Line(3),
    "methods.ngram.side": SIDE,
    "methods.nnlm.side": SIDE,
    "methods.nnlm.input": Line("one-hot"),
    "methods.nnlm.context": Line(2),
    "methods.nnlm.hidden": Line(11),
    "methods.cbow.side": SIDE,
    "methods.cbow.window": Line(1),
    "methods.cbow.objective": Line("softmax", along={"methods.cbow.negatives": None}),
    "methods.cbow.negatives": Line(4),
    "methods.skipgram.side": SIDE,
    "methods.skipgram.window": Line(1),
    "methods.skipgram.objective": Line("softmax", along={"methods.skipgram.negatives": None}),
    "methods.skipgram.negatives": Line(4),
    "methods.glove.side": SIDE,
    "methods.glove.window": Line(1),
    "methods.glove.exponent": Line(0.5),
    "methods.glove.ceiling": Line(5.0),
    "methods.elmo.features.character_width": Line(5),
    "methods.elmo.features.windows": Line([1, 2]),
    "methods.elmo.features.filters": Line(5),
    "methods.elmo.features.layers": Line(1),
    "methods.elmo.features.cells": Line(6),
    "methods.elmo.features.width": Line(7),
    "methods.masked.rate": Line(0.6),
    "methods.contrastive.positives": Line("dropout"),
    "methods.contrastive.temperature": Line(0.2),
    "methods.contrastive.duplicate_overlap": Line(0.5),
}
"""Of the methods' own values."""
TABLE |= {leaf: replace(line, inert=ENTRIES) for leaf, line in OF_METHODS.items()}

OWN: dict[str, dict[str, Any]] = {
    "ngram": {"order": 2, "side": "source"},
    "nnlm": {"side": "source", "input": "embedding", "context": 3, "hidden": 12},
    "cbow": {"side": "source", "window": 2, "objective": "negative-sampling", "negatives": 3},
    "skipgram": {"side": "source", "window": 2, "objective": "negative-sampling", "negatives": 3},
    "glove": {"side": "source", "window": 3, "exponent": 0.75, "ceiling": 20.0},
    "onehot": {},
    **contextual.OPTIONS,
}
"""Each method's own values in the tiny project."""

TINY: dict[str, Any] = {
    "data": {"a": "toy-a", "b": "toy-b", "training_pairs": "all", "add_a": False},
    "cleaning": {"minimum_length": 1, "maximum_length": 100, "maximum_ratio": 4.0, "simplified_chinese": True},
    "splitting": {"valid": 5, "test": 5, "seed": 1},
    "text": {"source_types": 23, "target_types": 23, "joint": False},
    **{name: toy.VALUES[name] for name in ("model", "batch", "randomness", "machine")},
    "optimisation": toy.VALUES["optimisation"] | {"updates": 6, "validate_every": 3},
    "decoding": {"beam": 2, "length_penalty": 1.0, "batch_tokens": 100},
    "statistics": {"confidence": 0.95, "resamples": 100, "seed": 1},
    "methods": {method: {"method": method, **own} for method, own in OWN.items()},
    "variants": {"base": {}},
    "surgeries": {name: {"train": train, "dropout": True} for name, train in (("frozen", "never"), ("tuned", "always"))},
    "sweep": {"seeds": [1, 2], **{group: {"sources": [], "layers": [], "surgeries": []} for group in GROUPS}},
}
COMPARED: dict[str, Any] = {"sweep": {**TINY["sweep"], "seeds": [1, 2, 3]}}
"""The seeds of the made-up results that are compared."""
CLAIMS = [scored.claim(contrast={"base": 1, "translation-encoder-1-frozen": -1})]


def changed(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Values with some replaced, by the path of their leaf; a surgery's are those of `frozen`."""
    found = copy.deepcopy(dict(values))
    for path, value in changes.items():
        put(found, path.replace("surgeries.", "surgeries.frozen."), value)
    return found


# ---- what a stage does


class Handed(Exception):
    """What a stage hands to the function that does its work; it ends the stage there."""

    def __init__(self, *what: Any) -> None:
        super().__init__()
        self.what = what


def hand_over(*what: Any, **_: Any) -> None:
    raise Handed(*what)


class Project:
    """A tiny project, and what its stages do with some values."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.numbers = itertools.count()
        self.usual: dict[tuple[str, str, str], Any] = {}
        self.repo: Repo | None = None
        patch.setattr("translab.tracking.live_run", lambda _: nullcontext(types.SimpleNamespace(log=lambda step, values: None)))

    def does(self, leaf: str, stage: str, values: dict[str, Any]) -> Any:
        """What a stage makes of some values; only what this leaf can show is asked for."""
        section = leaf.partition(".")[0]
        with pytest.MonkeyPatch.context() as patch:
            known = {"dvc.yaml": PIPELINE, "params.yaml": values, "claims.yaml": CLAIMS}
            known["corpora.yaml"] = {name: {"name": name} for name in ("toy-a", "toy-b")}
            read_from(known, patch)
            if stage == GRID:
                return self.instances(values)
            if stage == "publish":
                patch.setattr("translab.tracking.publish.publish", hand_over)
                return self.handed(stage, values, {})[1:]
            if stage == "compare" and section not in ("statistics", "sweep", "methods", "surgeries"):
                return base_digest(declared(stage))
            if stage == "compare" and leaf != "sweep.seeds" and section != "statistics":
                patch.setattr("translab.report.compare.compare", hand_over)
                return self.handed(stage, values, {})[1]
            item = {"method": "translation", "variant": "base", "seed": 1, "source": "translation", "ladder": "encoder"}
            item |= {"layers": 2, "surgery": "frozen"}
            if stage in ("pretrain", "finetune-words") and section != "surgeries":
                patch.setattr("translab.training.train.train", hand_over)
                if section == "methods":
                    item["method"] = leaf.split(".")[1]
                (run,) = self.handed(stage, values, item)
                return self.learned(run) if section == "methods" else run.values
            return self.written(stage, values, item)

    def before(self, leaf: str, stage: str, values: dict[str, Any]) -> Any:
        """The same for the values that are not changed, found twice."""
        section, own, *_ = leaf.split(".")
        key = (f"{section}.{own}" if section in ("methods", "sweep") else section, stage, json.dumps(values))
        if key not in self.usual:
            self.usual[key], again = (self.does(leaf, stage, values) for _ in range(2))
            assert self.usual[key] == again, f"`{stage}` does something else with the same values"
        return self.usual[key]

    def handed(self, stage: str, values: dict[str, Any], item: dict[str, Any]) -> tuple[Any, ...]:
        """What a stage hands over."""
        with pytest.raises(Handed) as found:
            self.run(stage, values, item)
        return found.value.what

    def written(self, stage: str, values: dict[str, Any], item: dict[str, Any]) -> dict[str, str]:
        """Hashes of a stage's outputs (of costs, which are times, the threads), the threads that it takes, and its batches."""
        shapes: list[tuple[int, ...]] = []
        encode = Transformer.encode

        def seen(model: Transformer, source: torch.Tensor) -> torch.Tensor:
            shapes.append(tuple(source.shape))
            return encode(model, source)

        threads: list[int] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch, "set_num_threads", threads.append)  # what is asked for, since several would disturb each other
            if stage.startswith("evaluate"):
                patch.setattr(Transformer, "encode", seen)
            folder = self.run(stage, values, item)
        found = {"threads": str(threads), "shapes": str(shapes)}
        for output in self.outputs(stage, values, item):
            path = folder / output
            if output.startswith("data/costs/"):
                found[output] = str(read_json(path)["threads"])
                continue
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file() and file.name != "config.json":
                    found[file.relative_to(folder).as_posix()] = sha256(file)
        return found

    def outputs(self, stage: str, values: dict[str, Any], item: dict[str, Any]) -> list[str]:
        """What dvc.yaml calls the stage's outputs."""
        entries = [entry for kind in ("outs", "metrics", "plots") for entry in STAGES[stage].get(kind, [])]
        return [resolved(entry if isinstance(entry, str) else next(iter(entry)), values, item) for entry in entries]

    def run(self, stage: str, values: dict[str, Any], item: dict[str, Any]) -> Path:
        """Run a stage's script in a new folder that holds what the stage depends on; returns the folder."""
        home = self.folder / ("compared" if stage == "compare" else "home")
        place = self.folder / str(next(self.numbers))
        for dep in (resolved(dep, values, item) for dep in STAGES[stage]["deps"]):
            if dep.startswith("data/"):
                (place / dep).parent.mkdir(parents=True, exist_ok=True)
                (place / dep).symlink_to(home / dep)
        place.mkdir(exist_ok=True)
        _, script, *arguments = resolved(STAGES[stage]["cmd"], values, item).split()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(place)
            runpy.run_path(str(ROOT / script))["main"](*arguments)
        return place

    def instances(self, values: dict[str, Any]) -> dict[str, str]:
        """The commands that DVC makes of dvc.yaml, by the names of their instances."""
        folder = self.folder / "pipeline"
        if self.repo is None:
            folder.mkdir()
            self.repo = Repo.init(str(folder), no_scm=True)
        (folder / "params.yaml").write_text(json.dumps(values))
        stages = {name: {key: stage[key] for key in ("matrix", "cmd") if key in stage} for name, stage in EVERY_STAGE.items()}
        found = DataResolver(self.repo, str(folder), {"stages": stages}).resolve()["stages"]
        return {name: stage["cmd"] for name, stage in found.items()}

    def learned(self, run: Run) -> list[Any]:
        """What a pretraining method makes of a little text: examples, counts, a loss, its gradients, guesses."""
        home = self.folder / "home/data/tokenizer"
        vocabularies = Vocabularies(bpe.load(home / "source.json"), bpe.load(home / "target-a.json"))
        generator = random.Random(6)
        pairs = [toy.sentence(generator) for _ in range(24)]
        sources, targets = [list(side) for side in zip(*pairs, strict=True)]
        objective = build(run, vocabularies, torch.Generator().manual_seed(1))
        examples, _ = fitting(objective.examples(sources, targets), run.values.model.maximum_length)
        objective.count(examples)
        batch = collate(examples, range(len(examples)))
        torch.manual_seed(1)
        objective.network.train()
        loss = objective.loss(batch).objective
        if loss.requires_grad:
            loss.backward()
        objective.network.eval()
        with torch.no_grad():
            measure = objective.measure(batch)
        parameters = objective.network.named_parameters()
        gradients = {name: None if p.grad is None else (p.shape, p.grad.numpy().tobytes()) for name, p in parameters}
        shortest = sorted(pairs, key=lambda pair: len(pair[0]))[:4]
        return [examples, loss.item(), gradients, measure, objective.samples(*zip(*shortest, strict=True))]


def read_from(known: Mapping[str, Any], patch: pytest.MonkeyPatch) -> None:
    """Give what these files hold to whoever reads them: the stages, by what they declare."""
    for reader in ("read_yaml", "read_values"):
        patch.setattr(f"translab.params.{reader}", lambda path: known[Path(path).name])


def resolved(template: str, values: Mapping[str, Any], item: Mapping[str, Any]) -> str:
    """A template of dvc.yaml with its values."""
    known = {**flatten(values), **{f"item.{key}": value for key, value in item.items()}}
    return re.sub(r"\$\{([^}]+)\}", lambda match: str(known[match[1]]), template)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("values")
    data = folder / "home/data"
    for task in ("a", "b"):
        toy.write_text(data / "text" / task, train=60)
        write_raw(data / "raw" / f"toy-{task}", task)
    _, target = toy.write_tokenizers(data / "tokenizer")
    for task in ("a", "b"):
        (data / "tokenizer" / f"target-{task}.json").write_bytes(target.read_bytes())
    scored.project(folder / "compared/data", COMPARED["sweep"]["seeds"], sentences=10, variants=("base",), transfers=False)
    with pytest.MonkeyPatch.context() as patch:
        made = Project(folder, patch)
        read_from({"dvc.yaml": PIPELINE, "params.yaml": TINY}, patch)
        for seed in (1, 2):
            for stage, name in (("ablate", "base"), ("pretrain", "translation")):
                place = made.run(stage, TINY, {"variant": name, "method": name, "seed": seed})
                (data / "runs" / name).mkdir(parents=True, exist_ok=True)
                (place / "data/runs" / name / str(seed)).rename(data / "runs" / name / str(seed))
        yield made
        if made.repo is not None:
            made.repo.close()


def write_raw(folder: Path, name: str) -> None:
    """A raw corpus: sentences of many lengths, some of them in traditional characters."""
    chance = random.Random(name)
    rows = []
    for number in range(60):
        words = [chance.choice(["dog", "book", "tree", "a", "house", "river"]) for _ in range(chance.randint(1, 6))]
        glyphs = [chance.choice(["狗", "書", "樹木", "一", "房子", "河流"]) for _ in range(chance.randint(1, 6))]
        rows.append((f"{name}{number} {' '.join(words)}", f"{number}{name}{''.join(glyphs)}", None, None, None, None, None))
    arrays = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), SCHEMA, strict=True)]
    write_table(folder / "pairs.parquet", pa.table(arrays, schema=SCHEMA))
    about = {"corpus": name, "splits": None, "source_language": "en", "target_language": "zh", "phrasebook": None}
    write_json(folder / "manifest.json", about)


# ---- the walk


def test_every_leaf_has_a_line_and_every_line_a_leaf() -> None:
    missing = [leaf for leaf in LEAVES if leaf not in TABLE]
    assert not missing, f"no line in TABLE says what {' and '.join(missing)} changes; add one, or take the value out"
    gone = sorted(set(TABLE) - set(LEAVES))
    assert not gone, f"TABLE has a line for {' and '.join(gone)}, which is not a value any more; take the line out"
    assert list(OWN.keys() ^ set(METHODS)) == [], "OWN gives each method its own values, and no others"


@pytest.mark.parametrize("recipe", [None, *names(ROOT)])
def test_what_params_and_recipes_give_is_walked(recipe: str | None) -> None:
    given = PARAMS if recipe is None else read_yaml(ROOT / "recipes" / f"{recipe}.yaml")
    given = {section: values for section, values in given.items() if section in PARAMS}  # some recipes are lists of claims
    structure = {f"methods.{name}.method" for name in given.get("methods", {})}
    paths = [path for path in flatten(given) if path not in structure]
    unknown = sorted({leaf for path in paths if (leaf := leaf_of(path, given)) not in LEAVES})
    assert not unknown, f"{recipe or 'params.yaml'} gives {' and '.join(unknown)}, which no class in translab.config declares"


@pytest.mark.parametrize("leaf", [leaf for leaf in LEAVES if leaf in TABLE])
def test_a_value_changes_what_every_stage_that_reads_it_does(project: Project, leaf: str) -> None:
    line, found = TABLE[leaf], readers(leaf)
    assert found, f"{leaf} is read by no stage of dvc.yaml; take the value out"
    assert set(line.inert) <= set(found), f"{leaf} is called inert in a stage that does not read it"
    assert set(line.inert) < set(found), f"{leaf} does nothing in any stage; take the value out"
    for stage in found:
        values = changed(TINY | (COMPARED if stage == "compare" else {}), line.given)
        usual = project.before(leaf, stage, values)
        try:
            other = project.does(leaf, stage, changed(values, {leaf: line.value, **line.along}))
        except Exception as error:
            if leaf != "machine.accelerator" or torch.cuda.is_available():
                raise
            other = str(error)  # a machine without a GPU says so
        if stage in line.inert:
            assert other == usual, f"{leaf} changes something in `{stage}`, where it is called inert: {line.inert[stage]}"
        else:
            assert other != usual, f"{leaf}: with {line.value!r} `{stage}` does what it did before"


# ---- what a method and a body do not read


LANGUAGES = {"corpus": "toy", "source_language": "en", "target_language": "de"}
IN_THE_LOOP = ("batch.tokens", "batch.bucketing", "optimisation.passes", "optimisation.consistency")
"""Values that act in the training of every network, or that only translation may have."""
OF_NETWORKS = [
    leaf
    for leaf in LEAVES
    if (leaf.startswith(("model.", "batch.")) and leaf not in IN_THE_LOOP) or leaf == "optimisation.label_smoothing"
]


def test_no_two_methods_do_the_same(project: Project) -> None:
    learned = [project.learned(pretraining(TINY, method, 1, LANGUAGES)) for method in METHODS]
    assert all(one != other for one, other in itertools.combinations(learned, 2))


@pytest.mark.parametrize("method", METHODS)
def test_a_method_reads_the_values_that_its_entries_may_change(project: Project, method: str) -> None:
    usual = project.learned(pretraining(TINY, method, 1, LANGUAGES))
    for leaf in OF_NETWORKS:
        other = project.learned(pretraining(changed(TINY, {leaf: TABLE[leaf].value}), method, 1, LANGUAGES))
        if leaf in UNREAD.get(method, ()):
            assert other == usual, f"{method} reads {leaf}; take it out of UNREAD in src/translab/entries.py"
        else:
            assert other != usual, f"{method} does not read {leaf}; add it to UNREAD in src/translab/entries.py"


@pytest.mark.parametrize("method", METHODS)
def test_an_entry_of_methods_cannot_change_what_its_method_does_not_read(method: str) -> None:
    for leaf in UNREAD.get(method, ()):
        section, key = leaf.split(".")
        entry = {"method": method, section: {key: TINY[section][key]}}
        with pytest.raises(ConfigError) as error:
            method_values("some", entry, {**TINY, "data": DATA_OF_A}, "params.yaml")
        assert str(error.value) == (
            f"params.yaml: methods.some.{section}.{key} does nothing, since `{method}` does not read it; leave it out."
        )


def test_what_is_counted_or_given_is_not_trained(project: Project) -> None:
    for method in METHODS:
        _, _, gradients, *_ = project.learned(pretraining(TINY, method, 1, LANGUAGES))
        is_trained = any(gradient is not None for gradient in gradients.values())
        assert is_trained is ("optimisation.updates" not in UNREAD.get(method, ()))


@pytest.mark.parametrize("body", ["torch", *RECURRENT])
def test_a_body_reads_the_values_that_a_variant_may_change_with_it(project: Project, body: str) -> None:
    base = changed(TINY, {"model.body": body, "model.encoder_layers": 1})
    usual = project.learned(pretraining(base, "translation", 1, LANGUAGES))
    for leaf in (leaf for leaf in OF_NETWORKS if leaf.startswith("model.") and leaf != "model.body"):
        key, value = leaf.removeprefix("model."), TABLE[leaf].value
        if key in TRANSFORMER_ALONE:
            continue  # refused by the model itself (test_bodies.py)
        delta = {key: value} if not key.endswith("_layers") else {"encoder_layers": 2, "decoder_layers": 2}
        other = project.learned(pretraining({**base, "model": {**base["model"], **delta}}, "translation", 1, LANGUAGES))
        if body in RECURRENT and key in NOT_RECURRENT:
            assert other == usual, f"{body} reads {leaf}; take it out of NOT_RECURRENT in src/translab/config/model.py"
            with pytest.raises(ConfigError) as error:
                with_delta(TINY, {"model": {"body": body, key: value}}, "with-some")
            assert str(error.value) == (
                f"params.yaml: variants.with-some changes `{leaf}`, which does nothing in the body `{body}`; leave it out."
            )
        else:
            assert other != usual, f"{body} does not read {leaf}; add it to NOT_RECURRENT in src/translab/config/model.py"


# ---- dvc.yaml


def test_evaluations_of_fine_tuned_models_read_what_those_of_variants_do() -> None:
    assert EVERY_STAGE["evaluate-words"]["params"] == EVERY_STAGE["evaluate-ablate"]["params"]


def test_no_code_reads_params_yaml_but_by_what_its_stage_declares() -> None:
    package = ROOT / "src/translab"
    found = {
        file.relative_to(package).as_posix()
        for file in package.rglob("*.py")
        if "commands" not in file.parts  # what a user calls is no stage
        and re.search(r"\bread_(yaml|values)\(.*(PARAMS\b|params\.yaml)", file.read_text(encoding="utf-8"))
    }
    assert found == {"params.py", "cards/facts.py"}
    # The card of a model is also written outside the pipeline; of params.yaml it has what `publish` declares.
    cards = "".join(file.read_text(encoding="utf-8") for file in (package / "cards").glob("*.py"))
    sections = set(re.findall(r"facts\.params\[[\"'](\w+)", cards))
    assert sections == {"decoding", "statistics"}
    assert sections <= {entry for entry in STAGES["publish"]["params"] if isinstance(entry, str)}


def test_a_size_that_a_joint_vocabulary_would_not_have_is_refused() -> None:
    with pytest.raises(ConfigError) as error:
        check(Text, {"source_types": 23, "target_types": 22, "joint": True}, "params.yaml: text")
    assert str(error.value) == (
        "params.yaml: text: joint is true, but source_types is 23 and target_types 22; one vocabulary has one size, so give "
        "both the same."
    )
