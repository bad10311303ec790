"""A Python that has imported the libraries and forks itself for each stage: `python forkserver.py <socket> <library> ...`.

It runs as a script of its own and imports nothing of translab, whose source may be edited between two stages. Each byte on its
socket brings four descriptors: a socket to the client, and the stage's standard input, output and error. Over the client's
socket then goes, one line each:

    client → the number of its process group
    fork   → "here", when it has joined that group, so that a signal to the group can no longer miss it
    client → {"arguments": [script, ...], "folder": ..., "environment": {...}}, in JSON
    fork   → the stage's exit code, negative for a signal

Two forks serve a client: one runs the stage and ends as any Python does, the other waits for it. Nothing here starts a thread,
since a fork would not take it along.
"""

from __future__ import annotations

import atexit
import builtins
import gc
import importlib
import json
import os
import signal
import socket
import sys
from types import ModuleType, TracebackType


def serve(channel: socket.socket, libraries: list[str]) -> str | None:
    """Import the libraries when the first client comes, and fork for every client.

    Returns:
        in the process that is to run a stage, its script; in the server None, when nobody is left who could ask.
    """
    given = dict(os.environ)
    while True:
        _, descriptors, _, _ = socket.recv_fds(channel, 1, 4)
        if not descriptors:
            return None
        for library in libraries:
            importlib.import_module(library)
        gc.freeze()  # what is imported stays; a collection that looks at it would only copy its pages
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # a fork that has ended is gone, and no member of its group any more
        if os.fork() == 0:
            channel.close()
            set_by_libraries = {name: value for name, value in os.environ.items() if given.get(name) != value}
            return _attend(set_by_libraries, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _attend(set_by_libraries: dict[str, str], connection: int, *streams: int) -> str:
    client = socket.socket(fileno=connection)
    lines = client.makefile("rw", encoding="utf-8")
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        os.setpgid(0, int(lines.readline()))
        print("here", file=lines, flush=True)
        request = json.loads(lines.readline())
    except (OSError, ValueError):  # the client has gone
        os._exit(0)
    stage = os.fork()
    if stage == 0:
        lines.close()
        client.close()
        return _become(request["arguments"], request["folder"], request["environment"] | set_by_libraries, streams)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the stage's answer to a signal is what counts
    for descriptor in streams:
        os.close(descriptor)
    _, status = os.waitpid(stage, 0)
    try:
        print(os.waitstatus_to_exitcode(status), file=lines, flush=True)
    finally:
        os._exit(0)


def _become(arguments: list[str], folder: str, environment: dict[str, str], streams: tuple[int, ...]) -> str:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.argv = arguments
    script = os.path.abspath(arguments[0])
    sys.path.insert(0, os.path.dirname(script))
    sys.excepthook = _without_own_frames
    return script


def _without_own_frames(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    while trace and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    sys.__excepthook__(kind, error.with_traceback(trace), trace)


def run(script: str) -> None:
    """Run a script as `python <script>` does, as the module `__main__`."""
    main = ModuleType("__main__")
    vars(main).update(__file__=script, __builtins__=builtins)
    sys.modules["__main__"] = main
    with open(script, "rb") as source:
        code = compile(source.read(), script, "exec")
    exec(code, vars(main))  # noqa: S102
    ended.append(main)


def _end() -> None:
    """End a process whose script ended well, after all else that Python does at exit but to clear every module.

    That would write to, and so copy, nearly every page which the libraries share: half a second for nothing. What the script
    itself left open is closed.
    """
    while ended:
        vars(ended.pop()).clear()
        gc.collect()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


if __name__ == "__main__":
    ended: list[ModuleType] = []
    atexit.register(_end)  # the first to be registered is the last to be called
    del sys.path[0]  # this file's folder, which is nobody else's
    wanted = serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
    if wanted:
        run(wanted)
