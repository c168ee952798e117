"""What the values of a column mean, in a table of their own."""

from typing import Annotated, Literal

from nwb_ophys.models.columns import COLUMN_AXES, VectorData
from nwb_ophys.models.table import DynamicTable
from nwb_ophys.storage import Attr, Child, Internal, NDArray, Ref, Value

__all__ = ["MeaningsTable", "MeaningsTableMeaning"]


class MeaningsTableMeaning(VectorData, part=True):
    """The meanings, as text.

    Parameters
    ----------
    array
        (row,), text.
    """

    name: Annotated[Literal["meaning"], Internal()] = "meaning"
    array: Annotated[NDArray | None, Value("text", COLUMN_AXES)] = None
    description: Annotated[str, Attr()] = "The meaning of a value."


class MeaningsTable(DynamicTable, schema="hdmf-common"):
    """What the values of a column of another table mean (hdmf-common 1.10.0).

    Parameters
    ----------
    target
        The column that is explained.
    value
        (row,), a value of that column.
    meaning
        (row,), its meaning.
    """

    description: Annotated[str, Attr()] = "The meanings of values."
    target: Annotated[VectorData | None, Ref()] = None
    value: Annotated[VectorData | None, Child()] = None
    meaning: Annotated[MeaningsTableMeaning | None, Child()] = None
