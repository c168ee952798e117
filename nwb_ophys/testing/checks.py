"""Assertions about files: that two mean the same, that one comes through unharmed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import nwb_ophys
from nwb_ophys.compare import diff
from nwb_ophys.errors import NWBError
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.layout import layout_of
from nwb_ophys.testing.h5compare import differences

if TYPE_CHECKING:
    from nwb_ophys.models.base import ConfiguredBaseModel
    from nwb_ophys.models.file import NWBFile
    from nwb_ophys.snapshot import Target

__all__ = ["assert_roundtrip", "assert_same", "touch"]

_SHOWN = 20
_CORNER = 3


def assert_same(a: Target, b: Target) -> None:
    """Assert that two files or sessions mean the same, as `nwb_ophys.diff` has it.

    Parameters
    ----------
    a, b
        Paths, open binary files or sessions.

    Raises
    ------
    AssertionError
        Listing what differs, one line each.
    """
    _fail(f"{_name(a)} and {_name(b)} differ", map(str, diff(a, b)))


def assert_roundtrip(path: str | os.PathLike[str]) -> None:
    """Assert that a file opens, and that what is written without a change is as it was.

    Every field of every object is touched before. The file is written into its own folder and
    into another one, and compared with plain h5py in all that HDF5 stores. The file itself and
    its folder are left alone: what lies in the folder is linked into a temporary one.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    AssertionError
        Listing what differs, one line each.
    """
    path = Path(path).absolute()
    with tempfile.TemporaryDirectory(prefix="nwb-ophys-") as outer:
        folder, elsewhere = Path(outer, "folder"), Path(outer, "elsewhere")
        folder.mkdir()
        elsewhere.mkdir()
        for beside in path.parent.iterdir():
            if beside.name != path.name:
                (folder / beside.name).symlink_to(beside)
        source = folder / path.name
        shutil.copyfile(path, source)
        with nwb_ophys.open(source, external_links="all") as session:
            touch(session)
            near = nwb_ophys.write(session, _unused(folder, path.name))
            far = nwb_ophys.write(session, elsewhere / path.name)
        _fail(f"{path}: a copy in its folder differs", differences(source, near))
        _fail(f"{path}: a copy in another folder differs", differences(source, far, moved=True))


def touch(session: NWBFile) -> list[ConfiguredBaseModel]:
    """Load every field of every object of a session, and a corner of every array.

    What cannot be had, such as the end of a dangling link, is passed over; the problems of the
    session name it.

    Parameters
    ----------
    session
        An opened session.

    Returns
    -------
    list of ConfiguredBaseModel
        The objects.
    """
    models = []
    for model in session.walk():
        models.append(model)
        _ = model.attrs, repr(model)
        for name in layout_of(type(model)).fields:
            try:
                value = getattr(model, name)
                if isinstance(value, LazyArray) and value.shape is not None:
                    np.asarray(value[tuple(slice(_CORNER) for _ in value.shape)])
            except NWBError:
                continue
    return models


def _unused(folder: Path, name: str) -> Path:
    while (folder / name).exists():
        name = f"copy of {name}"
    return folder / name


def _name(target: Target) -> str:
    return str(target) if isinstance(target, (str, os.PathLike)) else repr(target)


def _fail(summary: str, lines: Iterable[str]) -> None:
    found = list(lines)
    if found:
        more = [f"... {len(found)} in all"] if len(found) > _SHOWN else []
        raise AssertionError("\n  ".join([f"{summary}:", *found[:_SHOWN], *more]))
