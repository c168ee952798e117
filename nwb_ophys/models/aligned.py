"""Tables of tables of hdmf-common 1.10.0."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from nwb_ophys.children import Children
from nwb_ophys.layout import layout_of
from nwb_ophys.models.table import DynamicTable
from nwb_ophys.storage import Attr, Child, Members

if TYPE_CHECKING:
    import pandas

__all__ = ["AlignedDynamicTable"]


class AlignedDynamicTable(DynamicTable, schema="hdmf-common"):
    """Several tables with the same rows, side by side.

    Parameters
    ----------
    categories
        The names of the tables in their order.
    children
        The tables.
    """

    categories: Annotated[list[str], Attr("text", ("num_categories",))] = Field(
        default_factory=list
    )
    children: Annotated[Children[DynamicTable], Members()] = Field(default_factory=Children)

    def __init__(self, /, **data: Any) -> None:
        super().__init__(**data)
        if "categories" not in data:
            self.categories = list(self._tables())

    def _tables(self) -> dict[str, DynamicTable]:
        """Give the tables by name, those that the type declares too."""
        tables: dict[str, DynamicTable] = dict(self.children)
        for field in layout_of(type(self)).fields.values():
            if isinstance(field.marker, Child) and not field.groups:
                part = getattr(self, field.name)
                if isinstance(part, DynamicTable):
                    tables[field.stored] = part
        return tables

    def to_dataframe(self, rows: Any = None, *, exclude: Iterable[str] = ()) -> "pandas.DataFrame":
        """Read all tables into one data frame, with columns named by table and column."""
        from nwb_ophys.frames import joined_frames

        own = super().to_dataframe(rows, exclude=exclude)
        frames = {self.name: own} if len(own.columns) else {}
        tables = self._tables()
        for name in self.categories or tables:
            if name in tables:  # what is not there, the problems of the session tell
                frame = tables[name].to_dataframe(rows, exclude=exclude)
                frames[name] = frame.reset_index().set_axis(own.index)
        return joined_frames(frames) if frames else own
