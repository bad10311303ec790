"""dvc.yaml says all that a stage depends on and nothing more: an edit re-runs exactly what it changes."""

from __future__ import annotations

import ast
import contextlib
import math
import re
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from conftest import ROOT, SMALL_GRID
from translab.config import GROUPS
from translab_dvc import plan

SOURCE = ROOT / "src"
EXEMPT = (
    "src/translab/config",
    "src/translab/entries.py",
    "src/translab/params.py",
    "src/translab/stage.py",
    "src/translab/tracking",
    "src/translab/pretraining/__init__.py",
)
"""Named at the head of dvc.yaml, with the reason."""
METHODS_FOLDER = "src/translab/pretraining"

PIPELINE: dict[str, Any] = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]
PARAMS: dict[str, Any] = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")


def read(folder: Path) -> tuple[dict[str, frozenset[str]], set[str]]:
    """What each instance of a project needs, and those that DVC calls changed."""
    with contextlib.chdir(folder), Repo() as repo:
        graph = repo.index.graph
        needs = {stage.addressing: frozenset(other.addressing for other in graph.successors(stage)) for stage in graph}
        return needs, set(repo.status())


# ---- the number of instances


def test_the_grid_has_as_many_instances_as_its_lists_say() -> None:
    with Repo(str(ROOT)) as repo:
        instances = [stage.addressing for stage in repo.index.stages]
    sweep = PARAMS["sweep"]
    methods, variants, seeds = len(PARAMS["methods"]), len(PARAMS["variants"]), len(sweep["seeds"])
    transfers = sum(math.prod(len(entries) for entries in sweep[group].values()) for group in GROUPS)
    models = methods + variants + transfers
    corpora_and_text = len({PARAMS["data"]["a"], PARAMS["data"]["b"]}) + len(["prepare", "tokenizer"])
    assert len(instances) == corpora_and_text + models * seeds + models + len(["compare", "publish"])
    assert len(set(instances)) == len(instances)


def test_instances_are_named_by_their_keys_and_all_is_up_to_date_after_a_repro(finished_project: Path) -> None:
    needs, changed = read(finished_project)
    assert changed == set()
    assert {"ablate@heads-1-2", "pretrain@small-1", "finetune-encoder@translation-encoder-1-tuned-2"} <= set(needs)
    assert {"evaluate-ablate@base", "evaluate-curve@translation-joint-2-tuned-30"} <= set(needs)


@pytest.mark.parametrize("kind", ["finetune", "evaluate"])
def test_the_groups_of_fine_tuned_models_differ_in_their_matrix_alone(kind: str) -> None:
    first, *others = ({**PIPELINE[f"{kind}-{group}"]} for group in GROUPS)
    for stage, group in zip([first, *others], GROUPS, strict=True):
        matrix = stage.pop("matrix")
        assert matrix["ladder"] == [GROUPS[group]]
        assert [matrix[key] for key in ("source", "layers", "surgery")] == [
            f"${{sweep.{group}.{key}}}" for key in ("sources", "layers", "surgeries")
        ]
    assert all(other == first for other in others)


# ---- deps hold all code that a stage runs


def imports(file: Path) -> Iterator[Path]:
    """Files of translab that a file imports, its packages' own files included."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively; write the whole name"
            modules = [node.module or "", *(f"{node.module}.{name.name}" for name in node.names)]
        else:
            continue
        for module in modules:
            parts = module.split(".")
            if parts[0] != "translab":
                continue
            for depth in range(1, len(parts) + 1):
                stem = SOURCE.joinpath(*parts[:depth])
                yield from (path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file())


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def lies_under(name: str, places: list[str] | tuple[str, ...]) -> bool:
    return any(name == place or name.startswith(f"{place}/") for place in places)


def says_nothing(file: Path) -> bool:
    """Whether a file holds no statement besides its docstring."""
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


@pytest.mark.parametrize("stage", PIPELINE)
def test_every_module_that_a_stage_imports_lies_under_its_deps(stage: str) -> None:
    deps = [dep for dep in PIPELINE[stage]["deps"] if dep.startswith(("src/", "stages/"))]
    for dep in deps:
        assert (ROOT / dep).exists(), f"dvc.yaml: {stage} depends on {dep}, which does not exist"
    begin = [ROOT / dep for dep in deps if dep.endswith(".py")]
    # A method's module is imported by its name, so no import names it: where all methods are a dep, all are followed.
    begin += [path for dep in deps if dep == METHODS_FOLDER for path in (ROOT / dep).glob("*.py")]
    seen: set[Path] = set()
    while begin:
        file = begin.pop()
        name = name_of(file)
        if file in seen or (lies_under(name, EXEMPT) and not lies_under(name, deps)):
            continue
        seen.add(file)
        begin += imports(file)
    missing = sorted(name_of(file) for file in seen if not lies_under(name_of(file), deps) and not says_nothing(file))
    assert not missing, f"dvc.yaml: {stage} runs code that is not among its deps: {', '.join(missing)}"


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_runs_the_script_it_depends_on(stage: str) -> None:
    script = re.search(r"stages/\w+\.py", PIPELINE[stage]["cmd"])
    assert script is not None
    assert script[0] in PIPELINE[stage]["deps"]


@pytest.mark.parametrize("stage", [stage for stage in PIPELINE if stage != "compare"])
def test_only_the_comparison_depends_on_its_code(stage: str) -> None:
    assert not any(dep.startswith(("src/translab/comparison", "src/translab/report")) for dep in PIPELINE[stage]["deps"])


def test_outputs_of_the_grid_are_cached_so_that_the_run_cache_works() -> None:
    for name, stage in PIPELINE.items():
        # The comparison writes for git; a store must be filled, not its receipt restored from a cache.
        if name not in ("compare", "publish"):
            entries = [entry for kind in ("outs", "metrics", "plots") for entry in stage.get(kind, [])]
            assert all(isinstance(entry, str) for entry in entries), f"dvc.yaml: an output of {name} has options"


# ---- the floors of the house


@pytest.mark.parametrize("file", sorted((SOURCE / "translab").rglob("*.py")), ids=name_of)
def test_nothing_in_translab_imports_what_stands_above_it(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        modules = [name.name for name in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        tops = {module.partition(".")[0] for module in modules}
        assert not tops & {"stages", "translab_dvc"}
        if "tracking" not in file.parts:
            assert "mlflow" not in tops, "only tracking may import mlflow"


# ---- edits


def put(*path: str, value: Any) -> Callable[[Any], None]:
    def edit(values: Any) -> None:
        for key in path[:-1]:
            values = values[key]
        values[path[-1]] = value

    return edit


SWEEP = SMALL_GRID["sweep"]
SEEDS, VARIANTS, METHODS = SWEEP["seeds"], list(SMALL_GRID["variants"]), list(SMALL_GRID["methods"])
TRANSFERS = {
    group: [
        f"{source}-{ladder}-{layers}-{surgery}"
        for source, layers, surgery in product(*(SWEEP[group][key] for key in ("sources", "layers", "surgeries")))
    ]
    for group, ladder in GROUPS.items()
}
END = {"compare", "publish"}


def runs(*seeds: int) -> set[str]:
    every = {"pretrain": METHODS, "ablate": VARIANTS, **{f"finetune-{group}": names for group, names in TRANSFERS.items()}}
    return {f"{stage}@{name}-{seed}" for stage, names in every.items() for name in names for seed in seeds}


EVALUATIONS = {
    *(f"evaluate-pretrain@{name}" for name in METHODS),
    *(f"evaluate-ablate@{name}" for name in VARIANTS),
    *(f"evaluate-{group}@{name}" for group, names in TRANSFERS.items() for name in names),
}
NARROW = {"ablate@narrow-1", "ablate@narrow-2", "evaluate-ablate@narrow"}
TEXT = {"prepare", "tokenizer"}

EDITS = {
    "a variant is added": ("params.yaml", put("variants", "narrow", value={"model": {"width": 32}}), NARROW | END),
    "a seed is added": ("params.yaml", put("sweep", "seeds", value=[*SEEDS, 3]), runs(3) | EVALUATIONS | END),
    "the beam is made wider": ("params.yaml", put("decoding", "beam", value=7), EVALUATIONS | END),
    "a depth is added": (
        "params.yaml",
        put("sweep", "encoder", "layers", value=[1, 2]),
        {f"finetune-encoder@translation-encoder-2-{how}-{seed}" for how in ("frozen", "tuned") for seed in SEEDS}
        | {f"evaluate-encoder@translation-encoder-2-{how}" for how in ("frozen", "tuned")}
        | END,
    ),
    "the report's code is edited": ("src/translab/report/page.py", None, END),
    "the learning rate is changed": (
        "params.yaml",
        put("optimisation", "learning_rate", value=0.0123),
        runs(*SEEDS) | EVALUATIONS | END,
    ),
    "a corpus is changed": (
        "corpora.yaml",
        put("phrasebook-travel", "sizes", "train", value=123),
        {"download@phrasebook-travel"} | TEXT | runs(*SEEDS) | EVALUATIONS | END,
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_runs_again_what_depends_on_it_and_nothing_else(finished_project: Path, edit: str) -> None:
    file, change, expected = EDITS[edit]
    path = finished_project / file
    before = path.read_bytes()
    try:
        if change is None:
            path.write_bytes(before + b"# a remark\n")
        else:
            yaml = YAML()
            values = yaml.load(path)
            change(values)
            yaml.dump(values, path)
        needs, changed = read(finished_project)
    finally:
        path.write_bytes(before)
    assert plan.with_dependants(needs, changed) == expected
