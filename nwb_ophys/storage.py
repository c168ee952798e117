"""Storage markers: where a field of a model lies in an HDF5 file, declared beside its type.

A field is written once, as ``name: Annotated[type, marker] = default``. The marker is what
pydantic validates authored values with, and what reader, writer and checks follow
(`nwb_ophys.layout` compiles them).

=========  ====================================================================
`Attr`     an attribute of the object, or of one of its datasets (``of=``)
`Value`    the data of the dataset that the model itself is
`Array`    a plain dataset in the group, read as a scalar, a list or an array
`Child`    one typed object, or one dataset with attributes, in the group
`Members`  a collection of named objects
`Link`     a link to an object elsewhere
`Ref`      an attribute that is an object reference
=========  ====================================================================
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    Protocol,
    dataclass_transform,
    get_args,
    get_origin,
)

import numpy as np
from pydantic_core import core_schema

from nwb_ophys.annotations import Later, is_list, is_optional, model_types, unbuilt_types
from nwb_ophys.authored import is_stream
from nwb_ophys.children import Children, target_of
from nwb_ophys.dtypes import Dims, DTypeSpec, conform_scalar

__all__ = [
    "Array",
    "Attr",
    "Child",
    "Internal",
    "Link",
    "Marker",
    "Members",
    "NDArray",
    "Quota",
    "Ref",
    "Value",
]


class NDArray(Protocol):
    """An array field: a numpy array, or a lazy one with the same manners.

    Its dtype and axes are those of the storage marker beside it, and a field takes whatever
    has a shape and a dtype, a list, or an iterator of blocks to be written as a stream.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""

    @property
    def ndim(self) -> int:
        """The number of axes."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Any: ...

    def __array__(self, dtype: Any = None, /, *, copy: bool | None = None) -> np.ndarray[Any, Any]:
        """Read the whole array into memory."""


@dataclass_transform(frozen_default=True, eq_default=True)
class Marker:
    """Base of the markers; pydantic calls it to validate what a user gives.

    Markers are frozen dataclasses, but for the half of a millisecond that it takes to make one of
    those, which every process that opens a file would wait for.
    """

    _settings: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        own = inspect.get_annotations(cls)
        cls._settings += tuple(name for name in own if name not in cls._settings)

    def __init__(self, *args: Any, **settings: Any) -> None:
        given = dict(zip(self._settings, args, strict=False)) | settings
        if len(given) < len(args) + len(settings) or not given.keys() <= set(self._settings):
            raise TypeError(f"expected {', '.join(self._settings)}, found {args}, {settings}")
        self.__dict__.update(given)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a {type(self).__name__} cannot be changed")

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self._settings)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        shown = (
            f"{name}={value!r}" for name, value in zip(self._settings, self._values(), strict=True)
        )
        return f"{type(self).__name__}({', '.join(shown)})"

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self._validator(source))

    def _validator(self, annotation: Any) -> Callable[[Any], Any]:
        """Make the function that brings an authored value to what the field holds."""
        raise NotImplementedError


def _optional(check: Callable[[Any], Any], annotation: Any) -> Callable[[Any], Any]:
    if not is_optional(annotation):
        return check
    return lambda value: None if value is None else check(value)


class _Typed(Marker):
    dtype: DTypeSpec = "text"
    shape: Dims = ()
    fixed: Any = None

    def _validator(self, annotation: Any) -> Callable[[Any], Any]:
        return _fixed(_optional(self._conform(annotation), annotation), self.fixed)

    def _conform(self, annotation: Any) -> Callable[[Any], Any]:
        dtype, shape = self.dtype, self.shape
        if shape == ():
            return lambda value: conform_scalar(dtype, value)
        if is_list(annotation):
            return lambda value: _as_list(dtype, value)
        # Who only reads files needs nothing of it.
        from nwb_ophys.conforming import as_array

        return lambda value: as_array(value, dtype, shape)


_SCALARS = (str, int, float)


def _fixed(check: Callable[[Any], Any], fixed: Any) -> Callable[[Any], Any]:
    if fixed is None:
        return check

    def check_fixed(value: Any) -> Any:
        value = check(value)
        if value is None or is_stream(value):
            return value
        # numpy takes long to compare two texts or numbers, and many fields have those.
        plain = isinstance(value, _SCALARS) and isinstance(fixed, _SCALARS)
        if not (value == fixed if plain else np.array_equal(value, fixed)):
            raise ValueError(f"the schema fixes it at {fixed!r}, found {value!r}")
        return value

    return check_fixed


def _as_list(dtype: DTypeSpec, value: Any) -> list[Any]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise ValueError(f"expected a list of {dtype}, found {value!r}")
    return [conform_scalar(dtype, item) for item in value]


class Attr(_Typed):
    """An attribute.

    Parameters
    ----------
    dtype, shape
        What the schema says of it; ``()`` is a scalar.
    name
        Its name in the file, where that is not the field's.
    of
        The field whose dataset carries it; the object itself where None.
    fixed
        The only value that the schema allows. It is always written.
    always
        Whether a default is written too, for readers that do not know it.
    """

    name: str | None = None
    of: str | None = None
    always: bool = False


class Value(_Typed):
    """The data of a dataset that is a model of its own.

    Parameters
    ----------
    dtype, shape
        What the schema says of it; ``()`` is a scalar.
    fixed
        The only value that the schema allows.
    """


class Array(_Typed):
    """A plain dataset in the group.

    Parameters
    ----------
    dtype, shape
        What the schema says of it; ``()`` is a scalar.
    path
        Where it lies below the object, where that is not the field's name.
    fixed
        The only value that the schema allows. It is always written.
    """

    path: str | None = None


class Child(Marker):
    """One object in the group, under a name of its own.

    Parameters
    ----------
    path
        Where it lies below the object, where that is not the field's name.
    flat
        Fields of the child that its parent's constructor takes and shows as properties.
    """

    path: str | None = None
    flat: tuple[str, ...] = ()

    def _validator(self, annotation: Any) -> Callable[[Any], Any]:
        def check(value: Any) -> Any:
            kinds = model_types(annotation)
            if isinstance(target_of(value), kinds):
                return value
            coerce = getattr(kinds[0], "from_value", None)
            if coerce is None:
                raise ValueError(_wrong_type(kinds, value))
            return coerce(value)

        return _optional(check, annotation)


class Quota(NamedTuple):
    """How many objects of a type, and of those that extend it, a collection holds, and which.

    Parameters
    ----------
    type
        The name of the type.
    least, most
        How many at least, and at most, where there is a bound.
    part
        The class of this use of the type, where it asks for more than the type does.
    """

    type: str
    least: int = 1
    most: int | None = None
    part: Later | None = None


class Members(Marker):
    """A collection of named objects.

    Parameters
    ----------
    path
        The group that holds them, below the object; the object itself where None.
    only
        Whether it takes only members of its types, leaving others to a second collection
        over the same group.
    always
        Whether the group is written even when it is empty.
    links
        The types of which it holds links to objects that lie elsewhere.
    quotas
        How many objects of a type it must hold. An object counts for the nearest of its types that
        is among these.
    """

    path: str | None = None
    only: bool = False
    always: bool = False
    links: Later | None = None
    quotas: tuple[Quota, ...] = ()

    def _validator(self, annotation: Any) -> Callable[[Any], Any]:
        optional = is_optional(annotation)

        def check(value: Any) -> Children[Any]:
            accepts = unbuilt_types(annotation)
            if value is None and optional:
                value = ()
            if isinstance(value, Children):
                # It may be that of another object, which is not to change with this one.
                return value if not accepts and value.is_new else value.copied(accepts)
            if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
                raise ValueError(f"expected objects with names, found {value!r}")
            return Children(value, accepts=accepts)

        return check


class Link(Marker):
    """A link to an object that lies elsewhere, in this file or (`nwb_ophys.link`) another.

    Parameters
    ----------
    path
        The name of the link, where that is not the field's.
    """

    path: str | None = None

    def _validator(self, annotation: Any) -> Callable[[Any], Any]:
        def check(value: Any) -> Any:
            kinds = model_types(annotation)
            if not isinstance(target_of(value), kinds):
                raise ValueError(_wrong_type(kinds, value))
            return value

        return _optional(check, annotation)


class Ref(Link):
    """An attribute that refers to an object of the same file."""


class Internal(Marker):
    """A field that follows from where an object is stored, and is not itself stored."""

    def _validator(self, annotation: Any) -> Callable[[Any], Any]:
        allowed = get_args(annotation) if get_origin(annotation) is Literal else None

        def check(value: Any) -> Any:
            if allowed is not None and value not in allowed:
                raise ValueError(f"expected {' or '.join(map(repr, allowed))}, found {value!r}")
            if not isinstance(value, str) or not value:
                raise ValueError(f"expected a text that is not empty, found {value!r}")
            return value

        return _optional(check, annotation)


def _wrong_type(kinds: tuple[type, ...], value: Any) -> str:
    wanted = " or ".join(kind.__name__ for kind in kinds)
    return f"expected {wanted}, found {value!r} of type {type(value).__name__}"


if TYPE_CHECKING:  # the protocol is what an array really is
    _: NDArray = np.empty(0)
