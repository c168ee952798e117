"""What stored elements become in memory: text is `str`, references are what they lead to.

Everything else is left as h5py reads it. `decoded_dtype` says what `decode` will give.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import h5py
import numpy
from numpy.typing import NDArray

__all__ = ["Resolve", "decode", "decoded_dtype"]

Resolve = Callable[[NDArray[Any]], NDArray[Any]]


def decoded_dtype(stored: numpy.dtype[Any]) -> numpy.dtype[Any]:
    """Return the dtype of decoded elements; the one given when they are left as they are."""
    if not _needs_decoding(stored):
        return stored
    if stored.subdtype is not None:
        base, shape = stored.subdtype
        return numpy.dtype((decoded_dtype(base), shape))
    if stored.names is not None:
        return numpy.dtype([(name, decoded_dtype(stored[name])) for name in stored.names])
    return numpy.dtype(object)


def decode(values: NDArray[Any], resolve: Resolve, stored: numpy.dtype[Any]) -> NDArray[Any]:
    """Return values with text as `str` and references resolved.

    Parameters
    ----------
    values
        As h5py reads them.
    resolve
        Turns a one-dimensional object array of references into one of what they lead to.
    stored
        Dtype as h5py describes it; that of `values` may have lost what it says about objects.
    """
    if not _needs_decoding(stored):
        return values
    if stored.subdtype is not None:
        return decode(values, resolve, stored.subdtype[0])
    if stored.names is not None:
        result = numpy.empty(values.shape, decoded_dtype(stored))
        for name in stored.names:
            result[name] = decode(values[name], resolve, stored[name])
        return result
    items: Any
    if h5py.check_string_dtype(stored) is not None:
        items = map(_as_text, values.ravel().tolist())
    elif h5py.check_ref_dtype(stored) is not None:
        return resolve(values.ravel()).reshape(values.shape)
    else:
        base = numpy.dtype(h5py.check_vlen_dtype(stored))
        items = (decode(row, resolve, base) for row in values.flat)
    return numpy.fromiter(items, object, values.size).reshape(values.shape)


def _needs_decoding(stored: numpy.dtype[Any]) -> bool:
    if stored.subdtype is not None:
        return _needs_decoding(stored.subdtype[0])
    if stored.names is not None:
        return any(_needs_decoding(stored[name]) for name in stored.names)
    if h5py.check_string_dtype(stored) or h5py.check_ref_dtype(stored):
        return True
    base = h5py.check_vlen_dtype(stored)
    return base is not None and _needs_decoding(numpy.dtype(base))


def _as_text(item: Any) -> str:
    # A fill value that was never set is the number 0, also of text.
    return item.decode("utf-8", "surrogateescape") if isinstance(item, bytes) else str(item or "")
