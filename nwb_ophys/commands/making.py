"""Subcommands that make something: files, results in files, stubs."""

from __future__ import annotations

import sys
from typing import Final

from nwb_ophys.commands.command import Arguments, Command, Parser, count
from nwb_ophys.errors import NWBError

__all__ = ["COMMANDS"]


# -- fixture -----------------------------------------------------------------------------------


def _declare_fixture(parser: Parser) -> None:
    parser.add_argument("kind", metavar="KIND", help="what the file is to hold, such as two-photon")
    parser.add_argument("out", metavar="OUT.nwb", help="the file to make")
    parser.add_argument(
        "--seed", type=count, default=0, metavar="N", help="the same seed, the same file (0)"
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
    parser.add_argument("--plane", type=count, metavar="N", help="only this plane of suite2p")
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
}
