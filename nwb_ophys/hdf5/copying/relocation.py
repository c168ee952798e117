"""Names of other files that a copy stores: those of the source, or others that lead there too."""

from __future__ import annotations

import glob
import math
import os
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from h5py import h5d, h5p, h5s

from nwb_ophys.hdf5.external import external_files
from nwb_ophys.hdf5.values import encode_text

__all__ = ["Relocation", "relocation_between"]


class Relocation:
    """What becomes of the names that external links, virtual datasets and raw storage hold.

    Parameters
    ----------
    relocate
        Gives the name to store for one; None keeps all.
    """

    __slots__ = ("_relocate",)

    def __init__(self, relocate: Callable[[str], str] | None) -> None:
        self._relocate = relocate

    def name(self, name: bytes) -> bytes:
        """Give the name to store for one of the source."""
        # A single dot is how virtual datasets name the file that they are in.
        if self._relocate is None or name == b".":
            return name
        return os.fsencode(self._relocate(os.fsdecode(name)))

    def moves(self, name: bytes) -> bool:
        """Tell whether another name is stored for one."""
        return self.name(name) != name

    def moves_data(self, dataset: Any) -> bool:
        """Tell whether data of a dataset lie in files for which other names are stored."""
        if self._relocate is None:
            return False
        return any(self.moves(encode_text(file)) for file in external_files(dataset))

    def storage(self, dataset: Any) -> Any:
        """Give the creation properties of the copy of a dataset whose data are in other files.

        Names can be added to a property list, but not changed, so that it is made anew.
        """
        old, new = dataset.get_create_plist(), h5p.create(h5p.DATASET_CREATE)
        if old.fill_value_defined() == h5d.FILL_VALUE_USER_DEFINED:
            value = np.empty((), dataset.dtype)
            old.get_fill_value(value)
            new.set_fill_value(value)
        new.set_fill_time(old.get_fill_time())
        new.set_alloc_time(old.get_alloc_time())
        new.set_obj_track_times(old.get_obj_track_times())
        new.set_attr_creation_order(old.get_attr_creation_order())
        new.set_attr_phase_change(*old.get_attr_phase_change())
        for i in range(old.get_external_count()):
            name, offset, size = old.get_external(i)
            new.set_external(self.name(name), offset, size)
        if old.get_layout() == h5d.VIRTUAL:
            for i in range(old.get_virtual_count()):
                here, there = old.get_virtual_vspace(i), old.get_virtual_srcspace(i)
                if there.get_select_type() == h5s.SEL_ALL:
                    # Of the other dataset, nothing is stored then, and any shape will do.
                    there = h5s.create_simple((_points_of_one(here),))
                file, name = old.get_virtual_filename(i), old.get_virtual_dsetname(i)
                new.set_virtual(here, self.name(encode_text(file)), encode_text(name), there)
        return new


def _points_of_one(space: Any) -> int:
    """Count the points of a selection; of one without end, those that come from each file."""
    if not space.is_regular_hyperslab():
        return int(space.get_select_npoints())
    _, _, count, block = space.get_regular_hyperslab()
    return math.prod(n for n in (*count, *block) if n != h5s.UNLIMITED)


def relocation_between(old: str, new: str) -> Callable[[str], str] | None:
    """Make the function that tells file names from a new folder; None where it is the same.

    A name that leads nowhere is left as it is: it could only be guessed at.
    """
    if os.path.realpath(old) == os.path.realpath(new):
        return None

    def relocate(name: str) -> str:
        place = os.path.join(old, name)
        if os.path.isabs(name) or name == "." or not _leads_to_files(place):
            return name
        return os.path.relpath(place, new).replace(os.sep, "/")

    return relocate


def _leads_to_files(place: str) -> bool:
    """Tell whether there is a file at a place, or some where virtual datasets number theirs."""
    parts = re.split(r"%\d*b", place)
    return os.path.exists(place) or (
        len(parts) > 1 and next(glob.iglob("*".join(map(glob.escape, parts))), None) is not None
    )
