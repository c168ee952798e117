"""Check a plan: the rules that span fields, names that are taken, links that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from nwb_ophys.checks import broken_rules
from nwb_ophys.errors import LinkError, SchemaError
from nwb_ophys.hdf5.nodes import node_at
from nwb_ophys.layout import FieldLayout, layout_of
from nwb_ophys.mapper.plan import ExternalLink, Plan, join
from nwb_ophys.models.base import ConfiguredBaseModel
from nwb_ophys.models.dataset import DatasetModel
from nwb_ophys.models.file import NWBFile
from nwb_ophys.storage import Array, Members, Ref, Value

__all__ = ["check_names", "check_rules", "check_targets", "objects_in", "referred_to"]


def check_rules(model: Any, path: str) -> None:
    """Refuse an object that breaks a rule, unless it did so in the file already."""
    broken = list(broken_rules(model))
    if broken and model._binding is not None:
        with model._binding.session.as_stored() as stored:
            before = set(broken_rules(stored[model.hdf5_path]))
        broken = [finding for finding in broken if finding not in before]
    for name, message in broken:
        raise SchemaError(message, path=path, field=name)


def check_names(plan: Plan) -> None:
    """Refuse two objects at one path: several collections and fields may lie over one group."""
    taken = set(plan.groups)
    taken.update(
        join(one.path, one.field.path) for one in plan.fields if isinstance(one.field.marker, Array)
    )
    for path in _new_paths(plan):
        if path in taken or (plan.session is not None and _is_kept(plan, path)):
            raise SchemaError(
                "two objects with one name",
                file=plan.session.file if plan.session is not None else None,
                path=path,
                hint="choose another name for one of them",
            )
        taken.add(path)


def _new_paths(plan: Plan) -> Iterator[str]:
    for item in plan.new:
        # A dataset that is an object is among the arrays.
        if item.path != "/" and not isinstance(item.model, DatasetModel):
            yield item.path
    yield from (array.path for array in plan.arrays)
    yield from (link.path for link in plan.links)
    yield from (graft.path for graft in plan.grafts)


def _is_kept(plan: Plan, path: str) -> bool:
    """Tell whether the opened file has something at a path, and keeps it."""
    parent, _, name = path.rpartition("/")
    if plan.session is None or path in plan.removed or plan.is_removed(path):
        return False
    try:
        return name in node_at(plan.session.source, parent or "/").links
    except LookupError:  # its parent is new as well
        return False


def check_targets(plan: Plan) -> None:
    """Refuse links and references to what will not be in the file."""
    for link in plan.links:
        if not isinstance(link.target, ExternalLink):
            _require_home(plan, link.path, "", link.target)
    for path, name, target in plan.references:
        _require_home(plan, path, name, target)
    for change in plan.fields:
        for target in referred_to(change.field, getattr(change.model, change.field.name)):
            _require_home(plan, change.path, change.field.name, target)


def referred_to(field: FieldLayout, value: Any) -> Iterable[Any]:
    """Give the objects that the value of a field refers to."""
    if isinstance(field.marker, Ref):
        return () if value is None else (value,)
    if isinstance(field.marker, Value | Array) and isinstance(value, np.ndarray):
        return objects_in(value) if value.dtype.hasobject else ()
    return ()


def objects_in(array: np.ndarray[Any, Any]) -> Iterator[Any]:
    """Iterate over the models in an array, or in the members of a compound one."""
    columns = [array[name] for name in array.dtype.names] if array.dtype.names else [array]
    for column in columns:
        if column.dtype.kind == "O":
            for value in column.flat:
                if isinstance(value, ConfiguredBaseModel):
                    yield value


def _require_home(plan: Plan, path: str, name: str, target: Any) -> None:
    if isinstance(target, ConfiguredBaseModel) and plan.home_of(target) is not None:
        return
    if not isinstance(target, ConfiguredBaseModel):
        raise LinkError(f"expected an object, found {target!r}", path=path, field=name or None)
    binding = target._binding
    where = "" if binding is None else f" (it is in {binding.file}, at {binding.node.path})"
    raise LinkError(
        f"it leads to {target!r}, which is not in the file being written{where}",
        path=path,
        field=name or None,
        hint=f"add it to the session first{_suggestion(target)}",
    )


def _suggestion(target: Any) -> str:
    for kind in type(target).__mro__:  # the place that is meant for it, before general ones
        for one in layout_of(NWBFile).fields.values():
            if isinstance(one.marker, Members) and one.groups and kind in one.types:
                return f": session.{one.name}.add(...)"
    return ""
