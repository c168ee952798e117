"""Find out what a write is to do, and check it: `make_plan`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from nwb_ophys.authored import Storage, is_stream
from nwb_ophys.errors import MemberNotFoundError, SchemaError
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.hdf5.growing import takes_pending
from nwb_ophys.hdf5.nodes import Node, node_at
from nwb_ophys.layout import FieldLayout, layout_of
from nwb_ophys.mapper.checking import check_names, check_rules, check_targets
from nwb_ophys.mapper.modified import changed_fields, collections_of, is_changed, same_attributes
from nwb_ophys.mapper.moving import find_moves
from nwb_ophys.mapper.placing import add_new, missing, place, place_member, prepare
from nwb_ophys.mapper.plan import Graft, Plan, SetField, join
from nwb_ophys.mapper.session import Session
from nwb_ophys.models.dataset import DatasetModel
from nwb_ophys.models.file import NWBFile
from nwb_ophys.storage import Array, Child, Link, Ref, Value

__all__ = ["make_plan"]


def make_plan(root: NWBFile) -> Plan:
    """Find out what is to be written, and check it.

    Raises
    ------
    SchemaError
        Where what was authored does not conform to the schema.
    LinkError
        Where a link or reference leads to an object that will not be in the file.
    """
    binding = root._binding
    plan = Plan(root, binding.session if binding is not None else None)
    if plan.session is None:
        add_new(plan, "/", root)
    else:
        rewritten: list[tuple[Any, FieldLayout]] = []
        for model in plan.session.loaded(plan.session.source):
            rewritten += [(model, field) for field in _find_removals(plan, model)]
        find_moves(plan)
        for model, field in rewritten:
            _find_replacement(plan, model, field)
        for path in [one for one in plan.removed if _goes_with_another(plan, one)]:
            del plan.removed[path]
        changed = []
        for model in plan.session.loaded(plan.session.source):
            place = plan.place_of(model.hdf5_path)
            if place is not None:
                _find_changes(plan, model, place)
                if isinstance(model, DatasetModel) and is_changed(model):
                    changed.append(model)
        for model in changed:
            _check_owner(plan.session, model)
        for model in plan.session.loaded():
            source = model._binding.node.source
            if source is not plan.session.source and next(changed_fields(model), None):
                raise SchemaError(
                    "the object lies in another file, which is not written",
                    file=source.file,
                    path=model.hdf5_path,
                    hint="open that file and change the object there",
                )
    for graft in plan.grafts:
        _find_graft_changes(plan, graft)
    check_names(plan)
    check_targets(plan)
    return plan


def _find_removals(plan: Plan, model: Any) -> Iterator[FieldLayout]:
    """Find what is deleted of an object; iterate over its changed fields that are its own data."""
    for one, members in collections_of(model):
        parent = join(model.hdf5_path, *one.groups)
        for name in members.removed:
            plan.removed[join(parent, name)] = _is_hard(model, one, name)
        if one.name in model.__pydantic_fields_set__:  # the whole collection was exchanged
            for name in _stored_names(model, one):
                if name not in members or members.raw(name) is not _bound_at(model, one, name):
                    plan.removed[join(parent, name)] = _is_hard(model, one, name)
    for one in changed_fields(model):
        if isinstance(one.marker, (Child, Link, Array)) and not isinstance(one.marker, Ref):
            group = model._binding.group(one.groups)
            if group is not None and one.stored in group.links:
                _remove_member(plan, model, one, group)
        elif isinstance(one.marker, Value):
            yield one


def _find_replacement(plan: Plan, model: Any, field: FieldLayout) -> None:
    """Find whether a dataset is to be made anew, which is in the file still."""
    node = model._binding.node
    if not plan.is_removed(node.path) and not _fits_in_place(node, model.__dict__[field.name]):
        plan.removed[node.path] = True
        plan.replaced[node.address] = node.path


def _goes_with_another(plan: Plan, path: str) -> bool:
    """Tell whether what lies at a removed path goes with a group above it anyway."""
    parents = path.split("/")[:-1]
    return any(plan.removed.get("/".join(parents[:n])) for n in range(2, len(parents) + 1))


def _remove_member(plan: Plan, model: Any, one: FieldLayout, group: Node) -> None:
    path = join(model.hdf5_path, one.path)
    record = group.links[one.stored]
    if isinstance(one.marker, Array) and record.kind == "hard":
        node = group.child(one.stored)
        if model.__dict__[one.name] is not None and _fits_in_place(node, model.__dict__[one.name]):
            return
        plan.replaced[node.address] = path
    plan.removed[path] = record.kind == "hard"


def _is_hard(model: Any, one: FieldLayout, name: str) -> bool:
    group = model._binding.group(one.groups)
    return group is None or name not in group.links or group.links[name].kind == "hard"


def _stored_names(model: Any, one: FieldLayout) -> list[str]:
    group = model._binding.group(one.groups)
    layout = layout_of(type(model))
    if group is None:
        return []
    return [name for name in group.links if not layout.declares(one.groups, name)]


def _bound_at(model: Any, one: FieldLayout, name: str) -> Any:
    group = model._binding.group(one.groups)
    return model._binding.session.model_of(group.child(name))


def _fits_in_place(node: Node, value: Any) -> bool:
    """Tell whether a value can be written over the one that is there, in the same dataset."""
    if isinstance(value, LazyArray) and value.handle is node:
        return takes_pending(value)
    shape = LazyArray(node).shape
    dtype = h5py.Dataset(node.id).dtype
    if is_stream(value) or isinstance(value, Storage) or shape is None:
        return False
    if isinstance(value, str) or hasattr(value, "isoformat"):
        return (
            shape == ()
            and h5py.check_string_dtype(dtype) is not None
            and (h5py.check_string_dtype(dtype).length is None)
        )
    array = value if hasattr(value, "shape") else np.asarray(value)
    return tuple(array.shape) == shape and array.dtype == dtype and dtype.kind != "O"


def _find_changes(plan: Plan, model: Any, path: str) -> None:
    changed = is_changed(model)
    if changed:
        prepare(model)
    for one in changed_fields(model):
        value = model.__dict__[one.name]
        if value is None and one.required and one.name in model.__pydantic_fields_set__:
            raise missing(one, path)
        if isinstance(one.marker, Child) and value is not None:
            place(plan, join(path, *one.groups), one.stored, value)
        elif isinstance(one.marker, Link) and not isinstance(one.marker, Ref):
            if value is not None:
                plan.add_link(join(path, one.path), value)
        elif not isinstance(one.marker, Child):
            plan.fields.append(SetField(path, model, one))
    for one, members in collections_of(model):
        exchanged = one.name in model.__pydantic_fields_set__
        # In their order: where two objects share a part, the first one holds it.
        for name in members:
            if not (
                _still_there(plan, model, one, name) if exchanged else name not in members.added
            ):
                place_member(plan, join(path, *one.groups), name, members.raw(name), one)
    if model._attrs is not None and not same_attributes(model):
        plan.attributes.append((path, model))
    if changed:
        check_rules(model, path)


def _check_owner(session: Session, model: Any) -> None:
    """Check the rules of the object that a changed dataset is a part or a column of."""
    path = model.hdf5_path.rpartition("/")[0]
    node = node_at(session.source, path or "/")
    try:
        owner = session.at(node)
    except MemberNotFoundError:  # what it is in was moved
        owner = session.model_of(node)
    check_rules(owner, path or "/")


def _still_there(plan: Plan, model: Any, one: FieldLayout, name: str) -> bool:
    path = join(model.hdf5_path, *one.groups, name)
    return name in _stored_names(model, one) and path not in plan.removed


def _find_graft_changes(plan: Plan, graft: Graft) -> None:
    origin = graft.model._binding.node
    for model in graft.model._binding.session.loaded(origin.source):
        path = plan.home_of(model)
        if path is not None and next(changed_fields(model), None):
            raise SchemaError(
                "an object of another session that was changed there cannot be added",
                file=origin.file,
                path=model.hdf5_path,
                hint="write that session first, or add a copy: obj.model_copy(deep=True)",
            )
