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
import types
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    ForwardRef,
    Literal,
    NamedTuple,
    Protocol,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
)

import numpy as np
from pydantic_core import core_schema

from nwb_ophys.authored import Storage, adapted, is_stream
from nwb_ophys.children import Children, target_of
from nwb_ophys.dtypes import (
    Dims,
    DTypeSpec,
    array_mismatch,
    conform_array,
    conform_scalar,
    describe,
    shape_mismatch,
)

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


def is_optional(annotation: Any) -> bool:
    """Tell whether an annotation admits None."""
    return type(None) in get_args(annotation)


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """Split a union into its members, None left out."""
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(arg for arg in get_args(annotation) if arg is not type(None))
    return (annotation,)


def is_list(annotation: Any) -> bool:
    """Tell whether a field holds its values as a list rather than as an array."""
    return any(get_origin(arg) is list for arg in alternatives(annotation))


class Later:
    """Model classes that an annotation stands for, made when they are first asked for.

    Parameters
    ----------
    find
        Gives the classes.
    shown
        What they are, for people.
    """

    __slots__ = ("_find", "_found", "shown")

    def __init__(self, find: Callable[[], tuple[type, ...]], shown: str) -> None:
        self._find = find
        self._found: tuple[type, ...] | None = None
        self.shown = shown

    def __call__(self) -> tuple[type, ...]:
        """Give the classes."""
        if self._found is None:
            self._found = self._find()
        return self._found

    def __or__(self, other: Any) -> Any:
        return Union[self, other]  # noqa: UP007

    def __repr__(self) -> str:
        return self.shown

    def __reduce__(self) -> tuple[Any, ...]:
        return _found_later, (self(), self.shown)


def _found_later(found: tuple[type, ...], shown: str) -> Later:
    return Later(lambda: found, shown)


@cache
def model_types(annotation: Any) -> tuple[type, ...]:
    """Find the model classes that an annotation names, those in ``Children[...]`` included."""
    return _model_types(annotation, None)


@cache
def unbuilt_types(annotation: Any) -> tuple[Any, ...]:
    """Find the model classes that an annotation names, and the `Later` that stand for some."""
    return _model_types(annotation, None, build=False)


def named_types(
    annotation: Any, names: Mapping[str, Any], *, build: bool = True
) -> tuple[type, ...]:
    """Find the model classes of an annotation that may name them by text, given what they mean."""
    return _model_types(annotation, names, build=build)


def _model_types(
    annotation: Any, names: Mapping[str, Any] | None, *, build: bool = True
) -> tuple[Any, ...]:
    found: list[Any] = []
    for arg in alternatives(annotation):
        if get_origin(arg) is Children:
            found.extend(_model_types(get_args(arg)[0], names, build=build))
        elif isinstance(arg, Later):
            found.extend(arg() if build else (arg,))
        elif isinstance(arg, (ForwardRef, str)):
            if names is None:
                raise TypeError(f"the annotation {arg!r} is not resolved yet")
            text = arg if isinstance(arg, str) else arg.__forward_arg__
            found.extend(_model_types(eval(text, {}, names), names, build=build))
        elif isinstance(arg, type) and arg is not object and arg is not Any:
            found.append(arg)
    return tuple(found)


def _optional(check: Callable[[Any], Any], annotation: Any) -> Callable[[Any], Any]:
    if not is_optional(annotation):
        return check
    return lambda value: None if value is None else check(value)


def as_array(value: Any, dtype: DTypeSpec, shape: Dims) -> Any:
    """Check an authored array, without touching the data of one that is not in memory.

    Raises
    ------
    ValueError
        Where dtype or axes are not the declared ones.
    """
    if not isinstance(value, np.ndarray):
        if target_of(value) is not value:
            raise ValueError(f"expected an array, found a {value!r}")
        if hasattr(type(value), "neurodata_type") and not hasattr(type(value), "shape"):
            raise ValueError(f"expected an array, found {value!r} (give one of its arrays)")
        value = adapted(value)
    if is_stream(value):
        return value
    if isinstance(value, Storage):
        array = as_array(value.array, dtype, shape)
        return value if array is value.array else value.around(array)
    if not (hasattr(value, "shape") and hasattr(value, "dtype")):
        value = _from_sequence(value, dtype)
    if value.dtype.kind in "mM":
        raise ValueError(
            f"expected numbers or text, found {value.dtype} (give times as numbers, in "
            "seconds, or as text: numpy.datetime_as_string)"
        )
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            raise ValueError("expected all elements, found some masked (give array.filled(value))")
        value = value.data
    if isinstance(value, np.ndarray):
        value = conform_array(dtype, value)
        if dtype in ("text", "ascii") and value.dtype.kind == "O":
            _check_texts(value)
    else:
        problem = array_mismatch(dtype, value.dtype)
        if problem:
            raise ValueError(problem)
    problem = shape_mismatch(shape, value.shape)
    if problem:
        raise ValueError(problem)
    return value


def _check_texts(array: np.ndarray[Any, Any]) -> None:
    for item in array.flat:
        if not isinstance(item, (str, bytes)):
            raise ValueError(f"expected text, found {item!r} of type {type(item).__name__}")


def _from_sequence(value: Any, dtype: DTypeSpec) -> np.ndarray[Any, Any]:
    if isinstance(dtype, tuple):
        if (
            isinstance(value, tuple)
            and len(value) == len(dtype)
            and not isinstance(value[0], (tuple, list))
        ):
            return _rows([value], dtype)[0:1].reshape(())
        if isinstance(value, (str, bytes)) or not hasattr(value, "__len__"):
            raise ValueError(f"expected rows of {describe(dtype)}, found {value!r}")
        return _rows(value, dtype)
    if dtype == "reference":
        if hasattr(value, "hdf5_path"):  # a single object
            single = np.empty((), object)
            single[()] = value
            return single
        if isinstance(value, (str, bytes)) or not hasattr(value, "__len__"):
            raise ValueError(f"expected objects to refer to, found {value!r}")
        # numpy would take objects that behave as arrays apart.
        result = np.empty(len(value), object)
        result[:] = [None] * len(value)
        for index, item in enumerate(value):
            result[index] = item
        return result
    if _has_text(value):
        return np.asarray(value, dtype=object)
    array = np.asarray(value)
    if array.dtype.kind == "O":
        raise ValueError("expected an array, found rows of unequal length or mixed kinds")
    return array


def _rows(value: Any, dtype: tuple[tuple[str, str], ...]) -> np.ndarray[Any, Any]:
    """Make a compound array of rows, each member checked against its dtype."""
    members = [(name, _COMPOUND_MEMBERS.get(member, member)) for name, member in dtype]
    rows = np.empty(len(value), members)
    for index, row in enumerate(value):
        if len(row) != len(dtype):
            raise ValueError(f"row {index}: expected {describe(dtype)}, found {row!r}")
        rows[index] = tuple(
            one if member == "reference" else conform_scalar(member, one)
            for (_, member), one in zip(dtype, row, strict=True)
        )
    return rows


_COMPOUND_MEMBERS = {
    **dict.fromkeys(("text", "ascii", "isodatetime", "reference", "any"), object),
    "numeric": "float64",
}


def _has_text(value: Any) -> bool:
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, str)


class _Typed(Marker):
    dtype: DTypeSpec = "text"
    shape: Dims = ()

    def _validator(self, annotation: Any) -> Callable[[Any], Any]:
        dtype, shape = self.dtype, self.shape
        if shape == ():
            return _optional(lambda value: conform_scalar(dtype, value), annotation)
        if is_list(annotation):
            return _optional(lambda value: _as_list(dtype, value), annotation)
        return _optional(lambda value: as_array(value, dtype, shape), annotation)


def _fixed(check: Callable[[Any], Any], fixed: Any) -> Callable[[Any], Any]:
    if fixed is None:
        return check

    def check_fixed(value: Any) -> Any:
        value = check(value)
        if value is not None and not is_stream(value) and not np.array_equal(value, fixed):
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
    fixed: Any = None
    always: bool = False

    def _validator(self, annotation: Any) -> Callable[[Any], Any]:
        return _fixed(super()._validator(annotation), self.fixed)


class Value(_Typed):
    """The data of a dataset that is a model of its own.

    Parameters
    ----------
    dtype, shape
        What the schema says of it; ``()`` is a scalar.
    fixed
        The only value that the schema allows.
    """

    fixed: Any = None

    def _validator(self, annotation: Any) -> Callable[[Any], Any]:
        return _fixed(super()._validator(annotation), self.fixed)


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
    fixed: Any = None

    def _validator(self, annotation: Any) -> Callable[[Any], Any]:
        return _fixed(super()._validator(annotation), self.fixed)


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
    """How many objects of a type, and of those that extend it, a collection holds.

    Parameters
    ----------
    type
        The name of the type.
    least, most
        How many at least, and at most, where there is a bound.
    """

    type: str
    least: int = 1
    most: int | None = None


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
                return value.copied(accepts)
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
            target = target_of(value)
            if not isinstance(target, kinds):
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
