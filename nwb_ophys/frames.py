"""Tables as data frames of pandas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from nwb_ophys.errors import NWBError
from nwb_ophys.ragged import RaggedColumn

if TYPE_CHECKING:
    import pandas

    from nwb_ophys.models.table import DynamicTable

__all__ = ["frame_of", "joined_frames"]


def frame_of(table: DynamicTable, rows: Any, exclude: Iterable[str]) -> pandas.DataFrame:
    """Read a table, or some of its rows, as `DynamicTable.to_dataframe` says.

    Raises
    ------
    NWBError
        Where the columns have unequal lengths, or pandas is not installed.
    """
    pandas = _pandas()
    index = slice(None) if rows is None else rows
    if isinstance(index, (int, np.integer)):
        index = [int(index)]
    left_out = set(exclude)
    data = {
        name: _cells(column, index)
        for name, column in table.columns.items()
        if name not in left_out
    }
    ids = None if table.id is None else np.asarray(table.id)[index]
    count = len(ids) if ids is not None else None
    for name, cells in data.items():
        if count is not None and len(cells) != count:
            raise NWBError(
                f"the column has {len(cells)} rows, but the table has {count}",
                file=table._file,
                path=table.hdf5_path or table.name,
                field=name,
                hint=f"leave it out: to_dataframe(exclude=[{name!r}])",
            )
    return pandas.DataFrame(data, index=pandas.Index(ids, name="id") if count else None)


def joined_frames(frames: dict[str, pandas.DataFrame]) -> pandas.DataFrame:
    """Put data frames of the same rows side by side, under their names."""
    joined: pandas.DataFrame = _pandas().concat(frames, axis=1)
    return joined


def _cells(column: Any, index: Any) -> Any:
    if isinstance(column, RaggedColumn):
        return column[index]
    values = np.asarray(column)[index] if not isinstance(index, slice) else column.array[index]
    if values.dtype.names is not None:
        return [tuple(value) for value in values]
    if values.ndim > 1:
        return list(values)
    # Files may store either byte order; pandas takes the machine's.
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise NWBError("data frames need pandas", hint="pip install 'nwb-ophys[pandas]'") from error
    return pandas
