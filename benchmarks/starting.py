"""From nothing to a first answer: imports, and whole processes."""

from __future__ import annotations

import time

from benchmarks.files import ROIS, Files
from benchmarks.registry import at_most, benchmark, faster
from benchmarks.timing import (
    Comparison,
    Stopwatch,
    compare,
    fresh_process,
    seconds_in_fresh_process,
)

_BASE = "import numpy, h5py\nfrom pydantic import BaseModel"

_OURS = """
import sys
import nwb_ophys as nwb
with nwb.open(sys.argv[1]) as session:
    print(session.identifier, len(session[sys.argv[2]].id))
"""

_PYNWB = """
import sys
from pynwb import NWBHDF5IO
with NWBHDF5IO(sys.argv[1], "r") as io:
    session = io.read()
    table = session.processing["ophys"]["ImageSegmentation"]["PlaneSegmentation"]
    print(session.identifier, len(table.id))
"""


@benchmark(
    "import",
    "import nwb_ophys",
    against="numpy, h5py, pydantic.BaseModel",
    target=at_most(1.5),
)
def import_package(files: Files) -> Comparison:
    return _imported(files, "import nwb_ophys")


@benchmark(
    "import-all",
    "import nwb_ophys, name its functions and models",
    against="numpy, h5py, pydantic.BaseModel",
    target=at_most(1.5),
)
def import_all(files: Files) -> Comparison:
    code = "import nwb_ophys\nnwb_ophys.open, nwb_ophys.write, nwb_ophys.TwoPhotonSeries"
    return _imported(files, code)


def _imported(files: Files, code: str) -> Comparison:
    ours, theirs = seconds_in_fresh_process(code), seconds_in_fresh_process(_BASE)
    return compare(ours, theirs, files.scale)


@benchmark(
    "process",
    "new process: open, print identifier and count of {rois:,} ROIs",
    against="pynwb",
    target=faster(3),
)
def new_process(files: Files) -> Comparison:
    path = str(files.segmentation())
    expected = f"m1-s1 {files.scale.rois}"
    ours, theirs = _process(_OURS, expected, path, ROIS), _process(_PYNWB, expected, path)
    return compare(ours, theirs, files.scale)


def _process(code: str, expected: str, *arguments: str) -> Stopwatch:
    def run() -> float:
        start = time.perf_counter()
        printed = fresh_process(code, *arguments)
        elapsed = time.perf_counter() - start
        if printed != expected:
            raise RuntimeError(f"expected {expected!r}, found {printed!r}")
        return elapsed

    return run
