"""What is known of a dataset without its data: shape, types, and how it is laid out."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy
from h5py import h5d, h5s, h5z

from .codecs import FILTERS
from .decoding import decoded_dtype
from .values import dtype_of

__all__ = ["Form", "Storage", "elements_of"]

_PAGE_BYTES = 1 << 12  # the least that operating systems read
_NOT_COMPRESSION = {
    h5z.FILTER_SHUFFLE,
    h5z.FILTER_FLETCHER32,
    h5z.FILTER_NBIT,
    h5z.FILTER_SCALEOFFSET,
}


class Form(NamedTuple):
    """Shape and type of a dataset."""

    shape: tuple[int, ...] | None  # None when the dataspace is null
    stored: numpy.dtype[Any]
    dtype: numpy.dtype[Any]  # once decoded

    @classmethod
    def of(cls, dataset: h5d.DatasetID, shape: tuple[int, ...] | None) -> Form:
        """Look at a dataset; give the shape of one that is about to be changed.

        Raises
        ------
        TypeError, ValueError, RuntimeError, OSError
            Where h5py has no dtype for the elements.
        """
        stored = dtype_of(dataset.get_type())
        if shape is None:
            shape = dataset.shape
        axes, base = elements_of(stored)
        if shape is not None:
            shape += axes  # as in numpy, axes of the elements are axes of the array
        return cls(shape, stored, decoded_dtype(base))


class Storage(NamedTuple):
    """How a dataset is laid out in the file."""

    shape: tuple[int, ...]  # without the axes of elements that are arrays
    chunks: tuple[int, ...] | None
    maxshape: tuple[int | None, ...] | None
    compression: str | None
    compression_opts: Any
    cells: tuple[int, ...]  # how far along each axis to go to read at one go

    @classmethod
    def of(cls, dataset: h5d.DatasetID, form: Form) -> Storage:
        """Look at a dataset of this form."""
        plist = dataset.get_create_plist()
        shape = dataset.shape
        chunks = plist.get_chunk() if plist.get_layout() == h5d.CHUNKED else None
        filters = [plist.get_filter(number) for number in range(plist.get_nfilters())]
        compression, settings = _compression_of(filters)
        if shape is None:
            return cls((), chunks, None, compression, settings, ())
        limits = dataset.get_space().get_simple_extent_dims(True)
        maxshape = tuple(None if limit == h5s.UNLIMITED else limit for limit in limits)
        whole = form.shape or ()
        fits = chunks and len(chunks) == len(whole)
        cells = chunks if chunks and fits else _page_of(whole, form.dtype.itemsize)
        return cls(shape, chunks, maxshape, compression, settings, cells)


def elements_of(stored: numpy.dtype[Any]) -> tuple[tuple[int, ...], numpy.dtype[Any]]:
    """Give the axes within an element, of arrays and arrays of arrays, and the innermost dtype."""
    axes: tuple[int, ...] = ()
    while stored.subdtype is not None:
        stored, inner = stored.subdtype
        axes += inner
    return axes, stored


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
