"""How a command that translates is told to search: by its options, or by the project in the current folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from translab.config import Decoding


def add_decoding_options(parser: argparse.ArgumentParser) -> None:
    """Add `--beam`, `--length-penalty` and `--batch-tokens`."""
    group = parser.add_argument_group("search", "what is not given is as in section `decoding` of params.yaml in this folder")
    group.add_argument("--beam", type=int, metavar="K", help="hypotheses kept; 1 is greedy")
    group.add_argument(
        "--length-penalty", type=float, metavar="A", help="a score is log probability / length^A; 0 compares log probabilities"
    )
    group.add_argument("--batch-tokens", type=int, metavar="N", help="source types in a batch, padding included")


def decoding_values(options: argparse.Namespace) -> Decoding:
    """The values of a search.

    Args:
        options: of a command that has the options above.

    Raises:
        ConfigError: if a value is wrong, or neither the options nor a params.yaml in the current folder say it.
    """
    from translab.config import ConfigError, Decoding, check
    from translab.entries import PARAMS
    from translab.params import read_yaml

    given = {name: getattr(options, name) for name in Decoding.model_fields if getattr(options, name) is not None}
    missing = [f"--{name.replace('_', '-')}" for name in Decoding.model_fields if name not in given]
    if missing:
        if not Path(PARAMS).is_file():
            raise ConfigError(
                f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not given, and this folder has no {PARAMS} that "
                f"says how to search; give what is missing, or run the command from the project's folder."
            )
        section = (read_yaml(PARAMS) or {}).get("decoding")
        given = check(Decoding, section, f"{PARAMS}: decoding").model_dump() | given
    return check(Decoding, given, "options")
