"""Columns of tables of hdmf-common 1.10.0: their values, the ends of ragged rows, identifiers."""

from typing import Annotated, Any, Self

from nwb_ophys.models.container import Data
from nwb_ophys.storage import Attr, Internal, NDArray, Ref, Value

__all__ = ["COLUMN_AXES", "ElementIdentifiers", "VectorData", "VectorIndex"]

COLUMN_AXES = (
    ("dim0",),
    ("dim0", "dim1"),
    ("dim0", "dim1", "dim2"),
    ("dim0", "dim1", "dim2", "dim3"),
)
"""The axes of a column, where its class does not say them."""


class VectorData(Data, schema="hdmf-common"):
    """A column of a table: one element a row, or the concatenated rows of a ragged column.

    Parameters
    ----------
    array
        (row, ...), up to four axes, of any dtype.
    description
        What the values mean.
    """

    array: Annotated[NDArray | None, Value("any", COLUMN_AXES)] = None
    description: Annotated[str, Attr()]


class VectorIndex(VectorData, schema="hdmf-common"):
    """The end offsets of the rows of a ragged column, named ``<column>_index``.

    Parameters
    ----------
    array
        (row,), where each row ends in the target; counts from 0, never decreases.
    target
        The column that it cuts into rows; left out, it is the column of its name.
    """

    array: Annotated[NDArray | None, Value("uint8", ("num_rows",))] = None
    description: Annotated[str, Attr()] = ""
    target: Annotated[VectorData | None, Ref()] = None

    @classmethod
    def from_value(cls, value: Any, **fields: Any) -> Self:
        """Wrap offsets, or copy an index; the copy cuts the column of its own name."""
        made = super().from_value(value, **fields)
        if isinstance(value, VectorIndex):
            made.target = None
        return made


class ElementIdentifiers(Data, schema="hdmf-common"):
    """The identifiers of the rows of a table.

    Parameters
    ----------
    array
        (row,), integers.
    """

    name: Annotated[str, Internal()] = "id"
    array: Annotated[NDArray | None, Value("int32", ("num_elements",))] = None
