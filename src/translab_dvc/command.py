"""The command `translab`: what is not a stage. Each sub-command is a file of its own, which says in `add` what it takes.

`--help` imports none of what the commands need; each imports its own when it runs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from translab.commands import card, export, phrasebook, translate, verify
from translab_dvc import plan_command

COMMANDS = (phrasebook, plan_command, verify, translate, card, export)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code.

    Args:
        arguments: those after the program's name; those of the process, if none are given.
    """
    parser = argparse.ArgumentParser(prog="translab", description="Small translation models, compared reproducibly.")
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in COMMANDS:
        command.add(commands)
    options = parser.parse_args(arguments)
    try:
        code = int(options.run(options))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads the output (`head`) has seen enough; Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        # Errors of our own were written for a person; every other exception is a defect, and shows where it arose.
        if type(error).__module__.partition(".")[0] not in ("translab", "translab_dvc"):
            raise
        print(f"translab: {error}", file=sys.stderr)
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
