"""Datasets whose data lie in other files: which files, and how to open them for reading."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from h5py import h5d, h5p

from nwb_ophys.hdf5.values import decode_text

__all__ = ["external_files", "lies_beside", "open_beside"]


def external_files(dataset: Any) -> Iterator[str]:
    """Iterate over the files that hold data of a dataset: raw storage and virtual sources."""
    if not isinstance(dataset, h5d.DatasetID):
        return
    plist = dataset.get_create_plist()
    layout = plist.get_layout()
    if layout == h5d.CONTIGUOUS:
        for index in range(plist.get_external_count()):
            yield decode_text(plist.get_external(index)[0])
    elif layout == h5d.VIRTUAL:
        for index in range(plist.get_virtual_count()):
            file = decode_text(plist.get_virtual_filename(index))
            if file != ".":
                yield file


def lies_beside(dataset: Any, folder: str, *, in_memory: bool) -> bool:
    """Tell whether data lie beside the file, where HDF5 would not look for them.

    HDF5 looks for raw data in the working folder, unless it is told another one. The sources of
    virtual datasets it finds beside the file by itself, but not where it has the file in memory:
    there it would find none, and fill in values without a word.
    """
    if all(os.path.isabs(file) for file in external_files(dataset)):
        return False
    if dataset.get_create_plist().get_layout() == h5d.VIRTUAL:
        return in_memory
    return os.path.realpath(os.getcwd()) != os.path.realpath(folder)


def open_beside(file: Any, path: bytes, folder: str) -> Any:
    """Open a dataset so that its raw data, or its sources, are looked for in a folder.

    HDF5 refuses to have such a dataset open in two ways at once, and opens it in the other one
    for its attributes, so the handle is for one read only.
    """
    access = h5p.create(h5p.DATASET_ACCESS)
    access.set_efile_prefix(os.fsencode(folder))
    access.set_virtual_prefix(os.fsencode(folder))
    return h5d.open(file, path, access)
