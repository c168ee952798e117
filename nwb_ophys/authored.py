"""What users give as arrays: arrays of any kind, streams of blocks, and how to store them.

Nothing here reads an array, or imports the library that it comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

import numpy as np

__all__ = ["Chunks", "Compression", "Storage", "adapted", "is_stream", "plain"]

Chunks: TypeAlias = "str | bool | int | tuple[int | None, ...]"
Compression: TypeAlias = "str | int | tuple[str, int] | Mapping[str, Any] | None"

_DEFAULT: Final = "default"


class Storage:
    """An array, or an iterator of blocks, and how it is to be stored.

    It behaves as the array does. What is left at ``"default"`` is as `nwb_ophys.write` says.

    Parameters
    ----------
    array
        What is to be stored: whatever an array field takes.
    chunks
        The shape of the chunks, where None stands for a whole axis; or a number, of entries along
        the first axis with the others whole. ``True`` lets the use of the array decide, ``False``
        stores it in one piece, which can be neither compressed nor grow.
    compression
        ``"gzip"``, which every reader of HDF5 understands, or a level from 0 to 9 of it; None for
        no compression; ``"lzf"``; and, where hdf5plugin is installed, ``"zstd"``, ``"lz4"``,
        ``"blosc:zstd"``, ``"blosc:lz4"``, ``"blosc2:zstd"``, ``"bitshuffle:zstd"`` and the like,
        which readers need hdf5plugin for as well. A pair of a name and a level, or what
        hdf5plugin's classes make, is taken too.
    shuffle
        Whether the bytes of numbers are sorted by their significance first, which makes most data
        smaller and is done by default wherever there is compression.
    progress
        Whether writing it shows a bar, where that takes long.

    Raises
    ------
    SchemaError
        Where what is asked for is not available, with a list of what is.
    """

    array: Any
    chunks: Chunks
    compression: Compression
    shuffle: bool | str
    progress: bool | str

    def __init__(
        self,
        array: Any = None,
        *,
        chunks: Chunks = _DEFAULT,
        compression: Compression = _DEFAULT,
        shuffle: bool | str = _DEFAULT,
        progress: bool | str = _DEFAULT,
    ) -> None:
        if isinstance(array, Storage):
            chunks = array.chunks if chunks == _DEFAULT else chunks
            compression = array.compression if _is_default(compression) else compression
            shuffle = array.shuffle if shuffle == _DEFAULT else shuffle
            progress = array.progress if progress == _DEFAULT else progress
            array = array.array
        self.array = array
        self.chunks = chunks
        self.compression = compression
        self.shuffle = shuffle
        self.progress = progress
        self._check()

    def _check(self) -> None:
        from nwb_ophys.hdf5.layouts import check_chunks
        from nwb_ophys.hdf5.pipelines import parse_compression

        if self.chunks != _DEFAULT:
            self.chunks = check_chunks(self.chunks)
        if not _is_default(self.compression):
            parse_compression(self.compression)

    @property
    def is_default(self) -> bool:
        """Whether nothing is asked for."""
        return (
            self.chunks == _DEFAULT and _is_default(self.compression) and self.shuffle == _DEFAULT
        )

    def over(self, defaults: Storage) -> Storage:
        """Give the settings, with those of `defaults` where none is asked for."""
        if self is defaults:
            return self
        whole = Storage.__new__(Storage)
        whole.array = self.array
        whole.chunks = defaults.chunks if self.chunks == _DEFAULT else self.chunks
        whole.compression = (
            defaults.compression if _is_default(self.compression) else self.compression
        )
        whole.shuffle = defaults.shuffle if self.shuffle == _DEFAULT else self.shuffle
        whole.progress = defaults.progress if self.progress == _DEFAULT else self.progress
        return whole

    def around(self, array: Any) -> Storage:
        """Give the same settings around another array."""
        other = Storage.__new__(Storage)
        other.__dict__.update(self.__dict__, array=array)
        return other

    def __repr__(self) -> str:
        asked = {
            name: getattr(self, name)
            for name in ("chunks", "compression", "shuffle", "progress")
            if not _is_default(getattr(self, name))
        }
        inside = _summary(self.array)
        return f"Storage({', '.join([inside, *(f'{k}={v!r}' for k, v in asked.items())])})"

    # -- as the array ----------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return tuple(self.array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        dtype: np.dtype[Any] = self.array.dtype
        return dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: Any) -> Any:
        return self.array[index]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        array = np.asarray(self.array)
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array


def _is_default(setting: Any) -> bool:
    return isinstance(setting, str) and setting == _DEFAULT


def _summary(array: Any) -> str:
    if array is None:
        return ""
    if hasattr(array, "shape") and hasattr(array, "dtype"):
        return f"{array.dtype} {tuple(array.shape)}"
    return repr(array)


def plain(value: Any) -> Any:
    """Give what is inside of a `Storage`, and anything else as it is."""
    return value.array if isinstance(value, Storage) else value


def is_stream(value: Any) -> bool:
    """Tell whether a value is an iterator of blocks rather than an array."""
    return hasattr(plain(value), "__next__")


def adapted(value: Any) -> Any:
    """Bring arrays that other libraries have ways of their own for to shape, dtype and slicing.

    HDMF's ``H5DataIO`` becomes a `Storage`, columns of pandas, polars and Arrow, whose indices and
    dtypes are not numpy's, become arrays in memory, a series of images of tifffile and a reader of
    ScanImage files become arrays, other iterables without a length iterators.
    """
    settings = getattr(value, "io_settings", None)
    if settings is not None and hasattr(value, "data"):
        return _from_data_io(value.data, settings)
    if isinstance(value, Storage):
        inside = adapted(value.array)
        return value if inside is value.array else Storage(inside, **_settings(value))
    if hasattr(value, "to_numpy") and not hasattr(
        value, "dims"
    ):  # all but xarray's, which are lazy
        return np.asarray(value)
    if hasattr(value, "aszarr") and hasattr(value, "asarray") and hasattr(value, "pages"):
        return _from_tiff(value)
    if callable(getattr(value, "shape", None)) and callable(getattr(value, "dtype", None)):
        return _Called(value)
    if (
        isinstance(value, Iterable)
        and not isinstance(value, (str, bytes, Mapping))
        and not hasattr(value, "shape")
        and not hasattr(value, "__len__")
    ):
        return iter(value) if not hasattr(value, "__next__") else value
    return value


def _settings(value: Storage) -> dict[str, Any]:
    return {name: getattr(value, name) for name in ("chunks", "compression", "shuffle", "progress")}


def _from_data_io(data: Any, settings: Mapping[str, Any]) -> Storage:
    if data is None:
        raise ValueError("expected an array, found an H5DataIO without data")
    asked: dict[str, Any] = {}
    compression = settings.get("compression")
    if compression is not None and compression is not False:
        level = settings.get("compression_opts")
        if compression is True:
            compression = "gzip"
        asked["compression"] = (
            compression
            if level is None
            else (compression, level)
            if isinstance(compression, str)
            else {"compression": compression, "compression_opts": level}
        )
    for name in ("chunks", "shuffle"):
        if settings.get(name) is not None:
            asked[name] = settings[name]
    return Storage(adapted(data), **asked)


def _from_tiff(value: Any) -> Any:
    series = value.series[0] if hasattr(value, "series") else value
    if series.dataoffset is None:
        return _Pages(series)
    dtype = np.dtype(series.dtype).newbyteorder(series.parent.byteorder)
    path = series.parent.filehandle.path
    return np.memmap(path, dtype, "r", series.dataoffset, tuple(series.shape))


class _Elsewhere:
    """An array that some other library reads."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]


class _Pages(_Elsewhere):
    """A series of images of an open TIFF file, of which only the pages asked for are read."""

    def __init__(self, series: Any) -> None:
        self._series = series
        self.shape = tuple(series.shape)
        self.dtype = np.dtype(series.dtype)
        inner = series.pages[0].shape if len(series.pages) else ()
        self._inner = len(inner)
        self._outer = self.shape[: len(self.shape) - self._inner]

    def __getitem__(self, index: Any) -> np.ndarray[Any, Any]:
        first, *rest = index if isinstance(index, tuple) else (index,)
        if len(self._outer) == 0 or first is Ellipsis or not isinstance(first, (int, slice)):
            whole: np.ndarray[Any, Any] = self._series.asarray()[index]
            return whole
        each = int(np.prod(self._outer[1:], dtype=int))
        rows = range(self.shape[0])[first]
        found = [rows] if isinstance(rows, int) else rows
        pages = [self._series.pages[row * each + page] for row in found for page in range(each)]
        images = [
            np.zeros(self.shape[len(self._outer) :], self.dtype) if page is None else page.asarray()
            for page in pages
        ]
        shape = (len(found), *self.shape[1:])
        block = np.stack(images).reshape(shape) if images else np.empty(shape, self.dtype)
        result: np.ndarray[Any, Any] = block[0] if isinstance(rows, int) else block
        if rest:
            result = result[rest] if isinstance(rows, int) else result[(slice(None), *rest)]
        return result

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        array: np.ndarray[Any, Any] = self._series.asarray()
        return array if dtype is None else array.astype(dtype)


class _Called(_Elsewhere):
    """A reader that tells shape and dtype when it is called, as that of ScanImage files does."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self.shape = tuple(reader.shape())
        self.dtype = np.dtype(reader.dtype())

    def __getitem__(self, index: Any) -> np.ndarray[Any, Any]:
        if isinstance(index, slice):
            first, last, step = index.indices(self.shape[0])
            if step == 1:
                shape = (max(0, last - first), *self.shape[1:])
                if not shape[0]:
                    return np.empty(shape, self.dtype)
                return np.asarray(self._reader.data(first, last)).reshape(shape)
        whole: np.ndarray[Any, Any] = np.asarray(self)[index]
        return whole

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        array = np.asarray(self._reader.data())
        return array if dtype is None else array.astype(dtype)
