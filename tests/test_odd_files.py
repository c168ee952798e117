"""Files with what HDF5 allows and NWB's writers seldom use: read as far as possible, kept whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5a, h5d, h5p, h5s, h5t
from small import MOVIE, PLANE

import nwb_ophys as nwb
from nwb_ophys.testing.h5compare import differences

Edit = Callable[[h5py.Group], None]


def odd(path: Path, edit: Edit) -> Path:
    """Add a group of odd objects to a file."""
    with h5py.File(path, "r+") as file:
        edit(file.create_group("scratch/odd"))
    return path


def stored(group: h5py.Group, name: str, kind: Any, raw: np.ndarray) -> None:
    """Store the same bytes as a dataset and as an attribute of the group."""
    space = h5s.create_simple(raw.shape[:-1])
    h5d.create(group.id, name.encode(), kind, space).write(h5s.ALL, h5s.ALL, raw, kind)
    h5a.create(group.id, name.encode(), kind, space).write(raw, kind)


def assert_kept(path: Path) -> None:
    """Judge what opening, reading, writing and repacking make of a file."""
    copies = [path.with_name(f"{name}.nwb") for name in ("copied", "eager", "repacked")]
    with nwb.open(path) as session:
        for model in session.walk():
            assert repr(model)
        nwb.write(session, copies[0])
    nwb.write(nwb.read(path), copies[1])
    shutil.copy(path, copies[2])
    nwb.repack(copies[2])
    for copy in copies:
        assert differences(path, copy) == []
        assert nwb.diff(path, copy) == []


# -- elements that numpy or h5py have no word for --------------------------------------------------


def kinds() -> dict[str, Any]:
    narrow = h5t.STD_I32LE.copy()
    narrow.set_size(3)
    wide = h5t.STD_I64BE.copy()
    wide.set_size(16)
    wide.set_precision(128)
    quad = h5t.IEEE_F64LE.copy()
    quad.set_size(16)
    quad.set_precision(128)
    quad.set_fields(127, 112, 15, 0, 112)
    quad.set_ebias(16383)
    bits = h5t.STD_B32LE.copy()
    bits.set_size(3)
    tagged = h5t.create(h5t.OPAQUE, 5)
    tagged.set_tag(b"a tag")
    holder = h5t.create(h5t.COMPOUND, 9)
    holder.insert(b"number", 1, h5t.STD_I16BE.copy())
    holder.insert(b"tagged", 4, tagged)
    return {
        "narrow": narrow,
        "wide": wide,
        "quad": quad,
        "bits": bits,
        "time": h5t.UNIX_D32BE.copy(),
        "tagged": tagged,
        "holder": holder,
        "narrow_rows": h5t.array_create(narrow, (2, 5)),
        "when": h5t.py_create(h5py.opaque_dtype("M8[us]"), logical=True),
    }


@pytest.mark.parametrize("name", kinds())
def test_elements_without_a_word_are_bytes_as_stored(path: Path, name: str) -> None:
    kind = kinds()[name]
    raw = np.random.default_rng(3).integers(1, 255, (4, 3, kind.get_size())).astype(np.uint8)
    odd(path, lambda group: stored(group, name, kind, raw))
    with nwb.open(path) as session:
        group = session["/scratch/odd"]
        for value in (group[name].array, group.attrs[name]):
            assert value.shape == (4, 3)
            assert np.asarray(value).tobytes() == raw.tobytes()
        array = group[name].array
        assert np.array_equal(array[2, ::-1], array.read()[2, ::-1])
        for field in array.dtype.names or ():
            assert np.array_equal(array[field], array.read()[field])
    assert_kept(path)


def test_arrays_of_arrays_have_all_their_axes(path: Path) -> None:
    kind = h5t.array_create(h5t.array_create(h5t.STD_I16BE.copy(), (2,)), (5, 3))
    raw = np.arange(4 * 60, dtype=np.uint8).reshape(4, 60)

    def edit(group: h5py.Group) -> None:
        stored(group, "nested", kind, raw)
        pair = h5t.array_create(h5t.py_create(np.dtype([("a", "i1"), ("b", ">i2")])), (2,))
        stored(group, "pairs", pair, raw[:, :6].copy())

    odd(path, edit)
    with nwb.open(path) as session, h5py.File(path) as file:
        group = session["/scratch/odd"]
        array, expected = group["nested"].array, file["scratch/odd/nested"][()]
        assert (array.shape, array.dtype) == ((4, 5, 3, 2), np.dtype(">i2"))
        assert np.array_equal(array[1:, ::-1, 2, 0], expected[1:, ::-1, 2, 0])
        assert np.array_equal(group.attrs["nested"], expected)
        assert array.fillvalue is None
        pairs = group["pairs"].array
        assert np.array_equal(pairs["b"], file["scratch/odd/pairs"][()]["b"])
        with pytest.raises(ValueError, match="no field of name c"):
            pairs["c"]
    assert_kept(path)


def test_what_lies_deep_in_attributes_is_typed(path: Path) -> None:
    inner = np.dtype([("to", h5py.ref_dtype), ("n", "i2")])
    kind = np.dtype(
        [("inner", inner), ("pair", h5py.ref_dtype, (2,)), ("texts", h5py.string_dtype(), (2,))]
    )
    rows = h5py.vlen_dtype(h5py.ref_dtype)

    def edit(group: h5py.Group) -> None:
        movie = group.file[MOVIE].ref
        value = np.zeros(3, kind)
        value["inner"]["to"] = movie
        value["pair"] = movie
        value["texts"] = [["a", "größer"]] * 3
        group.attrs.create("compound", value)
        ragged = np.empty(2, rows)
        ragged[:] = [np.array([movie, movie], h5py.ref_dtype), np.array([], h5py.ref_dtype)]
        group.attrs.create("ragged", ragged, dtype=rows)
        numbers = np.empty(2, object)
        numbers[:] = [np.arange(3.0), np.arange(2.0)]
        group.attrs.create("numbers", numbers, dtype=h5py.vlen_dtype(np.dtype("f8")))
        group.create_dataset("numbers", (2,), h5py.vlen_dtype(np.dtype("f8")))[:] = numbers
        scale = group.create_dataset("scale", data=np.arange(3.0))
        scale.make_scale("time")
        group.create_dataset("scaled", data=np.ones((3, 2))).dims[0].attach_scale(scale)

    odd(path, edit)
    with nwb.open(path) as session:
        movie, attrs = session[MOVIE], session["/scratch/odd"].attrs
        assert attrs["compound"]["inner"]["to"].tolist() == [movie] * 3
        assert attrs["compound"]["pair"].tolist() == [[movie] * 2] * 3
        assert attrs["compound"]["texts"][2].tolist() == ["a", "größer"]
        assert [row.tolist() for row in attrs["ragged"]] == [[movie, movie], []]
        scaled = session["/scratch/odd/scaled"]
        assert scaled.attrs["DIMENSION_LIST"][0].tolist() == [session["/scratch/odd/scale"]]
    assert_kept(path)


def test_one_attribute_that_cannot_be_read_does_not_hide_the_others(path: Path) -> None:
    kind = h5t.vlen_create(h5t.UNIX_D32LE)

    def edit(group: h5py.Group) -> None:
        for owner in (group, group.file[MOVIE]):
            h5a.create(owner.id, b"bad", kind, h5s.create_simple((2,)))
            owner.attrs["good"] = 3

    odd(path, edit)
    with nwb.open(path) as session:
        movie = session[MOVIE]
        assert isinstance(movie, nwb.TwoPhotonSeries)
        assert movie.attrs["good"] == session["/scratch/odd"].attrs["good"] == 3
        assert "'bad': <not readable: " in repr(movie.attrs)
        with pytest.raises(nwb.DataError, match=f"{MOVIE}, field 'bad': the attribute cannot be"):
            movie.attrs["bad"]
        assert (MOVIE, "bad") in {(one.path, one.field) for one in session.problems}
        movie.comments = "changed"
        nwb.write(session, path.with_name("changed.nwb"))
    (found,) = differences(path, path.with_name("changed.nwb"), ignore=lambda at: "@bad" in at)
    assert found.startswith(f"{MOVIE}@comments: ")
    with h5py.File(path.with_name("changed.nwb")) as file:
        assert h5a.open(file[MOVIE].id, b"bad").get_type().equal(kind)


def test_a_required_attribute_that_cannot_be_read_says_so(path: Path) -> None:
    def edit(group: h5py.Group) -> None:
        data = group.file[f"{MOVIE}/data"]
        del data.attrs["unit"]
        h5a.create(data.id, b"unit", h5t.vlen_create(h5t.UNIX_D32LE), h5s.create(h5s.SCALAR))

    odd(path, edit)
    with nwb.open(path) as session:
        data = session[MOVIE].data
        assert data.shape
        with pytest.raises(nwb.DataError, match=rf"{MOVIE}/data, field 'unit': the attribute"):
            data.unit  # noqa: B018


# -- storage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [None, (2,)])
def test_fill_values_of_text_are_copied(path: Path, chunks: Any) -> None:
    def edit(group: h5py.Group) -> None:
        options: dict[str, Any] = {"chunks": chunks, "dtype": h5py.string_dtype()}
        group.create_dataset("texts", (5,), fillvalue="none such", **options)[1] = "ü"

    odd(path, edit)
    shutil.copy(path, path.with_name("repacked.nwb"))
    nwb.repack(path.with_name("repacked.nwb"))
    assert differences(path, path.with_name("repacked.nwb")) == []
    with h5py.File(path.with_name("repacked.nwb"), "r+") as file:
        texts = file["scratch/odd/texts"].asstr()[()].tolist()
    assert texts == ["none such", "ü", *["none such"] * 3]


def test_numbered_sources_of_virtual_data_are_found_from_another_folder(path: Path) -> None:
    def edit(group: h5py.Group) -> None:
        for number in range(3):
            with h5py.File(path.with_name(f"part {number}.h5"), "w") as part:
                part["d"] = np.arange(6.0) + 10 * number
        space = h5s.create_simple((3, 6), (h5s.UNLIMITED, 6))
        space.select_hyperslab((0, 0), (h5s.UNLIMITED, 1), block=(1, 6))
        properties = h5p.create(h5p.DATASET_CREATE)
        properties.set_virtual(space, b"part %b.h5", b"d", h5s.create_simple((6,)))
        full = h5s.create_simple((3, 6), (h5s.UNLIMITED, 6))
        h5d.create(group.id, b"virtual", h5t.IEEE_F64LE, full, properties)

    odd(path, edit)
    (path.parent / "below").mkdir()
    with nwb.open(path) as session:
        written = nwb.write(session, path.parent / "below" / "copy.nwb")
    with h5py.File(written) as file:
        assert file["scratch/odd/virtual"][:, 0].tolist() == [0, 10, 20]
    assert differences(path, written, moved=True) == []


def test_external_data_that_are_missing_compare_by_their_files(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def edit(group: h5py.Group) -> None:
        properties = h5p.create(h5p.DATASET_CREATE)
        properties.set_external(b"missing.bin", 0, 40)
        h5d.create(group.id, b"raw", h5t.STD_I32LE, h5s.create_simple((10,)), properties)

    odd(path, edit)
    monkeypatch.chdir("/")
    shutil.copy(path, path.with_name("copy.nwb"))
    assert nwb.diff(path, path.with_name("copy.nwb")) == []


@pytest.mark.parametrize("in_place", [False, True])
def test_attributes_of_data_that_are_replaced_stay_as_stored(path: Path, in_place: bool) -> None:
    kind = np.dtype([("to", h5py.ref_dtype, (2,)), ("n", ">i2"), ("text", h5py.string_dtype())])
    rows = h5py.vlen_dtype(h5py.ref_dtype)

    def edit(group: h5py.Group) -> None:
        data, movie = group.file[f"{MOVIE}/data"], group.file[MOVIE]
        value = np.zeros(2, kind)
        value["to"], value["text"] = [[movie.ref, data.ref]] * 2, ["a", "ü"]
        data.attrs.create("compound", value)
        ragged = np.empty(1, rows)
        ragged[0] = np.array([data.ref, movie.ref], h5py.ref_dtype)
        data.attrs.create("ragged", ragged, dtype=rows)
        data.attrs["itself"], data.attrs["part"] = data.ref, group.file[PLANE].ref
        data.attrs["enum"] = np.True_
        data.attrs["fixed"] = np.bytes_(b"\xe9t\xe9")
        data.attrs["unit"] = np.bytes_(b"n.a.")
        data.attrs["null"] = h5py.Empty("S3")
        group["kind"] = np.dtype(">i4")
        h5a.create(data.id, b"shared", group["kind"].id, h5s.create_simple((2,)))
        h5a.create(data.id, b"narrow", kinds()["narrow"], h5s.create_simple((2,)))

    odd(path, edit)
    target = path.with_name("changed.nwb")
    if in_place:
        shutil.copy(path, target)
    with nwb.open(target if in_place else path, "r+" if in_place else "r") as session:
        session[MOVIE].data.array = np.zeros((7, 5, 4), np.int32)
        session[MOVIE].data.conversion = 2.0
        session.save() if in_place else nwb.write(session, target)
    allowed = ("dataspace", "shape", "maxshape", "size", "class", "bits", "byte order", "layout")
    allowed += ("chunks", "filters", "fill value", "allocation time", "fill time")
    found = [
        one
        for one in differences(path, target, ignore=lambda at: at.endswith("@conversion"))
        if not one.startswith(tuple(f"{MOVIE}/data: {what}" for what in allowed))
    ]
    assert found == []
    with h5py.File(target) as file:
        assert file[f"{MOVIE}/data"].attrs["conversion"] == 2.0
        assert file[file[f"{MOVIE}/data"].attrs["ragged"][0][0]].shape == (7, 5, 4)


def test_single_elements_are_assigned_in_place(path: Path) -> None:
    rows = h5py.vlen_dtype(h5py.string_dtype())
    short = h5t.C_S1.copy()
    short.set_size(3)

    def edit(group: h5py.Group) -> None:
        group["texts"] = np.array(["a", "b", "größer"], object)
        group["fixed"] = np.array([b"ab", b"cde", b"f"])
        stored(group, "short", short, np.frombuffer(b"abcdefghi", np.uint8).reshape(3, 3))
        references = [group.ref, group.file[MOVIE].ref, h5py.Reference()]
        group["references"] = np.array(references, h5py.ref_dtype)
        stored(group, "narrow", kinds()["narrow"], np.ones((3, 3), np.uint8))
        group.create_dataset("ragged", (3,), rows)[0] = np.array(["a"], object)

    odd(path, edit)
    with nwb.open(path, "r+") as session:
        group = session["/scratch/odd"]
        for name in ("texts", "fixed", "short", "references"):
            group[name].array[0] = group[name].array[1]
        assert group["texts"].array[:].tolist() == ["b", "b", "größer"]
        session.save()
        with pytest.raises(nwb.SchemaError, match="/scratch/odd/narrow: elements that are read as"):
            group["narrow"].array[0] = group["narrow"].array[1]
        group["ragged"].array[1] = "a"
        with pytest.raises(nwb.SchemaError, match="/scratch/odd/ragged: what was assigned is no"):
            session.save()
        session.discard()
    with h5py.File(path) as file:
        group = file["scratch/odd"]
        assert group["texts"].asstr()[()].tolist() == ["b", "b", "größer"]
        assert group["fixed"][()].tolist() == [b"cde", b"cde", b"f"]
        assert group["short"][()].tolist() == [b"def", b"def", b"ghi"]
        assert [bool(one) and file[one].name for one in group["references"]] == [
            MOVIE,
            MOVIE,
            False,
        ]


# -- links -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/general/devices", "/nowhere"])
def test_a_broken_link_in_the_place_of_a_group_hides_only_that(path: Path, target: str) -> None:
    with h5py.File(path, "r+") as file:
        file.move("general/devices", "scratch/devices")
        file["general/devices"] = h5py.SoftLink(target)
    with nwb.open(path) as session:
        assert session[MOVIE] in list(session.walk())
        with pytest.raises(nwb.LinkError, match="/general/devices: "):
            session.devices  # noqa: B018
        written = nwb.write(session, path.with_name("copy.nwb"))
    assert differences(path, written) == []
    problems = nwb.validate(path)
    assert ("/", "devices", "link") in {(one.path, one.field, one.rule) for one in problems}


def test_soft_links_by_way_of_external_ones_are_the_same_in_another_folder(path: Path) -> None:
    def edit(group: h5py.Group) -> None:
        with h5py.File(path.with_name("other.h5"), "w") as other:
            other["deep/x"] = 5
        group["far"] = h5py.ExternalLink("other.h5", "/deep")
        group["soft"] = h5py.SoftLink("/scratch/odd/far/x")
        group["dangling"] = h5py.SoftLink("/scratch/odd/far/y")

    odd(path, edit)
    (path.parent / "below").mkdir()
    with nwb.open(path) as session:
        written = nwb.write(session, path.parent / "below" / "copy.nwb")
    assert nwb.diff(path, written) == []
    with h5py.File(written, "r+") as file:
        file["scratch/odd/soft"]
        del file["scratch/odd/soft"]
        file["scratch/odd/soft"] = h5py.SoftLink("/scratch/odd/far")
    assert [one.path for one in nwb.diff(path, written)] == ["/scratch/odd/soft"]


def test_a_damaged_object_keeps_nothing_from_being_written_elsewhere(path: Path) -> None:
    odd(path, lambda group: group.create_group("damaged"))
    with h5py.File(path) as file:
        address = h5py.h5o.get_info(file["scratch/odd/damaged"].id).addr
    with open(path, "r+b") as stream:
        stream.seek(address)
        stream.write(b"\xff" * 8)
    (path.parent / "below").mkdir()
    with nwb.open(path) as session:
        written = nwb.write(session, path.parent / "below" / "copy.nwb")
    assert written.read_bytes() == path.read_bytes()
    assert nwb.read(path)[MOVIE].data.shape
    assert os.path.getsize(nwb.write(nwb.read(path), path.with_name("eager.nwb")))
