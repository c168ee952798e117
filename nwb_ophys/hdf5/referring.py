"""What in a file refers to objects that are about to go, to be made anew, or to be moved.

HDF5 keeps no record of that, so the links and references of the whole file are looked through; no
other data are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import h5py
import numpy as np
from h5py import h5a, h5d, h5o, h5r

from nwb_ophys.hdf5.nodes import Node, root_of
from nwb_ophys.hdf5.paths import absolute, join
from nwb_ophys.hdf5.source import Source
from nwb_ophys.hdf5.values import (
    Pointer,
    RegionPointer,
    address_of,
    encode_text,
    has_references,
    region_pointer,
)

__all__ = ["Holder", "Reach", "find_reach", "map_references"]


class Holder(NamedTuple):
    """What holds references: a dataset, or an attribute of an object.

    Parameters
    ----------
    path
        The object.
    attribute
        The name of the attribute; None for the data of a dataset.
    """

    path: str
    attribute: str | None

    def __str__(self) -> str:
        return self.path if self.attribute is None else f"{self.path}, attribute {self.attribute!r}"


@dataclass
class Reach:
    """What a file holds without some of its links.

    Parameters
    ----------
    paths
        A path of each object that remains, by address.
    softs
        The soft links that remain: their paths, and where they lead as absolute paths.
    references
        Who refers to an object, by its address.
    """

    paths: dict[int, str] = field(default_factory=dict)
    softs: dict[str, str] = field(default_factory=dict)
    references: dict[int, list[Holder]] = field(default_factory=dict)


def find_reach(source: Source, is_cut: Callable[[str], bool]) -> Reach:
    """Walk through a file as if some of its links were gone.

    Parameters
    ----------
    source
        The open file.
    is_cut
        Tells whether the link at a path is gone.
    """
    reach = Reach()
    stack = [("/", root_of(source))]
    while stack:
        path, node = stack.pop()
        if node.address in reach.paths:
            continue
        reach.paths[node.address] = path
        for holder, address in _references(node, path):
            reach.references.setdefault(address, []).append(holder)
        for record in node.links.values():
            below = join(path, record.name)
            if is_cut(below):
                continue
            if record.kind == "hard":
                stack.append((below, node.child(record.name)))
            elif record.kind == "soft":
                reach.softs[below] = absolute(path, record.target)
    return reach


def _references(node: Node, path: str) -> Iterator[tuple[Holder, int]]:
    for name, value in node.attributes.items():
        for address in _addresses(value, node):
            yield Holder(path, name), address
    if node.is_dataset and has_references(node.id.get_type()):
        data = h5py.Dataset(node.id)
        if data.shape is not None:
            for address in set(_addresses(data[()], node)):
                yield Holder(path, None), address


def _addresses(value: Any, node: Node) -> Iterator[int]:
    if isinstance(value, (Pointer, RegionPointer)):
        yield value.address
    elif isinstance(value, h5r.RegionReference):
        if value:
            yield region_pointer(value, node.source.id).address
    elif isinstance(value, h5r.Reference):
        if value:
            yield address_of(value, node.source.id)
    elif isinstance(value, np.ndarray) and value.dtype.kind == "O":
        for one in value.flat:
            yield from _addresses(one, node)
    elif isinstance(value, (np.ndarray, np.void)) and value.dtype.names:
        for name in value.dtype.names:
            if value.dtype[name].hasobject:
                yield from _addresses(np.asarray(value[name]), node)


def map_references(file: Any, holder: Holder, paths: dict[int, str]) -> None:
    """Let references in an attribute or a dataset lead to other objects.

    Parameters
    ----------
    file
        The open file, h5py's ``FileID``.
    holder
        The attribute or dataset.
    paths
        Where the references to some addresses are to lead.
    """
    owner = h5o.open(file, encode_text(holder.path))
    stored: Any = owner
    if holder.attribute is not None:
        stored = h5a.open(owner, encode_text(holder.attribute))
    values = np.empty(stored.shape, stored.dtype)
    if isinstance(stored, h5d.DatasetID):
        stored.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
    else:
        stored.read(values)
    _map(values, file, paths)
    if isinstance(stored, h5d.DatasetID):
        stored.write(h5py.h5s.ALL, h5py.h5s.ALL, values)
    else:
        stored.write(values)


def _map(values: np.ndarray[Any, Any], file: Any, paths: dict[int, str]) -> None:
    if values.dtype.names is not None:
        for name in values.dtype.names:
            if values.dtype[name].hasobject:
                _map(values[name], file, paths)
        return
    flat = values.reshape(-1)
    for i, value in enumerate(flat):
        if isinstance(value, h5r.RegionReference) and value:
            path = paths.get(region_pointer(value, file).address)
            if path is not None:
                region = h5r.get_region(value, file)
                flat[i] = h5r.create(file, encode_text(path), h5r.DATASET_REGION, region)
        elif isinstance(value, h5r.Reference) and value:
            path = paths.get(address_of(value, file))
            if path is not None:
                flat[i] = h5r.create(file, encode_text(path), h5r.OBJECT)
        elif isinstance(value, np.ndarray) and value.dtype.hasobject:
            _map(value, file, paths)
    values[...] = flat.reshape(values.shape)
