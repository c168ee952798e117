"""Attributes read from object headers are those that HDF5 reads, or are left to it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5a, h5o

from nwb_ophys.hdf5.headers import Headers
from nwb_ophys.hdf5.raw import RawFile

PLAIN = {
    "neurodata_type": "TimeSeries",
    "empty": "",
    "umlaut": "Größe in µm",
    "long": "x" * 3000,
    **{
        f"a_{dtype}": np.dtype(dtype).type(3)
        for dtype in ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
    },
    "nan": np.float64("nan"),
    "negative": np.int32(-7),
}


def read(path: Path, name: str = "/") -> dict[str, Any] | None:
    with h5py.File(path) as file:
        return Headers(RawFile.of(file.id)).attributes(h5o.get_info(file[name].id).addr)


def assert_same(found: dict[str, Any] | None, expected: dict[str, Any]) -> None:
    assert found is not None
    assert list(found) == sorted(expected)
    for name, value in expected.items():
        assert type(found[name]) is type(value)
        assert found[name] == value or value != value


@pytest.mark.parametrize("libver", ["earliest", "latest", "v110"])
@pytest.mark.parametrize("track_order", [False, True])
@pytest.mark.parametrize("userblock", [0, 1024])
@pytest.mark.parametrize("name", ["/", "/group", "/group/data"])
def test_plain_attributes(
    tmp_path: Path, libver: str, track_order: bool, userblock: int, name: str
) -> None:
    path = tmp_path / "file.h5"
    settings = {"libver": libver, "track_order": track_order, "userblock_size": userblock}
    with h5py.File(path, "w", **settings) as file:
        file.create_group("group", track_order=track_order)
        file["group"].create_dataset("data", data=[1, 2], track_order=track_order)
        for key in list(PLAIN)[:6]:  # fewer than make HDF5 store them elsewhere
            file[name].attrs[key] = PLAIN[key]
    found = read(path, name)
    if found is None:
        assert track_order or libver != "earliest"  # a header of version 2, with a checksum
    else:
        assert libver == "earliest"
        assert_same(found, {key: PLAIN[key] for key in list(PLAIN)[:6]})


def test_many_attributes_in_continued_headers(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        for key, value in PLAIN.items():
            file.attrs[key] = value
        for number in range(50):
            file[f"group{number}"] = number
            file.attrs[f"more{number}"] = f"text {number}" * number
    assert_same(read(path), PLAIN | {f"more{n}": f"text {n}" * n for n in range(50)})


def test_attributes_stored_densely_are_left_to_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    with h5py.File(path, "w", libver="latest") as file:
        for number in range(50):
            file.attrs[f"attribute{number}"] = number
    assert read(path) is None


@pytest.mark.parametrize(
    "value",
    [
        np.arange(3),
        ["a", "b"],
        np.array([1.5]),
        np.bytes_(b"fixed"),
        np.True_,
        np.array(1, ">f4"),
        np.array((1, 2.0), "i4, f8"),
        np.float16(1),
        h5py.Empty("f8"),
    ],
)
def test_what_is_not_plain_is_left_to_hdf5(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file.attrs["plain"] = 1.5
        file.attrs["other"] = value
    assert read(path) is None


def test_references_are_left_to_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file.attrs["target"] = file.create_group("group").ref
    assert read(path) is None


def test_text_is_read_as_hdf5_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        raw = np.array(b"Gr\xf6\xdfe", object)
        file.attrs.create("latin", raw, dtype=h5py.string_dtype())
    assert read(path) == {"latin": "Gr\udcf6\udcdfe"}


def test_files_that_are_not_on_disk_are_left_to_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file.attrs["plain"] = 1.5
    with path.open("rb") as stream, h5py.File(stream) as file:
        assert Headers(RawFile.of(file.id)).attributes(h5o.get_info(file.id).addr) is None
    image = h5py.h5f.open_file_image(path.read_bytes())
    assert Headers(RawFile.of(image)).attributes(h5o.get_info(image).addr) is None


def test_nothing_is_there(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    h5py.File(path, "w").close()
    with h5py.File(path) as file:
        headers = Headers(RawFile.of(file.id))
        for address in (1, 512, path.stat().st_size, 1 << 62, (1 << 64) - 1):
            assert headers.attributes(address) is None


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_damage_never_raises(tmp_path: Path, libver: str) -> None:
    path = tmp_path / "file.h5"
    with h5py.File(path, "w", libver=libver) as file:
        for key in list(PLAIN)[:6]:
            file.attrs[key] = PLAIN[key]
    with h5py.File(path) as file:
        address = h5o.get_info(file.id).addr
    whole = path.read_bytes()
    chance = random.Random(0)
    with h5py.File(path) as file:
        headers = Headers(RawFile.of(file.id))
        for _ in range(2000):
            damaged = bytearray(whole)
            for _ in range(chance.randint(1, 20)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            headers._read = lambda at, size, raw=bytes(damaged): raw[at : at + size]  # type: ignore[method-assign]
            headers._heaps.clear()
            headers.attributes(address)


def test_hdf5_agrees_on_the_names(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    with h5py.File(path, "w", track_order=True) as file:
        for name in ("b", "a", "ä", "B"):
            file.attrs[name] = 1.0
    names: list[bytes] = []
    with h5py.File(path) as file:
        h5a.iterate(file.id, lambda name, *_: names.append(name))
    found = read(path)
    assert found is None or [name.encode() for name in found] == names
