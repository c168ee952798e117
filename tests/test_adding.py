"""What is added to a session: objects of other sessions, with all they need, and streams."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from small import MOVIE, PLANE, SCOPE, SEGMENTATION, TRACES, frames, small_session

import nwb_ophys as nwb

_NAMESPACE = """
{"namespaces": [{"name": "ndx-thing", "version": "0.1.0", "doc": "A test.", "author": "a",
  "contact": "a@b.c", "schema": [
    {"namespace": "core", "neurodata_types": ["NWBDataInterface"]},
    {"source": "ndx-thing.extensions"}]}]}
"""
_TYPES = """
{"groups": [{"neurodata_type_def": "Thing", "neurodata_type_inc": "NWBDataInterface",
  "doc": "A thing.", "attributes": [{"name": "size", "dtype": "float64", "doc": "Its size."}]}]}
"""


@pytest.fixture
def empty() -> nwb.NWBFile:
    return nwb.NWBFile(
        identifier="new",
        session_description="new",
        session_start_time=small_session().session_start_time,
    )


def test_an_object_comes_with_what_it_links_to(
    path: Path, tmp_path: Path, empty: nwb.NWBFile
) -> None:
    with nwb.open(path) as source:
        empty.acquisition.add(source.acquisition["movie"])
        target = nwb.write(empty, tmp_path / "out.nwb")
        ids = [source[place].object_id for place in (MOVIE, PLANE, SCOPE)]
    with nwb.open(target) as session:
        movie = session.acquisition["movie"]
        np.testing.assert_array_equal(movie.data, frames())
        assert movie.imaging_plane is session.imaging_planes["plane"]
        assert movie.imaging_plane.device is session.devices["scope"]
        assert [session[place].object_id for place in (MOVIE, PLANE, SCOPE)] == ids
        assert session.problems == []
    with h5py.File(target) as file:
        assert isinstance(file.get(f"{MOVIE}/imaging_plane", getlink=True), h5py.SoftLink)


def test_a_whole_collection_of_another_session(
    path: Path, tmp_path: Path, empty: nwb.NWBFile
) -> None:
    with nwb.open(path) as source:
        empty.devices = source.devices  # of which nothing is loaded yet
        empty.acquisition = source.acquisition
        target = nwb.write(empty, tmp_path / "out.nwb")
    with nwb.open(target) as session:
        movie = session.acquisition["movie"]
        np.testing.assert_array_equal(movie.data, frames())
        assert movie.imaging_plane.device is session.devices["scope"]


def test_the_data_of_another_session_in_another_unit(
    path: Path, tmp_path: Path, empty: nwb.NWBFile
) -> None:
    with nwb.open(path) as source:
        data = source.acquisition["movie"].data
        empty.acquisition.add(nwb.TimeSeries(name="s", data=data, unit="photons", rate=1.0))
        target = nwb.write(empty, tmp_path / "out.nwb")
        assert data.unit == "n.a."
    with h5py.File(target) as file:
        np.testing.assert_array_equal(file["acquisition/s/data"], frames())
        assert file["acquisition/s/data"].attrs["unit"] == "photons"


def test_data_are_linked_to(path: Path, tmp_path: Path, empty: nwb.NWBFile) -> None:
    with nwb.open(path) as source:
        data = nwb.link(source.acquisition["movie"].data)
        with pytest.raises(nwb.SchemaError, match="'data': expected only the link, found unit"):
            nwb.TimeSeries(name="s", data=data, unit="photons", rate=1.0)
        series = empty.acquisition.add(nwb.TimeSeries(name="s", data=data, rate=1.0))
        np.testing.assert_array_equal(series.data[2:4], frames()[2:4])
        np.testing.assert_array_equal(np.asarray(series.data), frames())
        target = nwb.write(empty, tmp_path / "out.nwb")
    with h5py.File(target) as file:
        link = file["acquisition/s"].get("data", getlink=True)
        assert (link.filename, link.path) == ("small.nwb", f"{MOVIE}/data")
    with nwb.open(target) as session:
        np.testing.assert_array_equal(session.acquisition["s"].data, frames())
        assert session.acquisition["s"].unit == "n.a."


def test_a_link_to_an_object_of_the_same_file_is_a_soft_one(path: Path) -> None:
    with nwb.open(path, "r+") as session:
        session.acquisition["movie"].imaging_plane = nwb.link(session.imaging_planes["plane"])
        session.analysis.add(nwb.link(session.acquisition["movie"]))
        session.save()
    with h5py.File(path) as file:
        for place, target in ((f"{MOVIE}/imaging_plane", PLANE), ("analysis/movie", MOVIE)):
            link = file.get(place, getlink=True)
            assert isinstance(link, h5py.SoftLink)
            assert link.path == target


def test_only_objects_are_linked_to() -> None:
    with pytest.raises(nwb.LinkError, match="to link to, found 'movie' of type str"):
        nwb.link("movie")  # type: ignore[arg-type]


def test_what_it_links_to_may_be_added_too(path: Path, tmp_path: Path, empty: nwb.NWBFile) -> None:
    with nwb.open(path) as source:
        empty.acquisition.add(source.acquisition["movie"])
        empty.processing.add(source.processing["ophys"])
        empty.imaging_planes.add(source.imaging_planes["plane"])
        empty.devices.add(source.devices["scope"])
        target = nwb.write(empty, tmp_path / "out.nwb")
    with nwb.open(target) as session:
        plane = session.imaging_planes["plane"]
        assert session.acquisition["movie"].imaging_plane is plane
        assert session[SEGMENTATION].imaging_plane is plane
        assert session[TRACES].rois.table is session[SEGMENTATION]
        assert plane.device is session.devices["scope"]
        assert len(list(session.find(nwb.ImagingPlane))) == 1


def test_a_later_write_uses_what_an_earlier_one_brought(
    path: Path, tmp_path: Path, empty: nwb.NWBFile
) -> None:
    with nwb.open(path) as source:
        empty.acquisition.add(source.acquisition["movie"])
        target = nwb.write(empty, tmp_path / "out.nwb")
        with nwb.open(target) as session:
            session.processing.add(source.processing["ophys"])
            nwb.write(session, target, overwrite=True)
    with nwb.open(target) as session:
        assert session[SEGMENTATION].imaging_plane is session.acquisition["movie"].imaging_plane
        assert len(list(session.find(nwb.ImagingPlane))) == 1


@pytest.mark.parametrize("opened", [False, True])
def test_another_object_under_a_needed_name_is_refused(
    path: Path, tmp_path: Path, opened: bool
) -> None:
    session = small_session()  # whose plane has another object_id
    del session.acquisition["movie"]
    if opened:
        session = nwb.open(nwb.write(session, tmp_path / "target.nwb"))
    before = sorted(tmp_path.iterdir())
    with session, nwb.open(path) as source:
        session.acquisition.add(source.acquisition["movie"])
        message = (
            f"{PLANE}: an object from {path} needs {PLANE}, but another object is there (rename "
            "one of the two)"
        )
        with pytest.raises(nwb.SchemaError, match=re.escape(message)):
            nwb.write(session, tmp_path / "out.nwb")
    assert sorted(tmp_path.iterdir()) == before


def test_an_extension_comes_with_its_specification(path: Path, tmp_path: Path) -> None:
    with h5py.File(path, "r+") as file:
        place = file.create_group("specifications/ndx-thing/0.1.0")
        place["namespace"] = _NAMESPACE
        place["ndx-thing.extensions"] = _TYPES
        thing = file.create_group("acquisition/thing")
        thing.attrs.update(
            neurodata_type="Thing", namespace="ndx-thing", size=2.5, object_id="a-b-c"
        )
    session = small_session()
    with nwb.open(path) as source:
        session.acquisition.add(source.acquisition["thing"])
        target = nwb.write(session, tmp_path / "out.nwb")
    with h5py.File(target) as file:
        place = file["specifications/ndx-thing/0.1.0"]
        assert place["ndx-thing.extensions"].asstr()[()] == _TYPES
        assert place["namespace"].asstr()[()] == _NAMESPACE
        assert file["acquisition/thing"].attrs["size"] == 2.5
    with nwb.open(target) as session:
        assert isinstance(session.acquisition["thing"], nwb.NWBDataInterface)
        assert session.problems == []


@pytest.mark.parametrize("seed", range(3))
def test_many_references_are_found_in_any_order(
    tmp_path: Path, seed: int, empty: nwb.NWBFile
) -> None:
    count = 40
    for number in range(count):
        series = nwb.TimeSeries(name="s", data=[float(number)], unit="V", rate=1.0)
        empty.processing.add(
            nwb.ProcessingModule(name=f"m{number}", description="m", children=[series])
        )
    path = nwb.write(empty, tmp_path / "a.nwb")
    chance = np.random.default_rng(seed)
    modules = [f"/processing/m{number}" for number in range(count)]
    places = [*modules, *(f"{one}/s" for one in modules), *(f"{one}/s/data" for one in modules)]
    chance.shuffle(places)
    wanted = {one: places[3 * i : 3 * i + 3] for i, one in enumerate(modules)}
    with h5py.File(path, "r+") as file:
        for module, targets in wanted.items():
            file[f"{module}/refs"] = np.array([file[one].ref for one in targets], h5py.ref_dtype)
    with nwb.open(path) as session:
        for module in chance.permutation(modules):
            found = session[f"{module}/refs"].array[:]
            assert [one.hdf5_path for one in found] == wanted[module]
            assert all(session[one.hdf5_path] is one for one in found)


def test_a_stream_can_be_read_once_it_is_written(path: Path) -> None:
    with nwb.open(path) as session:
        blocks = iter([np.ones(3), np.zeros(2)])
        session.acquisition.add(nwb.TimeSeries(name="a", data=blocks, unit="V", rate=1.0))
        nwb.write(session, path, overwrite=True)
        np.testing.assert_array_equal(session.acquisition["a"].data, [1, 1, 1, 0, 0])
        session.acquisition["a"].comments = "once more"
        nwb.write(session, path, overwrite=True)
        np.testing.assert_array_equal(session.acquisition["a"].data, [1, 1, 1, 0, 0])


def test_what_was_added_can_be_deleted_again(path: Path, pristine: Path) -> None:
    with nwb.open(path) as session:
        session.acquisition.add(nwb.TimeSeries(name="a", data=[1.0], unit="V", rate=1.0))
        nwb.write(session, path, overwrite=True)
        del session.acquisition["a"]
        nwb.write(session, path, overwrite=True)
        assert list(session.acquisition) == ["movie"]
    assert nwb.diff(path, pristine) == []


def test_an_object_is_moved_within_its_file(path: Path) -> None:
    out = path.with_name("out.nwb")
    with nwb.open(path) as session:
        movie = session.acquisition["movie"]
        expected = movie.data[:]
        del session.acquisition["movie"]
        session.stimulus.add(movie)
        movie.name = "film"
        nwb.write(session, out)
    with h5py.File(out) as file:
        assert MOVIE not in file
        np.testing.assert_array_equal(file["stimulus/presentation/film/data"], expected)
    with nwb.open(out) as session:
        assert session.stimulus["film"].imaging_plane.name
