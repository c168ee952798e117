"""What files hold, by plain h5py, and what models hold, brought to one form and compared."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5o

import nwb_ophys as nwb
from nwb_ophys.errors import NWBError
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.layout import FieldLayout, layout_of
from nwb_ophys.mapper.regions import Region
from nwb_ophys.models.base import ConfiguredBaseModel
from nwb_ophys.storage import Array, Attr, Child, Link, Members, Ref, Value
from nwb_ophys.testing import touch

TOO_LARGE = 10**7


def raw(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


# -- one form for values -------------------------------------------------------------------------


def stored(value: Any, file: h5py.File) -> Any:
    """Bring what h5py reads to plain Python: text to str, references to addresses."""
    if isinstance(value, h5py.Empty):
        return "null"
    if isinstance(value, h5py.h5r.Reference):
        kind = "region" if isinstance(value, h5py.RegionReference) else "object"
        return (kind, h5o.get_info(file[value].id).addr) if value else None
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return elements(value, lambda item: stored(item, file))


def held(value: Any, file: h5py.File | None = None) -> Any:
    """Bring what a model holds to the same form; objects to their addresses in the file."""
    if isinstance(value, h5py.Empty) or (isinstance(value, LazyArray) and value.shape is None):
        return "null"
    if isinstance(value, Region):
        return "region", address(value.target, file)
    if isinstance(value, ConfiguredBaseModel):
        return "object", address(value, file)
    if isinstance(value, LazyArray):
        return held(value[()], file)
    return elements(value, lambda item: held(item, file))


def address(model: Any, file: h5py.File | None) -> Any:
    return model.hdf5_path if file is None else h5o.get_info(file[raw(model.hdf5_path)].id).addr


def elements(value: Any, each: Any) -> Any:
    if isinstance(value, np.void):
        return tuple(each(value[name]) for name in value.dtype.names)
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "biufc":
            return value.tolist()
        return [each(item) for item in value]
    if isinstance(value, list | tuple):
        return [each(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return value


def same(a: Any, b: Any) -> bool:
    """Equality in which NaN equals NaN and an integer its float."""
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, datetime) != isinstance(b, datetime):
        a, b = (one if isinstance(one, datetime) else datetime.fromisoformat(one) for one in (a, b))
    return bool(a == b or (a != a and b != b))


# -- a session against its file ------------------------------------------------------------------


def wrong_values(path: Path, **options: Any) -> list[str]:
    """List the fields of a file's models that differ from what plain h5py reads there."""
    with nwb.open(path, **options) as session, h5py.File(path) as file:
        return [
            f"{model.hdf5_path}, {what}: {ours!r:.200}, but h5py reads {theirs!r:.200}"
            for model in touch(session)
            for what, ours, theirs in compared(model, file)
            if not same(ours, theirs)
        ]


def compared(model: Any, file: h5py.File) -> Iterator[tuple[str, Any, Any]]:
    opened = file[raw(model.hdf5_path)]
    for one in layout_of(type(model)).fields.values():
        where = place_of(model, one, opened)
        if where is None:
            continue
        try:
            value = getattr(model, one.name)
        except NWBError as error:
            yield one.name, str(error), "a value"
            continue
        if isinstance(where, h5py.Dataset) and not isinstance(one.marker, Attr | Ref):
            if (where.size or 0) < TOO_LARGE:
                yield one.name, as_stored(value, one, file), as_listed(where[()], one, file)
        elif isinstance(one.marker, Attr | Ref):
            theirs = where.attrs[raw_name(where, one.stored)]
            yield one.name, as_stored(value, one, file), as_listed(theirs, one, file)
    declared = layout_of(type(model)).attributes
    for name, value in model.attrs.items():
        assert name not in declared
        yield f"@{name}", held(value, file), stored(opened.attrs[raw_name(opened, name)], file)


def place_of(model: Any, one: FieldLayout, opened: Any) -> Any:
    """Find the h5py object that a field is of; None where the file does not have it."""
    marker = one.marker
    place = opened
    if isinstance(marker, Attr) and marker.of is not None:
        place = opened.get(raw(layout_of(type(model)).fields[marker.of].path))
    elif isinstance(marker, Array):
        return opened.get(raw(one.path))
    elif isinstance(marker, Value):
        return opened
    elif not isinstance(marker, Attr | Ref):
        return None
    return place if place is not None and raw_name(place, one.stored) in place.attrs else None


def raw_name(owner: Any, name: str) -> Any:
    return name if name.isascii() else raw(name)


def as_stored(value: Any, one: FieldLayout, file: h5py.File) -> Any:
    return held(value, file)


def as_listed(value: Any, one: FieldLayout, file: h5py.File) -> Any:
    """What h5py reads; a single value stands for a list of one where the field is a list."""
    plain = stored(value, file)
    if one.is_list:
        return [] if plain == "null" else plain if isinstance(plain, list) else [plain]
    return plain


# -- an authored object against what is read back ------------------------------------------------


def unlike(ours: Any, read: Any, seen: set[int] | None = None) -> list[str]:
    """List the fields in which an object that was read back is not what was authored."""
    seen = set() if seen is None else seen
    if id(ours) in seen:
        return []
    seen.add(id(ours))
    if type(ours) is not type(read):
        return [f"{ours!r} was read as {read!r}"]
    found = []
    for one in layout_of(type(ours)).fields.values():
        a, b = getattr(ours, one.name), getattr(read, one.name)
        if isinstance(one.marker, Members):
            for name in a:
                found += unlike(a[name], b[name], seen)
            extra = set(b) - set(a) - {"specifications"}
            found += [f"{ours!r}, {one.name}: {extra} are new"] if extra else []
        elif isinstance(one.marker, Child) and a is not None and b is not None:
            found += unlike(a, b, seen)
        elif isinstance(one.marker, Link) and a is not None and b is not None:
            if a.hdf5_path != b.hdf5_path:
                found.append(f"{ours!r}, {one.name}: {a!r}, then {b!r}")
        elif not same(held(a), held(b)):
            found.append(f"{ours!r}, {one.name}: {held(a)!r:.200}, then {held(b)!r:.200}")
    return found
