"""`LazyArray` against numpy and h5py."""

from __future__ import annotations

import copy
import os
import pickle
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts import printed
from strategies import indices, result_or_error

from nwb_ophys.errors import ClosedError, DataError, TooLargeError
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.hdf5.fetching import fetch
from nwb_ophys.hdf5.raw import RawFile


class Handle:
    """Opens a file again when it is unpickled."""

    def __init__(self, file: str, path: str, opened: h5py.File | None = None) -> None:
        self.file, self.path = file, path
        self.lock = threading.RLock()
        self.opened = opened or h5py.File(file)
        self.external = False
        self.generation, self.pending = 0, None

    def __reduce__(self) -> Any:
        return Handle, (self.file, self.path)

    def dataset(self) -> h5py.h5d.DatasetID:
        if not self.opened:
            raise ClosedError("the session is closed", file=self.file, path=self.path)
        return self.opened[self.path].id

    def form(self) -> None:
        return None

    def resolve(self, references: numpy.ndarray) -> numpy.ndarray:
        assert references.ndim == 1
        names = [self.opened[item].name if item else None for item in references]
        return numpy.array([*names, None], object)[:-1]

    def raw(self) -> RawFile | None:
        return RawFile.of(self.opened.id)

    def check_readable(self) -> None:
        if self.external:
            raise DataError("stored elsewhere", file=self.file, path=self.path)


class CountingArray(LazyArray):
    """Counts requests and elements read."""

    __slots__ = ("elements", "requests")

    def __init__(self, handle: Handle) -> None:
        super().__init__(handle)
        self.elements = self.requests = 0

    def engine(self, stored: Any, blocks: Any, out: Any, /) -> None:
        self.requests += len(blocks)
        self.elements += sum(int(numpy.prod(block.shape)) for block in blocks)
        fetch(stored, blocks, out)


def text_of(values: numpy.ndarray) -> numpy.ndarray:
    """Decode what h5py gave, element by element."""
    if values.dtype.names:
        result = numpy.empty(
            values.shape,
            [
                (name, object if values.dtype[name].kind in "SO" else values.dtype[name])
                for name in values.dtype.names
            ],
        )
        for name in values.dtype.names:
            result[name] = text_of(values[name])
        return result
    if values.dtype.kind not in "SO":
        return values
    result = numpy.empty(values.shape, object)
    for where in numpy.ndindex(values.shape):
        item = values[where]
        result[where] = item.decode("utf-8", "surrogateescape") if isinstance(item, bytes) else item
    return result


def equal(got: Any, wanted: Any) -> bool:
    if isinstance(wanted, Exception) or isinstance(got, Exception):
        return type(got) is type(wanted) and str(got) == str(wanted)
    if isinstance(wanted, numpy.ndarray):
        if type(got) is not numpy.ndarray or (got.shape, got.dtype) != (wanted.shape, wanted.dtype):
            return False
        if wanted.dtype.names:
            return all(equal(got[name], wanted[name]) for name in wanted.dtype.names)
        if wanted.dtype == object:
            return all(map(equal, got.flat, wanted.flat))
        return got.tobytes() == wanted.tobytes()
    if isinstance(wanted, numpy.void):
        return got.dtype == wanted.dtype and equal(numpy.array(got), numpy.array(wanted))
    return type(got) is type(wanted) and got == wanted


WORDS = ["", "a", "bé", "ab ", "長い", "x" * 30]
DTYPES = {
    "int16": numpy.dtype("<i2"),
    "big-endian": numpy.dtype(">i4"),
    "uint64": numpy.dtype("u8"),
    "float32": numpy.dtype("f4"),
    "big-endian float": numpy.dtype(">f8"),
    "bool": numpy.dtype(bool),
    "complex": numpy.dtype("c8"),
    "text": h5py.string_dtype(),
    "ascii text": h5py.string_dtype("ascii"),
    "fixed text": h5py.string_dtype("utf-8", 9),
    "fixed ascii": numpy.dtype("S5"),
    "compound": numpy.dtype([("x", ">u2"), ("weight", "f4"), ("pair", "i2", (2,))]),
    "compound with text": numpy.dtype(
        [("x", "i4"), ("name", h5py.string_dtype()), ("code", "S3"), ("ok", bool)]
    ),
    "ragged": h5py.vlen_dtype(numpy.dtype("i2")),
}
LAYOUTS: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "chunked": {"chunks": True},
    "gzip": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "lzf": {"compression": "lzf"},
}
SHAPES = [(), (0,), (1,), (13,), (5, 0, 3), (7, 3), (2, 11, 5), (3, 1, 4, 6)]


def values_of(name: str, shape: tuple[int, ...]) -> numpy.ndarray:
    dtype = DTYPES[name]
    random = numpy.random.default_rng(len(shape))
    size = int(numpy.prod(shape))
    if name == "ragged":
        rows = [numpy.arange(n, dtype="i2") for n in random.integers(0, 4, size)]
        values = numpy.empty(size, dtype)
        for number, row in enumerate(rows):
            values[number] = row
    elif dtype.names:
        values = numpy.zeros(size, dtype)
        values["x"] = random.integers(0, 100, size)
        if "name" in dtype.names:
            values["name"] = [WORDS[n] for n in random.integers(0, len(WORDS), size)]
            values["code"] = b"ab"
    elif dtype.kind in "SO":
        words = [WORDS[n][:2].encode() for n in random.integers(0, len(WORDS), size)]
        values = numpy.array(words, dtype)
    else:
        values = random.integers(0, 2 if dtype.kind == "b" else 100, size).astype(dtype)
    return values.reshape(shape)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[h5py.File, dict[str, Any]]]:
    """Every dtype in every shape and layout, and what numpy has of it."""
    file = h5py.File(tmp_path_factory.mktemp("arrays") / "library.h5", "w")
    wanted = {}
    for name in DTYPES:
        for shape in SHAPES:
            for layout, options in LAYOUTS.items():
                path = f"/{name}/{shape}/{layout}"
                if options and not (shape and all(shape)):
                    continue
                if name == "ragged" and not shape:
                    continue  # h5py cannot write it
                if options:
                    options = {**options, "chunks": tuple(max(1, n // 2) for n in shape)}
                if options.get("fletcher32") and DTYPES[name].hasobject:
                    options = {**options, "fletcher32": False}
                values = values_of(name, shape)
                dataset = file.create_dataset(path, shape, DTYPES[name], **options)
                if name == "ragged":
                    for where in numpy.ndindex(shape):
                        dataset[where] = values[where]
                elif values.size:
                    dataset[...] = values
                wanted[path] = text_of(numpy.asarray(dataset[...]))
    yield file, wanted
    file.close()


@settings(max_examples=800)
@given(data=st.data())
def test_every_index_gives_what_numpy_gives(
    library: tuple[h5py.File, dict[str, Any]], data: st.DataObject
) -> None:
    file, arrays = library
    path = data.draw(st.sampled_from(sorted(arrays)))
    array = arrays[path]
    lazy = LazyArray(Handle(file.filename, path, file))
    index = data.draw(indices(array.shape))
    if isinstance(index, str) and array.dtype.names:
        index = ...
    wanted = result_or_error(lambda: array[index])
    got = result_or_error(lambda: lazy[index])
    assert equal(got, wanted), f"{path}: {got!r} instead of {wanted!r}"


def test_properties_are_those_of_numpy_and_h5py(
    library: tuple[h5py.File, dict[str, Any]],
) -> None:
    file, arrays = library
    for path, array in arrays.items():
        lazy = LazyArray(Handle(file.filename, path, file))
        dataset = file[path]
        assert (lazy.shape, lazy.dtype, lazy.ndim) == (array.shape, array.dtype, array.ndim)
        assert (lazy.size, lazy.nbytes) == (array.size, array.nbytes)
        for name in ("chunks", "maxshape", "compression", "compression_opts"):
            if (name, dataset.compression) != ("compression_opts", "lzf"):
                assert getattr(lazy, name) == getattr(dataset, name)
        if array.ndim:
            assert len(lazy) == len(array)
            assert all(map(equal, lazy, array))


@pytest.fixture
def file(tmp_path: Path) -> Iterator[h5py.File]:
    with h5py.File(tmp_path / "test.h5", "w") as opened:
        yield opened


def lazy_of(dataset: h5py.Dataset, kind: type[LazyArray] = LazyArray) -> Any:
    return kind(Handle(dataset.file.filename, dataset.name, dataset.file))


def test_looking_at_an_array_reads_nothing(file: h5py.File) -> None:
    lazy = lazy_of(file.create_dataset("movie", (100, 8, 6), "i2", chunks=(4, 8, 6)), CountingArray)
    assert repr(lazy) == "<LazyArray (100, 8, 6) int16, /movie>"
    assert (len(lazy), lazy.shape, lazy.size, lazy.nbytes) == (100, (100, 8, 6), 4800, 9600)
    assert (lazy.chunks, lazy.fillvalue, lazy == lazy, lazy == 3) == ((4, 8, 6), 0, True, False)
    assert hash(lazy) == hash(lazy)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(lazy)
    assert lazy.requests == 0


def test_random_frames_read_only_these(file: h5py.File) -> None:
    lazy = lazy_of(file.create_dataset("movie", (5000, 64, 48), "i2"), CountingArray)
    frames = numpy.random.default_rng(0).choice(5000, 50, replace=False)
    assert lazy[frames].shape == (50, 64, 48)
    assert lazy.elements == 50 * 64 * 48
    assert lazy.requests <= 50


def test_no_element_is_read_for_an_empty_selection(file: h5py.File) -> None:
    lazy = lazy_of(file.create_dataset("movie", (50, 64, 48), "i2"), CountingArray)
    assert lazy[5:5].shape == (0, 64, 48)
    assert lazy[[]].shape == (0, 64, 48)
    assert lazy[numpy.zeros(50, bool), 3].shape == (0, 48)
    assert lazy[False].shape == (0, 50, 64, 48)
    assert lazy.requests == 0


def test_iteration_reads_blocks_of_chunks(file: h5py.File) -> None:
    values = numpy.arange(3000 * 7).reshape(3000, 7)
    lazy = lazy_of(file.create_dataset("x", data=values, chunks=(100, 7)), CountingArray)
    assert all((row == wanted).all() for row, wanted in zip(lazy, values, strict=True))
    assert lazy.requests == 1


def test_conversion_to_numpy(file: h5py.File) -> None:
    lazy = lazy_of(file.create_dataset("x", data=numpy.arange(6, dtype=">i2").reshape(2, 3)))
    assert numpy.asarray(lazy).dtype == ">i2"
    assert numpy.asarray(lazy, dtype="f4").dtype == numpy.float32
    assert numpy.array(lazy, copy=True).tolist() == lazy.read().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert lazy.astype(float).dtype == float
    assert numpy.mean(lazy, axis=0).tolist() == [1.5, 2.5, 3.5]
    with pytest.raises(ValueError, match="copy"):
        lazy.__array__(copy=False)  # what numpy 2 asks for, given copy=False


def test_single_elements_convert_as_in_numpy(file: h5py.File) -> None:
    number = lazy_of(file.create_dataset("number", data=numpy.int32(3)))
    assert (int(number), float(number), bool(number), range(9)[number]) == (3, 3.0, True, 3)
    with pytest.raises(TypeError, match="unsized"):
        len(number)
    with pytest.raises(TypeError, match="0-d"):
        iter(number)
    with pytest.raises(TypeError, match=r"0-dimensional|length-1"):  # as numpy 2 has it, and 1
        float(lazy_of(file.create_dataset("numbers", data=[1, 2])))


def test_text_is_str(file: h5py.File) -> None:
    file["scalar"] = "naïve"
    file["broken"] = numpy.array([b"caf\xe9"], h5py.string_dtype())
    assert lazy_of(file["scalar"])[()] == "naïve"
    assert lazy_of(file["scalar"]).dtype == object
    assert lazy_of(file["broken"])[0].encode("utf-8", "surrogateescape") == b"caf\xe9"
    spaces = h5py.h5t.C_S1.copy()
    spaces.set_size(6)
    spaces.set_strpad(h5py.h5t.STR_SPACEPAD)
    space = h5py.h5s.create_simple((2,))
    made = h5py.h5d.create(file.id, b"padded", spaces, space)
    made.write(space, space, numpy.array([b"ab", b"c"], "S6"))
    assert lazy_of(file["padded"])[:].tolist() == ["ab", "c"]
    unwritten = file.create_dataset("unwritten", (2,), h5py.string_dtype())
    assert lazy_of(unwritten)[:].tolist() == ["", ""]
    assert lazy_of(unwritten).fillvalue == ""


@pytest.mark.skipif(
    h5py.version.version_tuple < (3, 15),
    reason="h5py reads empty rows of text of fixed length, or of compounds, since 3.15 only",
)
def test_rows_that_were_never_written_are_empty(file: h5py.File) -> None:
    for number, dtype in enumerate(["S2", [("x", "u4"), ("weight", "f4")]]):
        ragged = file.create_dataset(f"{number}", (2,), h5py.vlen_dtype(numpy.dtype(dtype)))
        assert [row.tolist() for row in lazy_of(ragged)[:]] == [[], []]


def test_references_are_resolved(file: h5py.File) -> None:
    target = file.create_dataset("target", data=[1])
    references = numpy.array([[target.ref, h5py.Reference(), target.ref]], h5py.ref_dtype)
    file["references"] = references
    lazy = lazy_of(file["references"])
    assert lazy[:, ::2].tolist() == [["/target", "/target"]]
    assert lazy[0, 1] is None
    dtype = numpy.dtype([("start", "i4"), ("timeseries", h5py.ref_dtype)])
    file["spans"] = numpy.array([(3, target.ref)], dtype)
    assert lazy_of(file["spans"])[0].tolist() == (3, "/target")


def test_fields_are_read_by_name(file: h5py.File) -> None:
    dtype = numpy.dtype([("x", "u4"), ("y", "u4"), ("name", h5py.string_dtype())])
    file["pixels"] = numpy.array([(1, 2, "a"), (3, 4, "b")], dtype)
    lazy = lazy_of(file["pixels"])
    assert lazy["y"].tolist() == [2, 4]
    assert lazy["name"].tolist() == ["a", "b"]
    assert lazy[["x", "name"]].tolist() == [(1, "a"), (3, "b")]
    with pytest.raises(ValueError, match="no field of name z"):
        lazy["z"]
    with pytest.raises(KeyError, match="z"):
        lazy[["x", "z"]]


def test_elements_that_are_arrays(file: h5py.File) -> None:
    dataset = file.create_dataset("x", (3, 2), numpy.dtype(("i4", (4,))))
    dataset[...] = values = numpy.arange(24).reshape(3, 2, 4)
    lazy = lazy_of(dataset)
    assert (lazy.shape, lazy.dtype) == ((3, 2, 4), numpy.dtype("i4"))
    assert (lazy[::-1, 1, [0, 2]] == values[::-1, 1, [0, 2]]).all()


def test_a_null_dataspace_is_empty(file: h5py.File) -> None:
    file["null"] = h5py.Empty("f4")
    lazy = lazy_of(file["null"])
    assert lazy.shape is None
    assert lazy[()] == lazy[...] == h5py.Empty("f4")
    assert numpy.asarray(lazy).shape == (0,)
    assert (lazy.size, lazy.chunks, lazy.maxshape, lazy.dtype) == (0, None, None, numpy.float32)
    with pytest.raises(IndexError, match="null"):
        lazy[0]


def test_reading_after_close_says_so(tmp_path: Path) -> None:
    file = h5py.File(tmp_path / "closed.h5", "w")
    known, unknown = (lazy_of(file.create_dataset(name, data=[1, 2])) for name in "ab")
    assert known.shape == (2,)
    file.close()
    assert repr(known) == "<LazyArray (2,) int64, /a>"
    assert repr(unknown) == "<LazyArray /b, not readable>"
    assert len(known) == 2
    for index in (0, [], slice(0, 0)):
        with pytest.raises(ClosedError, match="/a"):
            known[index]
    with pytest.raises(ClosedError):
        unknown.shape  # noqa: B018


def test_pickling_and_copying_reopen_the_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = numpy.arange(5)
    lazy = LazyArray(Handle(str(tmp_path / "x.h5"), "/x"))
    for other in (pickle.loads(pickle.dumps(lazy)), copy.deepcopy(lazy), copy.copy(lazy)):
        assert other[::2].tolist() == [0, 2, 4]
        other.handle.opened.close()
    lazy.handle.opened.close()


def test_threads_read_the_same(file: h5py.File) -> None:
    values = numpy.arange(200 * 30).reshape(200, 30)
    dataset = file.create_dataset("x", data=values, chunks=(7, 30), compression="gzip")
    for _ in range(5):
        lazy = lazy_of(dataset)
        with ThreadPoolExecutor(8) as pool:
            parts = list(pool.map(lambda n, lazy=lazy: lazy[n :: len(lazy) // 20], range(10)))
        assert all((part == values[n::10]).all() for n, part in enumerate(parts))


def test_data_stored_elsewhere_are_asked_for_before_reading(file: h5py.File) -> None:
    lazy = lazy_of(file.create_dataset("x", data=[1, 2]))
    lazy.handle.external = True
    assert lazy.shape == (2,)
    with pytest.raises(DataError, match="elsewhere"):
        lazy[0]


def test_a_corrupt_chunk_is_named(file: h5py.File) -> None:
    values = numpy.arange(40).reshape(10, 4)
    dataset = file.create_dataset("x", data=values, chunks=(5, 4), compression="gzip")
    dataset.id.write_direct_chunk((5, 0), b"garbage" * 5)
    lazy = lazy_of(dataset)
    assert (lazy[:5] == values[:5]).all()
    with pytest.raises(DataError, match=r"test.h5, /x: cannot read \[3:8, 1\].*corrupt") as caught:
        lazy[3:8, 1]
    assert caught.value.path == "/x"
    assert isinstance(caught.value.__cause__, OSError)


MISSING_FILTER = """
import sys
import h5py
from nwb_ophys.errors import DataError
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.hdf5.nodes import node_at
from nwb_ophys.hdf5.source import Source

for number in (32017, 40000):
    path = f"{sys.argv[1]}{number}"
    with h5py.File(path, "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((5,))
        plist.set_filter(number, h5py.h5z.FLAG_OPTIONAL, (1, 2))
        space = h5py.h5s.create_simple((10,))
        made = h5py.h5d.create(file.id, b"data", h5py.h5t.NATIVE_INT32, space, plist)
        made.write_direct_chunk((0,), b"compressed")
        del made
    array = LazyArray(node_at(Source(path), "/data"))
    print(array.compression)
    try:
        array[:]
    except DataError as error:
        print(error)
"""


def test_a_missing_filter_is_named(tmp_path: Path) -> None:
    # In a process of its own: other tests import hdf5plugin, which provides filters to all.
    out = printed(MISSING_FILTER, tmp_path / "file.h5")
    for label in (r"sz\n.*compressed with filter 32017 \(sz\)", r"40000\n.*with filter 40000"):
        assert re.search(f"{label}.*not available.*hdf5plugin", out), out


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        noise = numpy.random.default_rng(0).random(100_000)
        file.create_dataset("x", data=noise, chunks=(1000,), compression="gzip")
    with h5py.File(tmp_path / "x.h5") as file:
        lazy = lazy_of(file["x"])
        assert lazy.shape == (100_000,)
        os.truncate(tmp_path / "x.h5", 200_000)
        with pytest.raises(DataError, match=r"cannot read \[\.\.\., -5:\].*truncated"):
            lazy[..., -5:]


def test_what_does_not_fit_into_memory_is_refused(file: h5py.File) -> None:
    lazy = lazy_of(file.create_dataset("x", (10**12, 10**5), "f8", chunks=(10, 10)))
    with pytest.raises(TooLargeError, match=r"/x: \[:\] takes 800,000,000\.0 GB.*part at a time"):
        lazy[:]
    assert lazy[10**11, [5, 3]].tolist() == [0, 0]
