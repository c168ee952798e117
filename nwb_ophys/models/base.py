"""What all models stand on: loading on first touch, identity, browsing, and the root types."""

import copy
import difflib
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from nwb_ophys import registry
from nwb_ophys.children import Children
from nwb_ophys.errors import MemberNotFoundError, SchemaError
from nwb_ophys.layout import Layout, layout_of
from nwb_ophys.storage import Array, Attr, Child, Internal, Link, Marker, Members, NDArray, Value

if TYPE_CHECKING:
    from nwb_ophys.binding import Binding

__all__ = [
    "ConfiguredBaseModel",
    "Container",
    "Data",
    "Dataset",
    "DatasetModel",
    "Group",
    "GroupModel",
    "LinkML_Meta",
    "NWBContainer",
    "NWBData",
    "NWBDataInterface",
    "SimpleMultiContainer",
]

M = TypeVar("M", bound="ConfiguredBaseModel")


class LinkML_Meta(BaseModel):  # noqa: N801  (the name that the reference document gives it)
    """What LinkML records of a class.

    Parameters
    ----------
    tree_root
        Whether objects of the class stand on their own: true of neurodata types, false of the
        parts of one.
    """

    model_config = ConfigDict(defer_build=True)

    tree_root: bool = False


class ConfiguredBaseModel(BaseModel):
    """Base of all models.

    A model of an opened file holds nothing at first: each field is read when it is first touched,
    checked, and remembered. Models compare and hash by identity; `nwb_ophys.diff` compares what
    they mean.

    Parameters
    ----------
    hdf5_path
        The absolute path at which the object lies in its file; None before it is written.
    """

    __slots__ = ("__weakref__", "_attrs", "_binding")

    model_config = ConfigDict(
        validate_assignment=True,
        validate_default=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        use_enum_values=True,
        defer_build=True,
    )

    linkml_meta: ClassVar[LinkML_Meta] = LinkML_Meta.model_construct()
    neurodata_type: ClassVar[str | None] = None
    namespace: ClassVar[str | None] = None
    completed: ClassVar[tuple[str, ...]] = ()
    """Fields that the schema requires and that the constructor completes where they are left out."""

    hdf5_path: Annotated[str | None, Internal()] = None

    if TYPE_CHECKING:
        _binding: Binding | None = PrivateAttr()
        _attrs: dict[str, Any] | None = PrivateAttr()

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:  # noqa: D102
        self = super().__new__(cls)
        object.__setattr__(self, "_binding", None)
        object.__setattr__(self, "_attrs", None)
        return self

    def __init__(self, /, **data: Any) -> None:
        flat = layout_of(type(self)).flat
        if flat and not flat.keys().isdisjoint(data):
            data = self._route(data, flat)
        super().__init__(**data)

    def __init_subclass__(
        cls, *, schema: str | None = None, part: bool = False, **kwargs: Any
    ) -> None:
        # The keywords are for `__pydantic_init_subclass__`, which runs when the fields are known.
        super().__init_subclass__(**kwargs)

    @classmethod
    def __pydantic_init_subclass__(
        cls, *, schema: str | None = None, part: bool = False, **kwargs: Any
    ) -> None:
        # A `part` is no neurodata type of its own, but belongs to the type that declares it.
        super().__pydantic_init_subclass__(**kwargs)
        if schema is not None and not part:
            cls.namespace = schema
            cls.neurodata_type = cls.__name__
            cls.linkml_meta = LinkML_Meta.model_construct(tree_root=True)
            registry.register(cls)
        elif part:
            cls.linkml_meta = LinkML_Meta.model_construct(tree_root=False)

    @classmethod
    def from_value(cls, value: Any, **fields: Any) -> Self:
        """Make a model of what a user gave in its place.

        Raises
        ------
        ValueError
            Where the model cannot be made of that.
        """
        if isinstance(value, dict):
            return cls(**value, **fields)
        raise ValueError(f"expected {cls.__name__}, found {value!r} of type {type(value).__name__}")

    def _route(self, data: dict[str, Any], flat: dict[str, str]) -> dict[str, Any]:
        """Hand the flat names of the constructor to the children that store them."""
        routed = {name: value for name, value in data.items() if name not in flat}
        below: dict[str, dict[str, Any]] = {}
        for name, value in data.items():
            if name in flat and value is not None:
                below.setdefault(flat[name], {})[name] = value
        layout = layout_of(type(self))
        for field, values in below.items():
            kind = layout.fields[field].types[0]
            given = routed.get(field)
            if isinstance(given, ConfiguredBaseModel):
                for name, value in values.items():
                    setattr(given, name, value)
            elif given is None:
                routed[field] = kind(**values)
            else:
                routed[field] = kind.from_value(given, **values)
        return routed

    def __getattr__(self, name: str) -> Any:
        # Only reached for what is not in __dict__: a stored field that was not touched yet.
        binding = None if name == "_binding" else self._binding
        if binding is not None:
            layout = layout_of(type(self))
            field = layout.fields.get(name)
            if field is not None:
                return binding.load(self, field)
        flat = layout_of(type(self)).flat.get(name) if not name.startswith("_") else None
        if flat is not None:
            part = getattr(self, flat)
            return None if part is None else getattr(part, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name[0] == "_":
            object.__setattr__(self, name, value)
            return
        if name in ("name", "hdf5_path") and self._binding is not None:
            raise SchemaError(
                f"an object of a file cannot be given another {name}",
                file=self._binding.file,
                path=self.hdf5_path,
                field=name,
                hint="add a copy under the new name and delete this one",
            )
        flat = layout_of(type(self)).flat.get(name)
        if flat is None:
            super().__setattr__(name, value)
            return
        part = getattr(self, flat)
        if part is None:
            setattr(self, flat, layout_of(type(self)).fields[flat].types[0](**{name: value}))
        else:
            setattr(part, name, value)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *type(self).model_fields, *layout_of(type(self)).flat]

    @property
    def attrs(self) -> dict[str, Any]:
        """The attributes that the model does not declare; what is put here is written too."""
        if self._attrs is None:
            binding = self._binding
            self._attrs = {} if binding is None else binding.attributes(self)
        return self._attrs

    # -- identity, copies, dumps -------------------------------------------------------------

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        # A model stands for an object that is there, however long its array.
        return True

    def __copy__(self) -> Self:
        return self._copied(lambda value: value)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        memo = {} if memo is None else memo
        return self._copied(lambda value: copy.deepcopy(value, memo), memo)

    def _copied(self, each: Any, memo: dict[int, Any] | None = None) -> Self:
        twin = type(self).__new__(type(self))
        if memo is not None:
            memo[id(self)] = twin
        values = {}
        for name in type(self).model_fields:
            marker = _marker(type(self), name)
            value = getattr(self, name)
            if name == "hdf5_path":
                value = None
            elif name == "object_id":
                value = _new_id()
            elif isinstance(value, Children):
                value = Children([each(v) for v in value.values()], accepts=value._accepts)
            elif isinstance(value, ConfiguredBaseModel):
                value = value if isinstance(marker, Link) else each(value)
            elif isinstance(value, (list, np.ndarray)):
                value = each(value)
            values[name] = value
        object.__setattr__(twin, "__dict__", values)
        object.__setattr__(twin, "__pydantic_fields_set__", self._fields_present())
        object.__setattr__(twin, "__pydantic_extra__", None)
        object.__setattr__(twin, "__pydantic_private__", None)
        twin._attrs = dict(self.attrs)
        return twin

    def _fields_present(self) -> set[str]:
        """Name the fields that hold what was given or stored, rather than a default."""
        if self._binding is None:
            return set(self.model_fields_set)
        layout = layout_of(type(self))
        return {n for n, f in layout.fields.items() if not _same(getattr(self, n), f.default())}

    def model_copy(self, *, update: Any = None, deep: bool = False) -> Self:
        """Copy the object; the copy belongs to no file and has an ``object_id`` of its own.

        Parameters
        ----------
        update
            Values to give to fields of the copy; they are validated.
        deep
            Whether children and arrays are copied as well. Links still lead to the same objects.
        """
        twin = copy.deepcopy(self) if deep else copy.copy(self)
        for name, value in (update or {}).items():
            setattr(twin, name, value)
        return twin

    def __reduce__(self) -> Any:
        if self._binding is not None:
            return self._binding.reduce()
        state = (self.__dict__, self.__pydantic_fields_set__, self._attrs)
        return _restore, (type(self),), state

    def __setstate__(self, state: Any) -> None:
        values, fields_set, attrs = state
        object.__setattr__(self, "__dict__", values)
        object.__setattr__(self, "__pydantic_fields_set__", fields_set)
        object.__setattr__(self, "__pydantic_extra__", None)
        object.__setattr__(self, "__pydantic_private__", None)
        self._attrs = attrs

    def model_dump(self, *, mode: str = "python", **options: Any) -> dict[str, Any]:
        """Give the fields as plain Python: children as dictionaries, links as paths.

        Parameters
        ----------
        mode
            ``python`` leaves arrays as they are, lazy ones unread; ``json`` makes lists of them
            and texts of dates.
        options
            ``include``, ``exclude`` and ``exclude_none`` are those of pydantic.
        """
        include, exclude = options.get("include"), options.get("exclude") or ()
        dumped = {}
        for name in type(self).model_fields:
            if name in exclude or (include is not None and name not in include):
                continue
            value = getattr(self, name)
            if value is None and options.get("exclude_none"):
                continue
            dumped[name] = _dumped(value, mode, isinstance(_marker(type(self), name), Link))
        return dumped

    def model_dump_json(self, *, indent: int | None = None, **options: Any) -> str:
        """Give the fields as JSON text; arrays are read."""
        import json

        return json.dumps(self.model_dump(mode="json", **options), indent=indent)

    def _summary(self) -> str:
        """Say what is in the object, for its repr, without reading an array."""
        return ""

    def __repr__(self) -> str:
        place = self.__dict__.get("hdf5_path") or self.__dict__.get("name") or ""
        try:
            summary = self._summary()
        except (ValueError, OSError, LookupError):
            summary = "not readable now"
        return f"<{type(self).__name__} {place}{': ' if summary else ''}{summary}>"

    __str__ = __repr__

    def __rich_repr__(self) -> Iterator[Any]:
        yield repr(self)


def _restore(cls: type[ConfiguredBaseModel]) -> ConfiguredBaseModel:
    return cls.__new__(cls)


def _new_id() -> str:
    return str(uuid.uuid4())


def _marker(cls: type[BaseModel], name: str) -> Marker:
    field = layout_of(cls).fields.get(name)
    return Internal() if field is None else field.marker


def _same(value: Any, default: Any) -> bool:
    if isinstance(value, Children):
        return not len(value)
    if value is None or default is None:
        return value is default
    return isinstance(value, (str, int, float, list)) and bool(value == default)


def _dumped(value: Any, mode: str, is_link: bool) -> Any:
    if isinstance(value, ConfiguredBaseModel):
        if is_link:
            return value.hdf5_path or getattr(value, "name", None)
        return value.model_dump(mode=mode)
    if isinstance(value, Children):
        return {name: _dumped(item, mode, False) for name, item in value.items()}
    if mode == "json":
        if isinstance(value, datetime):
            return value.isoformat()
        if hasattr(value, "shape"):
            return _dumped(np.asarray(value).tolist(), mode, False)
        if isinstance(value, (list, tuple)):
            return [_dumped(item, mode, True) for item in value]
    return value


class DatasetModel(ConfiguredBaseModel):
    """An object that is a dataset: an array with attributes, which behaves as the array."""

    @classmethod
    def from_value(cls, value: Any, **fields: Any) -> Self:
        """Wrap an array, copy a dataset of a more general type, or take fields as a dictionary."""
        field = layout_of(cls).value
        if isinstance(value, dict) or field is None:
            return super().from_value(value, **fields)
        if isinstance(value, DatasetModel):
            # What says more than an array keeps it: descriptions, units, the table of a region.
            fields = {**value._carried(cls), **fields}
            value = value._data
        return cls(**{field.name: value}, **fields)

    def _carried(self, cls: type[ConfiguredBaseModel]) -> dict[str, Any]:
        """Give the fields, other than the data, that a copy of another class takes over."""
        present, shared = self._fields_present(), layout_of(cls).fields
        return {
            name: getattr(self, name)
            for name, field in layout_of(type(self)).fields.items()
            if name in present
            and name in shared
            and name != "object_id"
            and not isinstance(field.marker, Value)
        }

    @property
    def _data(self) -> Any:
        field = layout_of(type(self)).value
        assert field is not None
        return getattr(self, field.name)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis; nothing is read."""
        return tuple(self._data.shape) if hasattr(self._data, "shape") else np.shape(self._data)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements; nothing is read."""
        data = self._data
        return data.dtype if hasattr(data, "dtype") else np.asarray(data).dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape, dtype=object))

    @property
    def nbytes(self) -> int:
        """The number of bytes that the whole array takes in memory."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: Any) -> Any:
        return self._data[index]

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        return iter(self._data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        data = self._data
        if hasattr(data, "__array__"):
            array: np.ndarray[Any, Any] = data.__array__(dtype, copy=copy)
            return array
        return np.asarray(data, dtype)

    def __float__(self) -> float:
        return float(self._data)

    def __int__(self) -> int:
        return int(self._data)

    def _summary(self) -> str:
        data = self._data
        if data is None:
            return "no data"
        return f"{self.dtype} {self.shape}" if hasattr(data, "shape") else repr(data)


class GroupModel(ConfiguredBaseModel):
    """An object that is a group.

    Parameters
    ----------
    children
        The members that the model does not declare, whatever they are.
    """

    children: Annotated[Children[Any], Members()] = Field(default_factory=Children)

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
        model: Any = self
        groups: tuple[str, ...] = ()
        for part in path.strip("/").split("/"):
            if not part:
                continue
            if not isinstance(model, GroupModel):
                raise model_error(model, f"a {type(model).__name__} has no members", part)
            found = model._member(groups, part)
            if found is not None:
                model, groups = found, ()
            elif (*groups, part) in set(layout_of(type(model)).structural_groups()):
                groups = (*groups, part)
            else:
                raise model._no_member(groups, part)
        return model._structural(groups) if groups else model

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
        close = difflib.get_close_matches(name, names, n=1)
        shown = ", ".join(map(repr, names[:10])) or "nothing"
        here = (self.hdf5_path or self.__dict__.get("name") or "").rstrip("/")
        return MemberNotFoundError(
            f"there is no {name!r}; there is {shown}",
            file=self._binding.file if self._binding is not None else None,
            path="/".join((here, *groups)) or "/",
            hint=f"did you mean {close[0]!r}?" if close else None,
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
            dict.fromkeys(path[-1] for path in layout.structural_groups() if path[:-1] == groups)
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

    def __contains__(self, path: object) -> bool:
        try:
            self[str(path)]
        except LookupError:
            return False
        return True

    def walk(self) -> Iterator[ConfiguredBaseModel]:
        """Iterate over all objects in and below this one, each once; links are not followed."""
        seen: set[int] = set()
        stack: list[Any] = [self]
        while stack:
            model = stack.pop()
            if id(model) in seen:
                continue
            seen.add(id(model))
            yield model
            if isinstance(model, GroupModel):
                stack.extend(reversed(list(model._own_members())))

    def _own_members(self) -> Iterator[ConfiguredBaseModel]:
        """Iterate over the objects that lie in this one; what only a link leads to does not."""
        layout = layout_of(type(self))
        binding = self._binding
        for groups in ((), *layout.structural_groups()):
            linked = frozenset() if binding is None else binding.link_names(groups)
            for name, field in layout.members.get(groups, {}).items():
                assigned = field.name in self.model_fields_set
                if isinstance(field.marker, Child) and (assigned or name not in linked):
                    value = getattr(self, field.name)
                    if value is not None:
                        yield value
            for collection in layout.collections.get(groups, ()):
                members = getattr(self, collection.name)
                for name in list(members):
                    if name in members.added or name not in linked:
                        yield members[name]
            if binding is not None and groups:
                for name in binding.member_names(groups):
                    if (
                        name not in linked
                        and not layout.declares(groups, name)
                        and not self._in_collections(groups, name)
                    ):
                        yield binding.member(groups, name)

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
        """
        for model in self.walk():
            if isinstance(model, kind) and (name is None or getattr(model, "name", None) == name):
                yield model

    def _summary(self) -> str:
        names = self._names_in(())
        shown = ", ".join(names[:6])
        return f"{shown}, ... {len(names)} in all" if len(names) > 6 else shown


def model_error(model: Any, message: str, name: str) -> MemberNotFoundError:
    """Make the error of a member that a model cannot have."""
    binding = model._binding
    return MemberNotFoundError(
        f"{message}; {name!r} was asked for",
        file=binding.file if binding is not None else None,
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


class Dataset(DatasetModel):
    """A dataset without a neurodata type.

    Parameters
    ----------
    name
        Its name.
    array
        Its data, of any dtype and shape.
    """

    name: Annotated[str, Internal()]
    array: Annotated[NDArray | None, Value("any", None)] = None


class Container(GroupModel, schema="hdmf-common"):
    """A group with a neurodata type: an object with an identity.

    Parameters
    ----------
    name
        Its name in the group that holds it.
    object_id
        A UUID that tells it from all others, made when it is authored. Files before schema 2.1.0
        have none.
    """

    name: Annotated[str, Internal()]
    object_id: Annotated[str | None, Attr()] = Field(default_factory=_new_id)


class Data(DatasetModel, schema="hdmf-common"):
    """A dataset with a neurodata type.

    Parameters
    ----------
    name
        Its name in the group that holds it.
    object_id
        A UUID that tells it from all others, made when it is authored.
    array
        Its data, of any dtype and shape.
    """

    name: Annotated[str, Internal()]
    object_id: Annotated[str | None, Attr()] = Field(default_factory=_new_id)
    array: Annotated[NDArray | None, Value("any", None)] = None


class SimpleMultiContainer(Container, schema="hdmf-common"):
    """A container of any containers and data.

    Parameters
    ----------
    children
        Its contents.
    """

    children: Annotated[Children[Container | Data], Members()] = Field(default_factory=Children)


class NWBContainer(Container, schema="core"):
    """A group of the core schema: metadata, or a holder of other objects."""


class NWBData(Data, schema="core"):
    """A dataset of the core schema."""


class NWBDataInterface(NWBContainer, schema="core"):
    """An object that holds data: what may lie in an acquisition or in a processing module."""


def layout(model: ConfiguredBaseModel) -> Layout:
    """Give the layout of a model's class."""
    return layout_of(type(model))
