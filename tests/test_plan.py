"""What the parallel runner decides without DVC: what runs, in which order, and how an entry of dvc.lock is replaced."""

from __future__ import annotations

import io
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from translab_dvc import lockfile, plan
from translab_dvc.progress import Progress

DIAMOND = {
    "top": frozenset[str](),
    "left": frozenset({"top"}),
    "right": frozenset({"top"}),
    "end": frozenset({"left", "right"}),
}
LOCK = "schema: '2.0'\nstages:\n  a@1:\n    cmd: x\n    outs:\n    - path: o\n  a@10:\n    cmd: y\n  b:\n    cmd: z\n"


def test_what_changed_takes_along_all_that_depends_on_it() -> None:
    assert plan.with_dependants(DIAMOND, ["left"]) == {"left", "end"}
    assert plan.with_dependants(DIAMOND, []) == frozenset()


def test_the_head_of_the_longest_chain_starts_first() -> None:
    needs = {**DIAMOND, "alone": frozenset[str]()}
    queue = plan.Queue(needs, {"top": 1, "left": 1, "right": 5, "end": 1, "alone": 6})
    assert queue.take() == "top"
    assert queue.take() == "alone"
    assert queue.take() is None
    queue.finish("top")
    assert [queue.take(), queue.take(), queue.take()] == ["right", "left", None]


def test_a_duration_that_is_not_known_is_that_of_the_same_stage() -> None:
    known = {"ablate@a-1": 10.0, "ablate@b-1": 20.0, "prepare": 3.0}
    assert plan.estimates(["ablate@a-1", "ablate@c-1", "compare"], known) == {"ablate@a-1": 10, "ablate@c-1": 15, "compare": 11}


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30))
def test_every_instance_comes_after_those_it_needs(pairs: list[tuple[int, int]]) -> None:
    needs = {str(n): frozenset(str(low) for low, high in pairs if high == n and low < n) for n in range(10)}
    ordered = plan.topological(needs)
    assert sorted(ordered) == sorted(needs)
    assert all(ordered.index(other) < ordered.index(name) for name in needs for other in needs[name])


def test_progress_counts_and_foretells(tmp_path: Path) -> None:
    out = io.StringIO()
    (tmp_path / "durations.json").write_text('{"top": 4, "left": 60, "right": 60, "end": 30}')
    progress = Progress(DIAMOND, 2, tmp_path / "durations.json", out)
    progress.start("top")
    progress.finish("top", ["left", "right", "end"])
    assert out.getvalue() == "1/4  top         0 s   elapsed 0 s, about 1:30 left\n"


# ---- dvc.lock


def test_an_entry_is_found_by_its_whole_name() -> None:
    assert lockfile.entry(LOCK, "a@1") == "  a@1:\n    cmd: x\n    outs:\n    - path: o\n"
    assert lockfile.entry(LOCK, "b") == "  b:\n    cmd: z\n"
    assert lockfile.entry(LOCK, "c") == ""


def test_an_entry_is_replaced_in_place_or_put_at_the_end() -> None:
    assert lockfile.replace_entry(LOCK, "a@10", "  a@10:\n    cmd: new\n") == LOCK.replace("cmd: y", "cmd: new")
    assert lockfile.replace_entry(LOCK, "b", "  b:\n    cmd: new\n") == LOCK.replace("cmd: z", "cmd: new")
    assert lockfile.replace_entry(LOCK, "c", "  c:\n    cmd: w\n") == LOCK + "  c:\n    cmd: w\n"
