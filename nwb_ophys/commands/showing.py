"""Subcommands that show something: the package at work, what is in files, what is wrong there."""

from __future__ import annotations

import sys
from typing import Final

from nwb_ophys.commands.command import Arguments, Command, Parser, count
from nwb_ophys.errors import NWBError

__all__ = ["COMMANDS"]


# -- demo --------------------------------------------------------------------------------------


def _declare_demo(parser: Parser) -> None:
    parser.add_argument(
        "--folder", metavar="DIR", help="where to put the files (default: a new temporary folder)"
    )


def _demo(arguments: Arguments) -> int:
    from nwb_ophys.demo import run

    for line in run(arguments.folder):
        print(line, flush=True)
    return 0


# -- tree --------------------------------------------------------------------------------------


def _declare_tree(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", help="an NWB file")
    parser.add_argument("-a", "--attributes", action="store_true", help="show attributes too")
    parser.add_argument(
        "-d", "--depth", type=count, metavar="N", help="show only so many levels (default: all)"
    )


def _tree(arguments: Arguments) -> int:
    from nwb_ophys.tree import tree

    for line in tree(arguments.file, attributes=arguments.attributes, depth=arguments.depth):
        print(line)
    return 0


# -- diff --------------------------------------------------------------------------------------


def _declare_diff(parser: Parser) -> None:
    parser.add_argument("a", metavar="A", help="an NWB file")
    parser.add_argument("b", metavar="B", help="the NWB file to compare it with")


def _diff(arguments: Arguments) -> int:
    from nwb_ophys.compare import diff

    differences = diff(arguments.a, arguments.b)
    for difference in differences:
        print(difference)
    return 1 if differences else 0


# -- validate ----------------------------------------------------------------------------------


def _declare_validate(parser: Parser) -> None:
    parser.add_argument("files", nargs="*", metavar="FILE", help="NWB files")
    parser.add_argument("--json", action="store_true", help="print problems as JSON")
    parser.add_argument(
        "--level",
        choices=("error", "warning", "hint"),
        default="hint",
        help="show only what matters so much (default: hint, all of it)",
    )
    parser.add_argument(
        "--data", action="store_true", help="read all data too, which may take long"
    )
    parser.add_argument(
        "--external-links",
        choices=("folder", "all", "none"),
        default="folder",
        help="which other files may be opened (default: those below the folder of the file)",
    )
    parser.add_argument("--explain", metavar="RULE", help="say what a rule asks for, and end")


def _validate(arguments: Arguments) -> int:
    import json
    from dataclasses import asdict

    from tqdm.auto import tqdm

    from nwb_ophys.validation import explain, validate

    if arguments.explain is not None:
        print(explain(arguments.explain))
        return 0
    if not arguments.files:
        raise NWBError("expected files to validate, found none", hint="nwb-ophys validate FILE ...")
    levels = ("error", "warning", "hint")
    shown = levels[: levels.index(arguments.level) + 1]
    results: dict[str, list[dict[str, str]]] = {}
    invalid = 0
    few = len(arguments.files) < 2
    for file in tqdm(arguments.files, unit="file", disable=few or not sys.stderr.isatty()):
        problems = validate(file, data=arguments.data, external_links=arguments.external_links)
        invalid += any(one.severity == "error" for one in problems)
        problems = [one for one in problems if one.severity in shown]
        results[file] = [
            asdict(one) | {"expected": one.expected, "found": one.found} for one in problems
        ]
        if not arguments.json:
            print(f"{file}: {_counted([one.severity for one in problems])}")
            for one in problems:
                print(f"  {one.severity}: {one}")
    if arguments.json:
        print(json.dumps(results, indent=2))
    return 1 if invalid else 0


def _counted(severities: list[str]) -> str:
    counts = {level: severities.count(level) for level in dict.fromkeys(severities)}
    named = [f"{count} {level}{'s' if count > 1 else ''}" for level, count in counts.items()]
    return ", ".join(named) or "no problem"


COMMANDS: Final = {
    "demo": Command(
        "try the package on a session that it makes",
        _declare_demo,
        _demo,
        "A two-photon session is written, opened, browsed, given masks and traces, written "
        "again, and compared. The files are kept.",
    ),
    "tree": Command(
        "show what is in a file",
        _declare_tree,
        _tree,
        "One line for each object: its name, its type, the shape of its data. No array is read.",
    ),
    "diff": Command(
        "list what differs in meaning between two files",
        _declare_diff,
        _diff,
        "How things are stored (chunks, compression, width of numbers) does not count. The exit "
        "status is 0 where nothing differs, 1 where something does, 2 after an error.",
    ),
    "validate": Command(
        "list what in files departs from their schemas, or is wrong",
        _declare_validate,
        _validate,
        "Each problem is shown with its path, field and rule; --explain RULE says more. The exit "
        "status is 0 where no file has an error, 1 where one has, 2 after an error in arguments.",
    ),
}
