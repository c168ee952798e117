"""The numpy law of index arithmetic, without a file."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import indices, result_or_error

from nwb_ophys.hdf5 import boxes, selection
from nwb_ophys.hdf5.selection import Plan, plan


def carry_out(array: numpy.ndarray, planned: Plan) -> Any:
    """Do what a plan says, and check that it fills the fetched array exactly once."""
    fetched = numpy.zeros(planned.shape, array.dtype)
    times = numpy.zeros(planned.shape, int)
    for block in planned.blocks:
        box = array[
            tuple(
                slice(start, start + (length - 1) * step + 1, step)
                for start, length, step in zip(block.start, block.shape, block.step, strict=True)
            )
        ]
        assert box.shape == block.shape
        box = box if block.pick is None else box[block.pick]
        at = ... if block.at is None else block.at
        assert fetched[at].shape == box.shape
        fetched[at] = box
        times[at] += 1
    assert not planned.blocks or (times == 1).all()
    return fetched if planned.finish is None else fetched[planned.finish]


def same(got: Any, wanted: Any) -> bool:
    if isinstance(wanted, Exception) or isinstance(got, Exception):
        return type(got) is type(wanted) and str(got) == str(wanted)
    return (
        type(got) is type(wanted)
        and got.shape == wanted.shape
        and got.dtype == wanted.dtype
        and bool((got == wanted).all())
    )


shapes = st.lists(st.sampled_from([0, 1, 2, 3, 5, 7, 11]), max_size=4).map(tuple)


@settings(max_examples=1500)
@given(data=st.data(), shape=shapes, strides=st.booleans(), pointwise=st.booleans())
def test_every_index_gives_what_numpy_gives(
    data: st.DataObject, shape: tuple[int, ...], strides: bool, pointwise: bool
) -> None:
    array = numpy.arange(numpy.prod(shape, dtype=int)).reshape(shape)
    index = data.draw(indices(shape))
    cells = data.draw(st.none() | st.tuples(*[st.sampled_from([1, 2, 3, 4, 20])] * len(shape)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boxes, "_BOX_ELEMENTS", 20)
        if pointwise:
            patch.setattr(selection, "_POINTWISE_LEAST", 0)
            patch.setattr(selection, "_POINTWISE_EXCESS", 0)
        wanted = result_or_error(lambda: array[index])
        got = result_or_error(lambda: carry_out(array, plan(shape, index, cells, strides=strides)))
    assert same(got, wanted), f"{got!r} instead of {wanted!r}"


@pytest.mark.parametrize(
    "index",
    [
        5,
        -6,
        (0, 3),
        ([0, 5],),
        ([0], [3]),
        (0, 0, 0),
        (..., ...),
        1.0,
        "x",
        [0.5],
        ([0, 1], [0] * 3),
    ],
    ids=repr,
)
def test_a_bad_index_raises_what_numpy_raises(index: Any) -> None:
    with pytest.raises(IndexError) as numpys:
        numpy.zeros((5, 3))[index]
    with pytest.raises(IndexError) as ours:
        plan((5, 3), index)
    assert str(ours.value) == str(numpys.value)


def fetched_elements(planned: Plan) -> int:
    return sum(int(numpy.prod(block.shape)) for block in planned.blocks)


def test_scattered_frames_are_fetched_alone() -> None:
    frames = numpy.random.default_rng(0).choice(100_000, 50, replace=False)
    planned = plan((100_000, 512, 256), frames)
    assert fetched_elements(planned) == 50 * 512 * 256


def test_consecutive_frames_are_fetched_together() -> None:
    planned = plan((1000, 8, 6), [3, 7, 4, 5, 90, 91, 5])
    assert [(block.start[0], block.shape[0]) for block in planned.blocks] == [
        (3, 3),
        (7, 1),
        (90, 2),
    ]


def test_frames_of_one_chunk_are_fetched_together_and_no_other_chunk_is_touched() -> None:
    planned = plan((1000, 8, 6), [41, 58, 205, 45], (20, 8, 6), strides=False)
    assert [(block.start[0], block.shape[0]) for block in planned.blocks] == [(41, 18), (205, 1)]


def test_points_far_apart_are_not_fetched_as_an_outer_product() -> None:
    points = numpy.random.default_rng(0).integers(0, 10_000, (2, 300))
    assert fetched_elements(plan((10_000, 10_000), tuple(points), (1, 1))) <= 300


def test_what_lies_between_is_read_in_boxes_of_limited_size() -> None:
    planned = plan((10**5, 512, 512), numpy.s_[:, ::2, ::4], (20, 256, 256), strides=False)
    sizes = [int(numpy.prod(block.shape)) for block in planned.blocks]
    assert max(sizes) <= boxes._BOX_ELEMENTS
    assert all(block.start[0] % 20 == 0 for block in planned.blocks)


def test_slices_are_planned_as_one_block_whatever_their_length() -> None:
    planned = plan((10**12, 512), numpy.s_[::-3, 5:9])
    (block,) = planned.blocks
    assert block.step == (3, 1)
    assert planned.finish == (slice(None, None, -1), slice(None))


def test_a_sorted_selection_needs_no_finish() -> None:
    assert plan((10, 3), [1, 4, 6]).finish is None
    assert plan((10, 3), numpy.arange(10) % 3 == 0).finish is None
    assert plan((10, 3), slice(2, 5)).finish is None
