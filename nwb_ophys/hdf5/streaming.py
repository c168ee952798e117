"""Go through arrays that do not fit into memory: block by block, and reductions that do so."""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK_MEMORY", "Blocky", "blocks_of", "bytes_of", "reductions"]

BLOCK_MEMORY: Final = "64 MB"

_UNITS: Final = {
    **{"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12},
    **{"ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40},
}


class Blocky(Protocol):
    """A stored array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Shape of the chunks."""

    def __getitem__(self, index: Any, /) -> Any: ...


def bytes_of(memory: int | str) -> int:
    """Turn an amount of memory into bytes: a number, or text such as "64 MB" or "2 GiB".

    Raises
    ------
    ValueError
        Where it is neither.
    """
    if isinstance(memory, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([kMGT]?i?)B?\s*", memory.replace("K", "k"))
        if found is None or found[2] not in _UNITS:
            raise ValueError(f'expected bytes such as 64_000_000 or "64 MB", found {memory!r}')
        memory = int(float(found[1]) * _UNITS[found[2]])
    if memory < 1:
        raise ValueError(f"expected some memory, found {memory} bytes")
    return memory


def blocks_of(
    array: Blocky, memory: int | str, axis: int, progress: bool, name: str
) -> Iterator[NDArray[Any]]:
    """Read an array in blocks along an axis, each of whole chunks, the next one ahead of time."""
    shape = array.shape
    axis = _axis_of(axis, len(shape))
    limit = bytes_of(memory) // 2  # the next one is read while one is worked with
    row = max(1, array.dtype.itemsize * math.prod(shape[:axis] + shape[axis + 1 :]))
    step = max(1, limit // row)
    if array.chunks is not None and array.chunks[axis] <= shape[axis]:
        step = max(1, step // array.chunks[axis]) * array.chunks[axis]
    before = (slice(None),) * axis

    def read(start: int) -> NDArray[Any]:
        block: NDArray[Any] = array[(*before, slice(start, start + step))]
        return block

    starts = range(0, shape[axis], step)
    bar: Any = None
    if progress:
        from tqdm.auto import tqdm

        bar = tqdm(total=row * shape[axis], desc=name, unit="B", unit_scale=True)
    try:
        if len(starts) < 2:
            for start in starts:
                yield read(start)
            return
        from concurrent.futures import ThreadPoolExecutor

        # A thread of its own: what it asks the others for must not wait for itself.
        with ThreadPoolExecutor(1, thread_name_prefix="nwb-ophys-ahead") as ahead:
            coming = ahead.submit(read, starts[0])
            for following in (*starts[1:], None):
                block = coming.result()
                if following is not None:
                    coming = ahead.submit(read, following)
                yield block
                if bar is not None:
                    bar.update(block.nbytes)
                del block
    finally:
        if bar is not None:
            bar.close()


def _axis_of(axis: int, ndim: int) -> int:
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(axis, ndim)
    return axis % ndim


# -- reductions -----------------------------------------------------------------------------------

Streamed: TypeAlias = "Callable[[Any, tuple[int, ...], dict[str, Any]], Any]"
"""Reduces an array over axes, which it keeps with length 1, given the other arguments."""


def reductions() -> dict[Any, Callable[..., Any]]:
    """Give what replaces numpy's functions for stored arrays."""
    combined = {
        np.sum: np.add,
        np.prod: np.multiply,
        np.max: np.maximum,
        np.min: np.minimum,
        np.any: np.logical_or,
        np.all: np.logical_and,
        np.nansum: np.add,
        np.count_nonzero: np.add,
    }
    tiled = (
        *(np.median, np.nanmedian, np.nanmean, np.nanstd, np.nanvar, np.nanmax, np.nanmin),
        *(np.argmax, np.argmin, np.ptp, np.percentile, np.quantile),
    )
    return {
        **{one: _streaming(one, _combining(one, ufunc)) for one, ufunc in combined.items()},
        np.mean: _streaming(np.mean, _mean),
        np.var: _streaming(np.var, _var),
        np.std: _streaming(np.std, lambda a, axes, given: np.sqrt(_var(a, axes, given))),
        **{one: _by_tiles(one) for one in tiled},
    }


def _arguments(signature: inspect.Signature, args: Any, options: Any) -> tuple[Any, Any, Any]:
    """Tell the array, the axis and the other arguments that were given."""
    bound = signature.bind(*args, **options).arguments
    given = {name: one for name, one in bound.items() if one is not np._NoValue}
    return given.pop("a"), given.pop("axis", None), given


def _streaming(function: Any, streamed: Streamed) -> Callable[..., Any]:
    """Make a reduction that goes block by block, where it is of the usual kind."""
    signature = inspect.signature(function)

    def reduce(*args: Any, **options: Any) -> Any:
        a, axis, given = _arguments(signature, args, options)
        if not _is_plain(a, given, ("keepdims", "dtype", "ddof")):
            return function(np.asarray(a), axis=axis, **given)
        axes = _axes(axis, a.ndim)
        keepdims = given.pop("keepdims", False)
        result = streamed(a, axes, given)
        # What has no axis left is a scalar, as numpy has it.
        return result if keepdims else np.squeeze(result, axes)[()]

    return reduce


def _by_tiles(function: Any) -> Callable[..., Any]:
    """Make a reduction that needs all elements along its axes at once, so it goes along another."""
    signature = inspect.signature(function)

    def reduce(*args: Any, **options: Any) -> Any:
        a, axis, given = _arguments(signature, args, options)
        usual = _is_plain(a, given, ("keepdims", "dtype", "ddof", "q", "method"))
        plain = axis is not None and usual and np.ndim(given.get("q", 0)) == 0
        axes = _axes(axis, a.ndim) if plain else ()
        left = [one for one in range(a.ndim) if one not in axes]
        if not plain or not left:
            return function(np.asarray(a), axis=axis, **given)
        along = max(left, key=lambda one: a.shape[one])
        place = along if given.get("keepdims") else left.index(along)
        blocks = blocks_of(a, BLOCK_MEMORY, along, False, "")
        return np.concatenate([function(block, axis=axis, **given) for block in blocks], place)

    return reduce


def _is_plain(array: Any, given: dict[str, Any], usual: tuple[str, ...]) -> bool:
    """Tell whether a reduction is of the kind that goes by blocks."""
    special = any(value is not None for name, value in given.items() if name not in usual)
    return not special and array.ndim > 0 and array.size > 0 and array.dtype.kind in "biuf"


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Give the axes that are reduced."""
    if axis is None:
        return tuple(range(ndim))
    axes = tuple(_axis_of(one, ndim) for one in (axis if isinstance(axis, tuple) else (axis,)))
    if len(set(axes)) < len(axes):
        raise ValueError("duplicate value in 'axis'")
    return axes


def _streamed(
    array: Any,
    axes: tuple[int, ...],
    reduce: Callable[[NDArray[Any]], Any],
    combine: Callable[[Any, Any], Any],
) -> Any:
    """Reduce block by block with the reduced axes kept, and combine or join the results."""
    parts = (reduce(block) for block in blocks_of(array, BLOCK_MEMORY, 0, False, ""))
    return functools.reduce(combine, parts) if 0 in axes else _joined(list(parts))


def _joined(parts: list[Any]) -> Any:
    if isinstance(parts[0], tuple):
        return tuple(_joined(list(each)) for each in zip(*parts, strict=True))
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else parts[0]


def _combining(function: Any, ufunc: np.ufunc) -> Streamed:
    """Make a reduction whose partial results combine by a ufunc."""

    def streamed(a: Any, axes: tuple[int, ...], given: dict[str, Any]) -> Any:
        def part(block: NDArray[Any]) -> Any:
            return np.asarray(function(block, axis=axes, keepdims=True, **given))

        return _streamed(a, axes, part, ufunc)

    return streamed


def _result_dtype(a: Any, given: dict[str, Any]) -> Any:
    """Give the dtype of an average: that of floats, in the order of bytes of this machine."""
    return given.get("dtype") or (a.dtype.newbyteorder("=") if a.dtype.kind == "f" else np.float64)


def _mean(a: Any, axes: tuple[int, ...], given: dict[str, Any]) -> Any:
    work = given.get("dtype") or np.float64
    total = _combining(np.sum, np.add)(a, axes, {"dtype": work})
    count = math.prod(a.shape[one] for one in axes)
    return (total / count).astype(_result_dtype(a, given))


def _var(a: Any, axes: tuple[int, ...], given: dict[str, Any]) -> Any:
    work = given.get("dtype") or np.float64

    # Counts, means and sums of squares about the mean, of two parts: Chan et al. 1979.
    def part(block: NDArray[Any]) -> tuple[int, Any, Any]:
        count = math.prod(block.shape[one] for one in axes)
        mean = np.asarray(np.mean(block, axis=axes, dtype=work, keepdims=True))
        return count, mean, np.asarray(np.var(block, axis=axes, dtype=work, keepdims=True) * count)

    def both(one: Any, other: Any) -> tuple[int, Any, Any]:
        (m, mean, squares), (n, mean2, squares2) = one, other
        apart = mean2 - mean
        return (
            m + n,
            mean + apart * (n / (m + n)),
            squares + squares2 + apart**2 * (m * n / (m + n)),
        )

    count, _, squares = _streamed(a, axes, part, both)
    left = max(count - given.get("ddof", 0), 0)
    if not left:  # for numpy to say
        return np.var(np.asarray(a), axes, keepdims=True, **given)
    return (squares / left).astype(_result_dtype(a, given))
