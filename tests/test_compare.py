"""`diff` finds what differs in meaning, and only that. Files are made and changed by plain h5py."""

import io
import shutil
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import pytest

import nwb_ophys as nwb
from nwb_ophys.errors import ClosedError, FileMissingError, NotNWBError, SchemaError
from nwb_ophys.hdf5 import equality

REAL = Path(__file__).parents[1] / ".." / "shared" / "real"
REAL_FILES = sorted(REAL.glob("*.nwb"))

POINT = np.dtype([("x", "u4"), ("y", "u4"), ("weight", "f4")])
CELL = np.dtype([("start", "i4"), ("series", h5py.ref_dtype)])
COLORS = h5py.enum_dtype({"RED": 0, "GREEN": 1})
RAGGED = h5py.vlen_dtype("f8")


def typed(group, name):
    group.attrs.update(neurodata_type=name, namespace="core", object_id=f"id of {group.name}")
    return group


def build(path):
    """A file with one of everything that may differ."""
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.7.0"
        typed(file, "NWBFile")
        file["identifier"] = "m1"
        file["nothing"] = h5py.Empty("f4")
        file.create_group("acquisition")
        movie = typed(file.create_group("acquisition/movie"), "TimeSeries")
        movie.attrs["shape"] = [3, 4]
        movie.attrs["gain"] = 1.5
        movie.attrs["nothing"] = h5py.Empty("f4")
        movie.attrs["labels"] = ["on", "off"]
        movie["data"] = np.arange(60, dtype="i2").reshape(5, 4, 3)
        movie["data"].attrs["unit"] = "n.a."
        movie["floats"] = [0.0, np.nan, -1.0]
        movie["flags"] = [True, False, True]
        movie["texts"] = ["one", "two", "drei é"]
        movie["points"] = np.array([(1, 2, 0.5), (3, 4, np.nan)], POINT)
        movie.create_dataset("colors", data=[0, 1, 1], dtype=COLORS)
        ragged = movie.create_dataset("ragged", (2,), RAGGED)
        ragged[0], ragged[1] = [1.0, np.nan], [2.0]
        twin = typed(file.create_group("acquisition/twin"), "TimeSeries")
        twin["data"] = h5py.SoftLink("/acquisition/movie/data")
        file["same"] = file["identifier"]  # a hard link
        twin["lost"] = h5py.SoftLink("/nowhere")
        twin["outside"] = h5py.ExternalLink("other.nwb", "/acquisition")
        twin.attrs["target"] = movie.ref
        twin.attrs["none"] = h5py.Reference()
        twin.create_dataset("targets", data=[movie.ref, twin.ref], dtype=h5py.ref_dtype)
        twin["cells"] = np.array([(1, movie.ref), (2, twin.ref)], CELL)
        twin.create_dataset(
            "regions", data=[movie["data"].regionref[0:2]], dtype=h5py.regionref_dtype
        )
        for name, version in (("core", "2.7.0"), ("ndx-mine", "0.1.0")):
            file[f"specifications/{name}/{version}/namespace"] = "{}"
        file.attrs[".specloc"] = file["specifications"].ref


@pytest.fixture
def pair(tmp_path):
    """Two files with the same content; the second is for changes."""
    a, b = tmp_path / "a.nwb", tmp_path / "b.nwb"
    build(a)
    shutil.copyfile(a, b)
    return a, b


def replace(file, path, value=None, **options):
    attributes = dict(file[path].attrs)
    del file[path]
    created = file.create_dataset(path, data=value, **options)
    created.attrs.update(attributes)


def change(path, index, value):
    def apply(file):
        file[path][index] = value

    return apply


def attribute(path, name, value):
    def apply(file):
        file[path].attrs[name] = value

    return apply


def exchange(path, value, **options):
    return lambda file: replace(file, path, value, **options)


def delete(path):
    def apply(file):
        del file[path]

    return apply


def relink(path, target):
    def apply(file):
        del file[path]
        file[path] = file[target] if isinstance(target, str) else target

    return apply


def separate(file):
    del file["same"]
    file["same"] = "m1"


def share(file):
    file["acquisition/movie/more"] = file["acquisition/movie/floats"][:]


def retarget(file):
    file["acquisition/twin"].attrs["target"] = file["acquisition"].ref


def retarget_element(file):
    file["acquisition/twin/targets"][1] = file["acquisition"].ref


def retarget_member(file):
    file["acquisition/twin/cells"][1] = (2, file["acquisition"].ref)


def reselect(file):
    file["acquisition/twin/regions"][0] = file["acquisition/movie/data"].regionref[0:3]


def other_version(file):
    file.move("specifications/core/2.7.0", "specifications/core/2.8.0")


MOVIE, TWIN = "/acquisition/movie", "/acquisition/twin"
PLANTED = {
    "text": (change("identifier", (), "m2"), "/identifier", "value", "'m1' in a, 'm2' in b"),
    "one element": (
        change(f"{MOVIE}/data", (2, 1, 0), -5),
        f"{MOVIE}/data",
        "value",
        "1 of 60 elements differ, the first at [2, 1, 0]: 27 in a, -5 in b",
    ),
    "NaN became a number": (change(f"{MOVIE}/floats", 1, 2.0), f"{MOVIE}/floats", "value", "nan"),
    "boolean": (change(f"{MOVIE}/flags", 1, True), f"{MOVIE}/flags", "value", "False in a"),
    "text in array": (change(f"{MOVIE}/texts", 2, "drei"), f"{MOVIE}/texts", "value", "'drei é'"),
    "member of compound": (
        change(f"{MOVIE}/points", 0, (1, 2, 0.25)),
        f"{MOVIE}/points",
        "value",
        "(1, 2, 0.5) in a, (1, 2, 0.25) in b",
    ),
    "enumeration": (change(f"{MOVIE}/colors", 0, 1), f"{MOVIE}/colors", "value", "0 in a, 1 in b"),
    "ragged row": (change(f"{MOVIE}/ragged", 0, [1.0]), f"{MOVIE}/ragged", "value", "first at [0]"),
    "attribute": (attribute(MOVIE, "gain", 1.25), f"{MOVIE}@gain", "value", "1.5 in a, 1.25 in b"),
    "attribute of dataset": (
        attribute(f"{MOVIE}/data", "unit", "V"),
        f"{MOVIE}/data@unit",
        "value",
        "'n.a.' in a, 'V' in b",
    ),
    "array attribute": (
        attribute(MOVIE, "shape", [3, 5]),
        f"{MOVIE}@shape",
        "value",
        "1 of 2 elements differ, the first at [1]: 4 in a, 5 in b",
    ),
    "attribute shape": (attribute(MOVIE, "shape", [3]), f"{MOVIE}@shape", "shape", "(2,) in a"),
    "scalar and array of one": (
        attribute(f"{MOVIE}/data", "unit", ["n.a."]),
        f"{MOVIE}/data@unit",
        "shape",
        "() in a, (1,) in b",
    ),
    "nothing became a value": (
        attribute(MOVIE, "nothing", np.float32(0)),
        f"{MOVIE}@nothing",
        "shape",
        "no shape in a, () in b",
    ),
    "attribute kind": (
        attribute(MOVIE, "shape", [3.0, 4.0]),
        f"{MOVIE}@shape",
        "dtype",
        "integer in a, float in b",
    ),
    "number became text": (
        attribute(MOVIE, "gain", "1.5"),
        f"{MOVIE}@gain",
        "dtype",
        "float in a, text in b",
    ),
    "attribute only in b": (attribute(MOVIE, "new", 1), f"{MOVIE}@new", "added", "only in b: 1"),
    "attribute only in a": (
        lambda file: file[MOVIE].attrs.pop("gain"),
        f"{MOVIE}@gain",
        "removed",
        "only in a: 1.5",
    ),
    "type": (
        attribute(MOVIE, "neurodata_type", "ImageSeries"),
        f"{MOVIE}@neurodata_type",
        "type",
        "'TimeSeries' in a, 'ImageSeries' in b",
    ),
    "namespace": (attribute(MOVIE, "namespace", "ndx"), f"{MOVIE}@namespace", "type", "'ndx' in b"),
    "integers became floats": (
        exchange(f"{MOVIE}/data", np.arange(60.0).reshape(5, 4, 3)),
        f"{MOVIE}/data",
        "dtype",
        "integer in a, float in b",
    ),
    "booleans became integers": (
        exchange(f"{MOVIE}/flags", np.array([1, 0, 1], "i1")),
        f"{MOVIE}/flags",
        "dtype",
        "boolean in a, integer in b",
    ),
    "members of compound": (
        exchange(f"{MOVIE}/points", np.zeros(2, POINT[["x", "y"]])),
        f"{MOVIE}/points",
        "dtype",
        "{x: integer, y: integer, weight: float} in a",
    ),
    "shape": (
        exchange(f"{MOVIE}/data", np.arange(60, dtype="i2").reshape(5, 3, 4)),
        f"{MOVIE}/data",
        "shape",
        "(5, 4, 3) in a, (5, 3, 4) in b",
    ),
    "empty dataset": (exchange("nothing", np.float32(0)), "/nothing", "shape", "no shape in a"),
    "member only in a": (delete(f"{MOVIE}/data"), f"{MOVIE}/data", "removed", "int16 (5, 4, 3)"),
    "member only in b": (share, f"{MOVIE}/more", "added", "only in b: float64 (3,)"),
    "typed member only in a": (delete(TWIN), TWIN, "removed", "only in a: TimeSeries"),
    "group became dataset": (
        exchange(MOVIE, 1.0),
        MOVIE,
        "object",
        "a group in a, a dataset in b",
    ),
    "soft link": (
        relink(f"{TWIN}/data", h5py.SoftLink("/acquisition/movie/flags")),
        f"{TWIN}/data",
        "link",
        "soft link -> /acquisition/movie/data in a, soft link -> /acquisition/movie/flags in b",
    ),
    "soft link became an object": (
        relink(f"{TWIN}/data", f"{MOVIE}/data"),
        f"{TWIN}/data",
        "link",
        "int16 (5, 4, 3) in b",
    ),
    "soft link broke": (
        relink(f"{TWIN}/data", h5py.SoftLink("/gone")),
        f"{TWIN}/data",
        "link",
        "soft link -> /gone (dangling) in b",
    ),
    "dangling link": (
        relink(f"{TWIN}/lost", h5py.SoftLink("/elsewhere")),
        f"{TWIN}/lost",
        "link",
        "/nowhere (dangling) in a",
    ),
    "file of external link": (
        relink(f"{TWIN}/outside", h5py.ExternalLink("third.nwb", "/acquisition")),
        f"{TWIN}/outside",
        "link",
        "external link -> third.nwb:/acquisition in b",
    ),
    "target of external link": (
        relink(f"{TWIN}/outside", h5py.ExternalLink("other.nwb", "/general")),
        f"{TWIN}/outside",
        "link",
        "external link -> other.nwb:/general in b",
    ),
    "alias became a copy": (separate, "/same", "alias", "the same object as /identifier only in a"),
    "reference": (retarget, f"{TWIN}@target", "value", "-> /acquisition/movie in a"),
    "null reference": (
        attribute(TWIN, "target", h5py.Reference()),
        f"{TWIN}@target",
        "value",
        "-> nothing in b",
    ),
    "reference in array": (
        retarget_element,
        f"{TWIN}/targets",
        "value",
        "the first at [1]: -> /acquisition/twin in a, -> /acquisition in b",
    ),
    "reference in compound": (
        retarget_member,
        f"{TWIN}/cells",
        "value",
        "(2, -> /acquisition/twin) in a, (2, -> /acquisition) in b",
    ),
    "region": (reselect, f"{TWIN}/regions", "value", "(a region)"),
    "version of specification": (
        other_version,
        "/specifications/core",
        "specification",
        "2.7.0 in a, 2.8.0 in b",
    ),
    "specification only in a": (
        delete("specifications/ndx-mine"),
        "/specifications/ndx-mine",
        "specification",
        "0.1.0 in a, none in b",
    ),
}


@pytest.mark.parametrize(("apply", "path", "kind", "text"), PLANTED.values(), ids=PLANTED)
def test_a_planted_difference_is_found_and_named(pair, apply, path, kind, text):
    a, b = pair
    with h5py.File(b, "r+") as file:
        apply(file)
    found = nwb.diff(a, b)
    named = [one for one in found if (one.path, one.kind) == (path, kind)]
    assert len(named) == 1, [*map(str, found)]
    assert str(named[0]).startswith(f"{path}: ")
    assert text in str(named[0])
    assert "\n" not in str(named[0])


SINGLE = {
    name
    for name in PLANTED
    if name
    not in {
        # These break links and references to what was exchanged or deleted, too.
        *("alias became a copy", "group became dataset", "member only in a"),
        *("typed member only in a", "integers became floats", "shape"),
    }
}


@pytest.mark.parametrize("name", sorted(SINGLE))
def test_nothing_else_is_found(pair, name):
    a, b = pair
    with h5py.File(b, "r+") as file:
        PLANTED[name][0](file)
    assert len(nwb.diff(a, b)) == 1


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_the_other_way_round_the_same_places_differ(pair, name):
    a, b = pair
    with h5py.File(b, "r+") as file:
        PLANTED[name][0](file)
    turned = {"added": "removed", "removed": "added"}
    there = {(one.path, one.a, one.b, one.kind) for one in nwb.diff(a, b)}
    back = {(one.path, one.b, one.a, turned.get(one.kind, one.kind)) for one in nwb.diff(b, a)}
    assert there == back


def storage(path, value, **options):
    """Store a dataset in another way, without breaking what refers to it: none does."""
    return exchange(f"{MOVIE}/{path}", value, **options)


def big_endian(file):
    del file[f"{MOVIE}/floats"]
    file[f"{MOVIE}/floats"] = np.array([0.0, np.nan, -1.0], ">f8")


def other_order(file):
    values = dict(file[MOVIE].attrs)
    for name in values:
        del file[MOVIE].attrs[name]
    for name in reversed(values):
        file[MOVIE].attrs[name] = values[name]


def fixed_text(file):
    kind = h5py.string_dtype("utf-8", 9)
    replace(file, f"{MOVIE}/texts", np.array(["one", "two", "drei é".encode()], kind))


def ascii_attribute(file):
    file[f"{MOVIE}/data"].attrs.create("unit", b"n.a.", dtype=h5py.string_dtype("ascii", 4))


def other_specification(file):
    file["specifications/core/2.7.0/namespace"][()] = '{"namespaces": []}'
    file["specifications/core/2.7.0/more"] = "{}"


def other_path_of_specifications(file):
    file.move("specifications", "specs")


def alias_of_target(file):
    file["acquisition/0"] = file[MOVIE]
    file[TWIN].attrs["target"] = file["acquisition/0"].ref
    del file["acquisition/0"]


def other_soft_path(file):
    del file[f"{TWIN}/data"]
    file[f"{TWIN}/data"] = h5py.SoftLink("/acquisition/./movie/data")


STORAGE = {
    "chunks and gzip": storage(
        "points", np.array([(1, 2, 0.5), (3, 4, np.nan)], POINT), chunks=(1,), compression="gzip"
    ),
    "resizable, shuffled, checked": storage(
        "flags", [True, False, True], maxshape=(None,), shuffle=True, fletcher32=True
    ),
    "fill value": storage("flags", [True, False, True], chunks=(2,), fillvalue=True),
    "byte order": big_endian,
    "compound widths": storage(
        "points",
        np.array([(1, 2, 0.5), (3, 4, np.nan)], [("x", ">i8"), ("y", "u2"), ("weight", "f8")]),
    ),
    "float width": storage("floats", np.array([0.0, np.nan, -1.0], "f4")),
    "integer width of attribute": attribute(MOVIE, "shape", np.array([3, 4], "u1")),
    "float width of attribute": attribute(MOVIE, "gain", np.float32(1.5)),
    "fixed-length text": fixed_text,
    "ascii attribute": ascii_attribute,
    "order of attributes": other_order,
    "text of specifications": other_specification,
    "place of specifications": other_path_of_specifications,
    "reference made by an alias": alias_of_target,
    "text of a soft link": other_soft_path,
}


@pytest.mark.parametrize("apply", STORAGE.values(), ids=STORAGE)
def test_how_it_is_stored_is_no_difference(pair, apply):
    a, b = pair
    with h5py.File(b, "r+") as file:
        apply(file)
    assert nwb.diff(a, b) == []
    assert nwb.diff(b, a) == []


# -- aliases, cycles, order ----------------------------------------------------------------------


def test_hard_link_cycles_and_aliases_are_walked_once(tmp_path):
    paths = [tmp_path / "a.nwb", tmp_path / "b.nwb"]
    for path in paths:
        with h5py.File(path, "w") as file:
            file.create_group("g/h")
            file["g/h/up"] = file["g"]
            file["g/h/self"] = file["g/h"]
            file["root"] = file["/"]
            file["twin"] = file["g"]
            file["g/x"] = 1.0
    assert nwb.diff(*paths) == []
    with h5py.File(paths[1], "r+") as file:
        file["g/x"][()] = 2.0
    assert [one.path for one in nwb.diff(*paths)] == ["/g/x"]


def test_a_copied_group_is_one_difference_not_one_per_member(tmp_path):
    paths = [tmp_path / "a.nwb", tmp_path / "b.nwb"]
    for path in paths:
        with h5py.File(path, "w") as file:
            file["g/x"], file["g/y"] = 1.0, 2.0
            if path == paths[0]:
                file["h"] = file["g"]
            else:
                file.copy("g", "h")
    assert [str(one) for one in nwb.diff(*paths)] == ["/h: the same object as /g only in a"]
    assert [str(one) for one in nwb.diff(*paths[::-1])] == ["/h: the same object as /g only in b"]


def test_differences_come_sorted_by_path(pair):
    a, b = pair
    with h5py.File(b, "r+") as file:
        for path in ("zebra", "acquisition/movie/zebra", "acquisition-2", "acquisition/0"):
            file[path] = 1
    paths = ["/acquisition/0", "/acquisition/movie/zebra", "/acquisition-2", "/zebra"]
    assert [one.path for one in nwb.diff(a, b)] == paths


# -- large arrays --------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [None, (3, 2, 4), (7, 1, 1), True])
@pytest.mark.parametrize("room", [1, 64, 200, 1 << 24])
def test_blocks_give_what_numpy_gives(tmp_path, monkeypatch, chunks, room):
    monkeypatch.setattr(equality, "_BLOCK_BYTES", room)
    random = np.random.default_rng(room)
    values = random.integers(0, 100, (7, 5, 9)).astype("i2")
    other = values.copy()
    other[random.random(values.shape) < 0.05] += 100
    for name, array in (("a.nwb", values), ("b.nwb", other)):
        with h5py.File(tmp_path / name, "w") as file:
            file.create_dataset("d", data=array, chunks=chunks if name == "a.nwb" else None)
    differing = np.argwhere(values != other)
    (found,) = nwb.diff(tmp_path / "a.nwb", tmp_path / "b.nwb")
    assert f"{len(differing)} of 315 elements differ" in found.message
    assert found.message.endswith(f"the first at {differing[0].tolist()}")
    index = tuple(differing[0])
    assert (found.a, found.b) == (str(values[index]), str(other[index]))


def test_blocks_are_whole_chunks_and_bounded():
    for shape, chunks in [((10_000, 512, 512), (20, 256, 256)), ((10_000, 100_000), (10_000, 1))]:
        boxes = list(equality._blocks(shape, chunks, 2))
        for box in boxes[:50]:
            sizes = [part.stop - part.start for part in box]
            assert np.prod(sizes) * 2 <= 1 << 24
            assert all(part.start % step == 0 for part, step in zip(box, chunks, strict=True))
        assert sum(np.prod([p.stop - p.start for p in box]) for box in boxes) == np.prod(shape)


def sparse(path, last, fill=0):
    with h5py.File(path, "w") as file:
        shape, chunks = (10**6, 10**6), (100, 100)
        data = file.create_dataset("d", shape, "i4", chunks=chunks, fillvalue=fill)
        data[5, 5] = 1
        data[999_999, 3] = last
        file.create_dataset("contiguous", (10**12,), "i4")


def test_what_no_file_has_stored_is_not_visited(tmp_path):
    a, b, c = (tmp_path / name for name in ("a.nwb", "b.nwb", "c.nwb"))
    sparse(a, 2)
    sparse(b, 3)
    sparse(c, 2, fill=7)
    assert nwb.diff(a, a) == []
    (found,) = nwb.diff(a, b)
    assert found.message == "1 of 1,000,000,000,000 elements differ, the first at [999999, 3]"
    (found,) = nwb.diff(a, c)
    assert found.message.startswith("999,999,999,998 of 1,000,000,000,000 elements differ")
    assert (found.a, found.b) == ("0", "7")


def test_large_integers_are_not_compared_as_floats(tmp_path):
    for name, array in (
        ("a.nwb", np.array([2**53 + 1, 5, -1], "i8")),
        ("b.nwb", np.array([2**53, 5, 2**64 - 1], "u8")),
    ):
        with h5py.File(tmp_path / name, "w") as file:
            file["d"] = array
    (found,) = nwb.diff(tmp_path / "a.nwb", tmp_path / "b.nwb")
    assert found.message == "2 of 3 elements differ, the first at [0]"


# -- sessions ------------------------------------------------------------------------------------


def authored(data=None):
    session = nwb.NWBFile(
        identifier="m1",
        session_description="a session",
        session_start_time=datetime(2026, 1, 2, tzinfo=UTC),
    )
    values = np.arange(6.0) if data is None else data
    session.acquisition.add(nwb.TimeSeries(name="series", data=values, unit="V", rate=10.0))
    return session


@pytest.fixture
def written(tmp_path):
    return nwb.write(authored(), tmp_path / "written.nwb")


def test_an_opened_session_is_its_file(written):
    with nwb.open(written) as session:
        assert nwb.diff(session, written) == []
        assert nwb.diff(session, session) == []
        assert session.acquisition["series"].data[2] == 2.0  # it stays open


def test_sessions_with_references_are_compared_without_their_models(pair):
    a, b = pair
    with nwb.open(a) as one, nwb.open(b) as other:
        assert nwb.diff(one, other) == []


def test_a_session_in_memory_is_its_file(written):
    assert nwb.diff(nwb.read(written), written) == []


def test_a_changed_session_is_compared_as_it_would_be_written(written):
    with nwb.open(written) as session:
        session.session_description = "another"
        session.acquisition["series"].comments = "good"
        session.devices.add(nwb.Device(name="scope"))
        texts = [str(one) for one in nwb.diff(written, session)]
    assert texts == [
        "/acquisition/series@comments: only in b: 'good'",
        "/general/devices: only in b: group",
        "/session_description: the value differs: 'a session' in a, 'another' in b",
    ]


def test_an_authored_session_is_compared_as_it_would_be_written(tmp_path):
    session = authored()
    path = nwb.write(session, tmp_path / "s.nwb")
    before = session.acquisition["series"].hdf5_path
    assert nwb.diff(session, path) == []
    assert nwb.diff(session, session) == []
    assert session.acquisition["series"].hdf5_path == before
    session.acquisition["series"].data.unit = "mV"
    (found,) = nwb.diff(path, session)
    assert str(found) == "/acquisition/series/data@unit: the value differs: 'V' in a, 'mV' in b"


def test_comparing_an_authored_session_leaves_it_as_it_was():
    session = authored()
    assert nwb.diff(session, session) == []
    assert session.hdf5_path is None
    assert session.acquisition["series"].hdf5_path is None


def test_a_stream_is_refused_and_not_consumed(tmp_path):
    blocks = iter([np.arange(3.0), np.arange(3.0)])
    session = authored(blocks)
    with pytest.raises(SchemaError, match=r"/acquisition/series.*can be read only once"):
        nwb.diff(session, session)
    path = nwb.write(session, tmp_path / "s.nwb")
    with nwb.open(path) as opened:
        assert opened.acquisition["series"].data.shape == (6,)


def test_a_session_that_was_closed_says_so(written):
    session = nwb.open(written)
    session.close()
    with pytest.raises(ClosedError, match="the file was closed"):
        nwb.diff(session, written)


# -- files ---------------------------------------------------------------------------------------


def test_file_objects_are_compared(written):
    image = io.BytesIO(written.read_bytes())
    assert nwb.diff(image, written) == []
    with open(written, "rb") as stream:
        assert nwb.diff(stream, image) == []


def test_external_links_are_not_opened_and_compared_by_where_they_lead(pair, tmp_path):
    a, _ = pair
    (tmp_path / "below").mkdir()
    c = tmp_path / "below" / "c.nwb"
    shutil.copyfile(a, c)
    assert nwb.diff(a, c) == []  # the same text: each has its own other.nwb
    with h5py.File(c, "r+") as file:
        del file[f"{TWIN}/outside"]
        file[f"{TWIN}/outside"] = h5py.ExternalLink("../other.nwb", "/acquisition")
    assert nwb.diff(a, c) == []  # the same file


def external(path, raw):
    with h5py.File(path, "w") as file:
        file.create_dataset("d", (4,), "u1", external=[(str(raw), 0, 4)])


def test_data_that_cannot_be_read_from_other_files_are_compared_by_those(tmp_path):
    far = tmp_path / "far"
    far.mkdir()
    (tmp_path / "files").mkdir()
    a, b, c = (tmp_path / "files" / name for name in ("a.nwb", "b.nwb", "c.nwb"))
    external(a, far / "one.raw")
    external(b, far / "one.raw")
    external(c, far / "two.raw")
    assert nwb.diff(a, b) == []
    (found,) = nwb.diff(a, c)
    assert found.kind == "value"
    assert "one.raw in a" in str(found)
    assert "two.raw in b" in str(found)


def test_a_corrupt_chunk_is_reported_not_raised(pair):
    a, b = pair
    for path in pair:
        with h5py.File(path, "r+") as file:
            replace(file, f"{MOVIE}/flags", np.arange(4), chunks=(4,), compression="gzip")
            if path == b:
                file[f"{MOVIE}/flags"].id.write_direct_chunk((0,), b"no zlib stream")
                file["identifier"][()] = "m2"
    found = nwb.diff(a, b)
    assert [(one.path, one.kind) for one in found] == [
        (f"{MOVIE}/flags", "unreadable"),
        ("/identifier", "value"),
    ]
    assert str(b) in str(found[0])


def break_object(path, name):
    with h5py.File(path) as file:
        address = h5py.h5o.get_info(file[name].id).addr
    with open(path, "r+b") as stream:
        stream.seek(address)
        stream.write(b"\xff" * 16)


def test_a_broken_object_is_reported_not_raised(pair):
    a, b = pair
    break_object(b, MOVIE)
    found = nwb.diff(a, b)
    broken = [one for one in found if one.path == MOVIE]
    assert [one.kind for one in broken] == ["unreadable"]
    assert f"{b}, {MOVIE}: " in str(broken[0])
    assert {one.path for one in nwb.diff(b, b)} == {MOVIE}


BAD = {
    "missing": (lambda folder: folder / "none.nwb", FileMissingError, r"none\.nwb: there is no"),
    "text": (lambda folder: folder / "text.nwb", NotNWBError, "expected an HDF5 file"),
    "number": (lambda folder: 3, SchemaError, "expected a path, an open binary file or a session"),
}


@pytest.mark.parametrize(("make", "error", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_named(pair, tmp_path, make, error, message):
    (tmp_path / "text.nwb").write_text("hello, this is no HDF5 file")
    with pytest.raises(error, match=message):
        nwb.diff(pair[0], make(tmp_path))
    with pytest.raises(error, match=message):
        nwb.diff(make(tmp_path), pair[0])


# -- real files ----------------------------------------------------------------------------------

needs_real = pytest.mark.skipif(not REAL_FILES, reason="needs the real files of ../shared/real")


@needs_real
@pytest.mark.parametrize("path", REAL_FILES, ids=lambda path: path.stem)
def test_a_real_file_is_equal_to_itself_and_to_its_copy(path, tmp_path):
    assert nwb.diff(path, path) == []
    with nwb.open(path) as session:
        copy = nwb.write(session, tmp_path / "copy.nwb")
    assert nwb.diff(path, copy) == []


@needs_real
@pytest.mark.parametrize("path", REAL_FILES, ids=lambda path: path.stem)
def test_a_real_file_that_is_stored_anew_means_the_same(path, tmp_path):
    """Contiguous data are chunked and compressed, compressed ones are not."""
    copy = tmp_path / "copy.nwb"
    shutil.copyfile(path, copy)
    with h5py.File(copy, "r+") as file:
        found = []
        file.visititems(lambda name, one: found.append(name) if is_plain(one) else None)
        for name in found:
            # References to what is exchanged would lead nowhere.
            if not name.startswith("specifications") and f"{name}_index" not in file:
                compression = None if file[name].compression else "gzip"
                replace(file, name, file[name][()], compression=compression)
    assert nwb.diff(path, copy) == []


def is_plain(stored):
    return (
        isinstance(stored, h5py.Dataset)
        and stored.dtype.kind in "iuf"
        and bool(stored.size)
        and stored.ndim
    )
