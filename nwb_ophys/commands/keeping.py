"""Subcommands that keep files whole, small and up to date."""

from __future__ import annotations

from typing import Final

import nwb_ophys
from nwb_ophys.commands.command import Arguments, Command, Parser

__all__ = ["COMMANDS"]


# -- recover -----------------------------------------------------------------------------------


def _declare_recover(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", help="a file whose saving was interrupted")


def _recover(arguments: Arguments) -> int:
    from nwb_ophys.upkeep import recover

    if recover(arguments.file):
        print(f"{arguments.file}: put back as it was before the save that was interrupted")
    else:
        print(f"{arguments.file}: no save of it was interrupted; nothing was done")
    return 0


# -- repack ------------------------------------------------------------------------------------


def _declare_repack(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", help="an NWB file")


def _repack(arguments: Arguments) -> int:
    from nwb_ophys.upkeep import repack

    print(f"{arguments.file}: {repack(arguments.file):,} bytes smaller")
    return 0


# -- fix ---------------------------------------------------------------------------------------


def _declare_fix(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", help="an NWB file, which stays as it is")
    parser.add_argument("-o", "--out", metavar="OUT", required=True, help="the file to write")
    parser.add_argument(
        "--timezone", metavar="ZONE", help="where dates without an offset are, as Europe/Zurich"
    )
    parser.add_argument(
        "--only", metavar="RULE", nargs="+", action="extend", help="mend only what broke these"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")


def _fix(arguments: Arguments) -> int:
    from nwb_ophys.mending import upgrade

    with nwb_ophys.open(arguments.file) as session:
        mending = upgrade(session, timezone=arguments.timezone, only=arguments.only)
        path = nwb_ophys.write(session, arguments.out, overwrite=arguments.overwrite)
    for mend in mending.mends:
        print(mend)
    for problem in mending.left:
        print(f"left: {problem}")
    if mending.mends:
        print(f"{path}: {len(mending.mends)} mended, {len(mending.left)} left")
    else:
        print(f"{path}: nothing to mend, an unchanged copy; {len(mending.left)} left")
    return 0


COMMANDS: Final = {
    "recover": Command(
        "put a file back as it was before a save that was interrupted",
        _declare_recover,
        _recover,
        "Opening the file with nwb_ophys does the same. The journal of the save has to lie beside "
        "the file.",
    ),
    "repack": Command(
        "write a file anew, without the bytes of what was deleted",
        _declare_repack,
        _repack,
        "Saving in place leaves those bytes in the file. All else stays as it is stored.",
    ),
    "fix": Command(
        "mend a file, and bring it to the newest schema",
        _declare_fix,
        _fix,
        "What can be mended without a guess is; each mend is listed, and so is what was left. "
        "A RULE is columns, dtype, fixed, missing, shape, type, undeclared or version; "
        "missing:object_id is that rule for one field.",
    ),
}
