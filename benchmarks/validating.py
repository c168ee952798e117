"""Judging files."""

from __future__ import annotations

import nwb_ophys as nwb
from benchmarks.files import Files
from benchmarks.registry import benchmark, faster
from benchmarks.timing import Comparison, compare, seconds


@benchmark(
    "validate",
    "validate a file of {series:,} TimeSeries",
    against="pynwb",
    target=faster(3),
)
def validate(files: Files) -> Comparison:
    from pynwb import validate as validate_with_pynwb

    path, few = files.many(), files.few()
    nwb.validate(few)
    validate_with_pynwb(path=str(few))
    return compare(
        seconds(lambda: nwb.validate(path)),
        seconds(lambda: validate_with_pynwb(path=str(path))),
        files.scale,
        warm=False,
    )


@benchmark(
    "validate-rois",
    "validate a file of {rois:,} ROIs",
    against="pynwb",
    target=faster(3),
)
def validate_rois(files: Files) -> Comparison:
    from pynwb import validate as validate_with_pynwb

    path = files.segmentation()
    return compare(
        seconds(lambda: nwb.validate(path)),
        seconds(lambda: validate_with_pynwb(path=str(path))),
        files.scale,
    )
