"""Stored arrays under numpy's functions, in blocks, in dask and in xarray."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nwb_ophys as nwb
from nwb_ophys.hdf5 import streaming
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.hdf5.nodes import node_at
from nwb_ophys.hdf5.source import Source
from nwb_ophys.testing import write_fixture

FUNCTIONS = [
    np.sum, np.mean, np.min, np.max, np.std, np.var, np.any, np.all, np.median, np.ptp, np.argmax,
    np.nanmean, np.nanmax, np.nansum, np.count_nonzero, np.prod,
]  # fmt: skip


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    path = tmp_path_factory.mktemp("streaming") / "file.h5"
    random = np.random.default_rng(0)
    values = {
        "int16": random.integers(-300, 300, (37, 6, 5)).astype("i2"),
        "uint8": random.integers(0, 9, (11, 13)).astype("u1"),
        "float32": random.normal(4, 3, (29, 4, 7)).astype("f4"),
        "big-endian": random.normal(0, 1, (31, 3)).astype(">f8"),
        "bool": random.random((23, 3, 4)) > 0.2,
    }
    values["float32"][3, 1, 2] = np.nan
    with h5py.File(path, "w") as file:
        for name, one in values.items():
            chunks = (4, *(2 for _ in one.shape[1:]))
            file.create_dataset(name, data=one, chunks=chunks, compression=1)
        file["scalar"] = 3
    source = Source(path)
    yield {name: (LazyArray(node_at(source, f"/{name}")), one) for name, one in values.items()}
    source.close()


def outcome(work: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return work()
        except (TypeError, ValueError) as error:
            return type(error)


@settings(max_examples=250)
@given(data=st.data())
def test_reductions_are_those_of_numpy(stored: dict[str, Any], data: st.DataObject) -> None:
    array, values = stored[data.draw(st.sampled_from(list(stored)))]
    function = data.draw(st.sampled_from(FUNCTIONS))
    axes = st.integers(-values.ndim - 1, values.ndim)
    axis = data.draw(st.none() | axes | st.lists(axes, min_size=1, max_size=3).map(tuple))
    options: dict[str, Any] = {"axis": axis}
    if data.draw(st.booleans()):
        options["keepdims"] = True
    if function in (np.std, np.var) and data.draw(st.booleans()):
        options["ddof"] = 1
    if function in (np.sum, np.mean) and data.draw(st.booleans()):
        options["dtype"] = "f4"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "BLOCK_MEMORY", data.draw(st.sampled_from(["64 MB", 700])))
        found = outcome(lambda: function(array, **options))
    wanted = outcome(lambda: function(values, **options))
    if isinstance(wanted, type):
        assert isinstance(found, type)
        return
    if type(wanted) is int:  # before numpy 2 a count is
        wanted = np.intp(wanted)
    assert type(found) is type(wanted)
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_allclose(found.astype(float), wanted.astype(float), rtol=1e-5, atol=1e-6)


def test_blocks_are_whole_chunks_and_few(stored: dict[str, Any]) -> None:
    array, values = stored["int16"]
    blocks = list(array.iter_blocks(memory=1000))
    assert {len(block) for block in blocks[:-1]} == {8}
    assert np.array_equal(np.concatenate(blocks), values)
    assert all(block.nbytes <= 500 for block in blocks)
    along = list(array.iter_blocks(memory="1 kB", axis=-1))
    assert np.array_equal(np.concatenate(along, -1), values)
    with pytest.raises(ValueError, match='expected bytes such as 64_000_000 or "64 MB", found'):
        next(array.iter_blocks(memory="many"))
    with pytest.raises(np.exceptions.AxisError):
        next(array.iter_blocks(axis=3))


@pytest.mark.parametrize(
    ("text", "size"), [("64 MB", 64e6), ("2GiB", 2**31), ("1.5 kB", 1500), ("10", 10), (7, 7)]
)
def test_amounts_of_memory(text: int | str, size: float) -> None:
    assert streaming.bytes_of(text) == size


def test_memory_is_bounded(stored: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    array, values = stored["int16"]
    sizes = []
    engine = LazyArray.engine

    def counted(source: Any, blocks: Any, out: Any) -> None:
        sizes.append(out.nbytes)
        engine(source, blocks, out)

    monkeypatch.setattr(LazyArray, "engine", staticmethod(counted))
    monkeypatch.setattr(streaming, "BLOCK_MEMORY", 1000)
    for function in (np.mean, np.std, np.max):
        function(array, axis=0)
        function(array)
    np.median(array, axis=0)
    assert max(sizes) < values.nbytes / 2  # a tile is one chunk wide
    sizes.clear()
    assert np.shape(array) == values.shape
    assert np.ndim(array) == 3
    assert np.size(array) == values.size
    assert not sizes


def test_arithmetic_loads_and_never_changes_the_file(stored: dict[str, Any]) -> None:
    array, values = stored["int16"]
    assert np.array_equal(array * 2 + 1, values * 2 + 1)
    assert np.array_equal(3 - array, 3 - values)
    assert np.array_equal(np.concatenate([array, array]), np.concatenate([values, values]))
    assert np.array_equal(array > 5, values > 5)
    assert (array == array) is True
    assert (array != stored["uint8"][0]) is True
    assert len({array, array}) == 1
    with pytest.raises(TypeError, match=r"is in a file, so arithmetic in place cannot change it"):
        array += 1


def test_dask(stored: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "movie.nwb"
    write_fixture("two-photon", path)
    with nwb.open(path) as session:
        movie = next(session.find(nwb.TwoPhotonSeries))
        values = movie.data[:]
        array = movie.data.array.to_dask()
        assert array.dtype == values.dtype
        with dask.config.set(scheduler="processes"):  # which pickle it
            assert np.array_equal(array.max(axis=0).compute(), values.max(axis=0))
    array, values = stored["int16"]
    blocks = array.to_dask(chunks={0: "auto", 1: 4, 2: 5})
    assert blocks.chunks[1] == (4, 2)
    assert np.array_equal(blocks[3:9, 1].compute(scheduler="threads"), values[3:9, 1])


def test_xarray(tmp_path: Path) -> None:
    path = tmp_path / "movie.nwb"
    write_fixture("two-photon", path)
    with nwb.open(path) as session:
        movie = next(session.find(nwb.TwoPhotonSeries))
        found = movie.to_xarray()
        assert found.dims == ("time", "x", "y")
        assert np.array_equal(found.time.values, movie.get_timestamps())
        assert (found.attrs["units"], found.time.attrs["units"]) == (movie.data.unit, "s")
        assert np.array_equal(found.isel(time=3).values, movie.data[3])
        traces = next(session.find(nwb.RoiResponseSeries)).to_xarray()
        assert traces.dims[0] == "time"
        assert np.array_equal(np.mean(movie.data, axis=0), movie.data[:].mean(axis=0))
        assert np.array_equal(movie.data + 1, movie.data[:] + 1)
    empty = nwb.TimeSeries(name="a", data=nwb.TimeSeriesData(unit="V"), rate=1.0)
    with pytest.raises(nwb.SchemaError, match="the series has no data"):
        empty.to_xarray()
