"""How arrays are written, judged by plain h5py: values, chunks, filters, room to grow."""

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from small import small_session

import nwb_ophys as nwb
from nwb_ophys.hdf5 import encoding
from nwb_ophys.hdf5.encoding import write_block
from nwb_ophys.hdf5.layouts import default_chunks
from nwb_ophys.hdf5.pipelines import available_compressions

DTYPES = ["i1", "u2", "<i2", ">i2", "i4", "u8", "f2", "f4", ">f8", "?"]
HERE = "/acquisition/series/data"
SETTINGS = settings(max_examples=40)


def series(data: Any, **fields: Any) -> nwb.NWBFile:
    session = small_session()
    fields = {"unit": "n.a.", "rate": 30.0, **fields}
    session.acquisition.add(nwb.TimeSeries(name="series", data=data, **fields))
    return session


def movie(data: Any) -> nwb.NWBFile:
    session = small_session()
    plane = session.imaging_planes["plane"]
    session.acquisition.add(
        nwb.TwoPhotonSeries(name="series", data=data, unit="n.a.", rate=30.0, imaging_plane=plane)
    )
    return session


def written(session: nwb.NWBFile, folder: Path, **how: Any) -> h5py.Dataset:
    """Write a session, and give its array as h5py sees it."""
    path = nwb.write(session, folder / "out.nwb", overwrite=True, **how)
    return h5py.File(path, "r", locking=False)[HERE]


def arrays(**limits: Any) -> st.SearchStrategy[np.ndarray]:
    shapes = hnp.array_shapes(min_dims=1, max_dims=4, **{"min_side": 1, "max_side": 9, **limits})
    return st.tuples(st.sampled_from(DTYPES), shapes, st.integers(0, 99)).map(lambda t: noise(*t))


def noise(dtype: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    raw = np.random.default_rng(seed).integers(0, 100, shape)
    return (raw % 2).astype(dtype) if dtype == "?" else raw.astype(dtype)


def same(dataset: h5py.Dataset, array: np.ndarray) -> None:
    assert dataset.dtype == array.dtype
    np.testing.assert_array_equal(dataset[()], array)


@st.composite
def stored(draw: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """An array, and a way of storing it."""
    array = draw(arrays())
    lengths = [st.none() | st.integers(1, length + 2) for length in array.shape]
    chunks = draw(
        st.sampled_from([True, False]) | st.integers(1, 9) | st.tuples(*lengths).map(tuple)
    )
    compression = draw(
        st.sampled_from([None, "gzip", 1, 9, ("gzip", 6), "lzf", *available_compressions()])
    )
    shuffle = draw(st.sampled_from(["default", True, False]))
    return array, {"chunks": chunks, "compression": compression, "shuffle": shuffle}


def cut(array: np.ndarray, lengths: list[int]) -> Iterator[np.ndarray]:
    """Give an array in blocks, all in one buffer that is used again."""
    first = 0
    buffer = np.empty((max(lengths), *array.shape[1:]), array.dtype)
    for length in itertools.cycle(lengths):
        if first >= len(array):
            return
        block = array[first : first + length]
        buffer[: len(block)] = block
        yield buffer[: len(block)]
        buffer[...] = 0
        first += length


# -- values ------------------------------------------------------------------------------------


@SETTINGS
@given(case=stored(), lengths=st.lists(st.integers(1, 11), min_size=1, max_size=3))
def test_arrays_and_streams_hold_what_was_given(
    tmp_path: Path, case: tuple[np.ndarray, dict[str, Any]], lengths: list[int]
) -> None:
    array, how = case
    same(written(series(nwb.Storage(array, **how)), tmp_path), array)
    same(written(series(_Sliced(array)), tmp_path, **how), array)
    if how["chunks"] is not False:
        stream = nwb.Storage(cut(array, lengths), **how)
        dataset = written(series(stream), tmp_path)
        same(dataset, array)
        assert dataset.maxshape[0] is None


class _Sliced:
    """What has a shape and a dtype and can be sliced, and nothing else."""

    def __init__(self, array: np.ndarray) -> None:
        self.shape, self.dtype, self._array = array.shape, array.dtype, array

    def __getitem__(self, index: slice) -> np.ndarray:
        assert isinstance(index, slice)
        return self._array[index].copy()


@SETTINGS
@given(data=st.data(), array=arrays(max_side=7))
def test_blocks_written_into_what_is_there(tmp_path: Path, data: Any, array: np.ndarray) -> None:
    chunks = tuple(data.draw(st.integers(1, length)) for length in array.shape)
    compression = data.draw(st.sampled_from([None, "gzip", "lzf"]))
    fill = data.draw(st.sampled_from([0, 1]))
    expected = np.full(array.shape, fill, array.dtype)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset(
            "a",
            array.shape,
            array.dtype,
            chunks=chunks,
            compression=compression,
            fillvalue=fill,
            maxshape=(None,) * array.ndim,
        )
        for _ in range(3):
            start = [data.draw(st.integers(0, length - 1)) for length in array.shape]
            stop = [
                data.draw(st.integers(at, length))
                for at, length in zip(start, array.shape, strict=True)
            ]
            box = tuple(map(slice, start, stop))
            write_block(dataset.id, start, array[box])
            expected[box] = array[box]
        dataset.resize(2 * len(array), axis=0)
        write_block(dataset.id, len(array), array)
        dataset.resize([length + 3 for length in dataset.shape])
    whole = np.full([length + 3 for length in (2 * len(array), *array.shape[1:])], fill, "f8")
    whole[tuple(map(slice, (2 * len(array), *array.shape[1:])))] = np.concatenate([expected, array])
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["a"][()], whole.astype(array.dtype))


def test_blocks_of_text_and_records(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        text = file.create_dataset("t", (3,), h5py.string_dtype(), chunks=(2,), maxshape=(None,))
        text.resize((5,))
        write_block(text.id, 3, np.array([b"a", "ü".encode()], object))
        assert text.asstr()[:].tolist() == ["", "", "", "a", "ü"]
        kind = np.dtype([("x", "u4"), ("y", "u4"), ("weight", "f4")])
        rows = np.array([(1, 2, 0.5), (3, 4, 1.5), (5, 6, 2.5)], kind)
        pixels = file.create_dataset("p", data=rows, chunks=(2,), maxshape=(None,), shuffle=True)
        pixels.resize((5,))
        write_block(pixels.id, 3, rows[:2])
        np.testing.assert_array_equal(pixels[:], np.concatenate([rows, rows[:2]]))


def test_blocks_that_do_not_fit(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        grows = file.create_dataset("a", (4, 3), "i2", chunks=(2, 3), maxshape=(6, 3)).id
        with pytest.raises(ValueError, match=r"shape \(2, 3\) at \(3, 0\) does not fit into"):
            write_block(grows, 3, np.zeros((2, 3), "i2"))
        with pytest.raises(ValueError, match="expected int16, found float64"):
            write_block(grows, 0, np.zeros((2, 3)))
        with pytest.raises(ValueError, match=r"shape \(1, 2, 3\) at .* does not fit into"):
            write_block(grows, 0, np.zeros((1, 2, 3), "i2"))


@pytest.mark.parametrize("limit", [1, 1000, 1 << 28])
def test_chunks_that_wait_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(encoding, "_PARTIAL", limit)
    array = noise("i2", (40, 12, 7))
    how = {"chunks": (16, 5, 7)}
    same(written(series(nwb.Storage(cut(array, [1]), **how)), tmp_path), array)
    same(written(series(nwb.Storage(cut(array, [3, 1]), **how)), tmp_path), array)


@pytest.mark.parametrize("underway", [1, 1 << 26])
def test_the_file_is_the_same_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, underway: int
) -> None:
    monkeypatch.setattr(encoding, "_UNDERWAY", underway)
    array = noise("i4", (3000, 11, 3))
    offsets = []
    for _ in range(3):
        dataset = written(series(nwb.Storage(array, chunks=(17, 4, 3))), tmp_path)
        info = [dataset.id.get_chunk_info(n) for n in range(dataset.id.get_num_chunks())]
        offsets.append([(one.chunk_offset, one.byte_offset, one.size) for one in info])
        same(dataset, array)
    assert offsets[0] == offsets[1] == offsets[2]
    # In their order, but for smaller ones at the end: HDF5 puts those into gaps that they fit.
    whole = [one for one in offsets[0] if one[0][0] + 17 <= 3000]
    stored = sorted(whole, key=lambda one: one[1])
    assert [one[0] for one in stored] == sorted(one[0] for one in whole)


# -- how it is stored --------------------------------------------------------------------------


def test_frames_of_a_movie_are_whole(tmp_path: Path) -> None:
    dataset = written(movie(noise("i2", (9, 300, 200))), tmp_path)
    assert dataset.chunks == (8, 300, 200)
    assert (dataset.compression, dataset.shuffle) == ("gzip", True)
    assert dataset.maxshape == (None, 300, 200)


@pytest.mark.parametrize(
    ("shape", "itemsize", "axes", "expected"),
    [
        ((5000, 512, 512), 2, ("frame", "x", "y"), (2, 512, 512)),
        ((5000, 64, 48), 1, ("frame", "x", "y"), (341, 64, 48)),
        ((3, 512, 512), 4, ("frame", "x", "y"), (1, 512, 512)),
        ((50, 2048, 2044), 2, ("frame", "x", "y"), (1, 512, 2044)),
        ((50, 512, 400, 30), 2, ("frame", "x", "y", "z"), (1, 512, 400, 5)),
        ((100_000,), 8, ("num_times",), (65536,)),
        ((100, 3), 8, ("num_times", "num_dim2"), (100, 3)),
        ((200_000, 3), 8, ("num_times", "x,y,z"), (10922, 3)),
        ((4000, 3000), 4, ("x", "y"), (87, 3000)),
        ((None, 512, 512), 2, ("frame", "x", "y"), (2, 512, 512)),
    ],
)
def test_default_chunks(
    shape: tuple[int, ...], itemsize: int, axes: tuple[str, ...], expected: tuple[int, ...]
) -> None:
    assert default_chunks(shape, itemsize, axes) == expected


@given(
    rows=st.integers(1, 2_000_000) | st.none(),
    columns=st.integers(1, 50_000),
    itemsize=st.sampled_from([1, 2, 4, 8]),
)
def test_tiles_of_traces(rows: int | None, columns: int, itemsize: int) -> None:
    tall, wide = default_chunks((rows, columns), itemsize, ("num_times", "num_ROIs"))
    assert tall * wide * itemsize <= 1 << 20
    assert tall * columns * itemsize <= max(1 << 26, columns * itemsize)
    if rows is None or columns * itemsize <= 256:
        return
    size = tall * wide * itemsize
    one_roi, one_time = -(-rows // tall) * size, -(-columns // wide) * size
    whole = rows * columns * itemsize
    # Neither a row nor a column makes it necessary to read much more than the other.
    assert one_roi <= 64 * 1024**2 or one_roi <= 20 * math.sqrt(whole * size)
    assert one_time <= 4 * math.sqrt(whole * size) + size


@given(shape=hnp.array_shapes(min_dims=1, max_dims=4, max_side=5000), itemsize=st.integers(1, 16))
def test_default_chunks_are_neither_huge_nor_many(shape: tuple[int, ...], itemsize: int) -> None:
    chunks = default_chunks(shape, itemsize)
    assert all(1 <= one <= length for one, length in zip(chunks, shape, strict=True))
    assert math.prod(chunks) * itemsize <= 1 << 22


def test_what_is_small_is_in_one_piece(tmp_path: Path) -> None:
    assert written(series(noise("i2", (8191,))), tmp_path).chunks is None
    assert written(series(noise("i2", (8192,))), tmp_path).chunks == (8192,)
    assert written(series(noise("f8", (30, 400))), tmp_path, compression=None).chunks is None


def test_images_cannot_grow(tmp_path: Path) -> None:
    session = small_session()
    image = noise("f4", (300, 200))
    session.acquisition.add(
        nwb.Images(
            name="images", description="d", children=[nwb.GrayscaleImage(name="mean", array=image)]
        )
    )
    path = nwb.write(session, tmp_path / "a.nwb")
    with h5py.File(path) as file:
        dataset = file["/acquisition/images/mean"]
        assert (dataset.chunks, dataset.maxshape) == ((300, 200), (300, 200))
        same(dataset, image)


def test_a_call_sets_what_arrays_do_not(tmp_path: Path) -> None:
    array = noise("i4", (100, 60))
    how = {"chunks": (10, 7), "compression": ("gzip", 7), "shuffle": False}
    dataset = written(series(array), tmp_path, **how)
    assert (dataset.chunks, dataset.compression_opts, dataset.shuffle) == ((10, 7), 7, False)
    dataset = written(series(nwb.Storage(array, chunks=(None, 5))), tmp_path, **how)
    assert (dataset.chunks, dataset.compression_opts) == ((100, 5), 7)
    dataset = written(series(nwb.Storage(array, compression=None)), tmp_path, **how)
    assert (dataset.chunks, dataset.compression) == ((10, 7), None)
    dataset = written(series(noise("i4", (10000,))), tmp_path, **how)
    assert dataset.chunks == (10000,)  # chunks of two axes do not apply to it
    dataset = written(series(nwb.Storage(array, chunks=20, shuffle=True)), tmp_path, **how)
    assert (dataset.chunks, dataset.shuffle) == ((20, 60), True)


@pytest.mark.parametrize("name", [one for one in available_compressions() if one != "gzip"])
def test_every_compression_that_is_listed(tmp_path: Path, name: str) -> None:
    array = noise("u2", (40, 31, 17))
    dataset = written(movie(array), tmp_path, compression=name)
    code = {"lzf": 32000, "blosc": 32001, "blosc2": 32026, "lz4": 32004, "zstd": 32015}
    assert dataset.chunks is not None
    filters = dataset.id.get_create_plist()
    found = [filters.get_filter(n)[0] for n in range(filters.get_nfilters())]
    assert found[-1] == code.get(name.partition(":")[0], 32008)
    same(dataset, array)


# -- what cannot be ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong", ["gzp", "blosc:gzip", 11, ("gzip", 10), ("gzip", "x"), 3.5, 99999]
)
def test_a_compression_that_is_not_available(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(nwb.SchemaError, match=r"compression|level") as caught:
        nwb.write(small_session(), tmp_path / "a.nwb", compression=wrong)
    with pytest.raises(nwb.SchemaError):
        nwb.Storage(np.zeros(3), compression=wrong)
    if wrong == "gzp":
        assert "'gzp' is not available (compression is one of gzip, lzf, " in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", ["auto", 0, (0, 3), (), 2.5, (1, "a")])
def test_chunks_that_are_none(wrong: Any) -> None:
    with pytest.raises(nwb.SchemaError, match=r"chunks cannot be .*a tuple of lengths"):
        nwb.Storage(np.zeros(3), chunks=wrong)


def test_chunks_that_do_not_fit_the_array(tmp_path: Path) -> None:
    session = series(nwb.Storage(np.zeros((40, 3)), chunks=(1, 2, 3)))
    message = r"/acquisition/series/data.*chunks=\(1, 2, 3\) has 3 axes, and the array 2: \(40, 3\)"
    with pytest.raises(nwb.SchemaError, match=message):
        nwb.write(session, tmp_path / "a.nwb")
    session = series(nwb.Storage(iter([np.zeros((4, 3))]), chunks=False))
    with pytest.raises(nwb.SchemaError, match="length is not known in advance"):
        nwb.write(session, tmp_path / "a.nwb")
    assert list(tmp_path.iterdir()) == []


# -- Storage as an array -----------------------------------------------------------------------


def test_a_wrapped_array_is_checked_and_behaves_as_the_array(tmp_path: Path) -> None:
    array = noise("i2", (5, 4, 3))
    wrapped = nwb.Storage(array, compression="lzf")
    assert (wrapped.shape, wrapped.dtype, wrapped.ndim, len(wrapped)) == ((5, 4, 3), "i2", 3, 5)
    np.testing.assert_array_equal(wrapped[1:3], array[1:3])
    np.testing.assert_array_equal(np.asarray(wrapped, "f8"), array)
    assert repr(wrapped) == "Storage(int16 (5, 4, 3), compression='lzf')"
    session = movie(wrapped)
    assert session.acquisition["series"].data.shape == (5, 4, 3)
    with pytest.raises(ValidationError, match="expected axes"):
        movie(nwb.Storage(np.zeros(3)))
    with pytest.raises(ValidationError, match="expected numeric"):
        movie(nwb.Storage(np.array([[["a"]]])))
    path = nwb.write(session, tmp_path / "a.nwb")
    assert nwb.diff(session, path) == []


def test_an_array_of_a_file_is_stored_otherwise_only_if_asked(tmp_path: Path) -> None:
    array = noise("i2", (90, 20, 13))
    old = written(movie(nwb.Storage(array, chunks=(7, 20, 13))), tmp_path).file.filename
    with nwb.open(old) as session:
        lazy = session.acquisition["series"].data.array
        (tmp_path / "b").mkdir()
        same(copied := written(movie(lazy), tmp_path / "b"), array)
        assert copied.chunks == (7, 20, 13)
        same(copied := written(movie(nwb.Storage(lazy, chunks=(2, 9, 8))), tmp_path / "b"), array)
        assert copied.chunks == (2, 9, 8)


def test_an_opened_session_is_given_an_array_to_store(tmp_path: Path) -> None:
    array = noise("i2", (90, 20, 13))
    path = Path(written(movie(array), tmp_path).file.filename)
    with nwb.open(path) as session:
        data = session.acquisition["series"].data
        data.array = nwb.Storage(data.array[:] + 1, chunks=(4, 20, 13), compression="lzf")
        nwb.write(session, path, overwrite=True)
        np.testing.assert_array_equal(data[:], array + 1)
        assert data.array.chunks == (4, 20, 13)
