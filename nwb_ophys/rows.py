"""Rows of tables in bulk: taken, appended, or made a column, ragged ones included."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from nwb_ophys.children import Children
from nwb_ophys.conforming import as_array
from nwb_ophys.errors import SchemaError
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.layout import layout_of
from nwb_ophys.models.columns import ElementIdentifiers, VectorData, VectorIndex
from nwb_ophys.models.table import DynamicTableRegion
from nwb_ophys.ragged import gathered

if TYPE_CHECKING:
    from nwb_ophys.models.table import DynamicTable

__all__ = ["append_rows", "chosen_rows", "make_column", "take_rows"]

Array = np.ndarray[Any, Any]
T = TypeVar("T", bound="DynamicTable")


def _fail(
    table: Any, message: str, field: str | None = None, hint: str | None = None
) -> SchemaError:
    binding = table._binding
    return SchemaError(
        message,
        file=None if binding is None else binding.file,
        path=table.hdf5_path or table.name,
        field=field,
        hint=hint,
    )


# -- taking ------------------------------------------------------------------------------------


def chosen_rows(table: DynamicTable, rows: Any) -> Array:
    """Give the positions that a mask, a slice or positions choose.

    Raises
    ------
    SchemaError
        Where they are not those of the table.
    """
    try:
        chosen = np.arange(len(table))[rows if isinstance(rows, slice) else np.asarray(rows)]
    except IndexError as error:
        raise _fail(table, f"expected rows of the {len(table)} that there are: {error}") from error
    return np.atleast_1d(chosen)


def take_rows(table: T, rows: Array, name: str) -> T:
    """Copy a table with some of its rows; the copy belongs to no file."""
    twin = copy.copy(table)
    twin.name = name
    taken: dict[str, VectorData] = {}
    for column, _ in table._stored_columns():
        for one in _taken(table, column, rows):
            taken[one.name] = one
    for field in layout_of(type(table)).members.get((), {}).values():
        if field.stored in taken:
            setattr(twin, field.name, taken.pop(field.stored))
    order = [one for one in table.vector_data if one in taken]
    twin.vector_data = Children([taken[one] for one in order])
    if table.id is not None:
        twin.id = table.id.model_copy(update={"array": np.asarray(table.id)[rows]})
    meanings = [copy.deepcopy(one) for one in table.meanings_tables.values()]
    for meaning in meanings:
        if meaning.target is not None:
            meaning.target = twin._vector(meaning.target.name)
    twin.meanings_tables = Children(meanings)
    return twin


def _taken(table: DynamicTable, name: str, rows: Array) -> list[VectorData]:
    """Copy a column and its indices with some of the rows: the innermost first."""
    chain: list[Any] = [table._vector(name)]
    while (index := table._index_of(chain[-1].name)) is not None:
        chain.append(index)
    copies: list[VectorData] = []
    places = rows
    for one in reversed(chain[1:]):
        ends = np.asarray(one.array).astype(np.int64)
        places, new_ends = gathered(np.concatenate([np.zeros(1, np.int64), ends]), places)
        copies.insert(0, one.model_copy(update={"array": new_ends}))
    array = chain[0].array
    values = np.asarray(array)[places] if len(chain) > 1 else array[places]
    copies.insert(0, chain[0].model_copy(update={"array": values}))
    for target, above in pairwise(copies):
        above.target = target
    return copies


# -- appending ---------------------------------------------------------------------------------


def append_rows(table: DynamicTable, columns: Any, ids: Sequence[int] | None) -> None:
    """Append rows to all columns of a table, checked before any of them changes.

    Raises
    ------
    SchemaError
        Where a column is missing, unknown, or of another length than the others.
    """
    given = _by_column(table, columns)
    names = [name for name, _ in table._stored_columns()]
    if unknown := [name for name in given if name not in names]:
        raise _fail(
            table,
            f"expected values of the columns {', '.join(map(repr, names)) or 'that there are'}, "
            f"found {unknown[0]!r}, which is none",
            hint="a new column is made by add_column",
        )
    if missing := [name for name in names if name not in given]:
        raise _fail(table, "expected values for every column, found none", field=missing[0])
    counts = {name: len(values) for name, values in given.items()}
    count = next(iter(counts.values()), 0)
    for name, found in counts.items():
        if found != count:
            first = next(iter(counts))
            raise _fail(
                table, f"expected {count} rows, as {first!r} has, found {found}", field=name
            )
    numbers = _new_ids(table, ids, count)
    changes: list[tuple[Any, Any]] = [
        change for name in names for change in _appended(table, name, given[name])
    ]
    if table.id is None:
        table.id = ElementIdentifiers(array=numbers)
    else:
        changes.append((table.id, _longer(table.id.array, numbers)))
    for column, array in changes:
        if isinstance(array, _Tail):
            column.append(array.rows)
        else:
            column.array = array


def _by_column(table: DynamicTable, rows: Any) -> dict[str, Any]:
    if hasattr(rows, "columns") and hasattr(rows, "to_dict"):  # a data frame
        return {str(name): rows[name].to_list() for name in rows.columns}
    if isinstance(rows, Mapping):
        return {str(name): _sized(table, str(name), values) for name, values in rows.items()}
    if isinstance(rows, Iterable) and not isinstance(rows, (str, bytes)):
        listed = list(rows)
        if all(isinstance(row, Mapping) for row in listed):
            names = {name: None for row in listed for name in row}
            for number, row in enumerate(listed):
                if len(row) < len(names):
                    lacking = next(name for name in names if name not in row)
                    raise _fail(table, f"expected a value in row {number}, found none", lacking)
            return {name: [row[name] for row in listed] for name in names}
    raise _fail(
        table,
        "expected a mapping of columns to their values, a data frame, or a list of rows, each a "
        f"mapping, found {type(rows).__name__}",
    )


def _sized(table: DynamicTable, name: str, values: Any) -> Any:
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise _fail(
            table,
            f"expected one value for each new row, found {values!r}",
            field=name,
            hint="add_row takes the values of one row",
        )
    return values if hasattr(values, "__len__") else list(values)


def _new_ids(table: DynamicTable, ids: Sequence[int] | None, count: int) -> Array:
    if ids is not None:
        numbers = np.asarray(ids)
        if numbers.shape != (count,):
            raise _fail(table, f"expected {count} identifiers, found {numbers.size}", field="id")
        return numbers
    there = np.asarray(table.id) if table.id is not None else np.zeros(0, np.int64)
    first = int(there.max()) + 1 if there.size else 0
    return np.arange(first, first + count)


def _appended(table: DynamicTable, name: str, values: Any) -> list[tuple[VectorData, Any]]:
    """Pair a column and its indices with their arrays as they will be."""
    column: Any = table._vector(name)
    indices: list[Any] = []
    owner = column
    while (index := table._index_of(owner.name)) is not None:
        indices.append(index)
        owner = index
    rows: Any = values
    ends: list[Array] = []
    for _ in indices:
        rows = list(rows)
        ends.insert(0, np.cumsum([len(row) for row in rows], dtype=np.int64))
        rows = _joined([row for row in rows if len(row)])
    try:
        changes = [(column, _longer(column.array, rows))]
    except (ValueError, TypeError) as error:
        raise _fail(table, f"the new values do not fit the column: {error}", field=name) from error
    for index, new in zip(indices, ends, strict=True):
        offset = int(index.array[-1]) if len(index) else 0
        changes.append((index, _longer(index.array, new + offset, widen=np.int64)))
    return changes


def _joined(rows: list[Any]) -> Any:
    if not rows:
        return []
    if all(isinstance(row, np.ndarray) for row in rows):
        return np.concatenate(rows)
    return [element for row in rows for element in row]


class _Tail(NamedTuple):
    """Rows that can be appended to a stored array as it is, so that the rest need not be read."""

    rows: Array


def _longer(stored: Any, values: Any, widen: Any = None) -> Any:
    """Give an array with more rows, or only those where the stored array can take them."""
    if isinstance(stored, LazyArray):
        with suppress(SchemaError):
            return _Tail(stored.fitting(values))
    return _extended(stored if widen is None else np.asarray(stored).astype(widen), values)


def _extended(stored: Any, values: Any) -> Array:
    old = np.asarray(stored)
    if not len(values):
        return old
    if not len(old) and old.dtype == np.float64:  # of an empty list, which says no dtype
        first: Array = as_array(values, "any", None)
        if first.dtype.kind not in "iuf" or first.ndim > 1:
            return first
    if old.dtype.names is not None:
        new = np.asarray(values)
        if new.dtype.names is None:
            new = np.array([tuple(row) for row in values], old.dtype)
        dtype = old.dtype if len(old) or new.dtype == old.dtype else new.dtype
        names = old.dtype.names
        if new.dtype.names != names:
            raise ValueError(f"expected members {names}, found {new.dtype.names}")
        if dtype == old.dtype and new.dtype != old.dtype:
            dtype = np.dtype([(n, np.result_type(old.dtype[n], new.dtype[n])) for n in names])
        return np.concatenate([old.astype(dtype), new.astype(dtype)])
    if old.dtype.kind in "OUST":
        new = np.empty(len(values), object)
        new[:] = list(values)
        return np.concatenate([old.astype(object), new])
    new = np.asarray(values)
    if new.dtype.kind not in "biufc" or (new.dtype.kind == "b") != (old.dtype.kind == "b"):
        raise ValueError(f"expected {old.dtype}, found {new.dtype}")
    if new.shape[1:] != old.shape[1:]:
        raise ValueError(f"expected elements of shape {old.shape[1:]}, found {new.shape[1:]}")
    return np.concatenate([old, new])


# -- new columns -------------------------------------------------------------------------------


def make_column(
    table: DynamicTable,
    name: str,
    data: Any,
    description: str,
    index: bool | int | Sequence[int] | None,
    target: DynamicTable | None,
) -> VectorData:
    """Add a column, and its indices, as `DynamicTable.add_column` says."""
    if name in table.colnames:
        raise SchemaError("there is a column of that name", path=table.name, field=name)
    sized = hasattr(data, "__len__")
    if isinstance(data, (str, bytes)) or not (sized or isinstance(data, Iterable)):
        raise SchemaError(
            f"expected one element a row, found {data!r}", path=table.name, field=name
        )
    if not sized:
        data = list(data)
    offsets: list[Any] = []  # of the rows, then of the elements of rows, and so on
    if isinstance(index, (int, np.integer)):
        data, offsets = _flattened(data, int(index), table.name, name)
    elif index is not None:
        offsets.append(np.asarray(index))
    count = len(offsets[0]) if offsets else len(data)
    if table.id is not None and table.colnames and count != len(table):
        raise SchemaError(
            f"the column has {count} rows, but the table has {len(table)}",
            path=table.name,
            field=name,
        )
    values = {"name": name, "array": data, "description": description}
    if target is None:
        column = _put(table, VectorData, values)
    else:
        column = _put(table, DynamicTableRegion, {**values, "table": target})
    pointed = column
    for ends in reversed(offsets):
        values = {"name": f"{pointed.name}_index", "array": ends, "target": pointed}
        values["description"] = f"Index for {pointed.name}"
        pointed = _put(table, VectorIndex, values)
    table.colnames = [*table.colnames, name]
    if table.id is None:
        table.id = ElementIdentifiers(array=np.arange(count))
    return column


def _put(table: DynamicTable, kind: type[VectorData], values: dict[str, Any]) -> VectorData:
    """Put a column where the type declares it, as the type that is declared, or else beside."""
    field = layout_of(type(table)).members.get((), {}).get(values["name"])
    if field is None:
        return table.vector_data.add(kind(**values))
    column: VectorData = field.types[0](**values)
    setattr(table, field.name, column)
    return column


def _flattened(rows: Any, levels: int, table: str, column: str) -> tuple[Any, list[Array]]:
    """Concatenate rows of a column that is ragged on some levels.

    Returns
    -------
    data, offsets
        The elements, and the end offsets of the rows, of the elements of rows, and so on.

    Raises
    ------
    SchemaError
        Where a row is no sequence.
    """
    offsets: list[Array] = []
    for level in range(levels, 0, -1):
        rows = list(rows)
        offsets.append(_ends(rows, table, column))
        rows = [row for row in rows if len(row)]
        rows = _concatenated(rows) if level == 1 else [one for row in rows for one in row]
    return rows, offsets


def _ends(rows: list[Any], table: str, column: str) -> Array:
    """Give the end offsets of rows of rows."""
    for number, row in enumerate(rows):
        sized = hasattr(row, "__len__") and getattr(row, "shape", None) != ()
        if not sized or isinstance(row, (str, bytes)):
            raise SchemaError(
                f"expected a sequence in each row, found {row!r} in row {number}",
                path=table,
                field=column,
                hint="columns of one element a row are added without index=",
            )
    return np.cumsum([len(row) for row in rows], dtype=np.int64)


def _concatenated(rows: list[Any]) -> Any:
    if rows and isinstance(rows[0][0], tuple):  # compounds, whose members numpy would mix
        return [element for row in rows for element in row]
    return np.concatenate([np.asarray(row) for row in rows]) if rows else np.empty(0)
