"""First look at what is to be copied: what ``H5Ocopy`` would not do right of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

from h5py import h5a, h5d, h5g, h5l, h5o, h5t

from nwb_ophys.errors import LinkError, NWBError
from nwb_ophys.hdf5.copying.elements import Format
from nwb_ophys.hdf5.copying.links import Link, links_of
from nwb_ophys.hdf5.copying.transfer import HDF5_ERRORS, Transfer
from nwb_ophys.hdf5.paths import join
from nwb_ophys.hdf5.values import decode_text, encode_text, holds_pointers

__all__ = ["Item", "holds_references", "survey"]

# Classes of datatypes that are references or may contain some.
_COMPOSED: Final = (h5t.TypeReferenceID, h5t.TypeCompoundID, h5t.TypeArrayID, h5t.TypeVlenID)


@dataclass(slots=True, eq=False)
class Item:
    """What has to be known of an object of the source to copy it."""

    path: str
    address: int
    parent: Item | None = None
    is_group: bool = False
    is_type: bool = False
    apart: bool = False  # H5Ocopy would lose something of it, or of what is below
    own_data: bool = False  # ... even of the data of a dataset
    members: list[tuple[Link, Item | None]] = field(default_factory=list)
    references: list[bytes | None] = field(default_factory=list)  # attributes; None: the data

    def set_apart(self) -> None:
        """Build this and the groups that hold it piece by piece."""
        item: Item | None = self
        while item is not None and not item.apart:
            item.apart = True
            item = item.parent


def survey(transfer: Transfer, path: str, address: int, skip: Collection[str]) -> Item:
    """Look at an object of the source that was not copied yet, and at all below it.

    Parameters
    ----------
    transfer
        The files, and what was copied before.
    path, address
        Where the object is.
    skip
        Paths of links to leave out.
    """
    top = Item(path, address)
    items = {address: top}
    try:
        opened = _inspect(transfer, top, transfer.source, encode_text(path))
        stack = [(top, opened)] if top.is_group else []
        while stack:
            item, group = stack.pop()
            for link in links_of(group):
                path = join(item.path, decode_text(link.name))
                if path in skip:
                    item.set_apart()
                    continue
                child = None
                if link.kind == h5l.TYPE_HARD:
                    known = items.get(link.address)
                    if known is not None or link.address in transfer.paths:
                        # H5Ocopy would make several objects of one with several names.
                        item.set_apart()
                        if known is not None and known.parent is not None:
                            known.parent.set_apart()
                        child = known or Item(path, link.address, item)
                    else:
                        child = items[link.address] = Item(path, link.address, item)
                        opened = _inspect(transfer, child, group, link.name)
                        if child.is_group:
                            stack.append((child, opened))
                elif link.kind == h5l.TYPE_EXTERNAL:
                    if transfer.relocation.moves(group.links.get_val(link.name)[0]):
                        item.set_apart()
                elif link.kind != h5l.TYPE_SOFT:
                    raise LinkError(
                        f"is a user-defined link (class {link.kind}), which HDF5 cannot copy",
                        file=transfer.source_file,
                        path=path,
                    )
                item.members.append((link, child))
    except NWBError:
        raise
    except HDF5_ERRORS as error:
        raise transfer.failure(error, path) from error
    return top


def _inspect(transfer: Transfer, item: Item, parent: Any, name: bytes) -> Any:
    """Note what has to be known of an object itself; return it, opened."""
    opened = h5o.open(parent, name)
    attributes: list[bytes] = []
    h5a.iterate(opened, attributes.append)
    for attribute in attributes:
        _inspect_type(item, h5a.open(opened, attribute).get_type(), attribute)
    if isinstance(opened, h5g.GroupID):
        item.is_group = True
    elif isinstance(opened, h5d.DatasetID):
        type_ = opened.get_type()
        _inspect_type(item, type_, None)
        defined = opened.get_create_plist().fill_value_defined()
        if defined == h5d.FILL_VALUE_USER_DEFINED and holds_pointers(type_):
            # H5Ocopy copies where the text lies, which is somewhere else in another file.
            item.own_data = True
            item.set_apart()
        if transfer.relocation.moves_data(opened):
            item.own_data = True
            item.set_apart()
    else:
        # Whatever is built piece by piece must find it, to share it.
        item.is_type = True
        item.set_apart()
    return opened


def holds_references(type_: Any) -> bool:
    """Tell whether elements of a datatype are, or hold, references."""
    return isinstance(type_, _COMPOSED) and bool(type_.detect_class(h5t.REFERENCE))


def _inspect_type(item: Item, type_: Any, attribute: bytes | None) -> None:
    if type_.committed():
        # H5Ocopy would give each object that shares the datatype one of its own.
        item.own_data |= attribute is None
        item.set_apart()
    if holds_references(type_):
        Format.of(type_)  # refuses kinds of references that cannot be copied
        item.references.append(attribute)
