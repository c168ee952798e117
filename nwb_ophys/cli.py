"""The command line: arguments and printing only."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

import nwb_ophys
from nwb_ophys.commands import keeping, making, showing
from nwb_ophys.commands.command import Parser
from nwb_ophys.errors import NWBError

__all__ = ["main"]

_ERROR: Final = 2
_INTERRUPTED: Final = 130
_BROKEN_PIPE: Final = 141

COMMANDS: Final = {**showing.COMMANDS, **making.COMMANDS, **keeping.COMMANDS}
"""The subcommands by name, in the order of the help."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, and give its exit status.

    Parameters
    ----------
    argv
        The arguments; those of the process where None.

    Returns
    -------
    int
        0; 1 where `diff` found differences, or `validate` an error; 2 after an error of its own,
        which is on stderr.
    """
    arguments = _parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # Text in files may be no Unicode, or more than the terminal can show.
            stream.reconfigure(errors="backslashreplace")
    try:
        status = COMMANDS[arguments.command].run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who reads our output has gone, such as `head`; nothing more can be told to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except (NWBError, OSError) as error:
        print(f"nwb-ophys: {error}".replace("overwrite=True", "--overwrite"), file=sys.stderr)
        return _ERROR
    except KeyboardInterrupt:
        return _INTERRUPTED
    return status


def _parser() -> Parser:
    parser = Parser(
        prog="nwb-ophys",
        description="NWB files of optical physiology: look into them, compare them, try it out.",
    )
    parser.add_argument("--version", action="version", version=f"nwb-ophys {nwb_ophys.__version__}")
    commands = parser.add_subparsers(
        title="commands", dest="command", required=True, metavar="COMMAND"
    )
    for name, command in COMMANDS.items():
        one = commands.add_parser(
            name,
            help=command.summary,
            description=f"{command.summary[0].upper()}{command.summary[1:]}. {command.details}",
        )
        command.declare(one)
    return parser


if __name__ == "__main__":
    sys.exit(main())
