"""Run a stage's command in a fork of a Python that has the libraries imported already, instead of a new Python.

Importing PyTorch and Lightning costs more than many a stage computes. A server (forkserver.py) imports them once; the fork has
the command's arguments, environment, folder and output, belongs to the process group of whoever asked for it, and runs
translab's source as it is then. What cannot go this way runs as the command it is: another command than `python <script> ...`,
a server that did not start, a system on which such a fork is not safe (Apple's libraries), an accelerator (whose driver must be
opened after the fork, and may have been opened by an import).
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

SERVER = Path(__file__).with_name("forkserver.py")
SCORING = (
    "torch",
    "safetensors.torch",
    "tokenizers",
    "sacrebleu",
    "pandas",
    "pyarrow.parquet",
    "pydantic.type_adapter",
    "ruamel.yaml",
)
TRAINING = (*SCORING, "pytorch_lightning")
LIBRARIES = {"pretrain": TRAINING, "ablate": TRAINING, "finetune": TRAINING, "evaluate": SCORING}
"""What the stages import, by the first word of their names; pandas comes with PyArrow's first table."""
WITHOUT_THREADS = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""PyArrow's allocator starts a thread of its own when it is loaded, which a fork would not take along."""

PLAIN = re.compile(r"python [\w./][\w./-]*\.py( [\w./:@+,-][\w./:@+,=-]*)*")
"""Scripts with arguments that every shell takes word by word."""


class ForkServer:
    """The server, and the way to it, which processes forked from this one share."""

    def __init__(self, libraries: Sequence[str], log: Path) -> None:
        """Start it.

        Args:
            libraries: modules that it imports when it is first asked for a fork.
            log: file that takes what it has to say.

        Raises:
            OSError: if there is no `python`.
        """
        self._channel, theirs = socket.socketpair()
        log.parent.mkdir(parents=True, exist_ok=True)
        with theirs, log.open("w", encoding="utf-8") as output:
            self._process = subprocess.Popen(
                ["python", SERVER, str(theirs.fileno()), *libraries],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | WITHOUT_THREADS | {"PYTHONUNBUFFERED": "1"},
                process_group=0,  # Ctrl-C is the runner's
            )

    def stop(self) -> None:
        """End the server; stages that it forked go on."""
        self._channel.close()
        self._process.terminate()
        self._process.wait()

    def run(self, command: str, folder: str, environment: Mapping[str, str]) -> int | None:
        """Run a command to its end.

        Args:
            command: the command line.
            folder: where it runs.
            environment: all its variables.

        Returns:
            its exit code, negative for the signal that ended it; or None, if it has to be run in the usual way.
        """
        if not PLAIN.fullmatch(command):
            return None
        mine, theirs = socket.socketpair()
        with mine, mine.makefile("rw", encoding="utf-8") as lines:
            try:
                with theirs:
                    socket.send_fds(self._channel, [b"."], [theirs.fileno(), 0, 1, 2])
                print(os.getpgrp(), file=lines, flush=True)
                if not lines.readline():
                    return None
            except OSError:
                return None  # the server is gone
            return _result(lines, {"arguments": command.split()[1:], "folder": folder, "environment": dict(environment)})


def _result(lines: TextIO, request: Mapping[str, Any]) -> int:
    try:
        print(json.dumps(request), file=lines, flush=True)
        return int(lines.readline())
    except (OSError, ValueError):
        return -9  # who waited for the stage was killed, and could not say how it ended


def server_for(instances: Iterable[str], accelerator: str, log: Path) -> ForkServer | None:
    """A server with the libraries that these instances import, if any of them imports any, and forks are safe here."""
    wanted = {library: None for name in instances for library in libraries(name)}
    if not wanted or accelerator != "cpu" or sys.platform != "linux":
        return None
    try:
        return ForkServer(list(wanted), log)
    except OSError:
        return None


def libraries(instance: str) -> tuple[str, ...]:
    """What the stage of an instance imports of what is worth sharing.

    >>> libraries("finetune-words@translation-encoder-1-frozen-2")[-1]
    'pytorch_lightning'
    >>> libraries("compare")
    ()
    """
    return LIBRARIES.get(re.split("[@-]", instance, maxsplit=1)[0], ())
