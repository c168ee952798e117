"""`tree` shows every object of a file once, and reads no array."""

import io
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import pytest

import nwb_ophys as nwb
from nwb_ophys.errors import FileMissingError, NotNWBError, SchemaError
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.tree import tree

REAL = Path(__file__).parents[1] / ".." / "shared" / "real"
REAL_FILES = sorted(REAL.glob("*.nwb"))
POINT = np.dtype([("x", "u4"), ("weight", "f4")])


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.nwb"
    with h5py.File(path, "w", track_order=True) as file:
        file.attrs["nwb_version"] = "2.7.0"
        file.attrs["neurodata_type"] = "NWBFile"
        file["identifier"] = "m1"
        movie = file.create_group("acquisition/movie")
        movie.attrs.update(neurodata_type="TimeSeries", namespace="core", comments="good")
        movie["data"] = np.zeros((5, 4, 3), ">i2")
        movie["data"].attrs["unit"] = "n.a."
        movie["flags"] = [True, False]
        movie["rate"] = 30.0
        movie["texts"] = ["one", "two"]
        movie["points"] = np.zeros(4, POINT)
        movie["nothing"] = h5py.Empty("f8")
        movie["story"] = "long " * 100
        movie.create_dataset("ragged", (2,), h5py.vlen_dtype("f8"))
        movie.create_dataset("target", data=file["acquisition"].ref, dtype=h5py.ref_dtype)
        links = file.create_group("links")
        links["soft"] = h5py.SoftLink("/acquisition/movie/data")
        links["lost"] = h5py.SoftLink("nowhere")
        links["far"] = h5py.ExternalLink("none.nwb", "/acquisition")
        links["other"] = h5py.ExternalLink("../other.nwb", "/")
        links["near"] = h5py.ExternalLink("a.nwb", "/acquisition")
        links["alias"] = file["identifier"]
        links["up"] = file["links"]
        links.attrs["target"] = movie.ref
        for name, version in (("hdmf-common", "1.8.0"), ("core", "2.7.0")):
            file[f"specifications/{name}/{version}/namespace"] = "{}"
        file.attrs[".specloc"] = file["specifications"].ref
    return path


EXPECTED = f"""\
/  NWBFile, NWB 2.7.0
  acquisition/
    movie/  TimeSeries
      data  int16 (5, 4, 3)
      flags  bool (2,)
      nothing  float64 without data
      points  {{x: uint32, weight: float32}} (4,)
      ragged  ragged float64 (2,)
      rate  float64 = 30.0
      story  text = '{("long " * 100)[:59]}... (502 characters)
      target  reference = -> /acquisition
      texts  text (2,)
  identifier  text = 'm1'
  links/
    alias -> /identifier (the same object)
    far -> none.nwb:/acquisition (dangling)
    lost -> nowhere (dangling)
    near -> a.nwb:/acquisition
    other -> ../other.nwb:/ (in another folder, not looked at)
    soft -> /acquisition/movie/data
    up -> /links (the same object)
  specifications/  core 2.7.0; hdmf-common 1.8.0
"""


def test_every_kind_of_object_has_its_line(path):
    assert "\n".join(tree(path)) + "\n" == EXPECTED


def test_attributes_are_shown_on_demand(path):
    lines = list(tree(path, attributes=True))
    assert "  @nwb_version = '2.7.0'" in lines
    assert "  @.specloc = -> /specifications" in lines
    assert "    @target = -> /acquisition/movie" in lines
    at = lines.index("    movie/  TimeSeries")
    assert lines[at + 1] == "      @comments = 'good'"
    assert lines[at + 2 : at + 4] == ["      data  int16 (5, 4, 3)", "        @unit = 'n.a.'"]
    assert [line for line in lines if "@" not in line] == EXPECTED.splitlines()


@pytest.mark.parametrize("depth", range(4))
def test_depth_cuts_the_tree(path, depth):
    kept = [line for line in EXPECTED.splitlines() if indent_of(line) <= depth]
    assert list(tree(path, depth=depth)) == kept


def indent_of(line):
    return (len(line) - len(line.lstrip())) // 2


def test_no_array_is_read(path, monkeypatch):
    read = []
    engine = LazyArray.engine

    def counting(stored, blocks, values):
        read.append(values.shape)
        engine(stored, blocks, values)

    monkeypatch.setattr(LazyArray, "engine", staticmethod(counting))
    assert "\n".join(tree(path, attributes=True))
    assert set(read) <= {(), (1,)}


def test_cycles_end(tmp_path):
    with h5py.File(tmp_path / "a.nwb", "w") as file:
        file.create_group("g/h")
        file["g/h/up"], file["g/h/self"], file["g/root"] = file["g"], file["g/h"], file["/"]
        file["b"] = file["g/h"]
        file["g/loop"] = h5py.SoftLink("/g/loop")
    assert list(tree(tmp_path / "a.nwb")) == [
        "/",
        "  b/",
        "    self -> /b (the same object)",
        "    up/",
        "      h -> /b (the same object)",
        "      loop -> /g/loop (dangling)",
        "      root -> / (the same object)",
        "  g -> /b/up (the same object)",
    ]


def test_deep_groups_need_no_deep_recursion(tmp_path):
    with h5py.File(tmp_path / "a.nwb", "w") as file:
        group = file
        for _ in range(1500):
            group = group.create_group("g")
    lines = list(tree(tmp_path / "a.nwb"))
    assert len(lines) == 1501
    assert nwb.diff(tmp_path / "a.nwb", tmp_path / "a.nwb") == []


def test_what_is_unreadable_is_shown_as_that(path):
    with h5py.File(path, "r+") as file:
        data = file.create_dataset("bad", (2,), "i4", chunks=(2,), compression="gzip")
        data.id.write_direct_chunk((0,), b"no zlib stream")
        scalar = h5py.h5s.create(h5py.h5s.SCALAR)
        times = h5py.h5t.vlen_create(h5py.h5t.UNIX_D32LE)
        h5py.h5d.create(file.id, b"time", h5py.h5t.UNIX_D32LE, scalar)
        h5py.h5d.create(file.id, b"times", times, scalar)
        h5py.h5a.create(file["links"].id, b"when", times, scalar)
    lines = list(tree(path, attributes=True))
    assert "  bad  int32 (2,)" in lines
    assert any(line.startswith("  time  time of 4 bytes, unknown to numpy = ") for line in lines)
    assert any(line.startswith("  times  not readable: ") for line in lines)
    assert any(line.startswith("    @when = <not readable: ") for line in lines)
    assert "    soft -> /acquisition/movie/data" in lines


def test_a_broken_object_is_shown_as_that(path):
    with h5py.File(path) as file:
        address = h5py.h5o.get_info(file["acquisition/movie"].id).addr
    with open(path, "r+b") as stream:
        stream.seek(address)
        stream.write(b"\xff" * 16)
    lines = list(tree(path, attributes=True))
    broken = [line for line in lines if line.startswith("    movie")]
    assert len(broken) == 1
    assert "not readable: the object cannot be opened" in broken[0]
    assert "  identifier  text = 'm1'" in lines


def test_sessions_and_file_objects_are_shown(path):
    with nwb.open(path) as session:
        assert "\n".join(tree(session)) + "\n" == EXPECTED
        assert session.identifier == "m1"  # it stays open
    shown = list(tree(io.BytesIO(path.read_bytes())))
    assert len(shown) == len(EXPECTED.splitlines())


def test_an_authored_session_is_shown_as_it_would_be_written():
    session = nwb.NWBFile(
        identifier="m1",
        session_description="a session",
        session_start_time=datetime(2026, 1, 2, tzinfo=UTC),
    )
    session.acquisition.add(nwb.TimeSeries(name="s", data=np.zeros(3), unit="V", rate=10.0))
    lines = list(tree(session))
    at = lines.index("    s/  TimeSeries")
    assert lines[at + 1] == "      data  float64 (3,)"
    assert session.hdf5_path is None


def test_bad_input_is_named(tmp_path):
    with pytest.raises(FileMissingError, match=r"none\.nwb: there is no such file"):
        list(tree(tmp_path / "none.nwb"))
    (tmp_path / "text.nwb").write_text("hello, this is no HDF5 file")
    with pytest.raises(NotNWBError, match="expected an HDF5 file"):
        list(tree(tmp_path / "text.nwb"))
    with pytest.raises(SchemaError, match="expected a path, an open binary file or a session"):
        list(tree(3))


@pytest.mark.skipif(not REAL_FILES, reason="needs the real files of ../shared/real")
@pytest.mark.parametrize("path", REAL_FILES, ids=lambda path: path.stem)
def test_real_files_show_every_object(path):
    with h5py.File(path) as file:
        expected = list(members(file, 1))
    lines = list(tree(path))[1:]
    assert len(lines) == len(expected)
    for line, (level, name) in zip(lines, expected, strict=True):
        assert line.startswith("  " * level + name)
        assert "not readable" not in line


def members(group, level):
    """Every link of a file that is to have a line; real files have no aliases."""
    for name in sorted(group):
        yield level, name
        is_hard = isinstance(group.get(name, getlink=True), h5py.HardLink)
        if (
            is_hard
            and isinstance(group[name], h5py.Group)
            and group[name].name != "/specifications"
        ):
            yield from members(group[name], level + 1)
