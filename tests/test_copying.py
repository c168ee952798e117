"""The copier, judged by `h5compare`: on hand-made files of all that HDF5 has, and on real ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5a, h5d, h5f, h5g, h5o, h5p, h5s, h5t

from nwb_ophys.errors import DataError, LinkError, MemberNotFoundError
from nwb_ophys.hdf5.copying import TreeCopier, copy_file, creation_properties
from nwb_ophys.testing.h5compare import differences

REAL = Path(__file__).parents[2] / "shared" / "real"
Builder = Callable[[h5py.File], None]
BUILDERS: list[Builder] = []


def copied(source: Path, target: Path, **options: Any) -> list[str]:
    """Copy a file as a whole, and give the notes."""
    opened = h5f.open(bytes(source), h5f.ACC_RDONLY)
    created = h5f.create(bytes(target), h5f.ACC_EXCL, creation_properties(opened))
    try:
        return copy_file(
            opened, created, source_file=str(source), target_file=str(target), **options
        )
    finally:
        created.close()
        opened.close()


def case(build: Builder) -> Builder:
    BUILDERS.append(build)
    return build


def low_level(
    parent: h5py.Group,
    name: str,
    tid: Any,
    shape: tuple[int, ...] | None,
    maxshape: tuple[int, ...] | None = None,
    properties: Any = None,
) -> Any:
    space = h5s.create(h5s.SCALAR) if shape is None else h5s.create_simple(shape, maxshape)
    return h5d.create(parent.id, name.encode(), tid, space, properties)


# ----------------------------------------------------------------------- files of every kind


@case
def layouts(f: h5py.File) -> None:
    g = f.create_group("layouts")
    g["contiguous"] = np.arange(42.0).reshape(2, 3, 7)
    g.create_dataset("never_written", (3, 5), "<i2")
    g.create_dataset("empty", (0, 4), "f8", maxshape=(None, 4))
    g["scalar"] = 3.5
    g["null"] = h5py.Empty("<f4")
    g["null_text"] = h5py.Empty(h5py.string_dtype())
    filters = {"shuffle": True, "compression": "gzip", "fletcher32": True}
    chunked = g.create_dataset(
        "filtered", (11, 6), ">i4", chunks=(4, 5), maxshape=(None, 6), fillvalue=-7, **filters
    )
    chunked[2:9, 1:3] = np.arange(14).reshape(7, 2)
    g.create_dataset("szip_like", data=np.arange(99).reshape(33, 3), chunks=(5, 2), scaleoffset=7)
    g.create_dataset("no_chunks", (11, 6), "u1", chunks=(2, 3), fillvalue=9)
    g.create_dataset("no_fill", (4, 3), "i4", fill_time="never")[1] = 3
    for label, when in (
        ("early", h5d.ALLOC_TIME_EARLY),
        ("late", h5d.ALLOC_TIME_LATE),
        ("incremental", h5d.ALLOC_TIME_INCR),
    ):
        for chunks in (None, (3, 2)):
            if not chunks and when == h5d.ALLOC_TIME_INCR:
                continue
            dcpl = h5p.create(h5p.DATASET_CREATE)
            dcpl.set_alloc_time(when)
            if chunks:
                dcpl.set_chunk(chunks)
            name = f"{label}{'_chunked' if chunks else ''}"
            low_level(g, name, h5t.STD_I32LE, (7, 4), None, dcpl)
    dcpl = h5p.create(h5p.DATASET_CREATE)
    dcpl.set_layout(h5d.COMPACT)
    compact = low_level(g, "compact", h5t.STD_I16BE, (5, 3), None, dcpl)
    compact.write(h5s.ALL, h5s.ALL, np.arange(15, dtype=">i2").reshape(5, 3))
    masked = g.create_dataset("masked", (8,), "i4", chunks=(4,), compression="gzip").id
    masked.write_direct_chunk((4,), np.arange(4, dtype="i4").tobytes(), 1)  # stored unfiltered


@case
def unknown_filter(f: h5py.File) -> None:
    dcpl = h5p.create(h5p.DATASET_CREATE)
    dcpl.set_chunk((3, 5))
    dcpl.set_filter(32099, h5py.h5z.FLAG_OPTIONAL, (7, 1))
    dataset = low_level(f, "unknown", h5t.STD_I32LE, (9, 11), (h5s.UNLIMITED, 11), dcpl)
    dataset.write_direct_chunk((3, 5), b"no filter of this world")
    dataset.write_direct_chunk((6, 10), b"nor this")
    with pytest.raises(OSError, match=r"filter|read"):
        f["unknown"][3, 5]


@case
def sparse(f: h5py.File) -> None:
    # The newest index of chunks (fixed array) is as long as the dataset, stored or not.
    size = 10**12 if f.libver[0] == "earliest" else 10**5
    shape = (size // 10**6 + 7, 10**6)
    big = f.create_dataset(
        "sparse", shape, "f4", chunks=(64, 32), maxshape=(None, None), shuffle=True
    )
    for i, j in ((0, 0), (size // 10**6 + 6, 5), (5, 999_999)):
        big[i, j] = i + j
    ragged = f.create_dataset("ragged", (size,), h5py.string_dtype(), chunks=(10,))
    ragged[3] = "far"
    ragged[size - 1] = "away"
    references = f.create_dataset("references", (size,), h5py.ref_dtype, chunks=(6,))
    references[size // 3] = big.ref


def typed_values() -> dict[str, tuple[Any, np.ndarray]]:
    """Datatype and values (one array of 2 elements) of every class; raw where numpy has no word."""
    small = np.dtype(">f4,<u2,S3,(2,3)i2")
    enum = h5py.enum_dtype({"RED": 1, "GREEN": -2}, "<i2")
    text = h5t.C_S1.copy()
    text.set_size(6)
    text.set_strpad(h5t.STR_SPACEPAD)
    null_padded = h5t.C_S1.copy()
    null_padded.set_size(5)
    null_padded.set_strpad(h5t.STR_NULLPAD)
    null_padded.set_cset(h5t.CSET_UTF8)
    odd_float = h5t.IEEE_F32LE.copy()
    odd_float.set_fields(26, 20, 6, 0, 20)
    odd_float.set_ebias(31)
    nan = np.array([0x7FF0000000000123, 0xFFF8000000000001], np.uint64).view("f8")
    strings = np.array([b"", "größer".encode()], object)
    compound_text = np.dtype([("n", ">i4"), ("s", h5py.string_dtype("ascii"))])
    ragged = np.empty(2, object)
    ragged[:] = [np.arange(3, dtype=">i4"), np.arange(0, dtype=">i4")]
    return {
        "i8": (h5t.STD_I8LE, np.array([-1, 5], "i1")),
        "u64be": (h5t.STD_U64BE, np.array([1, 2**63], ">u8")),
        "half": (h5t.IEEE_F16LE, np.array([1.5, np.inf], "<f2")),
        "nan": (h5t.IEEE_F64LE, nan),
        "odd_float": (odd_float, np.arange(2, dtype="u4")),
        "space_padded": (text, np.array([b"ab    ", b"abcdef"], "S6")),
        "null_padded": (null_padded, np.array([b"a\0b", b"abcde"], "S5")),
        "bitfield": (h5t.STD_B16BE, np.array([1, 9], "<u2")),
        "opaque": (h5t.py_create(np.dtype("V7"), logical=True), np.array([b"1234567"] * 2, "V7")),
        "datetime": (
            h5t.py_create(h5py.opaque_dtype("M8[us]"), logical=True),
            np.array([1, 2], "M8[us]"),
        ),
        "enum": (h5t.py_create(enum, logical=True), np.array([1, -2], "<i2")),
        "bool": (h5t.py_create(np.dtype(bool), logical=True), np.array([True, False])),
        "complex": (h5t.py_create(np.dtype("<c8"), logical=True), np.array([1j, 2], "<c8")),
        "compound": (h5t.py_create(small, logical=True), np.zeros(2, small)),
        "array": (h5t.py_create(np.dtype(("<i4", (2, 3)))), np.arange(12, dtype="<i4")),
        "unix_time": (h5t.UNIX_D32LE, np.arange(2, dtype="u4")),
        "utf8": (h5t.py_create(h5py.string_dtype(), logical=True), strings),
        "ascii": (
            h5t.py_create(h5py.string_dtype("ascii"), logical=True),
            np.array([b"x", b"yy"], object),
        ),
        "compound_text": (
            h5t.py_create(compound_text, logical=True),
            np.array([(1, b"one"), (2, b"")], compound_text),
        ),
        "ragged": (h5t.py_create(h5py.vlen_dtype(">i4"), logical=True), ragged),
    }


def stored_typed(parent: Any, name: str, tid: Any, values: np.ndarray, attribute: bool) -> None:
    space = h5s.create_simple((2,))
    create = h5a.create if attribute else h5d.create
    stored = create(parent, name.encode(), tid, space)
    spaces = () if attribute else (h5s.ALL, h5s.ALL)
    if values.dtype.hasobject:
        stored.write(*spaces, values, h5t.py_create(tid.dtype))
    else:
        raw = np.frombuffer(values.tobytes(), np.uint8).reshape(2, -1)
        stored.write(*spaces, np.ascontiguousarray(raw[:, : tid.get_size()]), tid)


@case
def datatypes(f: h5py.File) -> None:
    g = f.create_group("types")
    for name, (tid, values) in typed_values().items():
        stored_typed(g.id, name, tid, values, attribute=False)
        stored_typed(g.id, f"@{name}", tid, values, attribute=True)
        stored_typed(g[name].id, f"@{name}", tid, values, attribute=True)


@case
def committed_datatypes(f: h5py.File) -> None:
    """Datatypes that are used by objects before and after them, and by themselves."""
    before, shared, after = (f.create_group(name) for name in ("am", "committed", "pm"))
    for name, (tid, values) in typed_values().items():
        committed = tid.copy()
        committed.commit(shared.id, name.encode())
        shared[name].attrs["unit"] = "mm"
        for g in (before, after):
            stored_typed(g.id, name, committed, values, attribute=False)
            stored_typed(g.id, f"@{name}", committed, values, attribute=True)
        stored_typed(committed, f"@{name}", committed, values, attribute=True)
        stored_typed(committed, "plain", tid, values, attribute=True)
    filtered = before.create_dataset(
        "filtered", (7, 5), shared["i8"], chunks=(3, 2), compression="gzip", maxshape=(9, 5)
    )
    filtered[4] = np.arange(5)
    low_level(before, "never_written", shared["compound"].id, (3, 2))
    low_level(before, "scalar", shared["u64be"].id, None)


@case
def attributes(f: h5py.File) -> None:
    g = f.create_group("attributes", track_order=True)
    d = g.create_dataset("data", data=np.arange(3), track_order=True)
    for owner in (g, d, f):
        for i in range(60):
            owner.attrs[f"n{i * 37 % 60:02}"] = i
        owner.attrs["null"] = h5py.Empty("f4")
        owner.attrs["null_text"] = h5py.Empty(h5py.string_dtype())
        owner.attrs["empty"] = np.zeros((0, 3), ">i2")
        owner.attrs["many"] = np.arange(24, dtype=">i2").reshape(4, 3, 2)
        owner.attrs["texts"] = np.array(["a", "", "ü"], object)
        owner.attrs["größe"] = "µm"
        owner.attrs["bytes"] = np.bytes_(b"\xff\x00\xfe")
    if f.libver[0] != "earliest":
        g.attrs["large"] = np.arange(10**5, dtype="<i4").reshape(50, 2000)


@case
def links(f: h5py.File) -> None:
    g = f.create_group("links", track_order=True)
    for name in ("zebra", "apple", "mango", "größe"):
        g.create_group(name, track_order=name == "mango")
        g[f"soft {name}"] = h5py.SoftLink(f"{name}/../{name}")
        g[f"external {name}"] = h5py.ExternalLink(f"other {name}.h5", f"/ü/{name}")
    g["dangling"] = h5py.SoftLink("/nowhere/at all")
    g.id.links.create_soft(b"not \xff\xfe text", b"to \xfe")
    h5g.create(g.id, b"\xff group")
    many = g.create_group("many")
    for i in range(0, 300, 7):
        many.create_group(f"{i * 37 % 300}", track_order=bool(i % 2))
    plain = h5g.open(f.id, b"/links")
    plain.set_comment(b"apple", b"a comment")
    plain.set_comment(b".", b"another")


@case
def hard_links(f: h5py.File) -> None:
    f["b/data"] = np.arange(4)
    f["a/alias"] = f["b/data"]
    f["b/alias"] = f["b/data"]
    f["b/group/deep"] = 1.0
    f["c/group"] = f["b/group"]
    f["b/group/up"] = f["b"]
    f["b/itself"] = f["b"]
    f["root"] = f["/"]
    f["c/deep/root"] = f["/"]
    f["b/group"].attrs["x"] = 1


@case
def references(f: h5py.File) -> None:
    f["z/target"] = np.arange(30).reshape(5, 6)
    f["a/other"] = np.arange(12).reshape(3, 4)
    f["m/type"] = np.dtype("<i8")
    d, o, z, root = f["z/target"], f["a/other"], f["z"], f["/"]
    objects = [d.ref, h5py.Reference(), z.ref, root.ref, o.ref, f["m/type"].ref]
    regions = [
        d.regionref[1:4, 2:3],
        h5py.RegionReference(),
        o.regionref[...],
        d.regionref[1::2, ::3],
        o.regionref[np.array([[1, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0]], bool)],
    ]
    compound = np.dtype(
        [
            ("id", ">i4"),
            ("at", h5py.ref_dtype),
            ("pair", h5py.ref_dtype, (2,)),
            ("inner", [("n", "u1"), ("to", h5py.ref_dtype)]),
        ]
    )
    mixed = np.dtype(
        [("s", h5py.string_dtype()), ("r", h5py.ref_dtype), ("region", h5py.regionref_dtype)]
    )
    rows = np.zeros(3, compound)
    rows["id"] = [1, 2, 3]
    rows["at"] = objects[:3]
    rows["pair"] = [[d.ref, o.ref]] * 3
    rows["inner"]["n"] = 9
    rows["inner"]["to"] = [root.ref, z.ref, d.ref]
    mixed_rows = np.array([("ü", d.ref, regions[0]), ("", z.ref, regions[2])], mixed)
    ragged = np.empty(3, object)
    ragged[:] = [np.array(part, object) for part in ([d.ref, z.ref], [], [o.ref])]
    g = f.create_group("k")
    g.create_dataset("objects", data=np.array(objects, h5py.ref_dtype))
    g.create_dataset("scalar", data=d.ref, dtype=h5py.ref_dtype)
    g.create_dataset("never_written", (3, 2), h5py.ref_dtype)
    chunked = g.create_dataset(
        "chunked", (7, 5), h5py.ref_dtype, chunks=(2, 3), maxshape=(None, 5), compression="gzip"
    )
    chunked[1:2, 2:5] = np.array([[d.ref, z.ref, o.ref]], h5py.ref_dtype)
    chunked[6, 4] = root.ref
    g.create_dataset("rows", data=rows)
    g.create_dataset("rows_chunked", data=rows, chunks=(2,), shuffle=True)
    g.create_dataset("regions", data=np.array(regions, h5py.regionref_dtype))
    g.create_dataset("mixed", data=mixed_rows)
    g.create_dataset("ragged", (3,), h5py.vlen_dtype(h5py.ref_dtype))[:] = ragged
    for owner in (f, g, g["objects"], f["m/type"], d):
        owner.attrs["one"] = z.ref
        owner.attrs["null"] = h5py.Reference()
        owner.attrs.create("some", np.array(objects, h5py.ref_dtype).reshape(3, 2))
        owner.attrs.create("region", regions[0], dtype=h5py.regionref_dtype)
        owner.attrs.create("rows", rows)
        owner.attrs.create("mixed", mixed_rows)
        owner.attrs.create("ragged", ragged, dtype=h5py.vlen_dtype(h5py.ref_dtype))
    f["row type"] = compound
    g.create_dataset("typed", data=rows, dtype=f["row type"])


@case
def data_elsewhere(f: h5py.File) -> None:
    raw = [("part one.bin", 4, 24), ("/abs/part two.bin", 0, h5py.h5f.UNLIMITED)]
    g = f.create_group("elsewhere")
    dcpl = h5p.create(h5p.DATASET_CREATE)
    for name, offset, size in raw:
        dcpl.set_external(name.encode(), offset, size)
    dcpl.set_fill_value(np.array(-3, ">i4"))
    low_level(g, "raw", h5t.STD_I32BE, (5, 3), None, dcpl)
    f["inside"] = np.arange(6.0)
    layout = h5py.VirtualLayout((7, 6), "<f8", maxshape=(None, 6))
    layout[2] = h5py.VirtualSource("some folder/other.h5", "/data", (6,))
    layout[3] = h5py.VirtualSource(f["inside"])
    layout[4:6, 1:4] = h5py.VirtualSource("../x.h5", "/d", (9, 8))[2:4, 5:8]
    virtual = g.create_virtual_dataset("virtual", layout, fillvalue=8.0)
    for owner in (virtual, g["raw"]):
        owner.attrs["unit"] = "V"
    g["link"] = h5py.ExternalLink("other.h5", "/a")


def shatter(f: h5py.File) -> None:
    """Give every object one more name, which keeps all of them from being copied as a whole."""
    paths: list[str] = []
    f.visit(paths.append)
    aliases = f.create_group("aliases")
    for i, path in enumerate(paths):
        aliases[f"{i}"] = f[path]


@pytest.mark.parametrize("shattered", [False, True], ids=["whole", "shattered"])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_nothing_is_lost(build: Builder, libver: str, shattered: bool, tmp_path: Path) -> None:
    source = tmp_path / "source.h5"
    with h5py.File(source, "w", libver=(libver, "latest")) as f:
        build(f)
        if shattered:
            shatter(f)
    assert differences(source, source) == []
    assert copied(source, tmp_path / "target.h5") == []
    assert differences(source, tmp_path / "target.h5") == []


@pytest.mark.parametrize("track_order", [False, True])
def test_everything_in_one_file(track_order: bool, tmp_path: Path) -> None:
    source = tmp_path / "source.h5"
    with h5py.File(source, "w", track_order=track_order, userblock_size=1024) as f:
        for build in BUILDERS:
            build(f)
    with open(source, "r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file" * 20)
    assert copied(source, tmp_path / "target.h5") == []
    assert differences(source, tmp_path / "target.h5") == []


def real_files() -> list[Any]:
    files = sorted(REAL.glob("*.nwb"))
    if files:
        return [pytest.param(file, id=file.name) for file in files]
    reason = f"real NWB files are not in this checkout ({REAL})"
    return [pytest.param(None, marks=pytest.mark.skip(reason=reason))]


@pytest.mark.parametrize("file", real_files())
def test_real_files(file: Path, tmp_path: Path) -> None:
    assert copied(file, tmp_path / "target.nwb") == []
    assert differences(file, tmp_path / "target.nwb") == []
