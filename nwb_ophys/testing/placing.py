"""Sessions around objects: each goes where the schema has a place for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np

from nwb_ophys import models as nwb
from nwb_ophys.layout import FieldLayout, layout_of
from nwb_ophys.mapper.checking import objects_in
from nwb_ophys.models.base import ConfiguredBaseModel
from nwb_ophys.storage import Child, Link, Members, Ref
from nwb_ophys.testing.factories import Factory, hand_written_models
from nwb_ophys.testing.sessions import stamp, start_session
from nwb_ophys.testing.values import Sensible

__all__ = ["make_session_with", "put_into"]


class _Place(NamedTuple):
    owner: type[Any]
    field: FieldLayout


_GENERAL: Final = (object, nwb.Container, nwb.NWBContainer, nwb.Data, nwb.NWBData)


@cache
def _route(cls: type) -> tuple[_Place, ...]:
    """Find the places that lead from the root of a file to an object of a type, the best way."""
    ways: list[tuple[tuple[Any, ...], tuple[_Place, ...]]] = []
    seen: set[type[Any]] = {nwb.NWBFile}
    queue: list[tuple[type[Any], tuple[_Place, ...]]] = [(nwb.NWBFile, ())]
    for owner, way in queue:
        for one in layout_of(owner).fields.values():
            for kind in _kinds(one):
                here = (*way, _Place(owner, one))
                if _takes(kind, cls):
                    ways.append((_rank(cls, kind, here), here))
                if kind not in _GENERAL:
                    new = [k for k in hand_written_models() if issubclass(k, kind)]
                    queue += [(each, here) for each in new if each not in seen]
                    seen.update(new)
    return min(ways, key=lambda found: found[0])[1]


def _kinds(one: FieldLayout) -> tuple[type[Any], ...]:
    """Give the types that a field takes under any name, or under their own one."""
    if isinstance(one.marker, Members):
        return one.types or (object,)
    named = isinstance(one.marker, Child) and "name" in one.types[0].model_fields
    return () if not named or one.types[0].model_fields["name"].is_required() else one.types


def _takes(kind: type[Any], cls: type[Any]) -> bool:
    is_part = "neurodata_type" not in cls.__dict__
    return kind in (cls, object) if is_part else issubclass(cls, kind)


def _rank(cls: type[Any], kind: type[Any], way: tuple[_Place, ...]) -> tuple[Any, ...]:
    """Say how good a place is: lower is better."""
    general = kind in _GENERAL and kind is not cls
    last = general or way[-1].field.name == "stimulus_template"
    return kind is object, last, len(way), cls.__mro__.index(kind)


def make_session_with(*objects: ConfiguredBaseModel) -> nwb.NWBFile:
    """Make a session that holds objects and all that they link to.

    Each goes where the schema has a place for it: a device among the devices, a channel into an
    imaging plane, which is made for it, with a microscope.

    Parameters
    ----------
    objects
        Authored objects.

    Returns
    -------
    NWBFile
        A session that can be written.
    """
    session = start_session("objects", "A session around some objects.")
    put_into(session, *objects)
    return stamp(session, "objects", [type(one).__name__ for one in objects])


def put_into(session: nwb.NWBFile, *objects: ConfiguredBaseModel) -> None:
    """Put objects, and all that they link to, into a session."""
    factory = Factory(Sensible(numbered=True))
    waiting = list(objects)
    while waiting:
        placed = {id(model) for model in session.walk()}
        model = waiting.pop(0)
        if id(model) not in placed:
            _put(session, model, factory, objects)
        waiting += [
            target
            for found in session.walk()
            for target in _targets(found)
            if id(target) not in placed and target is not model
        ]


def _put(session: nwb.NWBFile, model: Any, factory: Factory, given: Sequence[Any]) -> None:
    _fit(factory, model)
    first, *inner = _route(type(model))  # type: ignore[arg-type]
    item = model
    for place in reversed(inner):
        several = isinstance(place.field.marker, Members)
        members: Any = _companions(item) if several else item
        fields = {place.field.name: members}
        if isinstance(item, nwb.ImagesOrderOfImages):
            fields["children"] = list(dict.fromkeys(item.array))  # type: ignore[call-overload]
        item = factory.make(place.owner, **fields)
    if isinstance(first.field.marker, Members):
        members = getattr(session, first.field.name)
        if not any(item is one for one in given):
            # What was made around an object, or for it to link to, gives way.
            while item.name in members or any(item.name == one.name for one in given):
                item.name += "_"
        members.add(item)
    else:
        setattr(session, first.field.name, item)


def _fit(factory: Factory, model: Any) -> None:
    """Have what is made around a dataset be as long as the dataset is."""
    factory.values.times, factory.values.rows = Sensible.times, Sensible.rows
    shape = model.shape if isinstance(model, nwb.DatasetModel) else ()
    if shape and isinstance(model, (nwb.VectorData, nwb.ElementIdentifiers)):
        factory.values.rows = shape[0]
    elif shape:
        factory.values.times = shape[0]
        factory.values.rows = shape[1] if len(shape) > 1 else 1


def _companions(item: Any) -> list[Any]:
    """List what has to lie beside an object: a column beside its index."""
    target = item.target if isinstance(item, nwb.VectorIndex) else None
    return [item] if target is None else [target, item]


def _targets(model: Any) -> Iterator[Any]:
    """Iterate over the objects that an object links or refers to."""
    for one in layout_of(type(model)).fields.values():
        value = getattr(model, one.name)
        if isinstance(one.marker, (Link, Ref)) and value is not None:
            yield value
        elif isinstance(value, np.ndarray):
            yield from objects_in(value)
