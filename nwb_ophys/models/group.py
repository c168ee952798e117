"""Objects that are groups: browsing by name and path, walking, finding."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import Field

from nwb_ophys.children import Children
from nwb_ophys.errors import ClosedError, MemberNotFoundError, NWBError, did_you_mean
from nwb_ophys.layout import layout_of
from nwb_ophys.models.base import ConfiguredBaseModel
from nwb_ophys.models.dataset import Dataset
from nwb_ophys.storage import Array, Child, Internal, Members

__all__ = ["Group", "GroupModel"]

M = TypeVar("M", bound=ConfiguredBaseModel)


class GroupModel(ConfiguredBaseModel):
    """An object that is a group.

    Parameters
    ----------
    children
        The members that the model does not declare, whatever they are.
    """

    singles: ClassVar[tuple[str, ...]] = ()
    """Properties of members that are told by their type, of which there is one."""

    children: Annotated[Children[Any], Members()] = Field(default_factory=Children)

    def __init__(self, /, **data: Any) -> None:
        given = [data.pop(name) for name in self.singles if name in data]
        if given:
            held = data.get("children") or ()
            data["children"] = [
                *(held.values() if isinstance(held, Mapping) else held),
                *(one for one in given if one is not None),
            ]
        super().__init__(**data)

    @classmethod
    def from_value(cls, value: Any, **fields: Any) -> Self:
        """Make the model of a dictionary of its fields."""
        return super().from_value(value, **fields)

    def __getitem__(self, path: Any) -> Any:
        """Give the object at a path below this one, or at an absolute path of the file.

        Raises
        ------
        MemberNotFoundError
            Where nothing is there; the message says what is.
        LinkError
            Where a link on the way leads nowhere.
        """
        if not isinstance(path, str):
            raise TypeError(f"expected a name or a path, found {path!r}")
        if path.startswith("/") and self._binding is not None:
            root = self._binding.session.root
            if root is not self:
                return root[path]
        model, groups = self._located(path)
        return model._structural(groups) if groups else model

    def _located(self, path: str) -> tuple[Any, tuple[str, ...]]:
        """Find the object at a path below this one, or the one that declares the group there."""
        model: Any = self
        groups: tuple[str, ...] = ()
        for part in path.strip("/").split("/"):
            if not part:
                continue
            if not isinstance(model, GroupModel):
                raise model_error(model, f"a {type(model).__name__} has no members", part)
            if (*groups, part) in layout_of(type(model)).structural_groups:
                groups = (*groups, part)
                continue
            found = model._member(groups, part)
            if found is None:
                raise model._no_member(groups, part)
            model, groups = found, ()
        return model, groups

    def _member(self, groups: tuple[str, ...], name: str) -> Any:
        """Find a member by its name in the file, in memory first, else in the file."""
        layout = layout_of(type(self))
        field = layout.members.get(groups, {}).get(name)
        if field is not None and not isinstance(field.marker, Array):
            return getattr(self, field.name)
        for collection in layout.collections.get(groups, ()):
            members = getattr(self, collection.name)
            if name in members:
                return members[name]
        binding = self._binding
        if binding is None:
            value = getattr(self, field.name) if field is not None else None
            return None if value is None else Dataset(name=name, array=value)
        if name not in binding.member_names(groups) or self._was_removed(groups, name):
            return None
        return binding.member(groups, name)

    def _was_removed(self, groups: tuple[str, ...], name: str) -> bool:
        collections = layout_of(type(self)).collections.get(groups, ())
        return any(name in getattr(self, one.name).removed for one in collections)

    def _structural(self, groups: tuple[str, ...]) -> Any:
        binding = self._binding
        if binding is not None and groups[-1] in binding.member_names(groups[:-1]):
            return binding.member(groups[:-1], groups[-1])
        return Group(name=groups[-1], children=Children(dict(self._members_of(groups))))

    def _no_member(self, groups: tuple[str, ...], name: str) -> MemberNotFoundError:
        names = self._names_in(groups)
        shown = ", ".join(map(repr, names[:10])) or "nothing"
        here = (self.hdf5_path or self.__dict__.get("name") or "").rstrip("/")
        return MemberNotFoundError(
            f"there is no {name!r}; there is {shown}",
            file=self._file,
            path="/".join((here, *groups)) or "/",
            hint=did_you_mean(name, names),
        )

    def _names_in(self, groups: tuple[str, ...]) -> list[str]:
        layout = layout_of(type(self))
        names = dict.fromkeys(
            name
            for name, field in layout.members.get(groups, {}).items()
            if self._binding is None and getattr(self, field.name) is not None
        )
        for collection in layout.collections.get(groups, ()):
            names.update(dict.fromkeys(getattr(self, collection.name)))
        if self._binding is not None:
            names.update(
                dict.fromkeys(
                    name
                    for name in self._binding.member_names(groups)
                    if not self._was_removed(groups, name)
                )
            )
        names.update(
            dict.fromkeys(path[-1] for path in layout.structural_groups if path[:-1] == groups)
            if self._binding is None
            else {}
        )
        return list(names)

    def _members_of(self, groups: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        """Iterate over the objects directly in one of this object's groups, links left out."""
        layout = layout_of(type(self))
        for name, field in layout.members.get(groups, {}).items():
            if isinstance(field.marker, Child):
                value = getattr(self, field.name)
                if value is not None:
                    yield name, value
        for collection in layout.collections.get(groups, ()):
            yield from getattr(self, collection.name).items()

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]
        return iter(self._names_in(()))

    def _ipython_key_completions_(self) -> list[str]:
        return self._names_in(())

    def __contains__(self, path: object) -> bool:
        try:
            self[str(path)]
        except LookupError:
            return False
        return True

    def add(self, *items: Any) -> Any:
        """Add objects to ``children`` under their own names; the last one is returned.

        Raises
        ------
        SchemaError
            Where an object is of another type, has no name, or its name is taken.
        """
        return self.children.add(*items)

    def walk(self) -> Iterator[ConfiguredBaseModel]:
        """Iterate over all objects in and below this one, each once; links are not followed."""
        return (model for _, model in self.walk_paths())

    def walk_paths(self) -> Iterator[tuple[str, ConfiguredBaseModel]]:
        """Iterate as `walk` does, over pairs of paths and objects; new objects have paths too."""
        seen: set[int] = set()
        stack: list[tuple[str, Any]] = [(self.hdf5_path or "/", self)]
        while stack:
            path, model = stack.pop()
            if id(model) in seen:
                continue
            seen.add(id(model))
            yield path, model
            if isinstance(model, GroupModel):
                top = path.rstrip("/")
                stack += [
                    (member.hdf5_path or "/".join((top, *place)), member)
                    for place, member in reversed(list(model._own_members()))
                ]

    def _own_members(self) -> Iterator[tuple[tuple[str, ...], ConfiguredBaseModel]]:
        """Iterate over the objects that lie in this one, and where; links are left out.

        What cannot be read is left out too; the problems of the session tell.
        """
        for groups in ((), *layout_of(type(self)).structural_groups):
            try:
                getters = list(self._getters(groups))
            except ClosedError:
                raise
            except NWBError:  # a link that leads nowhere is in the place of the group
                continue
            for place, get in getters:
                try:
                    member = get()
                except ClosedError:
                    raise
                except NWBError:
                    continue
                if member is not None:
                    yield place, member

    def _getters(
        self, groups: tuple[str, ...]
    ) -> Iterator[tuple[tuple[str, ...], Callable[[], Any]]]:
        layout = layout_of(type(self))
        binding = self._binding
        linked = frozenset() if binding is None else binding.link_names(groups)
        assigned = self.__pydantic_fields_set__
        for name, field in layout.members.get(groups, {}).items():
            if isinstance(field.marker, Child) and (name not in linked or field.name in assigned):
                yield (*groups, name), partial(getattr, self, field.name)
        for collection in layout.collections.get(groups, ()):
            members = getattr(self, collection.name)
            added = members.added
            for name in list(members):
                if name in added or name not in linked:
                    yield (*groups, name), partial(members.__getitem__, name)
        if binding is not None and groups:
            for name in binding.member_names(groups):
                if (
                    name not in linked
                    and not layout.declares(groups, name)
                    and not self._in_collections(groups, name)
                ):
                    yield (*groups, name), partial(binding.member, groups, name)

    def _in_collections(self, groups: tuple[str, ...], name: str) -> bool:
        collections = layout_of(type(self)).collections.get(groups, ())
        return self._was_removed(groups, name) or any(
            name in getattr(self, one.name) for one in collections
        )

    def find(self, kind: type[M], name: str | None = None) -> Iterator[M]:
        """Iterate over all objects of a type, or of a subtype, in and below this one.

        Parameters
        ----------
        kind
            A model class.
        name
            Only objects of this name.

        Raises
        ------
        TypeError
            Where that is no class.
        """
        if not isinstance(kind, type):
            raise TypeError(
                f"expected a class to find objects of, found {kind!r}: nwb_ophys has those of "
                "optical physiology, nwb_ophys.get_type(namespace, name) gives all others"
            )
        return (
            model
            for model in self.walk()
            if isinstance(model, kind) and (name is None or getattr(model, "name", None) == name)
        )

    def _summary(self) -> str:
        names = self._names_in(())
        shown = ", ".join(names[:6])
        return f"{shown}, ... {len(names)} in all" if len(names) > 6 else shown


def model_error(model: Any, message: str, name: str) -> MemberNotFoundError:
    """Make the error of a member that a model cannot have."""
    return MemberNotFoundError(
        f"{message}; {name!r} was asked for",
        file=model._file,
        path=model.hdf5_path,
    )


class Group(GroupModel):
    """A group without a neurodata type.

    Parameters
    ----------
    name
        Its name.
    """

    name: Annotated[str, Internal()]

    def __getattr__(self, name: str) -> Any:
        holder = self._holder() if name == "children" else None
        return super().__getattr__(name) if holder is None else getattr(*holder)

    def __setattr__(self, name: str, value: Any) -> None:
        holder = self._holder() if name == "children" else None
        if holder is None:
            super().__setattr__(name, value)
        else:
            setattr(*holder, value)

    def _holder(self) -> tuple[Any, str] | None:
        """Name the object and its field that hold the members, where not the group does.

        What is declared as a collection of the object above is one, however it is reached.
        """
        binding = self._binding
        if binding is None or binding.node.source is not binding.session.source:
            return None
        try:
            owner, groups = binding.session.root._located(self.hdf5_path)
        except NWBError:  # it was deleted
            return None
        layout = layout_of(type(owner))
        collections = layout.collections.get(groups, ())
        if not groups or len(collections) != 1 or layout.members.get(groups):
            return None
        return owner, collections[0].name
