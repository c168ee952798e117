"""The specifications that a file carries with it, under ``/specifications``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import h5py

from nwb_ophys.hdf5.datasets import write_attribute
from nwb_ophys.specs import Namespace, newest, packed_namespaces

__all__ = ["write_specifications"]

_NONE: Mapping[str, Namespace] = MappingProxyType({})


def write_specifications(file: h5py.File, extensions: Mapping[str, Namespace] = _NONE) -> bool:
    """Write the official specifications into a file, and those of extensions, over older ones.

    Parameters
    ----------
    file
        The file.
    extensions
        The extensions that objects which were added to the file are of.

    Returns
    -------
    bool
        Whether anything of the official ones was written.
    """
    namespaces = packed_namespaces()
    version = namespaces["core"].version
    group = file.require_group("specifications")
    written = False
    for name, namespace in namespaces.items():
        if name in group and list(group[name]) == [namespace.version]:
            continue
        _put(group, namespace)
        written = True
    for name, namespace in extensions.items():
        versions = list(group.get(name, ()))
        if not versions or newest([*versions, namespace.version]) not in versions:
            _put(group, namespace)
    if written or ".specloc" not in file.attrs:
        write_attribute(file.id, ".specloc", group.ref)
    if written:
        write_attribute(file.id, "nwb_version", version)
    return written


def _put(group: h5py.Group, namespace: Namespace) -> None:
    if namespace.name in group:
        del group[namespace.name]
    place = group.create_group(f"{namespace.name}/{namespace.version}")
    for source, text in namespace.sources.items():
        place[source] = text
    place["namespace"] = namespace.namespace_text
