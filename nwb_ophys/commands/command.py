"""What a subcommand is."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Arguments", "Command", "Parser", "count"]

Parser = argparse.ArgumentParser
Arguments = argparse.Namespace


@dataclass(frozen=True)
class Command:
    """A subcommand.

    Parameters
    ----------
    summary
        What it does, in one line.
    declare
        Adds its arguments to a parser.
    run
        Does it, and gives the exit status.
    details
        What else a user should know.
    """

    summary: str
    declare: Callable[[Parser], None]
    run: Callable[[Arguments], int]
    details: str = ""


def count(text: str) -> int:
    """Read a number from 0 of a command line."""
    number = int(text) if text.isdecimal() else -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"expected a number from 0, found {text!r}")
    return number
