"""What was changed in an opened session: listed for people, and taken back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from nwb_ophys.children import Children
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.hdf5.pending import Pending
from nwb_ophys.layout import layout_of
from nwb_ophys.mapper.modified import changed_fields
from nwb_ophys.mapper.plan import ExternalLink, Plan, SetField, join
from nwb_ophys.mapper.planning import make_plan
from nwb_ophys.mapper.session import Session
from nwb_ophys.models.file import NWBFile
from nwb_ophys.storage import Array, Value

__all__ = ["Change", "discard", "list_changes"]


class Change(NamedTuple):
    """One change that a save would write.

    Parameters
    ----------
    kind
        What is done: ``delete``, ``move``, ``add``, ``copy`` (from another file), ``link``, ``set``
        (a field), ``rows`` (of an array), or ``attributes``.
    path
        The HDF5 path of the object.
    detail
        What else there is to say: the new path, the type, the field, the rows.
    """

    kind: Literal["delete", "move", "add", "copy", "link", "set", "rows", "attributes"]
    path: str
    detail: str = ""

    def __str__(self) -> str:
        shown = {
            "move": f"move {self.path} to {self.detail}",
            "add": f"add {self.path} ({self.detail})",
            "copy": f"add {self.path} (copied from {self.detail})",
            "link": f"link {self.path} to {self.detail}",
            "set": f"set {self.path}, {self.detail}",
            "rows": f"{self.detail} of {self.path}",
            "attributes": f"set attributes of {self.path}",
        }
        return shown.get(self.kind, f"{self.kind} {self.path}")


def list_changes(root: NWBFile) -> list[Change]:
    """List what a save would write; nothing is written."""
    return list(_changes(make_plan(root)))


def _changes(plan: Plan) -> Iterator[Change]:
    again = set(plan.replaced.values()) | {link.path for link in plan.links}
    again |= {_path_of(one) for one in plan.fields}
    for path in sorted(plan.removed):
        if path not in again:
            yield Change("delete", path)
    for path, target in sorted(plan.moves.items()):
        yield Change("move", path, target)
    new = {item.path for item in plan.new}
    for item in plan.new:
        if item.path.rpartition("/")[0] not in new or item.path.count("/") == 1:
            yield Change("add", item.path, type(item.model).__name__)
    for graft in plan.grafts:
        yield Change("copy", graft.path, graft.model._binding.file)
    for link in plan.links:
        if link.path.rpartition("/")[0] not in new:
            yield Change("link", link.path, _target(plan, link.target))
    for one in plan.fields:
        value = getattr(one.model, one.field.name)
        pending = value.handle.pending if isinstance(value, LazyArray) else None
        if pending is None:
            yield Change("set", one.path, one.field.name)
        else:
            yield Change("rows", _path_of(one), _rows(pending))
    for path, _ in plan.attributes:
        yield Change("attributes", path)


def _path_of(one: SetField) -> str:
    if isinstance(one.field.marker, Array):
        return join(one.path, one.field.path)
    return one.path if isinstance(one.field.marker, Value) else join(one.path, one.field.stored)


def _target(plan: Plan, target: Any) -> str:
    if isinstance(target, ExternalLink):
        node = target.link_target._binding.node  # type: ignore[union-attr]
        return f"{node.path} of {node.source.file}"
    return plan.home_of(target) or repr(target)


def _rows(pending: Pending) -> str:
    said = []
    old = [one for one in pending.parts if one.start < pending.stored_rows]
    if len(old) > 3:
        said.append(f"change {sum(len(one.values) for one in old)} rows")
    elif old:
        runs = [f"{one.start} to {min(one.stop, pending.stored_rows) - 1}" for one in old]
        said.append(f"change rows {', '.join(runs)}")
    if pending.grows:
        said.append(f"append {pending.shape[0] - pending.stored_rows} rows")
    return ", and ".join(said) + ("," if len(said) > 1 else "")


def discard(session: Session) -> None:
    """Take back what was changed since the file was opened or saved last.

    Fields and collections are read again when they are next touched. Objects that were added
    belong to no file then.
    """
    with session.lock:
        for node in list(session.source.nodes.values()):
            if node.pending is not None:
                node.pending = None
                node.generation += 1
        for model in session.loaded(session.source):
            values = model.__dict__
            changed = [field.name for field in changed_fields(model)]
            for name in layout_of(type(model)).fields:
                value = values.get(name)
                if isinstance(value, Children) and (
                    value.added or value.removed or name in model.__pydantic_fields_set__
                ):
                    changed.append(name)
            for name in changed:
                values.pop(name, None)
            values["name"] = model._binding.node.name or "root"
            object.__setattr__(model, "__pydantic_fields_set__", set())
            model._attrs = None
