"""The specifications that a file carries with it, under ``/specifications``."""

from __future__ import annotations

import h5py

from nwb_ophys.hdf5.datasets import write_attribute
from nwb_ophys.specs import packed_namespaces

__all__ = ["SchemaUpgradeWarning", "write_specifications"]


class SchemaUpgradeWarning(UserWarning):
    """Objects of the newest schema were added to a file of an older one."""


def write_specifications(file: h5py.File) -> bool:
    """Write the official specifications into a file, in place of older ones.

    Returns
    -------
    bool
        Whether anything was written.
    """
    namespaces = packed_namespaces()
    version = namespaces["core"].version
    group = file.require_group("specifications")
    written = False
    for name, namespace in namespaces.items():
        if name in group and list(group[name]) == [namespace.version]:
            continue
        if name in group:
            del group[name]
        place = group.create_group(f"{name}/{namespace.version}")
        for source, text in namespace.sources.items():
            place[source] = text
        place["namespace"] = namespace.namespace_text
        written = True
    if written:
        write_attribute(file.id, ".specloc", group.ref)
        write_attribute(file.id, "nwb_version", version)
    return written
