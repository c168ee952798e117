"""References of copied objects, which HDF5 does not carry over: followed, and written anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from h5py import h5a, h5o, h5r, h5t

from nwb_ophys.errors import LinkError
from nwb_ophys.hdf5.copying.elements import Elements, Format, blocks_of
from nwb_ophys.hdf5.copying.links import Resolved, resolve
from nwb_ophys.hdf5.copying.transfer import HDF5_ERRORS, Holder, Place, Transfer
from nwb_ophys.hdf5.paths import absolute
from nwb_ophys.hdf5.values import decode_text, encode_text

__all__ = ["Outside", "find_outside", "write_references"]

# The address that HDF5 itself uses for "none"; no object has it.
_NOWHERE: Final = 2**64 - 1

Missing: TypeAlias = Callable[[str, Place], None]
"""What to do about a reference to an object that was not copied: its path, and who refers to it."""


class Outside(NamedTuple):
    """What copied objects point at that was not copied.

    Both members are keyed by the path in the source of what is missing, and list what points at it.
    """

    links: dict[str, list[str]]
    """Soft links that lead somewhere in the source, but not to its copy in the target."""
    references: dict[str, list[str]]
    """Datasets and attributes that refer to objects which were not copied."""


def find_outside(transfer: Transfer) -> Outside:
    """Find what the objects copied so far point at that was not copied, nor is dangling."""
    links, references = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    translation = _Translation(
        transfer, lambda path, place: references[path].append(str(place)), write=False
    )
    for source_path, target_path in transfer.soft_links:
        wanted = resolve(transfer.source, source_path)
        if isinstance(wanted, int):
            path = transfer.paths.get(wanted)
            expected: Resolved = None if path is None else translation.address_of(path)
        elif wanted is not None:
            expected = (transfer.relocation.name(wanted[0]), *wanted[1:])
        else:
            continue
        if expected is None or resolve(transfer.target, target_path) != expected:
            text = decode_text(transfer.source.links.get_val(encode_text(source_path)))
            group = source_path.rpartition("/")[0]
            links[absolute(group, text)].append(source_path)
    for holder in transfer.holders:
        translation.carry(holder)
    return Outside(dict(links), dict(references))


def write_references(transfer: Transfer) -> None:
    """Write the references of all that was copied, now that it is known where everything went.

    Raises
    ------
    LinkError
        One leads to an object that was not copied.
    """

    def refuse(path: str, place: Place) -> None:
        raise LinkError(
            f"refers to {path}, which was not copied to {transfer.target_file}",
            file=transfer.source_file,
            path=place.path,
            field=place.field,
        )

    translation = _Translation(transfer, refuse, write=True)
    for holder in transfer.holders:
        translation.carry(holder)
    transfer.holders.clear()


class _Translation:
    """References of the source as those of the target, as long as nothing else is copied.

    Parameters
    ----------
    transfer
        Tells where everything went.
    missing
        Told of each reference to an object that was not copied.
    write
        Whether the translated references are written.
    """

    def __init__(self, transfer: Transfer, missing: Missing, *, write: bool) -> None:
        self._transfer = transfer
        self._missing = missing
        self._write = write
        self._addresses: dict[str, int] = {}

    def carry(self, holder: Holder) -> None:
        """Translate the references in a dataset, or in an attribute of an object."""
        path, target_path, attribute = holder
        place = Place(path, None if attribute is None else decode_text(attribute))
        with self._transfer.errors(path, attribute):
            source = h5o.open(self._transfer.source, encode_text(path))
            target = None
            if self._write:
                target = h5o.open(self._transfer.target, encode_text(target_path))
            if attribute is not None:
                source = h5a.open(source, attribute)
                target = h5a.open(target, attribute) if self._write else None
            form = Format.of(source.get_type())
            if form.variable and not self._write:
                form = form._replace(raw=False)
            for block in blocks_of(source):
                values = form.read(source, block)
                if form.raw:
                    self._translate_raw(values, form, place)
                else:
                    self._translate(values, form.type.dtype.base, place)
                if self._write:
                    form.write(target, block, values)

    def address_of(self, path: str) -> int:
        """Give the address of an object of the target."""
        if path not in self._addresses:
            self._addresses[path] = h5o.get_info(self._transfer.target, encode_text(path)).addr
        return self._addresses[path]

    def _translate_raw(self, values: Elements, form: Format, place: Place) -> None:
        for offset, member in form.references:
            stored = values[:, offset : offset + 8]
            old, where = np.unique(stored.copy().view(np.uint64), return_inverse=True)
            new = np.zeros_like(old)
            for i, address in enumerate(old.tolist()):
                path = self._target_path(address, place.member(member))
                if path is not None:
                    new[i] = self.address_of(path)
            stored[...] = new[where.reshape(-1, 1)].view(np.uint8)

    def _translate(self, values: Elements, dtype: np.dtype[Any], place: Place) -> None:
        """Replace h5py's reference objects, also in members and in arrays inside of arrays.

        `dtype` is that of the values, which h5py leaves unmarked in inner arrays.
        """
        if dtype.names is not None:
            for name in dtype.names:
                self._translate(values[name], dtype[name].base, place.member(name))
        elif h5t.check_ref_dtype(dtype) is not None:
            for i, reference in enumerate(values.flat):
                values.flat[i] = self._translated(reference, place)
        elif isinstance(inner := h5t.check_vlen_dtype(dtype), np.dtype):
            for value in values.flat:
                self._translate(value, inner.base, place)

    def _translated(self, reference: Any, place: Place) -> Any:
        null = type(reference)()
        if not reference:
            return null
        file, target = self._transfer.file, self._transfer.target
        region = None
        try:
            address = h5o.get_info(h5r.dereference(reference, file)).addr
            if isinstance(reference, h5r.RegionReference):
                region = h5r.get_region(reference, file)
        except HDF5_ERRORS:  # it is no more, or something else lies there now
            address = _NOWHERE
        path = self._target_path(address, place)
        if path is None:
            return null
        if region is not None:
            return h5r.create(target, encode_text(path), h5r.DATASET_REGION, region)
        return h5r.create(target, encode_text(path), h5r.OBJECT)

    def _target_path(self, address: int, place: Place) -> str | None:
        """Find where the copy of the object at an address is; None for a reference to nothing."""
        transfer = self._transfer
        if address == 0:
            return None
        if address in transfer.paths:
            return transfer.paths[address]
        if address in transfer.source_paths:
            self._missing(transfer.source_paths[address], place)
        else:
            note = f"{place}: a reference to an object that does not exist became null"
            if note not in transfer.notes:
                transfer.notes.append(note)
        return None
