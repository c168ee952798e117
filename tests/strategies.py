"""Hypothesis strategies that draw numpy indices, good and bad."""

from __future__ import annotations

from typing import Any

import numpy
from hypothesis import strategies as st


def result_or_error(call: Any) -> Any:
    try:
        return call()
    except (IndexError, TypeError, ValueError) as error:
        return error
    except DeprecationWarning as warning:
        # Before numpy 2, a position outside is foretold to be an error where nothing is selected.
        if "Out of bound index" not in str(warning):
            raise
        return IndexError(str(warning))


def slices(size: int) -> st.SearchStrategy[slice]:
    bound = st.none() | st.integers(-size - 2, size + 2)
    step = st.none() | st.integers(-7, 7).filter(bool)
    return st.builds(slice, bound, bound, step)


@st.composite
def positions(draw: Any, size: int) -> Any:
    """An array, list or number of positions, now and then one outside."""
    low, high = (-size - 1, size) if draw(st.integers(0, 19)) == 0 else (-size, size - 1)
    if low > high:
        return []
    shape = draw(st.sampled_from([(3,), (1,), (4,), (2, 3), (3, 1), (0,), ()]))
    number = int(numpy.prod(shape))
    values = draw(st.lists(st.integers(low, high), min_size=number, max_size=number))
    array = numpy.array(values, draw(st.sampled_from(["i8", "i4", ">i2"]))).reshape(shape)
    increasing = numpy.sort(array) if array.ndim else array
    return draw(st.sampled_from([array, array.tolist(), increasing]))


@st.composite
def masks(draw: Any, shape: tuple[int, ...]) -> numpy.ndarray:
    if draw(st.integers(0, 19)) == 0:
        shape = (shape[0] + 1, *shape[1:])
    seed = draw(st.integers(0, 1000))
    return numpy.random.default_rng(seed).random(shape) < draw(st.sampled_from([0.1, 0.5, 1.0]))


@st.composite
def indices(draw: Any, shape: tuple[int, ...]) -> Any:
    items: list[Any] = []
    axis = 0
    while axis < len(shape) and draw(st.integers(0, 9)):
        kind = draw(st.sampled_from("isssaambnet"))
        size = shape[axis]
        if kind == "m" or (kind == "b" and axis + 1 < len(shape)):
            axes = 1 if kind == "m" else 2
            items.append(draw(masks(shape[axis : axis + axes])))
            axis += axes
        elif kind == "n":
            items.append(None)
        elif kind == "e" and not any(item is Ellipsis for item in items):
            items.append(Ellipsis)
        elif kind == "t":
            items.append(draw(st.sampled_from([True, False, numpy.True_, numpy.array(False)])))
        else:
            one = st.integers(-size, max(size - 1, 0)) | st.just(numpy.int16(0))
            items.append(draw({"i": one, "a": positions(size)}.get(kind, slices(size))))
            axis += 1
    if not draw(st.integers(0, 19)):
        items.append(draw(st.sampled_from([0, slice(None), Ellipsis, 1.5, "x", [0.5], [[], [1]]])))
    return items[0] if len(items) == 1 and draw(st.booleans()) else tuple(items)
