"""Tables of hdmf-common 1.10.0: rows of named columns, and regions of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from nwb_ophys.children import Children
from nwb_ophys.errors import SchemaError
from nwb_ophys.layout import layout_of
from nwb_ophys.models.columns import ElementIdentifiers, VectorData, VectorIndex
from nwb_ophys.models.container import Container
from nwb_ophys.ragged import RaggedColumn
from nwb_ophys.storage import Attr, Child, Members, NDArray, Ref, Value

if TYPE_CHECKING:
    import pandas

    from nwb_ophys.models.meanings import MeaningsTable

__all__ = ["DynamicTable", "DynamicTableRegion"]


class DynamicTable(Container, schema="hdmf-common"):
    """A table of named columns, which may be ragged, of several axes, or point into other tables.

    ``table["column"]`` gives a column (a `RaggedColumn` where it is ragged), ``table[3]``,
    ``table[2:5]`` and ``table[mask]`` give rows as a data frame.

    Parameters
    ----------
    colnames
        The names of the columns in their order, indices left out; made from the columns where it
        is not given.
    description
        What the table holds.
    id
        The identifiers of the rows; counted from 0 where they are not given.
    vector_data
        The columns that the type does not declare, and their indices.
    meanings_tables
        Tables that say what the values of a column mean.
    """

    colnames: Annotated[list[str], Attr("text", ("num_columns",))] = Field(default_factory=list)
    description: Annotated[str, Attr()]
    id: Annotated[ElementIdentifiers | None, Child()] = None
    vector_data: Annotated[Children[VectorData], Members(only=True)] = Field(
        default_factory=Children
    )
    meanings_tables: Annotated[Children["MeaningsTable"], Members("meanings_tables")] = Field(
        default_factory=Children
    )

    def __init__(self, /, **data: Any) -> None:
        if data.get("children"):
            data = self._with_columns(data)
        super().__init__(**data)
        if "colnames" not in data:
            self.colnames = [name for name, _ in self._stored_columns()]
        if self.id is None:
            self._number_rows()

    def _with_columns(self, data: dict[str, Any]) -> dict[str, Any]:
        """Put the columns among the children where columns are."""
        children = _listed(data["children"])
        columns = [one for one in children if isinstance(one, VectorData)]
        if not columns:
            return data
        declared = layout_of(type(self)).members.get((), {})
        routed = {**data, "children": [one for one in children if one not in columns]}
        others = _listed(data.get("vector_data") or ())
        for column in columns:
            if column.name in declared:
                routed[declared[column.name].name] = column
            else:
                others.append(column)
        return {**routed, "vector_data": others}

    def add(self, *items: Any) -> Any:
        """Add columns, or other objects to ``children``, under their own names.

        Raises
        ------
        SchemaError
            Where an object is of another type, has no name, or its name is taken.
        """
        for item in items:
            if isinstance(item, VectorData):
                self._add_column(item)
            else:
                self.children.add(item)
        return items[-1]

    def _add_column(self, column: VectorData) -> None:
        field = layout_of(type(self)).members.get((), {}).get(column.name)
        if field is None:
            self.vector_data.add(column)
        elif getattr(self, field.name) is None:
            setattr(self, field.name, column)
        else:
            raise SchemaError("there is a column of that name", path=self.name, field=column.name)
        if not isinstance(column, VectorIndex):
            self.colnames = [*(self.colnames or ()), column.name]
            if self.id is None and self._index_of(column.name) is None:
                self._number_rows()

    def __getattr__(self, name: str) -> Any:
        # A column is an attribute too, as its `VectorData`, where nothing else has that name.
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name.startswith("_") or name in type(self).model_fields:
                raise
            column = self.vector_data.get(name)
            if column is None:
                raise
            return column

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.vector_data]

    def _before_write(self) -> None:
        """Complete what follows from the columns: their names, identifiers, index targets."""
        for name, column in self._all_vectors():
            if isinstance(column, VectorIndex) and column._binding is None and not column.target:
                column.target = self._vector(name.removesuffix("_index"))
        if self._binding is None:
            if "colnames" not in self.model_fields_set or not self.colnames:
                self.colnames = [name for name, _ in self._stored_columns()]
            if self.id is None:
                self._number_rows()

    def _number_rows(self) -> None:
        columns = self._stored_columns()
        for name, column in columns:
            rows = self._index_of(name) or column
            if hasattr(rows.array, "shape"):
                self.id = ElementIdentifiers(array=np.arange(len(rows)))
                return

    def _declared_columns(self) -> Iterator[tuple[str, VectorData]]:
        for name, field in layout_of(type(self)).members.get((), {}).items():
            if isinstance(field.marker, Child) and issubclass(field.types[0], VectorData):
                column = getattr(self, field.name)
                if column is not None:
                    yield name, column

    def _all_vectors(self) -> Iterator[tuple[str, VectorData]]:
        yield from self._declared_columns()
        yield from self.vector_data.items()

    def _stored_columns(self) -> list[tuple[str, VectorData]]:
        """List the columns that are there, indices left out, those that are declared first."""
        return [
            (name, column)
            for name, column in self._all_vectors()
            if not isinstance(column, VectorIndex)
        ]

    def _vector(self, name: str) -> VectorData | None:
        field = layout_of(type(self)).members.get((), {}).get(name)
        if field is not None and isinstance(field.marker, Child):
            column: Any = getattr(self, field.name)
        else:
            column = self.vector_data.get(name)
        return column if isinstance(column, VectorData) else None

    def _index_of(self, name: str) -> VectorIndex | None:
        index = self._vector(f"{name}_index")
        return index if isinstance(index, VectorIndex) else None

    @property
    def columns(self) -> dict[str, Any]:
        """The columns by name, in the order of ``colnames``; ragged ones as `RaggedColumn`."""
        there = dict(self._stored_columns())
        names = [name for name in self.colnames or () if name in there]
        names += [name for name in there if name not in names]
        if self._binding is not None and sorted(names) != sorted(self.colnames or ()):
            self._note_colnames()
        return {name: self.column(name) for name in names}

    def _note_colnames(self) -> None:
        """Enter names of columns that disagree with the columns into the session's problems."""
        from nwb_ophys.checks import colnames_are_the_columns

        binding = self._binding
        for field, message in colnames_are_the_columns(self):
            binding.session.problem(self.hdf5_path, field, "columns", message)  # type: ignore[union-attr]

    def column(self, name: str) -> Any:
        """Give a column: its `VectorData`, or a `RaggedColumn` where it has an index.

        Raises
        ------
        MemberNotFoundError
            Where the table has no such column.
        """
        data: Any = self._vector(name)
        if data is None:
            raise self._no_member((), name)
        index = self._index_of(name)
        while index is not None:
            data = RaggedColumn(data.array if isinstance(data, VectorData) else data, index, name)
            index = self._index_of(index.name)
        return data

    def __len__(self) -> int:
        """Count the rows."""
        if self.id is not None:
            return len(self.id)
        return max((len(column) for column in self.columns.values()), default=0)

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            return self.to_dataframe(key)
        if "/" not in key and self._vector(key) is not None and not key.endswith("_index"):
            return self.column(key)
        return super().__getitem__(key)

    def to_dataframe(self, rows: Any = None, *, exclude: Iterable[str] = ()) -> "pandas.DataFrame":
        """Read the table, or some of its rows, into a data frame indexed by ``id``.

        Parameters
        ----------
        rows
            Which rows: an integer, a slice, a mask or positions; all where None.
        exclude
            Columns to leave out, such as masks that are large.

        Raises
        ------
        NWBError
            Where the columns have unequal lengths, or pandas is not installed.
        """
        from nwb_ophys.frames import frame_of

        return frame_of(self, rows, exclude)

    def add_column(
        self,
        name: str,
        data: Any,
        description: str,
        *,
        index: bool | int | Sequence[int] | None = None,
        table: "DynamicTable | None" = None,
    ) -> VectorData:
        """Add a column.

        Parameters
        ----------
        name
            Its name; a column that the type declares is put in its place.
        data
            One element a row; with ``index=True`` one sequence a row, with ``index=2`` one sequence
            of sequences.
        description
            What the values mean.
        index
            True for a ragged column, a number for one that is ragged on so many levels, or the end
            offsets of the rows where ``data`` are concatenated already.
        table
            The table that the values are rows of.

        Returns
        -------
        VectorData
            The column.

        Raises
        ------
        SchemaError
            Where its length is not that of the table, or the name is taken.
        """
        from nwb_ophys.rows import make_column

        return make_column(self, name, data, description, index, table)

    def add_row(self, *, id: int | None = None, **values: Any) -> None:
        """Append one row; many are appended faster all at once, by `add_rows`.

        Parameters
        ----------
        id
            Its identifier; the largest and one more where it is not given.
        values
            A value for every column by its name, in a ragged column a sequence.

        Raises
        ------
        SchemaError
            As for `add_rows`.
        """
        self.add_rows([values], ids=None if id is None else [id])

    def add_rows(
        self, rows: Any = None, *, ids: Sequence[int] | None = None, **columns: Any
    ) -> None:
        """Append rows, all at once; nothing changes where one of them is refused.

        Parameters
        ----------
        rows
            A mapping of every column to its new values, one a row (in a ragged column one sequence
            a row); or a data frame; or a list of mappings, one a row.
        columns
            The new values of each column by its name, instead of ``rows``.
        ids
            The identifiers of the rows; counted on from the largest where they are not given.

        Raises
        ------
        SchemaError
            Where a column is missing or unknown, has another number of rows than the others, or
            values that are of another type than those of the column.
        """
        from nwb_ophys.rows import append_rows

        append_rows(self, columns if rows is None else rows, ids)

    def create_region(
        self, rows: Any = None, *, name: str = "rois", description: str = "Rows of the table."
    ) -> "DynamicTableRegion":
        """Make a region of this table.

        Parameters
        ----------
        rows
            Positions, a slice or a mask; all rows where None.
        name
            The name of the region.
        description
            What is pointed at.

        Raises
        ------
        SchemaError
            Where a position lies outside of the table.
        """
        try:
            positions = np.arange(len(self))[slice(None) if rows is None else rows]
        except IndexError as error:
            raise SchemaError(
                f"rows outside of the table of {len(self)} rows: {error}", path=self.name
            ) from error
        return DynamicTableRegion(
            name=name, array=np.atleast_1d(positions), table=self, description=description
        )

    def _summary(self) -> str:
        return f"{len(self)} rows of {', '.join(self.colnames or ()) or 'no columns'}"


class DynamicTableRegion(VectorData, schema="hdmf-common"):
    """Rows of another table, by their positions. Indexing gives those rows as a data frame.

    Parameters
    ----------
    array
        (row,), positions in the other table, from 0.
    table
        The table that the positions are in.
    description
        What is pointed at.
    """

    array: Annotated[NDArray | None, Value("int32", ("num_rows",))] = None
    table: Annotated[DynamicTable | None, Ref()] = None

    def __getitem__(self, index: Any) -> "pandas.DataFrame":
        """Give the rows that are pointed at; ``region.array[index]`` gives their positions."""
        if self.table is None:
            raise SchemaError(
                "the region has no table", path=self.hdf5_path or self.name, field="table"
            )
        return self.table.to_dataframe(np.atleast_1d(np.asarray(self.array)[index]))

    def to_dataframe(self, *, exclude: Iterable[str] = ()) -> "pandas.DataFrame":
        """Read all rows that are pointed at, as `DynamicTable.to_dataframe` does."""
        if self.table is None:
            return self[:]  # which says what is the matter
        return self.table.to_dataframe(np.asarray(self.array), exclude=exclude)


def _listed(items: Any) -> list[Any]:
    return list(items.values() if isinstance(items, Mapping) else items)
