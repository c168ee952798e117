"""`upgrade`: go through a session, and mend what can be mended without a guess."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from nwb_ophys.checks import colnames_are_the_columns
from nwb_ophys.errors import NWBError, SchemaError
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.layout import FieldLayout, layout_of
from nwb_ophys.mending.integers import as_declared
from nwb_ophys.mending.ledger import ABSENT, Ledger, Mend
from nwb_ophys.mending.release import drop_attributes, name_type, to_newest
from nwb_ophys.models.columns import VectorIndex
from nwb_ophys.models.container import new_id
from nwb_ophys.models.images import ImageSeries, IndexSeries
from nwb_ophys.models.table import DynamicTable
from nwb_ophys.problems import Problem
from nwb_ophys.storage import Array, Attr, Value

if TYPE_CHECKING:
    from nwb_ophys.hdf5.nodes import Node
    from nwb_ophys.models.file import NWBFile

__all__ = ["Mending", "upgrade"]

_SPELLINGS: Final = {
    "seconds": {"seconds", "second", "secs", "sec", "s"},
    "volts": {"volts", "volt", "v"},
    "amperes": {"amperes", "ampere", "amps", "amp", "a"},
}


@dataclass
class Mending:
    """What `upgrade` did.

    Parameters
    ----------
    mends
        What was mended.
    left
        What departs from the schema and was left as it is: nobody can know what it should be, or
        it was not asked for.
    """

    mends: list[Mend] = field(default_factory=list)
    left: list[Problem] = field(default_factory=list)


def upgrade(
    session: NWBFile, *, timezone: str | None = None, only: Iterable[str] | None = None
) -> Mending:
    """Mend an opened session, and bring it to the newest schema; `write` or `save` stores it.

    All of the file is looked through; of arrays, only those that are changed are read. The data
    stay what they are: only how they are told changes.

    Parameters
    ----------
    session
        An opened session.
    timezone
        The zone that dates without an offset from UTC are in, such as "Europe/Zurich"; they are
        left as they are where it is not given.
    only
        Which of `RULES` to follow, all where it is left out; ``"missing:object_id"`` is that rule
        for one field.

    Raises
    ------
    SchemaError
        Where the session is in no file, or was changed and not written yet.
    NWBError
        Where there is no such time zone or rule.
    """
    from nwb_ophys.models.file import NWBFile

    if not isinstance(session, NWBFile):
        raise SchemaError(
            f"expected an opened session, found {session!r} of type {type(session).__name__}",
            hint="nwb_ophys.open(path), upgrade it, and write it",
        )
    binding = session._binding
    if binding is None:
        raise SchemaError("the session is in no file, and follows the newest schema already")
    if binding.session.is_changed:
        raise SchemaError(
            "the session has changes of its own",
            file=binding.file,
            hint="write or save it first, or take them back: session.discard()",
        )
    ledger = Ledger(only)
    _Mender(session, _zone(timezone), ledger).run()
    return Mending(ledger.mends, sorted(ledger.left.values(), key=str))


def _zone(name: str | None) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:
        raise NWBError(
            f"there is no time zone {name!r}", hint='name one as in "Europe/Zurich"'
        ) from error


class _Mender:
    def __init__(self, root: NWBFile, zone: ZoneInfo | None, ledger: Ledger) -> None:
        self.root = root
        self.zone = zone
        self.ledger = ledger
        self.session: Any = root._binding.session  # type: ignore[union-attr]

    def run(self) -> None:
        models: dict[str, Any] = {}
        model: Any
        for model in self.root.walk():
            if model._binding is not None and model._binding.node.source is self.session.source:
                models[model.hdf5_path] = model
                for name in layout_of(type(model)).fields:
                    with suppress(NWBError):  # noted in the problems
                        getattr(model, name)
        departures = {**self.session.earlier, **self.session.problems}
        self.ledger.left.update(departures)
        upgraded = to_newest(self.root, self.ledger, models.values())
        for model in models.values():
            with suppress(NWBError):  # what cannot be read is noted in the problems, and left
                self._identify(model)
                self._list_columns(model)
            self._list_singles(model)
            if upgraded:
                with suppress(NWBError):
                    drop_attributes(model, self.ledger)
                    name_type(model, self.ledger, departures)
        for (path, name, rule), problem in departures.items():
            model = models.get(path)
            one = None if model is None else layout_of(type(model)).fields.get(name)
            if one is not None and rule in ("dtype", "fixed", "missing"):
                self._mend(model, one, problem)

    # -- objects -------------------------------------------------------------------------------

    def _identify(self, model: Any) -> None:
        if (
            model.neurodata_type is not None
            and "object_id" in layout_of(type(model)).fields
            and "object_id" not in model._binding.node.attributes
            and "neurodata_type" in model._binding.node.attributes
        ):
            self.ledger.set(model, "object_id", "missing", ABSENT, new_id())

    def _list_columns(self, model: Any) -> None:
        if not isinstance(model, DynamicTable):
            return
        broken = [message for _, message in colnames_are_the_columns(model)]
        if not broken:
            return
        there = [name for name, _ in model._stored_columns()]
        listed = list(model.colnames or ())
        members = set(model._binding.member_names(()))  # type: ignore[union-attr]
        if any(name in members and name not in there and name != "id" for name in listed):
            self.ledger.leave(model.hdf5_path, "colnames", "columns", broken[0])
            return  # something is there that is no column, or cannot be read
        kept = list(dict.fromkeys(name for name in listed if name in there))
        kept += [name for name in there if name not in kept]
        missing = (model.hdf5_path or "/", "colnames", "missing")
        rule = "missing" if missing in self.ledger.left else "columns"
        if self.ledger.takes(rule, "colnames"):
            self.ledger.set(model, "colnames", rule, listed if rule == "columns" else ABSENT, kept)
            self.ledger.left.pop((model.hdf5_path or "/", "colnames", "columns"), None)
        else:
            self.ledger.leave(model.hdf5_path, "colnames", "columns", broken[0])

    def _list_singles(self, model: Any) -> None:
        """Make lists of one of single values."""
        for one in layout_of(type(model)).fields.values():
            if not isinstance(one.marker, Array) or not one.is_list:
                continue
            node = _own_dataset(model, one)
            value = model.__dict__.get(one.name)
            if node is not None and isinstance(value, list) and LazyArray(node).shape == ():
                self.ledger.set(model, one.name, "shape", value[0], list(value))

    # -- fields --------------------------------------------------------------------------------

    def _mend(self, model: Any, one: FieldLayout, problem: Problem) -> None:
        marker, rule = one.marker, problem.rule
        if isinstance(marker, Attr) and marker.of is not None:
            owner = layout_of(type(model)).fields[marker.of]
            if _own_dataset(model, owner) is None:  # it lies in another object, or file
                if model._binding.group(owner.groups).links[owner.stored].kind == "soft":
                    self.ledger.left.pop(
                        (problem.path, one.name, rule), None
                    )  # told of where it lies
                return
        value = model.__dict__.get(one.name)
        was, now = value, None
        if rule == "fixed" and isinstance(marker, Attr):
            now = marker.fixed if _means(model, value, marker.fixed) else None
        elif rule == "missing":
            was, now = ABSENT, self._absent(model, one)
        elif isinstance(marker, Array | Value) and isinstance(value, LazyArray):
            now = as_declared(marker.dtype, value)
            was = value.dtype
            if now is not None and self.ledger.takes(rule, one.name):
                setattr(model, one.name, now)
                self.ledger.done(model.hdf5_path, one.name, rule, was, now.dtype)
            return
        elif getattr(marker, "dtype", None) == "isodatetime":
            now = self._dated(value)
        elif isinstance(marker, Attr) and type(value) is int and "float" in str(marker.dtype):
            now = float(value)
        if now is not None:
            self.ledger.set(model, one.name, rule, was, now)

    def _absent(self, model: Any, one: FieldLayout) -> Any:
        """Give what is certain of a field that is not there; None for what is not."""
        marker = one.marker
        if isinstance(marker, Attr):
            if marker.fixed == "seconds" or one.name == "interval":
                return marker.fixed
            if one.name == "description" and marker.dtype == "text":
                if isinstance(model, VectorIndex):
                    return f"Where the rows of {model.name.removesuffix('_index')!r} end."
                return "no description"
        if one.name == "timestamps_reference_time" and model is self.root:
            start = self._dated(model.session_start_time) or model.session_start_time
            return start if isinstance(start, datetime) and start.tzinfo else None
        if one.name == "data" and isinstance(model, ImageSeries):
            if isinstance(model, IndexSeries) or model.external_file is None:
                return None
            kind = one.types[0]  # the frames are elsewhere: the schema has it empty
            return kind(array=np.zeros((0, 0, 0), np.uint8), unit="n.a.")
        return None

    def _dated(self, value: Any) -> Any:
        """Give dates an offset; None where there is none to give, or it is not certain."""
        if isinstance(value, list):
            dated = [one if getattr(one, "tzinfo", None) else self._dated(one) for one in value]
            return None if None in dated else dated
        if self.zone is None or not isinstance(value, datetime) or value.tzinfo is not None:
            return None
        early, late = (value.replace(tzinfo=self.zone, fold=fold) for fold in (0, 1))
        if early.utcoffset() != late.utcoffset():
            return None  # clocks were changed in that hour
        return datetime.fromisoformat(early.isoformat())


def _own_dataset(model: Any, one: FieldLayout) -> Node | None:
    """Find the dataset of a field where it lies in the object itself, not behind a link."""
    group = model._binding.group(one.groups)
    if group is None or one.stored not in group.links or group.links[one.stored].kind != "hard":
        return None
    node: Node = group.child(one.stored)
    return node if node.is_dataset else None


def _means(model: Any, value: Any, fixed: Any) -> bool:
    """Tell whether a unit means what the schema fixes."""
    if type(model).__name__ == "IndexSeriesData":
        return True  # an index has no unit, whatever is said
    return isinstance(value, str) and value.strip().lower() in _SPELLINGS.get(fixed, ())
