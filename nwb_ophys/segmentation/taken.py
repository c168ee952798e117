"""What of another segmentation is in a module already: it is refused, or gives way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from nwb_ophys import models as nwb
from nwb_ophys.errors import SchemaError
from nwb_ophys.masks.tables import responses_of

__all__ = ["refuse_taken", "remove"]

_HINT: Final = "choose another name=, or replace=True"


class _Where(NamedTuple):
    """A module, for messages."""

    file: str | None
    path: str

    def error(self, message: str, name: str, hint: str | None = None) -> SchemaError:
        """Make an error of something in it."""
        return SchemaError(message, file=self.file, path=f"{self.path}/{name}", hint=hint)


def refuse_taken(
    session: Any,
    module: str,
    tables: Sequence[Any],
    parts: Sequence[tuple[Any, Any]],
    images: Sequence[Any],
    replace: bool,
) -> None:
    """Refuse names that are taken, before anything is added."""
    home = session.processing.get(module)
    if home is None:
        return
    where = _Where(session._file, f"/processing/{module}")
    _refuse_traces(home, parts, _refuse_tables(home, tables, where, replace), where)
    for one in images:
        if one.name in home.children and not replace:
            raise where.error(
                f"the name is taken: there is {home.children[one.name]!r}", one.name, _HINT
            )


def _refuse_tables(home: Any, tables: Sequence[Any], where: _Where, replace: bool) -> list[Any]:
    """Refuse names of tables that are taken; give the series of those that are replaced."""
    holder = home.children.get("ImageSegmentation")
    if holder is None:
        return []
    if not isinstance(holder, nwb.ImageSegmentation):
        raise where.error(f"expected an ImageSegmentation, found {holder!r}", holder.name)
    mine: list[Any] = []
    for table in tables:
        there = holder.children.get(table.name)
        if there is None:
            continue
        if not replace:
            raise where.error(
                f"the name is taken: there is a {type(there).__name__} of {len(there)} ROIs "
                f"({there.description!r})",
                f"{holder.name}/{table.name}",
                _HINT,
            )
        mine += _series_of(home, there)
    return mine


def _refuse_traces(
    home: Any, parts: Sequence[tuple[Any, Any]], mine: Sequence[Any], where: _Where
) -> None:
    """Refuse names of series that are taken, but for those that are replaced."""
    for container, response in parts:
        there = home.children.get(container.name)
        if there is None:
            continue
        if type(there) is not type(container):
            raise where.error(
                f"expected a {type(container).__name__}, found {there!r}",
                container.name,
                "choose another module=",
            )
        found = there.children.get(response.name)
        if found is not None and found not in mine:
            raise where.error(
                f"the name is taken: there are traces {found!r}",
                f"{container.name}/{response.name}",
                "choose another series= or module=",
            )


def _series_of(home: Any, table: Any) -> list[Any]:
    """List the series of a table, which is authored or opened."""
    if table._binding is not None:
        return responses_of(table)
    return [one for one in home.find(nwb.RoiResponseSeries) if one.rois.table is table]


def remove(home: Any, name: str) -> None:
    """Take a table out of a module, with its traces."""
    holder = home.children.get("ImageSegmentation")
    table = None if holder is None else holder.children.get(name)
    if table is None:
        return
    mine = _series_of(home, table)
    for container in list(home.children.values()):
        if not isinstance(container, (nwb.Fluorescence, nwb.DfOverF)):
            continue
        gone = [key for key, value in container.children.items() if value in mine]
        if gone and len(gone) == len(container.children):
            del home.children[container.name]
            continue
        for one in gone:
            del container.children[one]
    del holder.children[name]
