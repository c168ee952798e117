"""What is read from object headers is what HDF5 reads, or is left to it."""

from __future__ import annotations

import ctypes
import random
import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5a, h5o

from nwb_ophys.hdf5.headers import Header, Headers
from nwb_ophys.hdf5.links import LinkRecord, links_of
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
        return Headers(RawFile.of(file.id)).header(h5o.get_info(file[name].id).addr).attributes


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
        assert Headers(RawFile.of(file.id)).header(h5o.get_info(file.id).addr) == Header()
    image = h5py.h5f.open_file_image(path.read_bytes())
    assert Headers(RawFile.of(image)).header(h5o.get_info(image).addr) == Header()


def test_what_h5py_is_writing_is_left_to_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file.attrs["value"] = 1.5
    with (
        h5py.File(path, "r+", locking=False) as writer,
        h5py.File(path, "r", locking=False) as reader,
    ):
        writer.attrs["value"] = 2.5  # which HDF5 tells both of, and the file only later
        assert reader.attrs["value"] == 2.5
        assert RawFile.of(reader.id) is None


def hdf5_library() -> ctypes.CDLL:
    """Find the library that h5py has loaded, to call what h5py does not."""
    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else []
    found = {line.split()[-1] for line in lines if "/libhdf5" in line and "_hl" not in line}
    if len(found) != 1:
        pytest.skip("the HDF5 library that h5py uses is not found")
    return ctypes.CDLL(found.pop())


class ImageSettings(ctypes.Structure):
    _fields_ = (
        ("version", ctypes.c_int),
        ("generate_image", ctypes.c_bool),
        ("save_resize_status", ctypes.c_bool),
        ("entry_ageout", ctypes.c_int),
    )


@pytest.mark.parametrize("image", [False, True])
def test_headers_in_an_image_of_the_cache_are_left_to_hdf5(tmp_path: Path, image: bool) -> None:
    path = tmp_path / "file.h5"
    settings = {"fs_strategy": "page", "libver": "earliest"}
    with h5py.File(path, "w", **settings) as file:  # whose superblock has an extension
        file.attrs["value"] = 1.5
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_EARLIEST, h5py.h5f.LIBVER_LATEST)
    if image:
        set_image = hdf5_library().H5Pset_mdc_image_config
        set_image.argtypes = (ctypes.c_int64, ctypes.POINTER(ImageSettings))
        assert set_image(access.id, ctypes.byref(ImageSettings(1, True, False, -1))) == 0
    with h5py.File(h5py.h5f.open(bytes(path), h5py.h5f.ACC_RDWR, access)) as file:
        file.attrs["value"] = 2.5
    assert read(path) == (None if image else {"value": 2.5})
    with h5py.File(path) as file:
        assert file.attrs["value"] == 2.5


@pytest.mark.parametrize("length", [0, 6, 13])
def test_text_of_another_length_than_its_place_is_left_to_hdf5(tmp_path: Path, length: int) -> None:
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file.attrs["text"] = "twelve bytes"
    whole = path.read_bytes()
    heap = whole.index(b"GCOL")
    stored = (12).to_bytes(4, "little") + heap.to_bytes(8, "little")
    assert whole.count(stored) == 1
    path.write_bytes(whole.replace(stored, length.to_bytes(4, "little") + stored[4:]))
    assert read(path) is None
    with h5py.File(path) as file, pytest.raises(OSError, match="does not match"):
        file.attrs["text"]


def test_nothing_is_there(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    h5py.File(path, "w").close()
    with h5py.File(path) as file:
        headers = Headers(RawFile.of(file.id))
        for address in (1, 512, path.stat().st_size, 1 << 62, (1 << 64) - 1):
            assert headers.header(address) == Header()


def structured(path: Path, **settings: Any) -> Path:
    """Make a file with attributes, data and links of all kinds in its root."""
    with h5py.File(path, "w", **settings) as file:
        for key in list(PLAIN)[:6]:
            file.attrs[key] = PLAIN[key]
        file["text"] = "Größe"
        file["number"] = np.float32(1.5)
        file["array"] = np.arange(6.0).reshape(2, 3)
        file["soft"] = h5py.SoftLink("/array")
        for number in range(20):
            file.create_group(f"group{number}")
    return path


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_damage_never_raises(tmp_path: Path, libver: str) -> None:
    path = structured(tmp_path / "file.h5", libver=libver)
    with h5py.File(path) as file:
        addresses = [
            h5o.get_info(file.id).addr,
            *(h5o.get_info(file[name].id).addr for name in ("text", "number", "array")),
        ]
    whole = path.read_bytes()
    chance = random.Random(0)
    with h5py.File(path) as file:
        headers = Headers(RawFile.of(file.id))
        for _ in range(2000):
            damaged = bytearray(whole)
            for _ in range(chance.randint(1, 20)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            headers._read = lambda at, size, most=0, raw=bytes(damaged): raw[at : at + size]  # type: ignore[method-assign]
            headers._heaps.clear()
            for address in addresses:
                header = headers.header(address)
                headers.links(header)
                headers.scalar(header)


@pytest.mark.parametrize(
    "damage",
    [
        *({at: value} for at in (0, 4, 5, 7, 32) for value in (1, 2, 255)),
        {5: 1, 6: 0},  # a level that nothing follows
    ],
    ids=str,
)
def test_damage_in_a_tree_of_members_is_left_to_hdf5(
    tmp_path: Path, damage: dict[int, int]
) -> None:
    # At 0 is the signature, at 4 the type, at 5 the level, at 6 the count, at 32 a child.
    path = structured(tmp_path / "file.h5")
    with h5py.File(path) as file:
        address = h5o.get_info(file.id).addr
    whole = bytearray(path.read_bytes())
    (tree,) = [n for n in range(len(whole)) if whole[n : n + 4] == b"TREE" and whole[n + 6] > 1]
    for at, value in damage.items():
        whole[tree + at] = value
    path.write_bytes(whole)
    with h5py.File(path) as file:
        headers = Headers(RawFile.of(file.id))
        assert headers.links(headers.header(address)) is None


def messages(whole: bytes, address: int) -> dict[int, int]:
    """Say where the messages of a header begin, by what they tell."""
    found, at = {}, address + 16
    end = at + int.from_bytes(whole[address + 8 : address + 12], "little")
    while at < end:
        found[int.from_bytes(whole[at : at + 2], "little")] = at
        at += 8 + int.from_bytes(whole[at + 2 : at + 4], "little")
    return found


@pytest.mark.parametrize(
    ("kind", "other"),
    [(0x05, 0x02), (0x05, 0x11), (0x01, 0x00), (0x03, 0x00)],
    ids=["fill-to-links", "fill-to-members", "no-shape", "no-type"],
)
def test_what_kind_of_object_a_damaged_header_has_is_left_to_hdf5(
    tmp_path: Path, kind: int, other: int
) -> None:
    path = structured(tmp_path / "file.h5", libver="earliest")
    with h5py.File(path) as file:
        address = h5o.get_info(file["array"].id).addr
    whole = bytearray(path.read_bytes())
    whole[messages(whole, address)[kind]] = other
    path.write_bytes(whole)
    with h5py.File(path) as file:
        assert Headers(RawFile.of(file.id)).header(address) == Header(None, {})


@pytest.mark.parametrize("kind", [0x01, 0x03, 0x08, 0x11])
def test_an_empty_message_at_the_end_is_left_to_hdf5(kind: int) -> None:
    kinds = [other for other in (0x01, 0x03, 0x08) if kind != 0x11 and other != kind]
    full = b"".join(struct.pack("<HHBxxx24s", one, 24, 0, b"\x03\x01") for one in kinds)
    body = full + struct.pack("<HHBxxx", kind, 0, 0)
    headers = Headers(None)
    headers._are_stored = True
    whole = struct.pack("<BxHIIxxxx", 1, len(kinds) + 1, 1, len(body)) + body
    headers._read = lambda at, size, most=0: whole[at : at + size]  # type: ignore[method-assign]
    header = headers.header(0)
    assert (header.shape, header.dtype, header.data, header.table) == (None, None, None, None)


def test_a_header_without_all_its_messages_is_left_to_hdf5(tmp_path: Path) -> None:
    path = structured(tmp_path / "file.h5", libver="earliest")
    with h5py.File(path) as file:
        address = h5o.get_info(file["array"].id).addr
    whole = bytearray(path.read_bytes())
    last = max(messages(whole, address).values())
    whole[address + 8 : address + 12] = (last - address - 16).to_bytes(4, "little")
    path.write_bytes(whole)
    with h5py.File(path) as file:
        assert Headers(RawFile.of(file.id)).header(address) == Header()


def test_members_out_of_order_are_left_to_hdf5(tmp_path: Path) -> None:
    path = structured(tmp_path / "file.h5", libver="earliest")
    path.write_bytes(path.read_bytes().replace(b"group7\0", b"group0\0"))
    with h5py.File(path) as file:
        headers = Headers(RawFile.of(file.id))
        assert headers.links(headers.header(h5o.get_info(file.id).addr)) is None


def test_the_name_of_an_attribute_ends_where_hdf5_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file.attrs["value"] = 1.5
    path.write_bytes(path.read_bytes().replace(b"value\0", b"value!"))
    with h5py.File(path) as file:
        assert read(path) == dict(file.attrs) == {"value": 1.5}


def links_by_h5py(group: h5py.Group) -> list[LinkRecord]:
    def record(name: str) -> LinkRecord:
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.HardLink):
            return LinkRecord(name, "hard", h5o.get_info(group[name].id).addr)
        if isinstance(link, h5py.SoftLink):
            return LinkRecord(name, "soft", target=link.path)
        return LinkRecord(name, "external", target=link.path, file=link.filename)

    return [record(name) for name in group]


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("track_order", [False, True])
@pytest.mark.parametrize("userblock", [0, 1024])
@pytest.mark.parametrize("count", [0, 1, 7, 40, 700])
def test_members_of_a_group(
    tmp_path: Path, libver: str, track_order: bool, userblock: int, count: int
) -> None:
    path = tmp_path / "file.h5"
    with h5py.File(path, "w", libver=libver, userblock_size=userblock) as file:
        group = file.create_group("group", track_order=track_order)
        for number in range(count):
            # Long names make long heaps, and the order of names is not that of their making.
            name = f"m {number * 37 % 1000} " + "x" * (number % 50)
            if number % 3:
                group.create_group(name)
            else:
                group[name] = h5py.SoftLink(f"/somewhere/else/{number}")
        for number in range(0, count, 5):
            del group[f"m {number * 37 % 1000} " + "x" * (number % 50)]
    with h5py.File(path) as file:
        headers = Headers(RawFile.of(file.id))
        header = headers.header(h5o.get_info(file["group"].id).addr)
        found = headers.links(header)
        assert links_of(file["group"].id) == links_by_h5py(file["group"])
        if track_order or libver != "earliest":
            assert found is None
        else:
            assert header.is_group is True
            assert found == links_by_h5py(file["group"])


@pytest.mark.parametrize("other", ["external", "umlaut"])
def test_groups_of_a_newer_kind_are_left_to_hdf5(tmp_path: Path, other: str) -> None:
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file.create_group("group/inner")
        if other == "external":
            file["group/out"] = h5py.ExternalLink("other.h5", "/x")
        else:
            file["group"].create_group("Größe")
    with h5py.File(path) as file:
        headers = Headers(RawFile.of(file.id))
        assert headers.links(headers.header(h5o.get_info(file["group"].id).addr)) is None
        assert links_of(file["group"].id) == links_by_h5py(file["group"])


NUMBERS = ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
MADE: dict[str, dict[str, Any]] = {
    **{f"array of {dtype}": {"data": np.zeros((2, 3), dtype)} for dtype in NUMBERS},
    **{f"single {dtype}": {"data": np.dtype(dtype).type(7)} for dtype in NUMBERS},
    "text": {"data": "Größe"},
    "long text": {"data": "ß" * 3000},
    "no text": {"data": ""},
    "latin text": {"data": np.array(b"Gr\xf6\xdfe", object), "dtype": h5py.string_dtype()},
    "compressed": {"data": np.zeros((3, 4, 5), "i2"), "compression": "gzip", "shuffle": True},
    "growing": {"data": np.zeros((3, 4), "u1"), "maxshape": (None, 9)},
    "empty": {"shape": (0,), "dtype": "f8", "maxshape": (None,)},
    "no rows": {"data": np.zeros((0, 3))},
    "filled": {"shape": (), "dtype": "f8", "fillvalue": 5.0},
    "filled array": {"shape": (3,), "dtype": "f8", "fillvalue": 5.0},
    "huge": {"shape": (10**9, 10**6), "dtype": "i2", "chunks": (1000, 1000)},
}
OTHERS: dict[str, dict[str, Any]] = {
    "texts": {"data": ["a", "b"]},
    "fixed text": {"data": np.bytes_(b"fixed")},
    "big-endian": {"data": np.zeros((2, 3), ">f4")},
    "half": {"data": np.float16(1)},
    "bool": {"data": np.True_},
    "complex": {"data": np.complex128(1)},
    "compound": {"data": np.zeros(3, "i4, f8")},
    "null": {"data": h5py.Empty("f8")},
    "arrays": {"shape": (2,), "dtype": np.dtype("(3,)f8")},
    "ragged": {"shape": (2,), "dtype": h5py.vlen_dtype(np.dtype("i4"))},
    "references": {"shape": (2,), "dtype": h5py.ref_dtype},
}


def test_forms_and_single_values(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        for name, settings in {**MADE, **OTHERS}.items():
            file.create_dataset(name, **settings)
        file["growing"].resize(7, 0)
        file["grown"] = np.zeros(3, "i4")
        file["type"] = np.dtype("f8")
        file.create_dataset("named type", data=1.5, dtype=file["type"])
        compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        compact.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create(h5py.h5s.SCALAR)
        h5py.h5d.create(file.id, b"compact", h5py.h5t.NATIVE_DOUBLE, space, compact).write(
            space, space, np.array(2.5)
        )
        file.create_dataset(
            "elsewhere", (3,), "f8", external=[(tmp_path / "raw", 0, h5py.h5f.UNLIMITED)]
        )
        layout = h5py.VirtualLayout((2, 3), "f8")
        layout[0] = h5py.VirtualSource(file["array of f8"])[0]
        file.create_virtual_dataset("virtual", layout)
    with h5py.File(path) as file:
        headers = Headers(RawFile.of(file.id))
        found = {name: headers.header(h5o.get_info(item.id).addr) for name, item in file.items()}
        for name, header in found.items():
            if name == "type":
                assert header.is_group is None
                continue
            assert header.is_group is False, name
            if header.dtype is not None and header.shape is not None:
                assert (header.shape, header.dtype) == (file[name].shape, file[name].dtype), name
            value, expected = (
                headers.scalar(header),
                file[name][()] if file[name].shape == () else None,
            )
            if value is not None:
                assert file[name].shape == ()
                if isinstance(expected, bytes):
                    expected = expected.decode("utf-8", "surrogateescape")
                assert type(value) is type(expected), name
                assert value == expected, name
        plain = {n for n, one in found.items() if one.shape is not None and one.dtype is not None}
        # The compact one is told apart from others by its data alone.
        assert plain == {n for n in MADE if "text" not in n} | {
            "grown",
            "compact",
            "elsewhere",
            "virtual",
        }
        single = {name for name, one in found.items() if headers.scalar(one) is not None}
        assert single == {n for n in MADE if n.startswith("single") or "text" in n}


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
