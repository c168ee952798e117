"""`Plan`: what a write is to do, found and checked before the first byte is written.

An opened session is written as its file plus what changed: fields that were assigned, objects that
were added or removed. An authored session is all new. Either way the plan says where each object
will lie, so that links and references can be checked while nothing has happened yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from nwb_ophys.authored import Storage, is_stream
from nwb_ophys.checks import broken_rules
from nwb_ophys.children import Children
from nwb_ophys.errors import LinkError, MemberNotFoundError, SchemaError
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.hdf5.growing import takes_pending
from nwb_ophys.hdf5.nodes import node_at
from nwb_ophys.layout import FieldLayout, layout_of
from nwb_ophys.mapper.session import TYPE_ATTRIBUTES, Session, fingerprint
from nwb_ophys.models.base import ConfiguredBaseModel
from nwb_ophys.models.dataset import DatasetModel
from nwb_ophys.models.file import NWBFile
from nwb_ophys.specs import packed_namespaces
from nwb_ophys.storage import Array, Child, Link, Members, Ref, Value

__all__ = [
    "ExternalLink",
    "Plan",
    "SetField",
    "changed_fields",
    "join",
    "make_plan",
    "same_attributes",
]


class ExternalLink:
    """A link to an object of another file, to be written in place of the object.

    Parameters
    ----------
    target
        The object, of an opened session.

    Raises
    ------
    LinkError
        Where the object is in no file.
    """

    __slots__ = ("link_target",)

    def __init__(self, target: ConfiguredBaseModel) -> None:
        binding = target._binding
        if binding is None or binding.node.source.path is None:
            raise LinkError(
                f"{target!r} is in no file that a link could lead to",
                hint="write its session first, and link to the object of the opened file",
            )
        self.link_target = target

    @property
    def name(self) -> str:
        """The name of the object."""
        return str(self.link_target.name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.link_target, name)

    def __repr__(self) -> str:
        return f"<link to {self.link_target!r}>"


class NewObject(NamedTuple):
    """An object to be created."""

    path: str
    model: Any


class NewLink(NamedTuple):
    """A link to be created, soft within the file, external to another."""

    path: str
    target: Any


class SetField(NamedTuple):
    """A field of an object that is there, to be written again."""

    path: str
    model: Any
    field: FieldLayout


class Graft(NamedTuple):
    """An object of another session, to be copied with what it refers to."""

    path: str
    model: Any


@dataclass
class Plan:
    """What is to be written.

    Parameters
    ----------
    root
        The session's root object.
    session
        The opened session, None where it was authored.
    homes
        Where each object will lie, by ``id`` of its model.
    removed
        Paths of the opened file that are to go, and whether objects go with them or only links.
    replaced
        Addresses of datasets that are created anew, and their paths.
    moves
        Where objects of the opened file are to lie instead of where they are, by path.
    """

    root: NWBFile
    session: Session | None
    homes: dict[int, str] = field(default_factory=dict)
    removed: dict[str, bool] = field(default_factory=dict)
    replaced: dict[int, str] = field(default_factory=dict)
    moves: dict[str, str] = field(default_factory=dict)
    new: list[NewObject] = field(default_factory=list)
    links: list[NewLink] = field(default_factory=list)
    fields: list[SetField] = field(default_factory=list)
    attributes: list[tuple[str, Any]] = field(default_factory=list)
    grafts: list[Graft] = field(default_factory=list)
    groups: dict[str, None] = field(default_factory=dict)

    @property
    def unchanged(self) -> bool:
        """Whether the opened file is to be written as it is."""
        return self.session is not None and not (
            self.removed
            or self.moves
            or self.new
            or self.links
            or self.fields
            or self.attributes
            or self.grafts
        )

    @property
    def adds_types(self) -> bool:
        """Whether objects are added, for which the file needs the newest schema."""
        return bool(self.grafts) or any(item.model.neurodata_type is not None for item in self.new)

    @property
    def sets_newest(self) -> bool:
        """Whether the file is said to follow the newest schema, so that it has to carry it."""
        newest = packed_namespaces()["core"].version
        return self.root.nwb_version == newest and any(
            one.model is self.root and one.field.name == "nwb_version" for one in self.fields
        )

    @property
    def drops_objects(self) -> bool:
        """Whether objects go, so that the file is to be made anew without their bytes."""
        return any(self.removed.values())

    def is_removed(self, path: str) -> bool:
        """Tell whether an object of the opened file is to go, itself or with one above it."""
        return self.place_of(path) is None

    def place_of(self, path: str) -> str | None:
        """Say where an object of the opened file will lie; None where it goes."""
        if not self.removed and not self.moves:
            return path
        kept = set(self.replaced.values())
        above = path
        while above:
            if above in self.moves:
                return self.moves[above] + path[len(above) :]
            if above in self.removed and not (above == path and above in kept):
                return None
            above = above.rpartition("/")[0]
        return path

    def home_of(self, model: Any) -> str | None:
        """Say where an object will lie; None where it will not be in the file."""
        home = self.homes.get(id(model))
        if home is not None:
            return home
        binding = model._binding
        if binding is None:
            return None
        if binding.node.gone:
            return None
        path: str = binding.node.path
        if self.session is not None and binding.node.source is self.session.source:
            return self.place_of(path)
        for graft in self.grafts:
            origin = graft.model._binding.node
            if binding.node.source is origin.source and (
                path == origin.path or path.startswith(origin.path + "/")
            ):
                return graft.path + path[len(origin.path) :]
        return None


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
        _add_new(plan, "/", root)
    else:
        for model in plan.session.loaded(plan.session.source):
            _find_removals(plan, model)
        _find_moves(plan)
        for path in [one for one in plan.removed if _goes_with_another(plan, one)]:
            del plan.removed[path]
        changed = []
        for model in plan.session.loaded(plan.session.source):
            place = plan.place_of(model.hdf5_path)
            if place is not None:
                _find_changes(plan, model, place)
                if isinstance(model, DatasetModel) and _is_changed(model):
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
    _check_names(plan)
    _check_targets(plan)
    return plan


def join(parent: str, *names: str) -> str:
    """Join names to a path."""
    return "/".join((parent.rstrip("/"), *(name for name in names if name))) or "/"


# -- changes of objects that are in the file ---------------------------------------------------


def changed_fields(model: Any) -> Iterator[FieldLayout]:
    """Iterate over the loaded fields whose values are not those of the file."""
    stored = model._binding.stored
    for name, one in layout_of(type(model)).fields.items():
        if name not in model.__dict__ or isinstance(one.marker, Members):
            continue
        value = model.__dict__[name]
        assigned = name in model.__pydantic_fields_set__
        if (
            assigned
            or (name in stored and stored[name] != fingerprint(value))
            or (isinstance(value, LazyArray) and value.handle.pending is not None)
        ):
            yield one


def _collections(model: Any) -> Iterator[tuple[FieldLayout, Children[Any]]]:
    for name, one in layout_of(type(model)).fields.items():
        if isinstance(one.marker, Members) and name in model.__dict__:
            yield one, model.__dict__[name]


def _find_removals(plan: Plan, model: Any) -> None:
    for one, members in _collections(model):
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
            node = model._binding.node
            if not _fits_in_place(node, model.__dict__[one.name]):
                plan.removed[node.path] = True
                plan.replaced[node.address] = node.path


def _goes_with_another(plan: Plan, path: str) -> bool:
    """Tell whether what lies at a removed path goes with a group above it anyway."""
    parents = path.split("/")[:-1]
    return any(plan.removed.get("/".join(parents[:n])) for n in range(2, len(parents) + 1))


def _remove_member(plan: Plan, model: Any, one: FieldLayout, group: Any) -> None:
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


def _fits_in_place(node: Any, value: Any) -> bool:
    """Tell whether a value can be written over the one that is there, in the same dataset."""
    import h5py

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
    layout = layout_of(type(model))
    if _is_changed(model):
        _prepare(model)
    for one in changed_fields(model):
        value = model.__dict__[one.name]
        if isinstance(one.marker, Child) and value is not None:
            _place(plan, join(path, *one.groups), one.stored, value)
        elif isinstance(one.marker, Link) and not isinstance(one.marker, Ref):
            if value is not None:
                plan.links.append(NewLink(join(path, one.path), value))
        elif not isinstance(one.marker, Child):
            plan.fields.append(SetField(path, model, one))
    for one, members in _collections(model):
        exchanged = one.name in model.__pydantic_fields_set__
        # In their order: where two objects share a part, the first one holds it.
        for name in members:
            if not (
                _still_there(plan, model, one, name) if exchanged else name not in members.added
            ):
                _place_member(plan, join(path, *one.groups), name, members.raw(name), one)
    if model._attrs is not None and not same_attributes(model):
        plan.attributes.append((path, model))
    _check(plan, model, path, layout.fields.values(), new=False)


def _is_changed(model: Any) -> bool:
    return next(changed_fields(model), None) is not None or any(
        members.added or members.removed or one.name in model.__pydantic_fields_set__
        for one, members in _collections(model)
    )


def _check_owner(session: Session, model: Any) -> None:
    """Check the rules of the object that a changed dataset is a part or a column of."""
    path = model.hdf5_path.rpartition("/")[0]
    node = node_at(session.source, path or "/")
    try:
        owner = session.at(node)
    except MemberNotFoundError:  # what it is in was moved
        owner = session.model_of(node)
    _check_rules(owner, path or "/")


def _still_there(plan: Plan, model: Any, one: FieldLayout, name: str) -> bool:
    path = join(model.hdf5_path, *one.groups, name)
    return name in _stored_names(model, one) and path not in plan.removed


def same_attributes(model: Any) -> bool:
    """Tell whether the attributes that a model does not declare are those of the file."""
    stored = model._binding.attributes(model)
    own = model._binding.node.attributes
    for name in TYPE_ATTRIBUTES & model._attrs.keys() & own.keys():
        stored[name] = own[name]  # an upgrade sets them
    return stored.keys() == model._attrs.keys() and all(
        stored[name] is value or _equal_attribute(stored[name], value)
        for name, value in model._attrs.items()
    )


def _equal_attribute(stored: Any, value: Any) -> bool:
    if hasattr(stored, "dtype") and hasattr(value, "dtype"):
        return stored.dtype == value.dtype and bool(np.array_equal(stored, value))
    return type(stored) is type(value) and bool(np.all(stored == value))


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


# -- objects that are moved --------------------------------------------------------------------


def _is_here(plan: Plan, item: Any) -> bool:
    """Tell whether an object is one of the opened file."""
    binding = item._binding
    return (
        binding is not None
        and plan.session is not None
        and binding.node.source is plan.session.source
    )


def _find_moves(plan: Plan) -> None:
    """Find the objects of the file that were taken out in one place and put into another."""
    if not plan.removed:
        return
    assert plan.session is not None
    pending: list[tuple[str, str, Any]] = []  # path of the owner or above it, path below that, item
    for model in plan.session.loaded(plan.session.source):
        pending += [(model.hdf5_path, below, item) for below, item in _put_in(model, new=False)]
    places: dict[str, tuple[str, str]] = {}
    while pending:
        owner, below, item = pending.pop()
        if isinstance(item, ExternalLink) or not isinstance(item, ConfiguredBaseModel):
            continue
        if _is_here(plan, item) and not item._binding.node.gone:  # type: ignore[union-attr]
            path: str = item._binding.node.path  # type: ignore[union-attr]
            if plan.is_removed(path) and path not in places:
                if path == owner or owner.startswith(path + "/"):
                    raise SchemaError(
                        "an object cannot be moved into itself",
                        file=plan.session.file,
                        path=path,
                    )
                places[path] = (owner, below)
        elif item._binding is None:
            pending += [(owner, f"{below}/{more}", one) for more, one in _put_in(item, new=True)]
    for path in places:
        plan.removed.pop(path, None)

    def place(path: str) -> str:
        if path not in plan.moves:
            owner, below = places[path]
            above = owner
            while above and above not in places:
                above = above.rpartition("/")[0]
            home = place(above) + owner[len(above) :] if above else owner
            plan.moves[path] = join(home, below)
        return plan.moves[path]

    for path in places:
        place(path)


def _put_in(model: Any, *, new: bool) -> Iterator[tuple[str, Any]]:
    """Iterate over what was put into an object, with the paths below it."""
    for one in layout_of(type(model)).fields.values():
        if one.name not in model.__dict__:
            continue
        value = model.__dict__[one.name]
        if isinstance(one.marker, Members):
            exchanged = new or one.name in model.__pydantic_fields_set__
            for name in value if exchanged else value.added:
                yield "/".join((*one.groups, name)), value.raw(name)
        elif (
            isinstance(one.marker, Child)
            and value is not None
            and (new or one.name in model.__pydantic_fields_set__)
        ):
            yield "/".join((*one.groups, one.stored)), value


# -- new objects -------------------------------------------------------------------------------


def _place(plan: Plan, parent: str, name: str, item: Any) -> None:
    """Put an object, or a link to one, under a name of a group."""
    path = join(parent, name)
    if isinstance(item, ExternalLink):
        plan.links.append(NewLink(path, item))
        return
    own = getattr(item, "name", name)
    if own != name and item._binding is None and "name" not in item.model_fields_set:
        own = item.__dict__["name"] = name  # it was not given one, and goes under this
    if own != name:
        raise SchemaError(f"expected the name {name!r}, found {own!r}", path=path, field="name")
    home = plan.home_of(item)
    if home == path and _is_here(plan, item):
        return  # it was moved here
    if home is not None:
        plan.links.append(NewLink(path, item))
    elif item._binding is not None and item._binding.node.gone:
        raise SchemaError(
            "the object was deleted from its file, in a save before",
            file=item._binding.file,
            path=item._binding.node.path,
            hint="to move an object, add it elsewhere before the session is saved",
        )
    elif item._binding is not None:
        plan.homes[id(item)] = path
        plan.grafts.append(Graft(path, item))
    else:
        _add_new(plan, path, item)


def _place_member(plan: Plan, parent: str, name: str, item: Any, one: FieldLayout) -> None:
    """Put a member of a collection, or a link to one of a type that is only linked there."""
    links = one.marker.links  # type: ignore[attr-defined]
    if links is not None and isinstance(item, links()):
        plan.links.append(NewLink(join(parent, name), item))
    else:
        _place(plan, parent, name, item)


def _add_new(plan: Plan, path: str, model: Any) -> None:
    plan.homes[id(model)] = path
    plan.new.append(NewObject(path, model))
    _prepare(model)
    layout = layout_of(type(model))
    for one in layout.fields.values():
        value = getattr(model, one.name)
        if isinstance(one.marker, Members):
            for name in value:
                _place_member(plan, join(path, *one.groups), name, value.raw(name), one)
            if one.groups and (one.marker.always or len(value)):
                plan.groups[join(path, *one.groups)] = None
        elif isinstance(one.marker, Child) and value is not None:
            _place(plan, join(path, *one.groups), one.stored, value)
        elif isinstance(one.marker, Link) and not isinstance(one.marker, Ref) and value is not None:
            plan.links.append(NewLink(join(path, one.path), value))
    _check(plan, model, path, layout.fields.values(), new=True)


def _prepare(model: Any) -> None:
    prepare: Callable[[], None] | None = getattr(model, "_before_write", None)
    if prepare is not None:
        prepare()


def _check(plan: Plan, model: Any, path: str, fields: Any, *, new: bool) -> None:
    """Check what was authored: required fields, and the rules that span fields."""
    if not new and not _is_changed(model):
        return
    for one in fields:
        if isinstance(one.marker, Members) or (not new and one.name not in model.__dict__):
            continue
        value = getattr(model, one.name) if new else model.__dict__[one.name]
        missing = value is None and (one.required or (new and isinstance(one.marker, Value)))
        if missing and (new or one.name in model.__pydantic_fields_set__):
            raise SchemaError(
                f"the schema requires a {one.stored!r}, found None", path=path, field=one.name
            )
    _check_rules(model, path)


def _check_rules(model: Any, path: str) -> None:
    """Refuse an object that breaks a rule, unless it did so in the file already."""
    broken = list(broken_rules(model))
    if broken and model._binding is not None:
        with model._binding.session.as_stored() as stored:
            before = set(broken_rules(stored[model.hdf5_path]))
        broken = [finding for finding in broken if finding not in before]
    for name, message in broken:
        raise SchemaError(message, path=path, field=name)


def _check_names(plan: Plan) -> None:
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
        if item.path != "/":
            yield item.path
        for one in layout_of(type(item.model)).fields.values():
            if isinstance(one.marker, Array) and getattr(item.model, one.name) is not None:
                yield join(item.path, one.path)
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


def _check_targets(plan: Plan) -> None:
    for link in plan.links:
        if not isinstance(link.target, ExternalLink):
            _require_home(plan, link.path, "", link.target)
    for item in plan.new:
        for one, target in _references(item.model, layout_of(type(item.model)).fields.values()):
            _require_home(plan, item.path, one.name, target)
    for change in plan.fields:
        for one, target in _references(change.model, (change.field,)):
            _require_home(plan, change.path, one.name, target)


def _references(model: Any, fields: Any) -> Iterator[tuple[FieldLayout, Any]]:
    for one in fields:
        value = getattr(model, one.name)
        if isinstance(one.marker, Ref) and value is not None:
            yield one, value
        elif isinstance(one.marker, Value | Array) and isinstance(value, np.ndarray):
            for target in objects_in(value):
                yield one, target


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
