"""What all models stand on: loading on first touch, identity, copies, dumps."""

import copy
import copyreg
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError

from nwb_ophys import registry
from nwb_ophys.children import Children, target_of
from nwb_ophys.errors import NWBError, SchemaError
from nwb_ophys.layout import complete, is_under_way, layout_of
from nwb_ophys.storage import Child, Internal

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema

    from nwb_ophys.binding import Binding
    from nwb_ophys.layout import FieldLayout

__all__ = ["ConfiguredBaseModel", "LinkML_Meta"]


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


if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)


class ModelType(ModelMetaclass):
    """The type of all model classes, known to pickle: those built at run time have no module."""

    # Pydantic before 2.11 asks the object for an attribute first, which not all stand.
    __instancecheck__ = type.__instancecheck__
    __subclasscheck__ = type.__subclasscheck__


def _reduce_class(cls: Any) -> Any:
    origin = cls.__dict__.get("__nwb_origin__")
    return cls.__qualname__ if origin is None else (_restore_class, (origin,))


def _restore_class(origin: Any) -> type[Any]:
    cls: type[Any] = origin.restore()
    return cls


copyreg.pickle(ModelType, _reduce_class)


class ConfiguredBaseModel(BaseModel, metaclass=ModelType):
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
    """Required fields that the constructor completes where they are left out."""

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
        complete(type(self))
        flat = layout_of(type(self)).flat
        if flat and not flat.keys().isdisjoint(data):
            data = self._route(data, flat)
        try:
            super().__init__(**data)
        except ValidationError as error:
            if data.keys() <= type(self).model_fields.keys():
                raise
            from nwb_ophys.models.hints import with_hints

            explained = with_hints(type(self), error)
        else:
            return
        raise explained

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
            target = target_of(given)
            if isinstance(target, kind):
                if all(_same(getattr(target, name), value) for name, value in values.items()):
                    continue
                if target is not given:
                    raise SchemaError(
                        f"expected only the link, found {', '.join(values)} beside it",
                        field=field,
                        hint="what is linked keeps what its file says of it",
                    )
                # It may be part of another object, which is not to change with this one.
                routed[field] = kind.from_value(given, **values)
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
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self
        )

    def __setattr__(self, name: str, value: Any) -> None:
        if name[0] == "_":
            object.__setattr__(self, name, value)
            return
        if name == "name" and self._binding is not None:
            self._binding.rename(self, value)
            return
        if name == "hdf5_path" and self._binding is not None:
            raise SchemaError(
                "the path of an object is not assigned",
                file=self._binding.file,
                path=self.hdf5_path,
                field=name,
                hint="delete the object from its collection, and add it to another one",
            )
        if name in getattr(type(self), "singles", ()):
            object.__setattr__(self, name, value)
            return
        layout = layout_of(type(self))
        flat = layout.flat.get(name)
        if flat is None:
            complete(type(self))
            field = layout.fields.get(name)
            if field is not None and isinstance(field.marker, Child):
                value = self._replacing(field, value)
            super().__setattr__(name, value)
            return
        part = getattr(self, flat)
        if part is None:
            setattr(self, flat, layout.fields[flat].types[0](**{name: value}))
        elif part._binding is not None and self._binding is None:
            # It is part of an object of a file, which is not to change with this one.
            setattr(self, flat, type(part).from_value(part, **{name: value}))
        else:
            setattr(part, name, value)

    def __delattr__(self, name: str) -> None:
        field = layout_of(type(self)).fields.get(name) if name[0] != "_" else None
        if field is None:
            super().__delattr__(name)
        elif field.required or name in ("name", "hdf5_path"):
            raise SchemaError(
                f"the schema requires {name!r}, it is not deleted",
                file=self._file,
                path=self.hdf5_path or self.__dict__.get("name"),
                field=name,
                hint="assign another value",
            )
        else:
            setattr(self, name, field.default())

    def _replacing(self, field: "FieldLayout", value: Any) -> Any:
        """Take a bare value in the place of a child for new data of it, which is otherwise kept."""
        if value is None or isinstance(value, (ConfiguredBaseModel, dict)):
            return value
        try:
            present = getattr(self, field.name)
        except NWBError:  # what cannot be read has nothing to keep
            return value
        return present._with_data(value) if isinstance(present, field.types) else value

    def _with_data(self, value: Any) -> Any:
        """Give a model like this one with other data; what is no dataset has none."""
        return value

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *type(self).model_fields, *layout_of(type(self)).flat]

    @property
    def _file(self) -> str | None:
        """The name of the file, for messages; None for an object that is in none."""
        return None if self._binding is None else self._binding.file

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
        from nwb_ophys.models.copies import copied

        return copied(self)

    def __deepcopy__(self, memo: dict[Any, Any] | None = None) -> Self:
        from nwb_ophys.models.copies import deep_copied

        return deep_copied(self, {} if memo is None else memo)

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
            Whether children and arrays are copied as well. Links among what is copied then lead
            to the copies, and others to where they led before.
        """
        twin = copy.deepcopy(self) if deep else copy.copy(self)
        flat = layout_of(type(self)).flat
        for owner in {flat[name] for name in update or () if name in flat}:
            part = getattr(twin, owner)  # that of this object, in a shallow copy
            if part is not None:
                setattr(twin, owner, copy.copy(part))
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

        What a link that leads nowhere stands for is dumped as the path that the link holds; that
        of another file has the file's name in front, ``file.nwb:/path``. An object reference that
        leads nowhere is None. ``session.problems`` lists both.

        Parameters
        ----------
        mode
            ``python`` leaves arrays as they are, lazy ones unread; ``json`` makes lists of them
            and texts of dates.
        options
            ``include``, ``exclude`` and ``exclude_none`` are those of pydantic.
        """
        from nwb_ophys.models.dumps import dumped

        return dumped(self, mode, options)

    def model_dump_json(self, *, indent: int | None = None, **options: Any) -> str:
        """Give the fields as JSON text; arrays are read."""
        import json

        return json.dumps(self.model_dump(mode="json", **options), indent=indent)

    @classmethod
    def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:
        """Give the JSON schema of what ``model_dump(mode="json")`` gives.

        Arrays are lists within lists, with their axes and dtype in the description; children are
        objects, collections objects by name, links paths, dates ``date-time``. What a model holds
        may be of a type that extends the declared one, and has its fields too, so that no schema
        is closed.

        Parameters
        ----------
        args, options
            Those of pydantic. With ``mode="serialization"`` all fields are required, else those
            that a constructor requires.
        """
        complete(cls)
        return super().model_json_schema(*args, **options)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: "GetCoreSchemaHandler", /
    ) -> "CoreSchema":
        from nwb_ophys.models.dumps import WITHIN_OTHERS

        if not is_under_way(cls):  # a model of somebody else's that holds this one is made
            complete(cls)
        schema = handler(source)
        own: dict[str, Any] = handler.resolve_ref_schema(schema)  # type: ignore[assignment]
        own["serialization"] = WITHIN_OTHERS
        return schema

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: "CoreSchema", handler: "GetJsonSchemaHandler", /
    ) -> dict[str, Any]:
        from nwb_ophys.models.json_schema import json_schema_of

        return json_schema_of(cls, core_schema, handler)

    def _summary(self) -> str:
        """Say what is in the object, for its repr, without reading an array."""
        return ""

    def __repr__(self) -> str:
        place = self.__dict__.get("hdf5_path") or self.__dict__.get("name") or ""
        try:
            summary = self._summary()
        except (ValueError, OSError, LookupError, AttributeError, TypeError):
            # Besides what is closed or corrupt: a field of a file may hold what it should not.
            summary = "not readable now"
        return f"<{type(self).__name__} {place}{': ' if summary else ''}{summary}>"

    __str__ = __repr__

    def __rich_repr__(self) -> Iterator[Any]:
        yield repr(self)


def _restore(cls: type[ConfiguredBaseModel]) -> ConfiguredBaseModel:
    return cls.__new__(cls)


def _same(value: Any, default: Any) -> bool:
    if isinstance(value, Children):
        return not len(value)
    if value is None or default is None:
        return value is default
    return isinstance(value, (str, int, float, list)) and bool(value == default)
