"""`python -m translab.tracking dashboard [--port 5000]`, or `serve`; `follow` is what live runs start."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from translab.tracking.dashboard import dashboard
from translab.tracking.follow import follow
from translab.tracking.serving import serve
from translab.tracking.store import TrackingError


def main() -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(prog="python -m translab.tracking", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    pages = commands.add_parser("dashboard", help="open MLflow's pages on loopback and print direct links")
    model = commands.add_parser("serve", help="serve the best model on loopback")
    for server in (pages, model):
        server.add_argument("--port", type=int, default=5000)
    carry = commands.add_parser("follow", help="carry the journals of live runs to the store (started by the runs)")
    carry.add_argument("root", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "follow":
        follow(arguments.root)
        return
    try:
        if arguments.command == "serve":
            serve(Path.cwd(), arguments.port)
        else:
            dashboard(Path.cwd(), arguments.port)
    except TrackingError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:  # the way to end it
        print()


if __name__ == "__main__":
    main()
