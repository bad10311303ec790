"""What the parallel runner says: a line for each instance that ended, and on a terminal a last line of what runs now."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from translab_dvc import plan

DURATIONS = Path(".cache/durations.json")
"""How long each instance took when it last ran, in seconds."""


def clock(seconds: float) -> str:
    """Seconds as a person reads them.

    >>> clock(7.2), clock(75), clock(3700)
    ('7 s', '1:15', '1:01:40')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def instances(number: int) -> str:
    """Number of instances, as text.

    >>> instances(1), instances(3)
    ('1 instance', '3 instances')
    """
    return f"{number} instance{'' if number == 1 else 's'}"


def load_durations(path: Path) -> dict[str, float]:
    """Seconds that instances took in earlier calls."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return {}


@dataclass
class Progress:
    """Counts what ended and foretells what is left.

    Attributes:
        needs: all instances of this call, with those of them that each one needs.
        jobs: how many run side by side.
        durations: file that keeps how long each instance took.
        out: where the lines go.
    """

    needs: Mapping[str, frozenset[str]]
    jobs: int
    durations: Path
    out: TextIO = field(default_factory=lambda: sys.stdout)
    _known: dict[str, float] = field(init=False)
    _started: dict[str, float] = field(default_factory=dict)
    _finished: int = 0
    _measured: bool = False
    _begin: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._known = load_durations(self.durations)
        self._measured = any(name in self._known for name in self.needs)

    @property
    def seconds(self) -> dict[str, float]:
        """What each instance is expected to take."""
        return plan.estimates(self.needs, self._known)

    def start(self, instance: str) -> None:
        """An instance begins."""
        self._started[instance] = time.monotonic()

    def finish(self, instance: str, left: list[str]) -> None:
        """An instance ended well: say so, and keep how long it took."""
        taken = time.monotonic() - self._started.pop(instance)
        self._finished += 1
        self._known[instance] = round(taken, 1)
        self._measured = True
        self.durations.parent.mkdir(parents=True, exist_ok=True)
        self.durations.write_text(json.dumps(self._known, indent=0), encoding="utf-8")
        width = len(str(len(self.needs)))
        name = max(map(len, self.needs))
        count = f"{self._finished:{width}}/{len(self.needs)}"
        self.say(f"{count}  {instance:{name}}  {clock(taken):>8}   elapsed {self.elapsed}{self._rest(left)}")

    def fail(self, instance: str) -> float:
        """An instance ended badly; says after how many seconds."""
        return time.monotonic() - self._started.pop(instance)

    def say(self, line: str) -> None:
        """Print a line above the status line."""
        print(f"\r\x1b[K{line}" if self.out.isatty() else line, file=self.out, flush=True)

    def show(self, left: list[str]) -> None:
        """Draw the status line anew (on a terminal only)."""
        if not self.out.isatty():
            return
        now = time.monotonic()
        running = ", ".join(f"{name} {clock(now - since)}" for name, since in self._started.items())
        line = f"{self._finished}/{len(self.needs)} done, elapsed {self.elapsed}{self._rest(left)}   running: {running}"
        print(f"\r\x1b[K{line[: _columns(self.out) - 1]}", end="", file=self.out, flush=True)

    @property
    def elapsed(self) -> str:
        """Time since the start."""
        return clock(time.monotonic() - self._begin)

    def _rest(self, left: list[str]) -> str:
        if not self._measured or not (left or self._started):
            return ""
        expected = self.seconds
        now = time.monotonic()
        running = {name: max(expected[name] - (now - since), 1.0) for name, since in self._started.items()}
        remaining = {**{name: expected[name] for name in left}, **running}
        chain = plan.priorities(plan.restrict(self.needs, frozenset(remaining)), remaining)
        rest = max(sum(remaining.values()) / self.jobs, *chain.values())
        return f", about {clock(rest)} left"


def _columns(out: TextIO) -> int:
    try:
        return os.get_terminal_size(out.fileno()).columns
    except OSError:
        return 80
