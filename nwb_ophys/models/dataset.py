"""Objects that are datasets: arrays with attributes, which behave as arrays."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from nwb_ophys.errors import SchemaError
from nwb_ophys.layout import layout_of
from nwb_ophys.models.base import ConfiguredBaseModel
from nwb_ophys.storage import Internal, NDArray, Value

__all__ = ["Dataset", "DatasetModel"]

_OF_STORAGE = frozenset({"chunks", "compression", "compression_opts", "fillvalue", "maxshape"})
_OF_THE_ARRAY = _OF_STORAGE | {
    *("astype", "iter_blocks", "max", "mean", "min", "std", "sum", "to_dask", "var"),
}
"""What is passed on to the array: as attributes that are looked up last, so that a field of a type
may have such a name."""


def extended(data: Any, block: Any, owner: ConfiguredBaseModel) -> Any:
    """Append rows to an array of any kind, to a stored one in its place."""
    from nwb_ophys.hdf5.arrays import LazyArray
    from nwb_ophys.hdf5.pending import conformed

    if isinstance(data, LazyArray):
        data.append(block)
        return data
    array = np.asarray(data)
    try:
        rows = conformed(block, array.dtype)
        return np.concatenate([array, rows])
    except (ValueError, TypeError) as error:
        raise SchemaError(
            f"cannot append: {error}", path=owner.hdf5_path or owner.__dict__.get("name")
        ) from error


class DatasetModel(ConfiguredBaseModel, NDArrayOperatorsMixin):
    """An object that is a dataset: an array with attributes, which behaves as the array."""

    if TYPE_CHECKING:
        chunks: ClassVar[tuple[int, ...] | None]
        compression: ClassVar[str | None]
        compression_opts: ClassVar[Any]
        fillvalue: ClassVar[Any]
        maxshape: ClassVar[tuple[int | None, ...] | None]
        astype: ClassVar[Callable[..., Any]]
        iter_blocks: ClassVar[Callable[..., Iterator[np.ndarray[Any, Any]]]]
        max: ClassVar[Callable[..., Any]]
        mean: ClassVar[Callable[..., Any]]
        min: ClassVar[Callable[..., Any]]
        std: ClassVar[Callable[..., Any]]
        sum: ClassVar[Callable[..., Any]]
        to_dask: ClassVar[Callable[..., Any]]
        var: ClassVar[Callable[..., Any]]

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name not in _OF_THE_ARRAY:
                raise
            data = self._data
            if name in _OF_STORAGE:
                return getattr(data, name, None)
            if hasattr(data, name):
                return getattr(data, name)
            raise

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *_OF_THE_ARRAY]

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

    def _with_data(self, value: Any) -> Any:
        """Give a dataset like this one, with its attributes, but with other data."""
        made = type(self).from_value(value, **self._carried(type(self)))
        made.attrs.update(self.attrs)
        return made

    @property
    def _data(self) -> Any:
        field = layout_of(type(self)).value
        assert field is not None
        return getattr(self, field.name)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis; nothing is read."""
        data = self._data
        # A null dataspace has no shape.
        return tuple(data.shape or ()) if hasattr(data, "shape") else np.shape(data)

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

    def __setitem__(self, index: Any, value: Any) -> None:
        self._data[index] = value

    def append(self, block: Any) -> None:
        """Append rows along the first axis, as in time; a session is to be saved after that.

        Parameters
        ----------
        block
            (row, ...), with the other axes of the array.

        Raises
        ------
        SchemaError
            Where the values do not fit, or the dataset in the file cannot grow.
        """
        field = layout_of(type(self)).value
        assert field is not None
        setattr(self, field.name, extended(self._data, block, self))

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        return iter(self._data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        # By way of numpy: arrays of before numpy 2, and of others, do not take `copy` themselves.
        if copy is None:
            return np.asarray(self._data, dtype)
        return np.array(self._data, dtype, copy=copy)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return function(*_arrays(args), **_arrays(kwargs))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return getattr(ufunc, method)(*_arrays(inputs), **_arrays(kwargs))

    __ne__ = object.__ne__  # models compare by identity

    def __float__(self) -> float:
        return float(self._data)

    def __int__(self) -> int:
        return int(self._data)

    def _axes(self) -> tuple[str, ...]:
        """Name the axes as the schema does, but for what says that they count something."""
        field = layout_of(type(self)).value
        declared: Any = field.marker.shape if field is not None else None  # type: ignore[attr-defined]
        choices = declared if declared and isinstance(declared[0], tuple) else [declared or ()]
        fitting = [one for one in choices if len(one) == self.ndim]
        names = fitting[0] if fitting else [f"dim{place}" for place in range(self.ndim)]
        return tuple(str(name).removeprefix("num_") for name in names)

    def _summary(self) -> str:
        data = self._data
        if data is None:
            return "no data"
        return f"{self.dtype} {self.shape}" if hasattr(data, "shape") else repr(data)


def _arrays(value: Any) -> Any:
    """Put the arrays of models in the place of the models, among the arguments of a function."""
    if isinstance(value, DatasetModel):
        return value._data
    if isinstance(value, (list, tuple)):
        return type(value)(map(_arrays, value))
    if isinstance(value, dict):
        return {name: _arrays(one) for name, one in value.items()}
    return value


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
