"""How a stage starts and fails: a known error is one sentence on stderr and exit code 1; anything else keeps its traceback."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable


def run(main: Callable[..., None]) -> None:
    """Call `main` with the command line's arguments.

    An error whose class is translab's own was written for a person: it is shown as its sentence alone. Every other exception
    is a defect, and shows where it arose.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        main(*sys.argv[1:])
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "translab":
            raise
        sys.exit(f"{sys.argv[0]}: {error}")
