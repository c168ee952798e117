"""The command line: arguments and printing only."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import nwb_ophys
from nwb_ophys.errors import NWBError

__all__ = ["main"]

_ERROR: Final = 2
_INTERRUPTED: Final = 130
_BROKEN_PIPE: Final = 141

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
        "-d", "--depth", type=_count, metavar="N", help="show only so many levels (default: all)"
    )


def _count(text: str) -> int:
    number = int(text) if text.isdecimal() else -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"expected a number from 0, found {text!r}")
    return number


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


# -- fixture -----------------------------------------------------------------------------------


def _declare_fixture(parser: Parser) -> None:
    parser.add_argument("kind", metavar="KIND", help="what the file is to hold, such as two-photon")
    parser.add_argument("out", metavar="OUT.nwb", help="the file to make")
    parser.add_argument(
        "--seed", type=_count, default=0, metavar="N", help="the same seed, the same file (0)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")


def _fixture(arguments: Arguments) -> int:
    from nwb_ophys.testing import KINDS, write_fixture

    if arguments.kind not in KINDS:
        kinds = ", ".join(sorted(KINDS))
        raise NWBError(f"there is no kind {arguments.kind!r} of fixture; there is {kinds}")
    print(
        write_fixture(
            arguments.kind, arguments.out, seed=arguments.seed, overwrite=arguments.overwrite
        )
    )
    return 0


# -- segment -----------------------------------------------------------------------------------


def _declare_segment(parser: Parser) -> None:
    parser.add_argument("session", metavar="SESSION.nwb", help="the file to write into")
    sources = parser.add_mutually_exclusive_group(required=True)
    sources.add_argument("--suite2p", metavar="FOLDER", help="suite2p/plane0, or all of suite2p")
    sources.add_argument("--caiman", metavar="FILE.hdf5", help="what cnm.save(...) wrote")
    sources.add_argument("--labels", metavar="FILE", help="a TIFF or .npy image of labels")
    parser.add_argument(
        "--imaging-plane",
        metavar="NAME",
        help="the plane that was segmented (default: the only one)",
    )
    parser.add_argument("--plane", type=_count, metavar="N", help="only this plane of suite2p")
    parser.add_argument(
        "--kinds",
        default="pixel",
        metavar="KINDS",
        help="how masks are stored: pixel, image, voxel, or several with commas (pixel)",
    )
    parser.add_argument("--module", default="ophys", help="the processing module (ophys)")
    parser.add_argument(
        "--name", default="PlaneSegmentation", help="the name of the table (PlaneSegmentation)"
    )
    parser.add_argument("--series", metavar="NAME", help="the name of the traces")
    parser.add_argument(
        "--replace", action="store_true", help="replace a segmentation of that name"
    )


def _segment(arguments: Arguments) -> int:
    from nwb_ophys.segmentation.result import Segmentation
    from nwb_ophys.segmentation.writing import write_segmentation

    if arguments.suite2p is not None:
        result = Segmentation.from_suite2p(arguments.suite2p, plane=arguments.plane)
    elif arguments.plane is not None:
        raise NWBError("--plane is for --suite2p only")
    elif arguments.caiman is not None:
        result = Segmentation.from_caiman(arguments.caiman)
    else:
        result = Segmentation.from_labels(arguments.labels)
    path = write_segmentation(
        arguments.session,
        result,
        imaging_plane=arguments.imaging_plane,
        kinds=tuple(arguments.kinds.split(",")),
        module=arguments.module,
        name=arguments.name,
        series=arguments.series,
        replace=arguments.replace,
        progress=sys.stderr.isatty(),
    )
    print(f"{path}: {result}")
    for note in result.notes:
        print(f"note: {note}")
    return 0


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


# -- stubs -------------------------------------------------------------------------------------


def _declare_stubs(parser: Parser) -> None:
    parser.add_argument(
        "extension",
        metavar="EXTENSION",
        help="an installed package, such as ndx-pose, or the path of a .namespace.yaml",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="the .pyi to write (default: standard output)"
    )


def _stubs(arguments: Arguments) -> int:
    from nwb_ophys.generated.extensions import load_extension
    from nwb_ophys.generated.stubbing import extension_stub

    text = extension_stub(load_extension(arguments.extension))
    if arguments.output is None:
        print(text, end="")
    else:
        with open(arguments.output, "w", encoding="utf-8") as file:
            file.write(text)
    return 0


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
    "fixture": Command(
        "make a small NWB file to test other software with",
        _declare_fixture,
        _fixture,
        "An unknown KIND is answered with the list of kinds.",
    ),
    "segment": Command(
        "write the results of a segmentation into a file",
        _declare_segment,
        _segment,
        "Masks, traces and summary images of suite2p or CaImAn, or an image of labels as cellpose "
        "makes it, go into the file itself; it is as before or as after, whatever happens.",
    ),
    "stubs": Command(
        "write type stubs for the types of an extension",
        _declare_stubs,
        _stubs,
        "Editors and type checkers learn from the file what classes that are made at run time "
        "take and hold.",
    ),
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
"""The subcommands by name, in the order of the help."""


if __name__ == "__main__":
    sys.exit(main())
