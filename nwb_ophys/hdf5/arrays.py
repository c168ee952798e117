"""`LazyArray`: a stored dataset that behaves as a numpy array and reads only what is asked for."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Protocol

import h5py
import numpy
from h5py import h5d, h5s
from numpy.typing import DTypeLike, NDArray

from nwb_ophys.errors import DataError, NWBError, SchemaError, TooLargeError

from .arraylike import ArrayLike
from .decoding import decode, decoded_dtype
from .fetching import Fetch, Stored, fetch, reason_of
from .forms import Form, Storage, elements_of
from .pending import Pending, conformed
from .raw import RawFile
from .selection import Plan, plan, text_of
from .values import memory_type

__all__ = ["DatasetHandle", "LazyArray"]

_REWRITTEN_BYTES = 1 << 20
"""The most bytes of a dataset of fixed size that is written anew where rows are appended."""


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

    def form(self) -> tuple[tuple[int, ...], numpy.dtype[Any]] | None:
        """Return shape and dtype of an array of numbers, if that is known without HDF5."""

    def resolve(self, references: NDArray[Any]) -> NDArray[Any]:
        """Turn a one-dimensional object array of references into what they lead to."""

    def raw(self) -> RawFile | None:
        """Return the bytes of the file; None where only HDF5 can read them."""

    def check_readable(self) -> None:
        """Raise if the data are stored outside of the file, where they may not be followed."""


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
        self._form_cache: Form | None = None
        self._storage_cache: Storage | None = None
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
        """Value of elements that were never written; None if they are arrays, references, bytes."""
        stored = self._form.stored
        is_bytes = stored.kind in "VM" and stored.names is None  # or arrays, or times
        if is_bytes or (stored.hasobject and h5py.check_string_dtype(stored) is None):
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

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._handle,)

    # Reading -------------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Any:
        form = self._form
        if form.shape is None:
            return self._null_item(index)
        if form.dtype.names is not None and _is_field(index):
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

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError(
                f"{self!r} is in a file, an array of it is always a copy; use numpy.asarray"
            )
        return self.read() if dtype is None else self.astype(dtype)

    def _null_item(self, index: Any) -> Any:
        self._open()
        if index is Ellipsis or (isinstance(index, tuple) and index in ((), (Ellipsis,))):
            return h5py.Empty(self._form.stored)
        raise IndexError("a dataset with a null dataspace has no elements to index")

    def _field(self, index: str | list[str]) -> Any:
        """Read one member of a compound, or several as a view of all, as numpy gives them."""
        stored, names = self._form.stored, self._form.dtype.names or ()
        if isinstance(index, str) and index in names:
            # Members of arrays HDF5 does not select, and opaque ones only with all others.
            if self._handle.pending is not None or stored.names is None or _has_bytes(stored):
                return self.read()[index]
            member = numpy.dtype([(index, stored[index])])
            return self._read(Ellipsis, member)[index]
        if {index} if isinstance(index, str) else set(index) - set(names):
            numpy.empty(0, self._form.dtype)[index]  # raises numpy's own error
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
            return planned.nothing(decoded_dtype(elements_of(stored)[1]))
        if stored.subdtype is not None:
            # HDF5 selects whole elements only, and here an element is an array.
            values = self._fetch(dataset, plan(storage.shape, Ellipsis), stored, index)
            return decode(values, self._handle.resolve, stored)[index]
        values = self._fetch(dataset, planned, stored, index)
        return planned.finished(decode(values, self._handle.resolve, stored))

    # Changing, in memory until the session is saved -----------------------------------------------

    def __setitem__(self, index: Any, value: Any) -> None:
        with self._handle.lock:
            pending = self._changing()
            try:
                pending.assign(index, value, lambda start, stop: self[start:stop])
            except IndexError as error:
                raise IndexError(f"{self._handle.path}: {error}") from error
            except (ValueError, TypeError) as error:
                raise self._unfit(f"cannot assign to {text_of(index)}: {error}") from error
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
        if _has_bytes(form.stored):
            raise self._unfit("elements that are read as bytes cannot be changed in parts")
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
        stored = self._form.stored

        def read(part: Plan) -> NDArray[Any]:
            return decode(self._fetch(dataset, part, stored, index), self._handle.resolve, stored)

        return pending.read(plan(pending.shape, index, self._storage.cells), read)

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
                f"{text_of(index)} takes {size:,.1f} GB of memory: {error}",
                file=file,
                path=path,
                hint="read a part at a time",
            ) from error
        try:
            if stored.subdtype is None:
                self.engine(source, planned.blocks, values)
            else:
                dataset.read(h5s.ALL, h5s.ALL, values, memory_type(dataset, stored))
        except NWBError:
            raise
        except (OSError, RuntimeError, ValueError, TypeError) as error:
            self._handle.dataset()  # another thread may have closed the file
            reason, hint = reason_of(dataset, file, error)
            raise DataError(
                f"cannot read {text_of(index)}: {reason}", file=file, path=path, hint=hint
            ) from error
        return values

    def _open(self) -> h5d.DatasetID:
        """Return the dataset, to read data from."""
        if not self._checked:
            self._handle.check_readable()
            self._checked = True
        return self._handle.dataset()

    @property
    def _form(self) -> Form:
        # Not looked up again: another thread may change the array, or replace the file.
        form = self._form_cache
        if form is None or self._seen != self._handle.generation:
            with self._handle.lock:
                if self._seen != self._handle.generation:
                    self._storage_cache = None
                    self._seen = self._handle.generation
                form = self._form_cache = self._read_form()
        return form

    def _read_form(self) -> Form:
        known, pending = self._handle.form(), self._handle.pending
        changed = None if pending is None else pending.shape
        if known is not None:
            shape, dtype = known
            return Form(shape if changed is None else changed, dtype, dtype)
        dataset = self._handle.dataset()
        try:
            return Form.of(dataset, changed)
        except (TypeError, ValueError, RuntimeError, OSError) as error:
            raise DataError(
                f"elements of this HDF5 type cannot be read: {error}",
                file=self._handle.file,
                path=self._handle.path,
            ) from error

    @property
    def _storage(self) -> Storage:
        storage = self._storage_cache
        if storage is None or self._seen != self._handle.generation:
            with self._handle.lock:
                form = self._form  # which drops what holds no longer
                storage = self._storage_cache = Storage.of(self._handle.dataset(), form)
        return storage


def _has_bytes(stored: numpy.dtype[Any]) -> bool:
    """Tell whether elements hold bytes that no dtype tells more of, or times that are stored so."""
    if stored.subdtype is not None:
        return _has_bytes(stored.subdtype[0])
    if stored.names is not None:
        return any(_has_bytes(stored[name]) for name in stored.names)
    return stored.kind in "VM"


def _is_field(index: Any) -> bool:
    """Whether an index is a name, or a list of names."""
    if isinstance(index, list):
        return bool(index) and all(isinstance(name, str) for name in index)
    return isinstance(index, str)
