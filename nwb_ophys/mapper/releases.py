"""What older releases of the schema allowed that today's does not: no problem of files of theirs.

Loaded when something departs from the schema of today, which in most files nothing does.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from nwb_ophys.specs import newest

__all__ = ["EARLIER", "Earlier", "was_legal"]


class Earlier(NamedTuple):
    """How a field could be.

    Attributes
    ----------
    until
        The first release of the core schema of which it is no longer true.
    found
        What could be found there, as the problem tells it; anything, where it is empty.
    """

    until: str
    found: str = ""


EARLIER = {
    ("TimeSeriesStartingTime", "unit", "fixed"): Earlier("2.1.0", "'Seconds'"),
    ("TimeSeries", "timestamps_unit", "fixed"): Earlier("2.1.0", "'Seconds'"),
    ("ElectricalSeriesData", "unit", "fixed"): Earlier("2.1.0"),
    ("PatchClampSeriesData", "unit", "fixed"): Earlier("2.1.0"),
    ("OptogeneticSeriesData", "unit", "fixed"): Earlier("2.1.0"),
    ("OpticalSeries", "data", "missing"): Earlier("2.2.0"),
    ("OpticalSeriesData", "array", "shape"): Earlier("2.2.0", r"\(\d+, \d+, \d+, \d+\)"),
    ("Image", "array", "dtype"): Earlier("2.2.0"),
    ("ImagingPlane", "origin_coords", "shape"): Earlier("2.2.5", r"\(2, 3\)"),
    ("ImagingPlane", "grid_spacing", "shape"): Earlier("2.2.5", r"\(2, 3\)"),
    ("VectorIndex", "array", "dtype"): Earlier("2.3.0"),
    ("VectorIndex", "description", "missing"): Earlier("2.3.0"),
    ("ImageSeries", "data", "missing"): Earlier("2.4.0"),
    ("IndexSeriesData", "array", "dtype"): Earlier("2.5.0", r"int\d+"),
    ("IndexSeriesData", "unit", "fixed"): Earlier("2.5.0"),
    ("SpatialSeriesData", "array", "shape"): Earlier("2.5.0", r"\(\d+, \d+\)"),
}
"""By type, field and rule; of a type and its bases, the nearest decides."""


def was_legal(cls: type, field: str, rule: str, message: str, version: str) -> bool:
    """Tell whether what departs from today's schema followed that of its day.

    Parameters
    ----------
    cls
        The model's class.
    field, rule, message
        Those of the problem.
    version
        Of the schema that the file follows.
    """
    for base in cls.__mro__:
        earlier = EARLIER.get((base.__name__, field, rule))
        if earlier is not None:
            before = version != earlier.until and newest((version, earlier.until)) == earlier.until
            found = message.rpartition("found ")[2].removeprefix("shape ")
            return before and (not earlier.found or bool(re.fullmatch(earlier.found, found)))
    return False
