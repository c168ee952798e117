"""`LazyArray`: a stored dataset that behaves as a numpy array and reads only what is asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, ClassVar, NamedTuple, Protocol

import h5py
import numpy
from h5py import h5d, h5s, h5t, h5z
from numpy.typing import DTypeLike, NDArray

from nwb_ophys.errors import DataError, NWBError, SchemaError, TooLargeError

from .arraylike import ArrayLike
from .boxes import Block
from .codecs import FILTERS
from .decoding import decode, decoded_dtype
from .fetching import Fetch, Stored, fetch, reason_of
from .pending import Pending, conformed
from .raw import RawFile
from .selection import Plan, plan
from .values import dtype_of

__all__ = ["DatasetHandle", "LazyArray"]

_PAGE_BYTES = 1 << 12  # the least that operating systems read
_ITERATION_BYTES = 1 << 20  # least to read at one go while iterating
_REWRITTEN_BYTES = 1 << 20
"""The most bytes of a dataset of fixed size that is written anew where rows are appended."""
_NOT_COMPRESSION = {
    h5z.FILTER_SHUFFLE,
    h5z.FILTER_FLETCHER32,
    h5z.FILTER_NBIT,
    h5z.FILTER_SCALEOFFSET,
}


class DatasetHandle(Protocol):
    """What a `LazyArray` needs to know of the file that it reads from. Handles are picklable."""

    generation: int
    """Another number once the stored dataset was changed, so that nothing known of it holds."""
    pending: Pending | None
    """What was changed of the array and is not in the file yet."""

    @property
    def file(self) -> str:
        """Name of the file, for messages."""

    @property
    def path(self) -> str:
        """HDF5 path of the dataset, for messages."""

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Reentrant lock that guards what the handle and its arrays remember."""

    def dataset(self) -> h5d.DatasetID:
        """Return the open dataset, or raise `ClosedError`."""

    def resolve(self, references: NDArray[Any]) -> NDArray[Any]:
        """Turn a one-dimensional object array of references into what they lead to."""

    def raw(self) -> RawFile | None:
        """Return the bytes of the file; None where only HDF5 can read them."""

    def check_readable(self) -> None:
        """Raise if the data are stored outside of the file, where they may not be followed."""


class _Form(NamedTuple):
    """Shape and type of a dataset."""

    shape: tuple[int, ...] | None  # None when the dataspace is null
    stored: numpy.dtype[Any]
    dtype: numpy.dtype[Any]  # once decoded


class _Storage(NamedTuple):
    """How a dataset is laid out in the file."""

    shape: tuple[int, ...]  # without the axes of elements that are arrays
    chunks: tuple[int, ...] | None
    maxshape: tuple[int | None, ...] | None
    compression: str | None
    compression_opts: Any
    cells: tuple[int, ...]


class LazyArray(ArrayLike):
    """A dataset in a file, read when indexed.

    Every index gives what it would give on the whole array in numpy: basic, boolean, of integer
    arrays, mixed, and by the name of a field. Text is read as `str` in object arrays, references
    as the objects that they lead to; all else as h5py reads it.

    An array may be used by several threads, and pickled if its file can be opened again. It
    compares and hashes by identity, so that no comparison reads data.

    Parameters
    ----------
    handle
        Gives the open dataset.

    Raises
    ------
    ClosedError
        On reading, after the file was closed.
    DataError
        When stored data cannot be decoded.
    TooLargeError
        When the selection does not fit into memory.
    """

    __slots__ = (
        "__weakref__",
        "_checked",
        "_form_cache",
        "_handle",
        "_seen",
        "_storage_cache",
        "_stored",
    )

    engine: ClassVar[Fetch] = staticmethod(fetch)
    """Fetches blocks of a dataset into an array."""

    def __init__(self, handle: DatasetHandle) -> None:
        self._handle = handle
        self._seen = handle.generation
        self._form_cache: _Form | None = None
        self._storage_cache: _Storage | None = None
        self._stored: Stored | None = None
        self._checked = False

    # What is known without reading data ----------------------------------------------------------

    @property
    def handle(self) -> DatasetHandle:
        """The handle that was given."""
        return self._handle

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis; None, as in h5py, for a dataset with a null dataspace."""
        # Null dataspaces are too rare to make every user of a shape check for them.
        return self._form.shape  # type: ignore[return-value]

    @property
    def dtype(self) -> numpy.dtype[Any]:
        """Type of the elements as they are read; `object` for text and references."""
        return self._form.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._form.shape or ())

    @property
    def size(self) -> int:
        """Number of elements."""
        shape = self._form.shape
        return 0 if shape is None else math.prod(shape)

    @property
    def nbytes(self) -> int:
        """Bytes that the whole array takes in memory, without what objects in it refer to."""
        return self.size * self.dtype.itemsize

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Shape of the chunks that the data are stored in; None when stored in one piece."""
        return self._storage.chunks

    @property
    def maxshape(self) -> tuple[int | None, ...] | None:
        """Shape that the dataset may grow to; None stands for no limit."""
        return self._storage.maxshape

    @property
    def compression(self) -> str | None:
        """Name of the compression, such as "gzip"; None when there is none."""
        return self._storage.compression

    @property
    def compression_opts(self) -> Any:
        """Level of gzip, else a tuple of the filter's own settings; None without compression."""
        return self._storage.compression_opts

    @property
    def fillvalue(self) -> Any:
        """Value of elements that were never written; None if they are arrays or references."""
        stored = self._form.stored
        if stored.hasobject and h5py.check_string_dtype(stored) is None:
            return None
        value = numpy.zeros((1,), stored)
        self._handle.dataset().get_create_plist().get_fill_value(value)
        return decode(value, self._handle.resolve, stored)[0]

    def __repr__(self) -> str:
        try:
            form = self._form
        except (NWBError, OSError, RuntimeError, ValueError, LookupError):
            return f"<LazyArray {self._handle.path}, not readable>"
        return f"<LazyArray {form.shape} {form.dtype}, {self._handle.path}>"

    def __len__(self) -> int:
        if not self._form.shape:
            raise TypeError("len() of unsized object")
        return self._form.shape[0]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._handle,)

    # Reading -------------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Any:
        form = self._form
        if form.shape is None:
            return self._null_item(index)
        if form.stored.names is not None and _is_field(index):
            return self._field(index)
        return self._read(index, form.stored)

    def read(self) -> NDArray[Any]:
        """Read the whole array."""
        form = self._form
        if form.shape is None:
            self._open()
            return numpy.zeros((0,), form.dtype)
        result: NDArray[Any] = self._read(Ellipsis, form.stored)
        return result

    def astype(self, dtype: DTypeLike) -> NDArray[Any]:
        """Read the whole array and convert it."""
        return self.read().astype(dtype, copy=False)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError(
                f"{self!r} is in a file, an array of it is always a copy; use numpy.asarray"
            )
        return self.read() if dtype is None else self.astype(dtype)

    def __iter__(self) -> Iterator[Any]:
        if not self._form.shape:
            raise TypeError("iteration over a 0-d array")
        return self._rows()

    def _rows(self) -> Iterator[Any]:
        """Yield along the first axis, reading whole chunks."""
        row = max(1, self.nbytes // max(1, len(self)))
        chunk = self.chunks[0] if self.chunks else 1
        step = chunk * max(1, _ITERATION_BYTES // (row * chunk))
        for start in range(0, len(self), step):
            yield from self[start : start + step]

    def __bool__(self) -> bool:
        return bool(self._as_single())

    def __int__(self) -> int:
        return int(self._as_single())

    def __float__(self) -> float:
        return float(self._as_single())

    def __index__(self) -> int:
        return self._as_single().__index__()

    def _as_single(self) -> NDArray[Any]:
        """Return an array to convert to a number: this one, or one that numpy refuses as well."""
        if self.size == 1:
            return self.read()
        return numpy.broadcast_to(numpy.zeros((), self.dtype), self.shape or (0,))

    def _null_item(self, index: Any) -> Any:
        self._open()
        if index is Ellipsis or (isinstance(index, tuple) and index in ((), (Ellipsis,))):
            return h5py.Empty(self._form.stored)
        raise IndexError("a dataset with a null dataspace has no elements to index")

    def _field(self, index: str | list[str]) -> Any:
        """Read one member of a compound, or several as a view of all, as numpy gives them."""
        stored = self._form.stored
        names = stored.names or ()
        if isinstance(index, str) and index in names:
            if self._handle.pending is not None:
                return self.read()[index]
            member = numpy.dtype([(index, stored[index])])
            return self._read(Ellipsis, member)[index]
        if not set(names).issuperset(index):
            numpy.empty(0, stored)[index]  # raises numpy's own error
        return self.read()[index]

    def _read(self, index: Any, stored: numpy.dtype[Any]) -> Any:
        """Read a selection as elements of this stored dtype, and decode it."""
        while True:
            dataset = self._open()
            try:
                return self._read_from(dataset, index, stored)
            except (OSError, RuntimeError, ValueError):
                if dataset.valid:
                    raise
                # Another thread wrote over the file, or closed it, which shows on opening.

    def _read_from(self, dataset: h5d.DatasetID, index: Any, stored: numpy.dtype[Any]) -> Any:
        if self._handle.pending is not None:
            return self._read_pending(dataset, index, self._handle.pending)
        storage = self._storage
        planned = plan(self.shape, index, storage.cells, strides=storage.chunks is None)
        values: NDArray[Any]
        if not planned.blocks:
            nothing = numpy.zeros((), decoded_dtype(stored.base))
            return _finish(numpy.broadcast_to(nothing, planned.shape), planned).copy()
        if stored.subdtype is not None:
            # HDF5 selects whole elements only, and here an element is an array.
            values = self._fetch(dataset, plan(storage.shape, Ellipsis), stored, index)
            return decode(values, self._handle.resolve, stored)[index]
        values = self._fetch(dataset, planned, stored, index)
        return _finish(decode(values, self._handle.resolve, stored), planned)

    # Changing, in memory until the session is saved -----------------------------------------------

    def __setitem__(self, index: Any, value: Any) -> None:
        with self._handle.lock:
            pending = self._changing()
            try:
                pending.assign(index, value, lambda start, stop: self[start:stop])
            except IndexError as error:
                raise IndexError(f"{self._handle.path}: {error}") from error
            except (ValueError, TypeError) as error:
                raise self._unfit(f"cannot assign to {_shown(index)}: {error}") from error
            self._keep(pending)

    def append(self, block: Any) -> None:
        """Append rows along the first axis; they are written when the session is saved.

        Parameters
        ----------
        block
            (row, ...), with the other axes of the array.

        Raises
        ------
        SchemaError
            Where the values do not fit, or the dataset cannot grow.
        """
        with self._handle.lock:
            rows = self.fitting(block)
            pending = self._changing()
            pending.append(rows)
            self._keep(pending)

    def fitting(self, block: Any) -> NDArray[Any]:
        """Give rows as they are to be appended; nothing changes.

        Raises
        ------
        SchemaError
            Where `append` would refuse them.
        """
        pending = self._changing()
        try:
            rows = conformed(block, pending.dtype)
            if rows.ndim != len(pending.shape) or rows.shape[1:] != pending.shape[1:]:
                wanted = ", ".join(("n", *map(str, pending.shape[1:])))
                raise ValueError(f"expected shape ({wanted}), found {rows.shape}")
        except (ValueError, TypeError) as error:
            raise self._unfit(f"cannot append: {error}") from error
        self._check_growth(pending.shape[0] + len(rows))
        return rows

    def _changing(self) -> Pending:
        """Give what is to be changed, unless the array cannot be."""
        if self._handle.pending is not None:
            return self._handle.pending
        form = self._form
        if not form.shape:
            raise self._unfit("a single value, or none, has no rows that could be changed")
        if form.stored.subdtype is not None:
            raise self._unfit("an array whose elements are arrays cannot be changed in parts")
        return Pending(form.shape, form.dtype)

    def _keep(self, pending: Pending) -> None:
        if pending.parts:
            self._handle.pending = pending
            self._form_cache = None

    def _unfit(self, message: str) -> SchemaError:
        return SchemaError(message, file=self._handle.file, path=self._handle.path)

    def _check_growth(self, rows: int) -> None:
        limits = self.maxshape or (0,)
        fits = self.chunks is not None and (limits[0] is None or limits[0] >= rows)
        stored = math.prod(self._storage.shape) * self._form.stored.itemsize
        if not fits and stored > _REWRITTEN_BYTES:
            error = self._unfit(
                f"the dataset has a fixed size, {self._storage.shape}, and cannot grow"
            )
            error.hint = (
                "to have it written anew, such that it can grow, assign an iterator of blocks "
                "to its field: iter([array[:], more])"
            )
            raise error

    def _read_pending(self, dataset: h5d.DatasetID, index: Any, pending: Pending) -> Any:
        """Read a selection from the file and from what was changed since."""
        planned = plan(pending.shape, index, self._storage.cells)
        stored = self._form.stored
        if not planned.blocks:
            nothing = numpy.zeros((), pending.dtype)
            return _finish(numpy.broadcast_to(nothing, planned.shape), planned).copy()
        values = numpy.zeros(planned.shape, pending.dtype)
        for block in planned.blocks:
            rows = range(
                block.start[0], block.start[0] + block.shape[0] * block.step[0], block.step[0]
            )
            box = numpy.zeros(block.shape, pending.dtype)
            there = len(range(rows.start, min(rows.stop, pending.stored_rows), rows.step))
            if there and not pending.covers(rows[:there]):
                shape = (there, *block.shape[1:])
                part = Plan(shape, [Block(block.start, shape, block.step)], None)
                fetched = self._fetch(dataset, part, stored, index)
                box[:there] = decode(fetched, self._handle.resolve, stored)
            inner = tuple(
                slice(start, start + (count - 1) * step + 1, step)
                for start, count, step in zip(
                    block.start[1:], block.shape[1:], block.step[1:], strict=True
                )
            )
            pending.patch(box, rows, inner)
            values[... if block.at is None else block.at] = (
                box if block.pick is None else box[block.pick]
            )
        return _finish(values, planned)

    def _fetch(
        self, dataset: h5d.DatasetID, planned: Plan, stored: numpy.dtype[Any], index: Any
    ) -> NDArray[Any]:
        """Fetch the blocks of a plan, or say why that is not possible."""
        file, path = self._handle.file, self._handle.path
        source = self._stored
        if source is None or source.dataset is not dataset:
            source = Stored(dataset, self._handle.raw)
            # HDF5 cannot have a dataset open in two ways, which those in other files need.
            self._stored = source if source.lies_inside else None
        try:
            # To ask for zeros is slow; but references that are not set must be seen to be.
            filled = source.is_filled and not stored.hasobject
            values = (numpy.empty if filled else numpy.zeros)(planned.shape, stored)
        except (MemoryError, ValueError) as error:
            size = math.prod(planned.shape) * stored.itemsize / 1e9
            raise TooLargeError(
                f"{_shown(index)} takes {size:,.1f} GB of memory: {error}",
                file=file,
                path=path,
                hint="read a part at a time",
            ) from error
        try:
            if stored.subdtype is None:
                self.engine(source, planned.blocks, values)
            else:
                dataset.read(h5s.ALL, h5s.ALL, values, h5t.py_create(stored))
        except NWBError:
            raise
        except (OSError, RuntimeError, ValueError, TypeError) as error:
            self._handle.dataset()  # another thread may have closed the file
            reason, hint = reason_of(dataset, file, error)
            raise DataError(
                f"cannot read {_shown(index)}: {reason}", file=file, path=path, hint=hint
            ) from error
        return values

    def _open(self) -> h5d.DatasetID:
        """Return the dataset, to read data from."""
        if not self._checked:
            self._handle.check_readable()
            self._checked = True
        return self._handle.dataset()

    @property
    def _form(self) -> _Form:
        if self._form_cache is None or self._seen != self._handle.generation:
            with self._handle.lock:
                if self._seen != self._handle.generation:
                    self._storage_cache = None
                    self._seen = self._handle.generation
                self._form_cache = self._read_form()
        return self._form_cache

    def _read_form(self) -> _Form:
        dataset = self._handle.dataset()
        try:
            stored = dtype_of(dataset.get_type())
        except (TypeError, ValueError, RuntimeError, OSError) as error:
            raise DataError(
                f"elements of this HDF5 type cannot be read: {error}",
                file=self._handle.file,
                path=self._handle.path,
            ) from error
        shape = dataset.shape  # None for a null dataspace
        if self._handle.pending is not None:
            shape = self._handle.pending.shape
        if shape is not None and stored.subdtype is not None:
            shape += stored.shape  # as in numpy, axes of the elements are axes of the array
        return _Form(shape, stored, decoded_dtype(stored.base))

    @property
    def _storage(self) -> _Storage:
        if self._storage_cache is None or self._seen != self._handle.generation:
            self._form  # noqa: B018  (drops what holds no longer)
            with self._handle.lock:
                self._storage_cache = self._read_storage()
        return self._storage_cache

    def _read_storage(self) -> _Storage:
        dataset = self._handle.dataset()
        plist = dataset.get_create_plist()
        shape = dataset.shape
        chunks = plist.get_chunk() if plist.get_layout() == h5d.CHUNKED else None
        filters = [plist.get_filter(number) for number in range(plist.get_nfilters())]
        compression, settings = _compression_of(filters)
        if shape is None:
            return _Storage((), chunks, None, compression, settings, ())
        limits = dataset.get_space().get_simple_extent_dims(True)
        maxshape = tuple(None if limit == h5s.UNLIMITED else limit for limit in limits)
        whole, itemsize = self.shape, self.dtype.itemsize
        cells = chunks if chunks and len(chunks) == len(whole) else _page_of(whole, itemsize)
        return _Storage(shape, chunks, maxshape, compression, settings, cells)


def _compression_of(
    filters: list[tuple[int, int, tuple[int, ...], bytes]],
) -> tuple[str | None, Any]:
    """Return name and settings of the filter that compresses, if there is one."""
    for code, _, settings, name in filters:
        if code in _NOT_COMPRESSION:
            continue
        label = FILTERS.get(code) or name.decode("utf-8", "replace").rstrip("\0")
        return label or f"filter {code}", settings[0] if code == h5z.FILTER_DEFLATE else settings
    return None, None


def _page_of(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return per axis how far to go to stay within about a page of contiguous storage."""
    left = max(1, _PAGE_BYTES // max(1, itemsize))
    cells = []
    for size in reversed(shape):
        cells.append(left)
        left = max(1, left // max(1, size))
    return tuple(reversed(cells))


def _finish(values: NDArray[Any], planned: Plan) -> Any:
    return values if planned.finish is None else values[planned.finish]


def _is_field(index: Any) -> bool:
    """Whether an index is a name, or a list of names."""
    if isinstance(index, list):
        return bool(index) and all(isinstance(name, str) for name in index)
    return isinstance(index, str)


def _shown(index: Any) -> str:
    """Return an index as short text, for messages."""
    items = index if isinstance(index, tuple) else (index,)
    return f"[{', '.join(map(_shown_item, items)) or '()'}]"


def _shown_item(item: Any) -> str:
    if item is Ellipsis:
        return "..."
    if isinstance(item, slice):
        parts = [item.start, item.stop] if item.step is None else [item.start, item.stop, item.step]
        return ":".join("" if part is None else str(part) for part in parts)
    if isinstance(item, numpy.ndarray):
        return f"{item.dtype} array of shape {item.shape}"
    text = repr(item)
    return text if len(text) <= 60 else f"{text[:57]}..."
