"""Copy objects of other sessions into the file that is written, with what they refer to."""

from __future__ import annotations

from collections.abc import Sequence

import h5py
from h5py import h5g, h5o

from nwb_ophys.errors import SchemaError
from nwb_ophys.hdf5.copying import Transfer, TreeCopier, relocation_between
from nwb_ophys.hdf5.nodes import root_of
from nwb_ophys.hdf5.source import Source
from nwb_ophys.hdf5.values import encode_text
from nwb_ophys.mapper.plan import Graft, Plan
from nwb_ophys.specs import packed_namespaces

__all__ = ["copy_grafts", "grafts_by_source"]


def grafts_by_source(plan: Plan) -> list[tuple[Source, list[Graft]]]:
    """Tell which objects come from which file."""
    found: dict[int, tuple[Source, list[Graft]]] = {}
    for graft in plan.grafts:
        source = graft.model._binding.node.source
        found.setdefault(id(source), (source, []))[1].append(graft)
    return list(found.values())


def copy_grafts(
    plan: Plan, source: Source, grafts: Sequence[Graft], file: h5py.File, folder: str
) -> None:
    """Copy objects of another file, and then what they refer to that is not here yet.

    Parameters
    ----------
    plan
        What else is written.
    source, grafts
        The other file, and what comes from there.
    file
        The file that is written, with the groups in which the objects are to lie.
    folder
        Where it will lie.

    Raises
    ------
    SchemaError
        Where another object lies at the path of one that they refer to.
    LinkError
        Where they refer to what cannot be copied.
    """
    relocate = relocation_between(source.folder, folder)
    copier = TreeCopier(Transfer(source.id, file.id, source.file, file.filename, relocate))
    for graft in grafts:
        copier.copy(graft.model._binding.node.path, graft.path)
    for namespace in _own_namespaces(source):
        path = f"/specifications/{namespace}"
        if encode_text(path) not in file.id:
            copier.copy(path, path)
    authored = {item.path for item in plan.new}
    missing = copier.outside()
    while missing.links or missing.references:
        for path in {**missing.links, **missing.references}:
            if path in authored:
                raise _another(source, path)
            if encode_text(path) in file.id:
                copier.paths[_same_object(source, file, path)] = path
            else:
                copier.copy(path, path)
        before, missing = missing, copier.outside()
        if missing == before:
            break
    copier.finish()


def _own_namespaces(source: Source) -> list[str]:
    """Name the extensions whose specifications a file carries."""
    root = root_of(source)
    if "specifications" not in root.links:
        return []
    return [name for name in root.child("specifications").links if name not in packed_namespaces()]


def _same_object(source: Source, file: h5py.File, path: str) -> int:
    """Give the address in the source of an object that both files have, by its ``object_id``."""
    theirs, ours = (h5o.open(one, encode_text(path)) for one in (source.id, file.id))
    ids = [
        (h5py.Group(one) if isinstance(one, h5g.GroupID) else h5py.Dataset(one)).attrs.get(
            "object_id"
        )
        for one in (theirs, ours)
    ]
    if ids[0] != ids[1]:
        raise _another(source, path)
    return int(h5o.get_info(theirs).addr)


def _another(source: Source, path: str) -> SchemaError:
    return SchemaError(
        f"an object from {source.file} needs {path}, but another object is there",
        path=path,
        hint="rename one of the two",
    )
