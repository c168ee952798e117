"""Rules that span the fields of an object: run before a write, never while a field is assigned.

A rule is a small function that yields the field it is about and what is wrong with it. It looks at
shapes, at arrays in memory, and at stored ones only where they are as short as an index; of streams
it knows nothing. It refuses only what the schema or PyNWB refuses: what is merely unusual is
written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from nwb_ophys.errors import ClosedError, NWBError
from nwb_ophys.layout import FieldLayout, layout_of
from nwb_ophys.models.aligned import AlignedDynamicTable
from nwb_ophys.models.columns import VectorData, VectorIndex
from nwb_ophys.models.container import Container
from nwb_ophys.models.group import GroupModel
from nwb_ophys.models.images import ImageSeries
from nwb_ophys.models.series import TimeSeries
from nwb_ophys.models.table import DynamicTable, DynamicTableRegion
from nwb_ophys.problems import Severity
from nwb_ophys.storage import Attr, Members, Quota, Ref

__all__ = [
    "RULES",
    "Finding",
    "Rule",
    "broken_rules",
    "length_of",
    "rule",
    "rules_of",
    "shape_of",
    "values_of",
]

Finding = tuple[str, str]
"""A field that breaks a rule, and how."""
Check = Callable[[Any], Iterator[Finding]]

_SHORT = 1 << 20


class Rule(NamedTuple):
    """One rule that spans fields or objects.

    Parameters
    ----------
    kinds
        The types whose objects it is for.
    check
        Gives what breaks it; its docstring says what the rule is.
    severity
        How much it matters.
    authored
        Whether a session that breaks it is not written.
    mend
        What to do about it.
    """

    kinds: tuple[type[Any], ...]
    check: Check
    severity: Severity
    authored: bool
    mend: str

    @property
    def name(self) -> str:
        """The name of the rule, as problems show it."""
        return self.check.__name__.replace("_", "-")


RULES: list[Rule] = []
_AS_SAID = "make it as the message expects"


def rule(
    *kinds: type[Any], severity: Severity = "error", authored: bool = True, mend: str = _AS_SAID
) -> Callable[[Check], Check]:
    """Enter a rule for the objects of some types and their subtypes."""

    def enter(check: Check) -> Check:
        RULES.append(Rule(kinds, check, severity, authored, mend))
        return check

    return enter


def rules_of(cls: type[Any]) -> tuple[Rule, ...]:
    """Give the rules for the objects of a class."""
    known, rules = _RULES_OF.get(cls, (0, ()))
    if known != len(RULES):  # further rules are entered when a file is validated
        rules = tuple(one for one in RULES if issubclass(cls, one.kinds))
        _RULES_OF[cls] = len(RULES), rules
    return rules


_RULES_OF: dict[type[Any], tuple[int, tuple[Rule, ...]]] = {}


def broken_rules(model: Any) -> Iterator[Finding]:
    """Iterate over the fields that keep an object from being written, and how."""
    for one in rules_of(type(model)):
        if one.authored:
            try:
                yield from one.check(model)
            except (NWBError, TypeError, ValueError, AttributeError) as error:
                # A file may hold what cannot be read, or is not what the rule takes it for: that
                # is a problem of its own, and was there before.
                if model._binding is None or isinstance(error, ClosedError):
                    raise


def shape_of(array: Any) -> tuple[int, ...]:
    """Give the shape of an array or of a model of one; () where there is none to tell."""
    array = getattr(array, "array", array)
    return tuple(getattr(array, "shape", None) or ())


def length_of(array: Any) -> int | None:
    """Give the length of the first axis; None where there is none to tell."""
    shape = shape_of(array)
    return shape[0] if shape else None


def values_of(array: Any) -> np.ndarray[Any, Any] | None:
    """Give an array in memory, or a stored one that is short; None for any other."""
    array = getattr(array, "array", array)
    shape = getattr(array, "shape", None)
    if shape is None or (not isinstance(array, np.ndarray) and np.prod(shape) > _SHORT):
        return None
    return np.asarray(array)


def _listed(names: Any) -> str:
    return ", ".join(repr(name) for name in names)


# -- groups ------------------------------------------------------------------------------------


@cache
def _attributes_of(cls: type[Any]) -> frozenset[str]:
    """Name the attributes that objects of a class may have."""
    declared = (
        one.stored
        for one in layout_of(cls).fields.values()
        if isinstance(one.marker, Ref) or (isinstance(one.marker, Attr) and one.marker.of is None)
    )
    return frozenset({"namespace", "neurodata_type", "object_id", *declared})


@rule(Container)
def members_are_not_named_as_attributes(holder: Container) -> Iterator[Finding]:
    """Members and attributes of a group have different names, as PyNWB keeps both in one place."""
    for one in layout_of(type(holder)).fields.values():
        if isinstance(one.marker, Members) and not one.groups:
            members = getattr(holder, one.name)
            for name in _attributes_of(type(holder)).intersection(members) if members else ():
                yield one.name, f"expected other names than those of attributes, found {name!r}"


# -- tables ------------------------------------------------------------------------------------


@rule(DynamicTable)
def colnames_are_the_columns(table: DynamicTable) -> Iterator[Finding]:
    """Every column is listed in ``colnames``, once, and nothing else is."""
    listed = [str(name) for name in table.colnames or ()]
    there = [name for name, _ in table._stored_columns()]
    parts = []
    if strangers := [name for name in listed if name not in there]:
        parts.append(f"found {_listed(strangers)}, which is no column")
    if missing := [name for name in there if name not in listed]:
        found = "" if strangers else "found "
        parts.append(f"{found}not {_listed(missing)}, which is one")
    if parts:
        yield "colnames", f"expected the names of the columns, {', and '.join(parts)}"
    elif len(set(listed)) < len(listed):
        twice = sorted({name for name in listed if listed.count(name) > 1})
        yield "colnames", f"expected each column once, found {_listed(twice)} more than once"


def _index_over(table: DynamicTable, column: VectorData) -> VectorIndex | None:
    """Find the index that cuts a column into rows: the one named so, or one that leads to it."""
    named = table._index_of(column.name)
    if named is not None:
        return named
    for _, index in table._all_vectors():
        if isinstance(index, VectorIndex) and index.target is column:
            return index
    return None


@rule(DynamicTable)
def columns_have_one_length(table: DynamicTable) -> Iterator[Finding]:
    """Every column has as many rows as there are identifiers."""
    rows = length_of(table.id)
    for name, column in table._stored_columns():
        outer: VectorData = column
        while (index := _index_over(table, outer)) is not None:
            outer = index
        count = length_of(outer)
        if rows is None:
            rows = count  # the first column tells, where there are no identifiers
        elif count is not None and count != rows:
            hint = "; a ragged column is made by add_column(..., index=True)"
            yield (
                name,
                f"expected {rows} rows, as the table has, found {count}"
                f"{hint if outer is column and count > rows else ''}",
            )


@rule(DynamicTable)
def indices_stay_within_their_columns(table: DynamicTable) -> Iterator[Finding]:
    """End offsets never decrease, and the last lies within the column that they cut."""
    for name, index in table._all_vectors():
        if not isinstance(index, VectorIndex):
            continue
        target = index.target or table._vector(name.removesuffix("_index"))
        if target is None or target is index:
            yield name, f"an index of no column: there is no {name.removesuffix('_index')!r}"
            continue
        ends = values_of(index)
        if ends is None or ends.ndim != 1 or not ends.size:
            continue
        falls = np.flatnonzero(ends[1:] < ends[:-1])
        if falls.size:
            row = int(falls[0]) + 1
            yield (
                name,
                f"expected end offsets that never decrease, found {ends[row]} after "
                f"{ends[row - 1]} in row {row}",
            )
        length = length_of(target)
        if length is not None and ends.max() > length:
            yield (
                name,
                f"expected end offsets within the {length} elements of {target.name!r}, found "
                f"{ends.max()}",
            )


@rule(DynamicTableRegion)
def regions_stay_within_their_tables(region: DynamicTableRegion) -> Iterator[Finding]:
    """Rows that a region points at are rows of its table."""
    if region.table is None:
        yield "table", "a region needs the table that its rows are in, found None"
        return
    count, rows = length_of(region.table.id), values_of(region)
    if count is None or rows is None or not rows.size:
        return
    wrong = rows[(rows < 0) | (rows >= count)]
    if wrong.size:
        if count == 0:
            yield "array", f"{region.table.name!r} has no rows, found {wrong[0]}"
            return
        yield (
            "array",
            f"expected rows of {region.table.name!r}, from 0 to {count - 1}, found {wrong[0]}",
        )


@rule(DynamicTable)
def regions_lead_to_other_tables(table: DynamicTable) -> Iterator[Finding]:
    """Columns of regions lead to other tables than their own, where PyNWB would look for ever."""
    for name, column in table._stored_columns():
        if isinstance(column, DynamicTableRegion) and column.table is table:
            yield name, f"expected another table to point into than {table.name!r} itself"


@rule(AlignedDynamicTable)
def categories_are_the_tables(table: AlignedDynamicTable) -> Iterator[Finding]:
    """Every table is listed in ``categories``, and all have the same rows."""
    tables = table._tables()
    if sorted(table.categories or ()) != sorted(tables):
        yield (
            "categories",
            f"expected the names of the tables, {_listed(tables) or 'none'}, found "
            f"{_listed(table.categories or ()) or 'none'}",
        )
    rows = length_of(table.id)
    for name, part in tables.items():
        count = length_of(part.id)
        if rows is not None and count is not None and count != rows:
            yield "children", f"expected {rows} rows in {name!r}, as the table has, found {count}"


# -- series ------------------------------------------------------------------------------------


@rule(TimeSeries)
def times_are_told_once(series: TimeSeries) -> Iterator[Finding]:
    """Either ``timestamps`` or ``starting_time`` with a rate tells the times."""
    start = series.starting_time
    if (series.timestamps is None) == (start is None):
        found = "neither" if start is None else "both"
        yield "timestamps", f"expected either timestamps or a rate, found {found}"
    if start is not None and not (start.rate is not None and start.rate >= 0):
        yield "starting_time", f"expected a rate of 0 or more, found {start.rate}"


@rule(TimeSeries)
def samples_have_times(series: TimeSeries) -> Iterator[Finding]:
    """There is one time for each sample."""
    if isinstance(series, ImageSeries) and series.external_file is not None:
        return  # its samples are in other files
    samples, count = length_of(series.data), length_of(series.timestamps)
    if count is not None and samples is not None and count != samples:
        yield "timestamps", f"expected one for each of the {samples} samples, found {count}"


@rule(ImageSeries)
def external_files_hold_the_frames(series: ImageSeries) -> Iterator[Finding]:
    """Where frames are in external files, ``format`` and ``starting_frame`` say so."""
    if series.external_file is None:
        return
    if series.format != "external":
        yield "format", f"expected 'external' beside external files, found {series.format!r}"
    if series.data is not None and 0 not in (shape_of(series.data) or (0,)):
        yield (
            "data",
            "expected no frames beside those of the external files, found an array of shape "
            f"{shape_of(series.data)}",
        )
    files, starts = length_of(series.external_file), length_of(series.starting_frame)
    if starts != files:
        yield "starting_frame", f"expected one for each of the {files} files, found {starts}"


# -- what holds others -------------------------------------------------------------------------


@rule(GroupModel, mend="add what is missing, or delete what is too much")
def members_are_as_many_as_they_must_be(group: GroupModel) -> Iterator[Finding]:
    """There are as many objects of a type as the schema asks for."""
    for one in layout_of(type(group)).quotas:
        counted = _counted(group, one)
        for kind, least, most, _ in one.marker.quotas:  # type: ignore[attr-defined]
            members = counted[kind]
            if len(members) < least:
                wanted = "one" if least == 1 else str(least)
                found = len(members) or "none"
                yield one.name, f"expected {wanted} {kind} at least, found {found}"
            elif most is not None and len(members) > most:
                wanted = "one" if most == 1 else str(most)
                yield one.name, f"expected {wanted} {kind} at most, found {_listed(members)}"


@rule(GroupModel)
def members_are_what_their_place_asks_for(group: GroupModel) -> Iterator[Finding]:
    """Objects are what the schema asks for where they lie, beyond what it asks of their type."""
    for one in layout_of(type(group)).quotas:
        quotas: tuple[Quota, ...] = one.marker.quotas  # type: ignore[attr-defined]
        asking = {quota.type: quota.part for quota in quotas if quota.part is not None}
        if not asking:
            continue
        from nwb_ophys.fitting import misfits

        counted = _counted(group, one)
        for kind, part in asking.items():
            for name, member in counted[kind].items():
                for message in misfits(member, part()[0]):
                    yield one.name, f"{name!r}, {message}"


def _counted(group: GroupModel, one: FieldLayout) -> dict[str, dict[str, Any]]:
    """Give the members of a collection that count for each of its quotas, by the type of it."""
    quotas: tuple[Quota, ...] = one.marker.quotas  # type: ignore[attr-defined]
    found: dict[str, dict[str, Any]] = {quota.type: {} for quota in quotas}
    for collection in layout_of(type(group)).collections[one.groups]:
        for name, member in getattr(group, collection.name).items():
            types = (getattr(base, "neurodata_type", None) for base in type(member).__mro__)
            nearest = next((kind for kind in types if kind in found), None)
            if nearest is not None:
                found[nearest][name] = member
    return found
