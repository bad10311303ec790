"""Which instances of the pipeline have to run, and in which order.

Nothing here knows DVC: a pipeline is a mapping from an instance's name (`ablate@heads-1-2`) to the names of those it needs.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Needs = Mapping[str, frozenset[str]]
"""The instances that each instance needs directly."""


def stage_of(instance: str) -> str:
    """The stage of an instance.

    >>> stage_of("ablate@heads-1-2")
    'ablate'
    """
    return instance.partition("@")[0]


def with_dependants(needs: Needs, changed: Iterable[str]) -> frozenset[str]:
    """The changed instances and all that depend on them, directly or not."""
    return _reached(_dependants(needs), changed)


def restrict(needs: Needs, instances: frozenset[str]) -> dict[str, frozenset[str]]:
    """The part of a pipeline that holds only these instances; the others count as done."""
    return {name: needs[name] & instances for name in needs if name in instances}


def model_of(instance: str) -> str | None:
    """An instance of a training without its seed, which other seeds of the same model have too.

    >>> model_of("ablate@heads-1-2"), model_of("evaluate-ablate@base")
    ('ablate@heads-1', None)
    """
    model, _, seed = instance.rpartition("-")
    return model if "@" in model and seed.isdigit() else None


def estimates(instances: Iterable[str], known: Mapping[str, float]) -> dict[str, float]:
    """Seconds that each instance will take.

    What it took last time; else what other seeds of the same model, instances of its stage, or all instances took on average.
    """
    groups: dict[str | None, list[float]] = {}
    for name, seconds in known.items():
        for group in (model_of(name), stage_of(name), ""):
            groups.setdefault(group, []).append(seconds)
    averages = {group: statistics.fmean(seconds) for group, seconds in groups.items() if group is not None}

    def average(name: str) -> float:
        return next((averages[group] for group in (model_of(name), stage_of(name), "") if group in averages), 1.0)

    return {name: known[name] if name in known else average(name) for name in instances}


def ancestors(needs: Needs, instances: Iterable[str]) -> frozenset[str]:
    """The instances and all that they need, directly or not."""
    return _reached(needs, instances)


def priorities(needs: Needs, seconds: Mapping[str, float]) -> dict[str, float]:
    """Seconds from the start of each instance to the end of the longest chain that waits for it.

    >>> priorities({"a": frozenset(), "b": frozenset({"a"})}, {"a": 1.0, "b": 2.0})
    {'b': 2.0, 'a': 3.0}
    """
    dependants = _dependants(needs)
    found: dict[str, float] = {}
    for name in reversed(topological(needs)):
        found[name] = seconds[name] + max((found[other] for other in dependants[name]), default=0.0)
    return found


def topological(needs: Needs) -> list[str]:
    """All instances, each after those it needs."""
    dependants = _dependants(needs)
    missing = {name: len(needs[name]) for name in needs}
    ready = [name for name in needs if not missing[name]]
    ordered: list[str] = []
    for name in ready:
        ordered.append(name)
        for other in dependants[name]:
            missing[other] -= 1
            if not missing[other]:
                ready.append(other)
    return ordered


@dataclass
class Queue:
    """The instances that still have to start; of those that may, the one at the head of the longest chain comes first."""

    needs: dict[str, frozenset[str]]
    seconds: Mapping[str, float]
    _finished: set[str] = field(default_factory=set)
    _waiting: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        rank = priorities(self.needs, self.seconds)
        self._waiting = sorted(self.needs, key=lambda name: -rank[name])

    def take(self) -> str | None:
        """The next instance that may start, or nothing while all that is left waits for others."""
        for name in self._waiting:
            if self.needs[name] <= self._finished:
                self._waiting.remove(name)
                return name
        return None

    def finish(self, instance: str) -> None:
        """Let those start that waited for this instance."""
        self._finished.add(instance)

    def drop(self, instances: Iterable[str]) -> list[str]:
        """Give up instances that have not started; says which."""
        unwanted = set(instances)
        dropped = [name for name in self._waiting if name in unwanted]
        self._waiting = [name for name in self._waiting if name not in unwanted]
        return dropped

    @property
    def waiting(self) -> list[str]:
        """What has not started, the most urgent first."""
        return list(self._waiting)


def _reached(links: Mapping[str, Iterable[str]], start: Iterable[str]) -> frozenset[str]:
    """The instances that one starts from, and all that links lead to."""
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        instance = waiting.pop()
        if instance not in found:
            found.add(instance)
            waiting.extend(links[instance])
    return frozenset(found)


def _dependants(needs: Needs) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {name: [] for name in needs}
    for name, those in needs.items():
        for other in those:
            found[other].append(name)
    return found
