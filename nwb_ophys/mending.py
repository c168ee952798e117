"""Mend what departs from the schema and can be mended safely, and bring old files to the newest.

A session is changed through its models, as a user would change it, and written like any other. What
a mend cannot be certain of is left as it is, and listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from nwb_ophys.checks import colnames_are_the_columns
from nwb_ophys.dtypes import DTypeSpec, array_mismatch
from nwb_ophys.errors import NWBError, SchemaError
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.layout import FieldLayout, layout_of
from nwb_ophys.models.base import new_id
from nwb_ophys.models.columns import VectorIndex
from nwb_ophys.models.images import ImageSeries, IndexSeries
from nwb_ophys.models.table import DynamicTable
from nwb_ophys.problems import Problem
from nwb_ophys.registry import hand_written
from nwb_ophys.specs import Catalog, newest, packed_namespaces
from nwb_ophys.storage import Array, Attr, Value

if TYPE_CHECKING:
    from nwb_ophys.hdf5.nodes import Node
    from nwb_ophys.models.file import NWBFile

__all__ = ["RULES", "Mend", "Mending", "upgrade"]

RULES: Final = {
    "columns": "colnames name the columns that are there",
    "dtype": "dates get an offset from UTC; integers, where they are exact, the declared kind",
    "fixed": "units that mean what the schema fixes are spelled as it does",
    "missing": "object_id, units of time, descriptions and cached specifications are added",
    "shape": "a single value becomes a list of one where the schema has a list",
    "type": "types carry the namespace and the name that they have in the newest schema",
    "undeclared": "help, source and ancestry, which the schema no longer has, are dropped",
    "version": "nwb_version and the cached specifications become the newest",
}
"""What is mended, by the rule that was broken, as `NWBFile.problems` names it."""

_SPELLINGS: Final = {
    "seconds": {"seconds", "second", "secs", "sec", "s"},
    "volts": {"volts", "volt", "v"},
    "amperes": {"amperes", "ampere", "amps", "amp", "a"},
}
_DROPPED: Final = ("help", "source", "ancestry")
_LARGE: Final = 1 << 27
_ABSENT: Final = "nothing"


@dataclass(frozen=True, slots=True)
class Mend:
    """One thing that was mended.

    Parameters
    ----------
    path, field
        The HDF5 path of the object, and the field or attribute of it.
    rule
        What it broke: one of `RULES`.
    was, now
        What was there, and what is there instead, in short.
    """

    path: str
    field: str
    rule: str
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.path}, field {self.field!r}: was {self.was}, now {self.now} [{self.rule}]"


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
    mender = _Mender(session, _zone(timezone), _chosen(only))
    mender.run()
    return Mending(mender.mends, sorted(mender.left.values(), key=str))


def _zone(name: str | None) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:
        raise NWBError(
            f"there is no time zone {name!r}", hint='name one as in "Europe/Zurich"'
        ) from error


def _chosen(only: Iterable[str] | None) -> frozenset[str] | None:
    if only is None:
        return None
    chosen = frozenset([only] if isinstance(only, str) else only)
    for one in sorted(chosen):
        if one.partition(":")[0] not in RULES:
            raise NWBError(f"nothing is mended by the rule {one!r}; there is {', '.join(RULES)}")
    return chosen


class _Mender:
    def __init__(self, root: NWBFile, zone: ZoneInfo | None, chosen: frozenset[str] | None) -> None:
        self.root = root
        self.zone = zone
        self.chosen = chosen
        self.mends: list[Mend] = []
        self.left: dict[tuple[str, str, str], Problem] = {}
        self.session: Any = root._binding.session  # type: ignore[union-attr]
        self.version = packed_namespaces()["core"].version

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
        self.left = dict(departures)
        upgraded = self._upgrade(models.values())
        for model in models.values():
            with suppress(NWBError):  # what cannot be read is noted in the problems, and left
                self._identify(model)
                self._list_columns(model)
            self._list_singles(model)
            if upgraded:
                with suppress(NWBError):
                    self._drop_attributes(model)
                    self._name_type(model, departures)
        for (path, name, rule), problem in departures.items():
            model = models.get(path)
            one = None if model is None else layout_of(type(model)).fields.get(name)
            if one is not None and rule in ("dtype", "fixed", "missing"):
                self._mend(model, one, problem)

    def _takes(self, rule: str, name: str) -> bool:
        return self.chosen is None or rule in self.chosen or f"{rule}:{name}" in self.chosen

    def _done(self, path: str | None, name: str, rule: str, was: Any, now: Any) -> None:
        self.mends.append(Mend(path or "/", name, rule, _short(was), _short(now)))
        self.left.pop((path or "/", name, rule), None)

    def _leave(self, path: str | None, name: str, rule: str, message: str) -> None:
        problem = Problem(path or "/", name, rule, message, "warning")
        self.left.setdefault((problem.path, name, rule), problem)

    def _set(self, model: Any, name: str, rule: str, was: Any, now: Any) -> None:
        if self._takes(rule, name):
            setattr(model, name, now)
            self._done(model.hdf5_path, name, rule, was, now)

    # -- the release of the schema -------------------------------------------------------------

    def _upgrade(self, models: Iterable[Any]) -> bool:
        """Bring the version and the cached specifications to the newest; tell whether they are."""
        root = self.root
        attributes = root._binding.node.attributes  # type: ignore[union-attr]
        stored = attributes.get("nwb_version")
        if isinstance(stored, str) and newest((stored, self.version)) != self.version:
            self._leave("/", "nwb_version", "version", f"{stored} is newer than {self.version}")
            return False
        strangers = sorted({name for name in map(_strange_type, models) if name})
        if strangers:
            listed = ", ".join(strangers)
            message = f"schema {self.version} has no type {listed}: the layout is left as it is"
            self._leave("/", "nwb_version", "version", message)
            return False
        if stored != self.version:
            if not self._takes("version", "nwb_version"):
                message = f"expected {self.version}, found {_short(stored)}"
                self._leave("/", "nwb_version", "version", message)
                return False
            was = _ABSENT if stored is None else stored
            root.nwb_version = self.version
            self._done("/", "nwb_version", "version", was, self.version)
            self.left.pop(("/", "nwb_version", "missing"), None)
            self._done("/specifications", "core", "version", self._cached("core"), self.version)
            return True
        wrong = [name for name in packed_namespaces() if not self._is_cached(name)]
        if wrong and self._takes("missing", "specifications"):
            root.nwb_version = self.version  # the writer adds the specifications of a version set
            for name in wrong:
                newer = packed_namespaces()[name].version
                self._done("/specifications", name, "missing", self._cached(name), newer)
        elif wrong:
            listed = ", ".join(wrong)
            self._leave("/specifications", "", "missing", f"no specifications of {listed}")
        return True

    def _cached(self, namespace: str) -> str:
        links = self.root._binding.node.links  # type: ignore[union-attr]
        if "specifications" not in links:
            return _ABSENT
        group = self.root._binding.node.child("specifications")  # type: ignore[union-attr]
        if not group.is_group or namespace not in group.links:
            return _ABSENT
        return ", ".join(group.child(namespace).links) or _ABSENT

    def _is_cached(self, namespace: str) -> bool:
        packed = packed_namespaces()[namespace].version
        attributes = self.root._binding.node.attributes  # type: ignore[union-attr]
        return self._cached(namespace) == packed and ".specloc" in attributes

    def _drop_attributes(self, model: Any) -> None:
        if model.namespace not in packed_namespaces():
            return  # what an extension's type has is its own
        for name in _DROPPED:
            if name in model.attrs and self._takes("undeclared", name):
                self._done(model.hdf5_path, name, "undeclared", model.attrs.pop(name), _ABSENT)

    def _name_type(self, model: Any, departures: Iterable[tuple[str, str, str]]) -> None:
        """Enter the namespace and name that a type has now, where the file has older ones."""
        cls, attributes = type(model), model._binding.node.attributes
        stored = attributes.get("namespace"), attributes.get("neurodata_type")
        wanted = cls.namespace, cls.neurodata_type
        if stored == wanted or None in wanted or None in stored:
            return
        known = hand_written(*wanted)
        if stored[0] not in packed_namespaces() or known is None or not issubclass(cls, known):
            return
        if stored[1] != wanted[1] and any(
            path == model.hdf5_path and rule == "dtype" for path, _, rule in departures
        ):
            return  # it is not what the newer type is
        for name, was, now in zip(("namespace", "neurodata_type"), stored, wanted, strict=True):
            if was != now and self._takes("type", name):
                model.attrs[name] = now
                self._done(model.hdf5_path, name, "type", was, now)

    # -- objects -------------------------------------------------------------------------------

    def _identify(self, model: Any) -> None:
        if (
            model.neurodata_type is not None
            and "object_id" in layout_of(type(model)).fields
            and "object_id" not in model._binding.node.attributes
            and "neurodata_type" in model._binding.node.attributes
        ):
            self._set(model, "object_id", "missing", _ABSENT, new_id())

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
            self._leave(model.hdf5_path, "colnames", "columns", broken[0])
            return  # something is there that is no column, or cannot be read
        kept = list(dict.fromkeys(name for name in listed if name in there))
        kept += [name for name in there if name not in kept]
        missing = (model.hdf5_path or "/", "colnames", "missing")
        rule = "missing" if missing in self.left else "columns"
        if self._takes(rule, "colnames"):
            self._set(model, "colnames", rule, listed if rule == "columns" else _ABSENT, kept)
            self.left.pop((model.hdf5_path or "/", "colnames", "columns"), None)
        else:
            self._leave(model.hdf5_path, "colnames", "columns", broken[0])

    def _list_singles(self, model: Any) -> None:
        """Make lists of one of single values."""
        for one in layout_of(type(model)).fields.values():
            if not isinstance(one.marker, Array) or not one.is_list:
                continue
            node = _own_dataset(model, one)
            value = model.__dict__.get(one.name)
            if node is not None and isinstance(value, list) and LazyArray(node).shape == ():
                self._set(model, one.name, "shape", value[0], list(value))

    # -- fields --------------------------------------------------------------------------------

    def _mend(self, model: Any, one: FieldLayout, problem: Problem) -> None:
        marker, rule = one.marker, problem.rule
        if isinstance(marker, Attr) and marker.of is not None:
            owner = layout_of(type(model)).fields[marker.of]
            if _own_dataset(model, owner) is None:  # it lies in another object, or file
                if model._binding.group(owner.groups).links[owner.stored].kind == "soft":
                    self.left.pop((problem.path, one.name, rule), None)  # told of where it lies
                return
        value = model.__dict__.get(one.name)
        was, now = value, None
        if rule == "fixed" and isinstance(marker, Attr):
            now = marker.fixed if _means(model, value, marker.fixed) else None
        elif rule == "missing":
            was, now = _ABSENT, self._absent(model, one)
        elif isinstance(marker, Array | Value) and isinstance(value, LazyArray):
            now = _conformed(marker.dtype, value)
            was = value.dtype
            if now is not None and self._takes(rule, one.name):
                setattr(model, one.name, now)
                self._done(model.hdf5_path, one.name, rule, was, now.dtype)
            return
        elif getattr(marker, "dtype", None) == "isodatetime":
            now = self._dated(value)
        elif isinstance(marker, Attr) and type(value) is int and "float" in str(marker.dtype):
            now = float(value)
        if now is not None:
            self._set(model, one.name, rule, was, now)

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


def _strange_type(model: Any) -> str | None:
    """Name the type of an object that an official namespace does not have any more."""
    attributes = model._binding.node.attributes
    namespace, name = attributes.get("namespace"), attributes.get("neurodata_type")
    if not isinstance(name, str) or namespace not in packed_namespaces():
        return None
    return None if Catalog.packed().get(namespace, name) is not None else name


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


def _conformed(spec: DTypeSpec, stored: Any) -> np.ndarray[Any, Any] | None:
    """Bring whole numbers to the declared kind of integers; None where they are not exact."""
    if (stored.size or 0) > _LARGE:
        return None
    array = np.asarray(stored)
    if not isinstance(spec, tuple):
        return _whole(str(spec), array)
    if array.dtype.names != tuple(name for name, _ in spec):
        return None
    parts = {name: _whole(str(one), array[name]) for name, one in spec}
    kinds = [(name, part.dtype) for name, part in parts.items() if part is not None]
    if len(kinds) < len(parts):
        return None
    made = np.empty(array.shape, kinds)
    for name, part in parts.items():
        made[name] = part
    return made


def _whole(spec: str, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
    if array_mismatch(spec, array.dtype) is None:
        return array
    if not spec.startswith(("int", "uint")) or array.dtype.kind not in "iuf":
        return None
    least = np.dtype(spec if spec not in ("int", "uint") else f"{spec}32")
    for kind in _as_wide(least, array.dtype):
        limits = np.iinfo(kind)
        if array.size and not (array.min() >= limits.min and array.max() <= limits.max):
            continue  # NaN is neither
        made = array.astype(kind)
        if np.array_equal(made, array):
            return made
    return None


def _as_wide(least: np.dtype[Any], stored: np.dtype[Any]) -> Iterator[np.dtype[Any]]:
    """Iterate over the kinds of integers to try: as wide as what is stored, then the widest."""
    size = max(least.itemsize, stored.itemsize if stored.kind in "iu" else 0)
    yield np.dtype(f"{least.kind}{size}")
    if size < 8:
        yield np.dtype(f"{least.kind}8")


def _short(value: Any) -> str:
    """Show a value in one short line."""
    if isinstance(value, np.dtype):
        names = value.names
        return f"({', '.join(f'{n}: {value[n]}' for n in names)})" if names else str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return f"[{', '.join(map(_short, value))}]"
    text = value if value is _ABSENT else repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
