"""What other tools put into files: whose file it is, and in which order its pixels are.

NWB says x (column) first. Files disagree, and nothing in them tells, but who wrote them. A writer
that is recognised has its own order applied, and the result says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nwb_ophys.masks.tables import DESCRIPTIONS

__all__ = ["Writer", "writer_of"]


@dataclass(frozen=True)
class Writer:
    """The habits of a program that writes segmentations.

    Parameters
    ----------
    name
        Its name.
    points
        What the first two members of a pixel or voxel are: "xy" or "yx".
    masks
        What the axes of ``image_mask`` are.
    images
        What the axes of summary images are.
    note
        What to tell of it.
    scrambled
        Whether images of masks were flattened in one order and folded up in the other.
    """

    name: str
    points: str = "xy"
    masks: str = "xy"
    images: str = "xy"
    note: str = ""
    scrambled: bool = False


SUITE2P = Writer(
    "suite2p",
    points="yx",
    images="yx",
    note="written by suite2p: the member x of its pixels is the row, y the column, and its images "
    "are (row, column)",
)
CAIMAN = Writer(
    "CaImAn",
    points="yx",
    masks="yx",
    images="yx",
    note="written by CaImAn: its masks are stored scrambled, as columns folded up as rows; they "
    "were recovered",
    scrambled=True,
)
NEUROCONV = Writer(
    "neuroconv",
    points="yx",
    note="written by neuroconv: the member x of its pixels is the row, y the column, while its "
    "images are (column, row)",
)
ALLEN = Writer(
    "AllenSDK",
    points="yx",
    masks="yx",
    images="yx",
    note="written by AllenSDK: its images of masks and its summary images are (row, column)",
)
SCHEMA = Writer("", note="read as NWB says: x is the column, y the row")
OURS = Writer("nwb-ophys")


def writer_of(table: Any, session: Any) -> Writer:
    """Recognise who wrote a table; where nobody is recognised, NWB's own order holds."""
    if any(_description(table, f"{kind}_mask") == text for kind, text in DESCRIPTIONS.items()):
        return OURS
    columns = set(table.colnames or ())
    description = table.description or ""
    pairs = _description(table, "iscell") == "two columns - iscell & probcell"
    if description == "suite2p output" or pairs:
        return SUITE2P
    if description == "CNMF_ROIs" or {"r", "snr", "accepted", "rejected"} <= columns:
        return CAIMAN
    if "cell_specimen_id" in columns or table.name == "cell_specimen_table":
        return ALLEN
    if columns & {"ROICentroids", "Accepted", "roi_name"} or _says_neuroconv(session):
        return NEUROCONV
    return SCHEMA


def _description(table: Any, column: str) -> str:
    found = table._vector(column)
    return "" if found is None else str(found.description)


def _says_neuroconv(session: Any) -> bool:
    said = [session.source_script or ""]
    if session.was_generated_by is not None:
        said += [str(one) for one in np.asarray(session.was_generated_by).ravel()]
    return any("neuroconv" in one.lower() for one in said)
