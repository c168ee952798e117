"""The copier, judged by `h5compare`: on hand-made files of all that HDF5 has, and on real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5a, h5d, h5f, h5g, h5o, h5p, h5s, h5t

from nwb_ophys.errors import DataError, LinkError, MemberNotFoundError
from nwb_ophys.hdf5.bytewise import copy_user_block
from nwb_ophys.hdf5.copying import Transfer, TreeCopier, access_properties, creation_properties
from nwb_ophys.testing.h5compare import differences

REAL = Path(__file__).parents[2] / "shared" / "real"
Builder = Callable[[h5py.File], None]
BUILDERS: list[Builder] = []


def copied(source: Path, target: Path, relocate: Any = None) -> list[str]:
    """Copy a file as a whole, and give the notes."""
    opened = h5f.open(bytes(source), h5f.ACC_RDONLY)
    created = h5f.create(
        bytes(target), h5f.ACC_EXCL, creation_properties(opened), access_properties(opened)
    )
    try:
        copier = TreeCopier(Transfer(opened, created, str(source), str(target), relocate))
        copier.copy("/", "/")
        copier.finish()
        copy_user_block(str(source), str(target), opened.get_create_plist().get_userblock())
        return copier.notes
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
    texts = before.create_dataset("texts", (7,), shared["utf8"], chunks=(3,), compression="gzip")
    texts[3:6] = ["a", "", "größer"]
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
    sequences = h5py.vlen_dtype(h5py.ref_dtype)
    ragged = np.empty(3, sequences)
    ragged[:] = [np.array(part, h5py.ref_dtype) for part in ([d.ref, z.ref], [], [o.ref])]
    g = f.create_group("k", track_order=True)
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
    g.create_dataset("ragged", (3,), sequences).id.write(h5s.ALL, h5s.ALL, ragged)
    f["m/type"].attrs.create("rows", rows)
    for owner in (f, g, g["objects"], d):
        owner.attrs["one"] = z.ref
        owner.attrs["null"] = h5py.Reference()
        owner.attrs.create("some", np.array(objects, h5py.ref_dtype).reshape(3, 2))
        owner.attrs.create("region", regions[0], dtype=h5py.regionref_dtype)
        owner.attrs.create("rows", rows)
        owner.attrs.create("mixed", mixed_rows)
        owner.attrs.create("ragged", ragged, dtype=sequences)
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
    f["square"] = np.arange(4.0).reshape(2, 2)
    layout = h5py.VirtualLayout((7, 6), "<f8", maxshape=(None, 6))
    layout[:2, 3:5] = h5py.VirtualSource(f["square"])
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


# ------------------------------------------------------------------------- parts of a file


class Copy:
    """A copier between a file with contents and an empty one."""

    def __init__(
        self, tmp_path: Path, build: Builder, relocate: Any = None, skip: Any = ()
    ) -> None:
        self.source, self.target = tmp_path / "source.h5", tmp_path / "target.h5"
        with h5py.File(self.source, "w") as f:
            build(f)
        self.a = h5py.File(self.source, "r")
        self.b = h5py.File(self.target, "w")
        transfer = Transfer(self.a.id, self.b.id, str(self.source), str(self.target), relocate)
        self.copier = TreeCopier(transfer, skip=skip)

    def __enter__(self) -> Copy:
        return self

    def __exit__(self, *_: object) -> None:
        self.a.close()
        self.b.close()


def session(f: h5py.File) -> None:
    """A table of references, with links to what is elsewhere in the file."""
    f["general/device/data"] = np.arange(3)
    f["general/plane/size"] = np.arange(5)
    f["general/plane/device"] = h5py.SoftLink("/general/device")
    f["general/outer"] = h5py.ExternalLink("other.h5", "/x")
    f["processing/table/id"] = np.arange(4)
    x = f.create_group("acquisition/x")
    x["data"] = np.arange(6).reshape(2, 3)
    x["same"] = x["data"]
    x["own"] = h5py.SoftLink("data")
    x["plane"] = h5py.SoftLink("/general/plane")
    x["device"] = h5py.SoftLink("../general/plane/device")
    x["deep"] = h5py.SoftLink("/general/plane/device/data")
    x["outer"] = h5py.SoftLink("/general/outer")
    x["nowhere"] = h5py.SoftLink("/general/nothing")
    rows = np.dtype([("n", "i4"), ("to", h5py.ref_dtype)])
    table = f["processing/table"]
    x["rows"] = np.array([(1, table.ref), (2, x.ref), (3, table.ref)], rows)
    x.attrs["table"] = table["id"].ref
    f["acquisition/y"] = 1.5


def test_grafting_asks_for_what_is_missing(tmp_path: Path) -> None:
    with Copy(tmp_path, session) as copy:
        copy.copier.copy("/acquisition/x", "/acquisition/x")
        outside = copy.copier.outside()
        assert outside.links == {
            "/general/plane": ["/acquisition/x/plane"],
            "/general/plane/device/data": ["/acquisition/x/deep"],
            "/general/outer": ["/acquisition/x/outer"],
        }
        assert outside.references == {
            "/processing/table": ["/acquisition/x/rows, field 'to'"],
            "/processing/table/id": ["/acquisition/x, field 'table'"],
        }
        with pytest.raises(LinkError, match=r"source.h5, /acquisition/x.*refers to /processing"):
            copy.copier.finish()
        for path in ("/general/plane", "/general/outer", "/processing/table"):
            copy.copier.copy(path, path)
        outside = copy.copier.outside()
        assert outside.references == {}
        assert outside.links == {
            "/general/device": ["/general/plane/device"],
            "/general/plane/device/data": ["/acquisition/x/deep"],
        }
        copy.copier.copy("/general/device", "/general/device")
        assert copy.copier.outside() == ({}, {})
        copy.copier.finish()
        assert copy.copier.notes == []
    assert differences(copy.source, copy.target) == ["/acquisition/y: member is missing"]


def test_copied_to_another_path(tmp_path: Path) -> None:
    with Copy(tmp_path, session) as copy:
        copy.copier.copy("/processing/table", "/old/table")
        copy.copier.copy("/acquisition/x", "/new/deep/x")
        copy.copier.copy("/acquisition/x/data", "/new/data")
        copy.copier.finish()
        assert copy.b[copy.b["new/deep/x"].attrs["table"]].name == "/old/table/id"
        rows = copy.b["new/deep/x/rows"][:]
        assert [copy.b[row["to"]].name for row in rows] == [
            "/old/table",
            "/new/deep/x",
            "/old/table",
        ]
        assert copy.b["new/data"] == copy.b["new/deep/x/same"]


def test_references_to_what_takes_the_place(tmp_path: Path) -> None:
    with Copy(tmp_path, references, skip=["/z"]) as copy:
        copy.copier.copy("/", "/")
        with pytest.raises(LinkError, match=r"refers to /z(/target)?, which was not copied"):
            copy.copier.finish()
        new = copy.b.create_group("new z")
        new["data"] = np.zeros((5, 6))
        for old, path in (("z", "/new z"), ("z/target", "/new z/data")):
            copy.copier.paths[h5o.get_info(copy.a[old].id).addr] = path
        copy.copier.finish()
        assert copy.b[copy.b["k/objects"][0]].name == "/new z/data"
        assert copy.b[copy.b["k/regions"][0]].name == "/new z/data"
        assert copy.b[copy.b["k/mixed"][1]["r"]].name == "/new z"


def test_skipped_links(tmp_path: Path) -> None:
    with Copy(tmp_path, hard_links, skip=["/b/group", "/a/alias", "/root"]) as copy:
        copy.copier.copy("/", "/")
        copy.copier.finish()
        b = copy.b
        assert sorted(b) == ["a", "b", "c"]
        assert sorted(b["a"]) == []
        assert sorted(b["b"]) == ["alias", "data", "itself"]
        assert sorted(b["c/group"]) == ["deep", "up"]
        assert b["b/alias"] == b["b/data"]
        assert b["c/group/up"] == b["b/itself"] == b["b"]
        assert b["c/deep/root"] == b["/"]


def test_names_of_other_files(tmp_path: Path) -> None:
    asked: list[str] = []

    def relocate(name: str) -> str:
        asked.append(name)
        return f"moved/{name}"

    with Copy(tmp_path, data_elsewhere, relocate=relocate) as copy:
        copy.copier.copy("/", "/")
        copy.copier.finish()
        assert {"other.h5", "part one.bin", "some folder/other.h5", "../x.h5"} <= set(asked)
        assert "." not in asked
        g = copy.b["elsewhere"]
        assert g.get("link", getlink=True).filename == "moved/other.h5"
        assert [name for name, *_ in g["raw"].external] == [
            "moved/part one.bin",
            "moved//abs/part two.bin",
        ]
        sources = [source.file_name for source in g["virtual"].virtual_sources()]
        assert sorted(sources) == [".", ".", "moved/../x.h5", "moved/some folder/other.h5"]
        assert g["virtual"][3].tolist() == list(range(6))
        assert g["virtual"][:2, 2:5].tolist() == [[8, 0, 1], [8, 2, 3]]
        assert g["virtual"].fillvalue == 8
        assert g["raw"].fillvalue == -3
    found = differences(copy.source, copy.target)
    assert sorted(line.partition(": ")[0] for line in found) == [
        "/elsewhere/link",
        "/elsewhere/raw",
        "/elsewhere/virtual",
    ]


def test_names_that_stay(tmp_path: Path) -> None:
    with Copy(tmp_path, data_elsewhere, relocate=lambda name: name) as copy:
        copy.copier.copy("/", "/")
        copy.copier.finish()
    assert differences(copy.source, copy.target) == []


def test_shared_datatypes_outside_the_copied_part(tmp_path: Path) -> None:
    with Copy(tmp_path, committed_datatypes) as copy:
        copy.copier.copy("/am", "/am")
        copy.copier.finish()
        datasets = copy.b["am"]
        shared = datasets["i8"].id.get_type()
        assert shared.committed()
        assert h5o.get_info(shared).addr == h5o.get_info(datasets["filtered"].id.get_type()).addr
        copy.copier.copy("/committed", "/committed")
        copy.copier.copy("/pm", "/pm")
        copy.copier.finish()
    assert differences(copy.source, copy.target) == []
    with h5py.File(copy.target) as f:
        assert f["am/i8"].id.get_type() == f["committed/i8"].id


# ---------------------------------------------------------------------------------- bad input


def dangling(f: h5py.File) -> None:
    f["gone"] = np.arange(9)
    f["stays"] = np.arange(4)
    f["objects"] = np.array([f["gone"].ref, f["stays"].ref, f["gone"].ref], h5py.ref_dtype)
    regions = [f["gone"].regionref[1:3], f["stays"].regionref[2:3]]
    f["regions"] = np.array(regions, h5py.regionref_dtype)
    f.attrs["to"] = f["gone"].ref
    del f["gone"]


def test_references_to_nothing_become_null(tmp_path: Path) -> None:
    with Copy(tmp_path, dangling) as copy:
        copy.copier.copy("/", "/")
        copy.copier.finish()
        assert [bool(reference) for reference in copy.b["objects"]] == [False, True, False]
        assert [bool(reference) for reference in copy.b["regions"]] == [False, True]
        assert not copy.b.attrs["to"]
        assert copy.b[copy.b["objects"][1]].name == "/stays"
    assert sorted(copy.copier.notes) == [
        f"{place}: a reference to an object that does not exist became null"
        for place in ("/, field 'to'", "/objects", "/regions")
    ]


def new_kind_of_reference() -> Any:
    """The datatype H5T_STD_REF, which h5py cannot name; from its encoding."""
    old = h5t.STD_REF_OBJ.encode()
    return h5t.decode(old[:2] + bytes([0x47, 0x12, 0, 0]) + (64).to_bytes(4, "little"))


@pytest.mark.parametrize("place", ["/a/data", "/a"])
def test_new_references_are_refused(place: str, tmp_path: Path) -> None:
    def build(f: h5py.File) -> None:
        f.create_group("a")
        if place == "/a/data":
            low_level(f["a"], "data", new_kind_of_reference(), (2,))
        else:
            h5a.create(f["a"].id, b"data", new_kind_of_reference(), h5s.create_simple((2,)))

    with (
        Copy(tmp_path, build) as copy,
        pytest.raises(DataError, match=rf"source.h5, {place}: .*target.h5.*HDF5 1.12"),
    ):
        copy.copier.copy("/", "/")


def test_a_corrupt_object_is_named(tmp_path: Path) -> None:
    def build(f: h5py.File) -> None:
        for name in ("first", "worst", "last"):
            f.create_dataset(
                f"a/b/{name}", (3,), h5py.string_dtype(), chunks=(3,), compression="gzip"
            )[:] = "text"
        f["a/b/worst"].id.write_direct_chunk((0,), b"not gzip")

    with (
        Copy(tmp_path, build) as copy,
        pytest.raises(DataError, match=r"source.h5, /a/b/worst: cannot be copied to .*target.h5"),
    ):
        copy.copier.copy("/", "/")


def test_corrupt_chunks_without_pointers_are_carried_over(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("data", (3, 4), "i4", chunks=(3, 2), compression="gzip")
        f["data"].id.write_direct_chunk((0, 2), b"not gzip")
    assert copied(tmp_path / "a.h5", tmp_path / "b.h5") == []
    assert differences(tmp_path / "a.h5", tmp_path / "b.h5") == []


def test_nothing_there(tmp_path: Path) -> None:
    with Copy(tmp_path, session) as copy:
        for path in ("/nothing", "/acquisition/nothing/x", "/acquisition/y/x"):
            with pytest.raises(MemberNotFoundError, match=f"source.h5, {path}: there is nothing"):
                copy.copier.copy(path, path)


def test_nothing_behind_external_links(tmp_path: Path) -> None:
    with Copy(tmp_path, session) as copy:
        copy.b["elsewhere"] = h5py.ExternalLink("other.h5", "/x")
        with pytest.raises(LinkError, match=r"source.h5, /general/outer/x: is in another file"):
            copy.copier.copy("/general/outer/x", "/x")


def test_something_there(tmp_path: Path) -> None:
    with Copy(tmp_path, session) as copy:
        copy.copier.copy("/acquisition/y", "/acquisition/x")
        with pytest.raises(LinkError, match=r"/acquisition/x: .*target.h5 has a /acquisition/x"):
            copy.copier.copy("/acquisition/x", "/acquisition/x")
        with pytest.raises(ValueError, match="root"):
            copy.copier.copy("/acquisition/x", "/")


# ----------------------------------------------------------- the judge must be able to fail


def redone(f: h5py.File, path: str, **changes: Any) -> None:
    """Store a dataset anew, with other options."""
    group, name = f[path].parent, f[path].name.rpartition("/")[2]
    options = {key: getattr(f[path], key) for key in ("chunks", "compression", "maxshape")}
    options |= {"data": f[path][()], "fillvalue": f[path].fillvalue}
    del group[name]
    group.create_dataset(name, **(options | changes))


def judged(f: h5py.File) -> None:
    f.create_dataset("data", data=np.arange(12.0).reshape(3, 4), chunks=(2, 3), maxshape=(None, 4))
    f["same"] = f["data"]
    f["other"] = np.arange(12.0).reshape(3, 4)
    f["soft"] = h5py.SoftLink("/data")
    f["external"] = h5py.ExternalLink("a.h5", "/b")
    f["references"] = np.array([f["data"].ref, f["other"].ref], h5py.ref_dtype)
    f["regions"] = np.array([f["data"].regionref[1:, 2:]], h5py.regionref_dtype)
    f["nan"] = np.array([np.nan, 1.0])
    f["text"] = np.array(["a", "b"], object)
    ordered = f.create_group("ordered", track_order=True)
    for name in "ba":
        ordered.create_group(name)
        ordered.attrs[name] = 1
    f.attrs["n"] = np.int32(1)
    f.attrs["text"] = "text"
    f.attrs["row"] = [1.0]


def in_place(path: str, key: Any, value: Any) -> Callable[[h5py.File], None]:
    return lambda f: f[path].__setitem__(key, value)


def anew(path: str, value: Any) -> Callable[[h5py.File], None]:
    def change(f: h5py.File) -> None:
        del f[path]
        f[path] = f[value] if isinstance(value, str) else value

    return change


def attribute(name: str, value: Any) -> Callable[[h5py.File], None]:
    return lambda f: f.attrs.__setitem__(name, value)


def reversed_order(f: h5py.File) -> None:
    del f["ordered/b"]
    f["ordered"].create_group("b")


@pytest.mark.parametrize(
    ("place", "change"),
    [
        ("/data", in_place("data", (2, 3), 5.0)),
        ("/nan", in_place("nan", 0, 1.0)),
        ("/text", in_place("text", 1, "c")),
        ("/other", lambda f: redone(f, "other", dtype=">f8")),
        ("/other", lambda f: redone(f, "other", chunks=(3, 4))),
        ("/other", lambda f: redone(f, "other", maxshape=(3, 5), chunks=(3, 4))),
        ("/other", lambda f: redone(f, "other", fillvalue=1.0)),
        ("/other", lambda f: redone(f, "other", track_times=True)),
        ("/other", lambda f: redone(f, "other", data=np.zeros((4, 3)), maxshape=None)),
        ("/other", lambda f: redone(f, "other", external=[("raw.bin", 0, 96)])),
        ("/nan", lambda f: redone(f, "nan", shuffle=True)),
        ("/same", anew("same", np.arange(12.0).reshape(3, 4))),
        ("/soft", anew("soft", h5py.SoftLink("data"))),
        ("/soft", anew("soft", "data")),
        ("/external", anew("external", h5py.ExternalLink("a.h5", "b"))),
        ("/references", lambda f: f["references"].__setitem__(1, f["data"].ref)),
        ("/references", lambda f: f["references"].__setitem__(1, h5py.Reference())),
        ("/regions", lambda f: f["regions"].__setitem__(0, f["data"].regionref[1:, 1:])),
        ("/ordered", reversed_order),
        ("/new", lambda f: f.create_group("new")),
        ("/text", lambda f: f.__delitem__("text")),
        ("/@n", attribute("n", np.int32(2))),
        ("/@n", attribute("n", np.int64(1))),
        ("/@n", attribute("n", np.array(1, ">i4"))),
        ("/@n", attribute("n", np.array([1], "i4"))),
        ("/@row", attribute("row", 1.0)),
        ("/@text", attribute("text", np.bytes_(b"text"))),
        ("/@text", attribute("text", np.array("text", h5py.string_dtype("ascii")))),
        ("/@text", attribute("text", h5py.Empty(h5py.string_dtype()))),
        ("/@text", lambda f: f.attrs.__delitem__("text")),
        ("/@new", attribute("new", 1)),
    ],
)
def test_the_judge_sees(
    place: str,
    change: Callable[[h5py.File], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # where raw data outside of the file are written
    for name in ("a.h5", "b.h5"):
        with h5py.File(tmp_path / name, "w") as f:
            judged(f)
    assert differences(tmp_path / "a.h5", tmp_path / "b.h5") == []
    with h5py.File(tmp_path / "b.h5", "r+") as f:
        change(f)
    found = differences(tmp_path / "a.h5", tmp_path / "b.h5")
    assert place in {line.partition(": ")[0] for line in found}, found
