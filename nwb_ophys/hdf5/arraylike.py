"""What numpy, dask and people expect of an array, for one that is stored in a file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import DTypeLike, NDArray

from . import streaming

__all__ = ["ArrayLike"]

_ITERATION_BYTES = 1 << 20  # least to read at one go while iterating


@cache
def _functions() -> dict[Any, Any]:
    return {
        **streaming.reductions(),
        numpy.shape: lambda a: a.shape,
        numpy.ndim: lambda a: a.ndim,
        numpy.size: lambda a, axis=None: a.size if axis is None else a.shape[axis],
    }


class ArrayLike(NDArrayOperatorsMixin):
    """Rows, numbers, arithmetic, numpy's functions, blocks and dask, for what can be indexed.

    ``numpy.mean``, ``sum``, ``min``, ``max``, ``std``, ``var``, ``any``, ``all`` and the like go
    through the array block by block, in bounded memory, the next block read by all cores while one
    is worked with; ``median``, ``percentile`` and others that need all elements along their axes do
    so tile by tile where axes are left. Any other function of numpy, and arithmetic such as
    ``array * 2``, load the whole array first.
    """

    __slots__ = ()

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        own = _functions().get(function)
        if own is not None and args and isinstance(args[0], ArrayLike):
            return own(*args, **kwargs)
        return function(*_loaded(args), **_loaded(kwargs))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(isinstance(one, ArrayLike) for one in kwargs.get("out") or ()):
            raise TypeError(
                f"{self!r} is in a file, so arithmetic in place cannot change it; "
                'assign to parts of it in a session opened with "r+", or load it: array[...]'
            )
        return getattr(ufunc, method)(*_loaded(inputs), **_loaded(kwargs))

    # Comparing by identity, so that no comparison reads data; the mixin would compare elements.
    __eq__ = object.__eq__
    __ne__ = object.__ne__
    __hash__ = object.__hash__

    def __len__(self: Any) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return int(self.shape[0])

    def __iter__(self: Any) -> Iterator[Any]:
        if not self.shape:
            raise TypeError("iteration over a 0-d array")
        return _rows(self)

    def __bool__(self) -> bool:
        return bool(_single(self))

    def __int__(self) -> int:
        return int(_single(self))

    def __float__(self) -> float:
        return float(_single(self))

    def __index__(self) -> int:
        return _single(self).__index__()

    def astype(self: Any, dtype: DTypeLike) -> NDArray[Any]:
        """Read the whole array and convert it."""
        values: NDArray[Any] = self.read()
        return values.astype(dtype, copy=False)

    def sum(self, axis: Any = None, **options: Any) -> Any:
        """Sum over axes, block by block; as ``numpy.sum``."""
        return numpy.sum(self, axis, **options)  # type: ignore[call-overload]

    def mean(self, axis: Any = None, **options: Any) -> Any:
        """Average over axes, block by block; as ``numpy.mean``."""
        return numpy.mean(self, axis, **options)  # type: ignore[call-overload]

    def min(self, axis: Any = None, **options: Any) -> Any:
        """Give the least over axes, block by block; as ``numpy.min``."""
        return numpy.min(self, axis, **options)  # type: ignore[call-overload]

    def max(self, axis: Any = None, **options: Any) -> Any:
        """Give the greatest over axes, block by block; as ``numpy.max``."""
        return numpy.max(self, axis, **options)  # type: ignore[call-overload]

    def std(self, axis: Any = None, **options: Any) -> Any:
        """Give the standard deviation over axes, block by block; as ``numpy.std``."""
        return numpy.std(self, axis, **options)  # type: ignore[call-overload]

    def var(self, axis: Any = None, **options: Any) -> Any:
        """Give the variance over axes, block by block; as ``numpy.var``."""
        return numpy.var(self, axis, **options)  # type: ignore[call-overload]

    def iter_blocks(
        self: Any,
        memory: int | str = streaming.BLOCK_MEMORY,
        axis: int = 0,
        progress: bool = False,
    ) -> Iterator[NDArray[Any]]:
        """Iterate over the array in blocks along an axis; joined there they are the array.

        Parameters
        ----------
        memory
            What blocks may take at a time: bytes, or text such as "64 MB". Blocks are of whole
            chunks, one chunk long at least.
        axis
            The axis to cut.
        progress
            Whether to show a progress bar.
        """
        return streaming.blocks_of(self, memory, axis, progress, self.handle.path)

    def to_dask(self: Any, chunks: Any = "auto") -> Any:
        """Give a dask array, whose blocks are whole chunks and are read when they are computed.

        Needs dask (``pip install 'nwb-ophys[dask]'``). Workers in other processes, or on other
        machines that have the file at the same path, read it themselves.

        Parameters
        ----------
        chunks
            Blocks, as dask takes them; "auto" makes them multiples of the stored chunks.
        """
        import dask.array

        empty = numpy.empty((0,) * self.ndim, self.dtype)
        make: Any = dask.array.from_array
        return make(self, chunks=chunks, meta=empty, lock=False)


def _rows(array: Any) -> Iterator[Any]:
    """Yield along the first axis, reading whole chunks."""
    row = max(1, array.nbytes // max(1, len(array)))
    chunk = array.chunks[0] if array.chunks else 1
    step = chunk * max(1, _ITERATION_BYTES // (row * chunk))
    for start in range(0, len(array), step):
        yield from array[start : start + step]


def _single(array: Any) -> NDArray[Any]:
    """Give an array to convert to a number: this one, or one that numpy refuses as well."""
    if array.size == 1:
        read: NDArray[Any] = array.read()
        return read
    return numpy.broadcast_to(numpy.zeros((), array.dtype), array.shape or (0,))


def _loaded(value: Any) -> Any:
    """Load the stored arrays among arguments."""
    if isinstance(value, ArrayLike):
        return numpy.asarray(value)
    if isinstance(value, (list, tuple)):
        return type(value)(map(_loaded, value))
    if isinstance(value, dict):
        return {name: _loaded(one) for name, one in value.items()}
    return value
