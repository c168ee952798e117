"""Files that are read, written, changed: by our own hand, by hypothesis, by others."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pynwb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judges import same, stored, unlike, wrong_values
from nwbinspector import Importance, inspect_nwbfile

import nwb_ophys as nwb
from nwb_ophys.testing import (
    KINDS,
    assert_roundtrip,
    differences,
    hand_written_models,
    make_session_with,
    strategies,
    write_fixture,
)

FIXTURES = sorted((Path(__file__).parents[1] / "fixtures").glob("*.nwb"))
REAL = Path(__file__).parents[2] / "shared" / "real"


def files() -> list[Any]:
    real = sorted(REAL.glob("*.nwb"))
    reason = f"real NWB files are not in this checkout ({REAL})"
    absent = pytest.param(None, id="real", marks=pytest.mark.skip(reason=reason))
    return [pytest.param(file, id=file.stem) for file in (*FIXTURES, *real)] + [absent] * (not real)


# -- files as they are ---------------------------------------------------------------------------


@pytest.mark.parametrize("file", files())
def test_an_unchanged_file_stays_as_it_is(file: Path) -> None:
    assert_roundtrip(file)


@pytest.mark.parametrize("file", files())
def test_every_value_is_what_h5py_reads(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Plain h5py looks for external raw data in the working folder.
    monkeypatch.chdir(file.parent)
    assert wrong_values(file) == []


def test_all_cases_are_among_the_fixtures() -> None:
    assert {*KINDS, "sparse", "link-cycle", "not-utf8"} <= {file.stem for file in FIXTURES}
    assert sum(file.stat().st_size for file in FIXTURES) < 10**6


# -- what hypothesis thinks of -------------------------------------------------------------------


def examples(count: int) -> Any:
    return settings(max_examples=count)


@pytest.mark.parametrize(
    "cls",
    [cls for cls in hand_written_models() if cls is not nwb.NWBFile],
    ids=lambda c: c.__name__,
)
@examples(4)
@given(data=st.data())
def test_objects_are_read_back_as_they_were(cls: type, data: Any, tmp_path: Path) -> None:
    model = data.draw(strategies.models(cls))
    session = make_session_with(model)
    path = nwb.write(session, tmp_path / "session.nwb", overwrite=True)
    with nwb.open(path) as read:
        assert type(read[model.hdf5_path]) is cls
        assert unlike(session, read) == []
        assert read.problems == []


@examples(15)
@given(session=strategies.sessions())
def test_sessions_hold_what_h5py_and_pynwb_read(session: nwb.NWBFile, tmp_path: Path) -> None:
    path = nwb.write(session, tmp_path / "session.nwb", overwrite=True)
    assert wrong_values(path) == []
    with nwb.open(path) as read:
        assert unlike(session, read) == []
        assert_pynwb_agrees(path, read)


def assert_pynwb_agrees(path: Path, read: nwb.NWBFile) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pynwb.NWBHDF5IO(path, "r") as io, h5py.File(path) as file:
            theirs = io.read().objects
            for ours in read.walk():
                other = theirs.get(getattr(ours, "object_id", None))
                if other is None or isinstance(ours, nwb.VectorIndex):
                    continue  # PyNWB has a description of its own for indices
                for name in ("description", "unit", "comments", "rate", "location", "species"):
                    if getattr(other, name, None) is not None and hasattr(ours, name):
                        assert same(getattr(ours, name), getattr(other, name)), (ours, name)
                if isinstance(ours, nwb.TimeSeries) and isinstance(other.data, h5py.Dataset):
                    assert same(stored(np.asarray(ours.data), file), stored(other.data[()], file))


# -- what we author ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_others_read_what_we_author(kind: str, tmp_path: Path) -> None:
    authored = KINDS[kind](seed=3)
    path = nwb.write(authored, tmp_path / "session.nwb")
    with pynwb.NWBHDF5IO(path, "r") as io:
        io.read()
    assert pynwb.validate(path=str(path)) == []
    with nwb.open(path) as session:
        assert unlike(authored, session) == []
        assert session.problems == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "minimal"])
def test_nwb_inspector_has_nothing_to_object(kind: str, tmp_path: Path) -> None:
    path = write_fixture(kind, tmp_path / "session.nwb")
    least = Importance.BEST_PRACTICE_VIOLATION
    messages = inspect_nwbfile(nwbfile_path=str(path), importance_threshold=least)
    assert [f"{m.location} {m.object_name}: {m.message}" for m in messages] == []


# -- changes -------------------------------------------------------------------------------------

MOVIE = "/acquisition/TwoPhotonSeries"
OPHYS = "/processing/ophys"
TRACES = f"{OPHYS}/Fluorescence/RoiResponseSeries"
BEHAVIOR = "/processing/behavior"

Change = Callable[[nwb.NWBFile], object]
CHANGES: dict[str, tuple[Change, set[str]]] = {}


def change(*paths: str) -> Callable[[Change], Change]:
    """Enter a change, and the paths of the only differences that it may make."""

    def enter(function: Change) -> Change:
        CHANGES[function.__name__.replace("_", "-")] = function, set(paths)
        return function

    return enter


@change(f"{MOVIE}@description")
def attribute(session: nwb.NWBFile) -> None:
    session[MOVIE].description = "größer"


@change(f"{MOVIE}@pmt_gain")
def attribute_that_was_not_there(session: nwb.NWBFile) -> None:
    session[MOVIE].pmt_gain = 2.5


@change(f"{MOVIE}@scan_line_rate")
def attribute_taken_away(session: nwb.NWBFile) -> None:
    session[MOVIE].scan_line_rate = None


@change(f"{MOVIE}/data@unit")
def attribute_of_the_data(session: nwb.NWBFile) -> None:
    session[MOVIE].unit = "counts"


@change("/general/subject/age")
def text(session: nwb.NWBFile) -> None:
    session.subject.age = "P100D"


@change("/general/subject/weight")
def text_taken_away(session: nwb.NWBFile) -> None:
    session.subject.weight = None


@change("/general/surgery")
def text_that_was_not_there(session: nwb.NWBFile) -> None:
    session.surgery = "None."


@change("/session_start_time")
def time(session: nwb.NWBFile) -> None:
    session.session_start_time = session.session_start_time.replace(year=2027)


@change("/general/keywords")
def list_of_texts(session: nwb.NWBFile) -> None:
    session.keywords.append("more")


@change(f"{TRACES}/data")
def array_of_the_same_shape(session: nwb.NWBFile) -> None:
    session[TRACES].data.array = np.asarray(session[TRACES].data) + np.float32(1)


@change(f"{TRACES}/data")
def array_of_another_shape(session: nwb.NWBFile) -> None:
    session[TRACES].data.array = np.arange(15, dtype="f4").reshape(3, 5)


@change(f"{BEHAVIOR}/Position/position/timestamps")
def plain_array(session: nwb.NWBFile) -> None:
    series = session[f"{BEHAVIOR}/Position/position"]
    series.timestamps = series.timestamps[()] + 1


@change(f"{OPHYS}/ImageSegmentation/PlaneSegmentation/pixel_mask")
def compound_array(session: nwb.NWBFile) -> None:
    column = session[f"{OPHYS}/ImageSegmentation/PlaneSegmentation/pixel_mask"]
    pixels = np.asarray(column).copy()
    pixels["weight"] /= 2
    column.array = pixels


@change("/general/devices/Camera")
def object_added(session: nwb.NWBFile) -> None:
    session.devices.add(nwb.Device(name="Camera", description="It films the animal."))


@change(f"{OPHYS}/Extra")
def container_added(session: nwb.NWBFile) -> None:
    table = session[f"{OPHYS}/ImageSegmentation/PlaneSegmentation"]
    session.processing["ophys"].children.add(
        nwb.Fluorescence(
            name="Extra",
            children=[
                nwb.RoiResponseSeries(
                    name="traces",
                    data=np.ones((4, 2)),
                    unit="n.a.",
                    rate=1.0,
                    rois=table.create_region([3, 1]),
                )
            ],
        )
    )


@change("/processing/more")
def module_added(session: nwb.NWBFile) -> None:
    session.processing.add(nwb.ProcessingModule(name="more", description="More."))


@change(f"{OPHYS}/SummaryImages")
def object_deleted(session: nwb.NWBFile) -> None:
    del session.processing["ophys"].children["SummaryImages"]


@change("/general/devices/Microscope@calibrated")
def undeclared_attribute(session: nwb.NWBFile) -> None:
    session.devices["Microscope"].attrs["calibrated"] = np.array([1, 2, 3], "i2")


@change(f"{BEHAVIOR}/Position", f"{BEHAVIOR}/BehavioralTimeSeries", f"{BEHAVIOR}/new")
def collection_replaced(session: nwb.NWBFile) -> None:
    session.processing["behavior"].children = [
        nwb.TimeSeries(name="new", data=np.arange(3.0), unit="V", rate=1.0)
    ]


@change("/intervals/trials@colnames", "/intervals/trials/reward")
def column_added(session: nwb.NWBFile) -> None:
    session.trials.add_column("reward", np.arange(len(session.trials)), "Drops.")


@change(f"{OPHYS}/ImageSegmentation/PlaneSegmentation/imaging_plane", "/general/optophysiology/B")
def link_changed(session: nwb.NWBFile) -> None:
    plane = session.imaging_planes["ImagingPlane"].model_copy(deep=True)
    plane.__dict__["name"] = "B"
    session.imaging_planes.add(plane)
    session[f"{OPHYS}/ImageSegmentation/PlaneSegmentation"].imaging_plane = plane


@change("/general/devices/Microscope/model")
def link_taken_away(session: nwb.NWBFile) -> None:
    session.devices["Microscope"].model = None


@change(f"{OPHYS}/ImageSegmentation/cells", f"{TRACES}/rois@table")
def reference_changed(session: nwb.NWBFile) -> None:
    segmentation = session.processing["ophys"]["ImageSegmentation"]
    cells = segmentation["PlaneSegmentation"].model_copy(deep=True)
    cells.name = "cells"
    segmentation.children.add(cells)
    session[TRACES].rois.table = cells


def place(line: str) -> str:
    return line.split(": ", 1)[0]


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_changes_that_and_nothing_else(name: str, tmp_path: Path) -> None:
    make, paths = CHANGES[name]
    before = write_fixture("two-photon", tmp_path / "before.nwb")
    with nwb.open(before) as session:
        make(session)
        after = nwb.write(session, tmp_path / "after.nwb")
    meant = nwb.diff(before, after)
    assert {one.path for one in meant} == paths
    strictly = [line for line in differences(before, after) if place(line) not in paths]
    assert strictly == []
    assert wrong_values(after) == []


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_over_the_opened_file(name: str, tmp_path: Path) -> None:
    make, _ = CHANGES[name]
    path = write_fixture("two-photon", tmp_path / "session.nwb")
    with nwb.open(path) as session:
        make(session)
        expected = nwb.write(session, tmp_path / "expected.nwb")
    with nwb.open(path) as session:
        make(session)
        nwb.write(session, path, overwrite=True)
        assert nwb.diff(session, path) == []
        again = nwb.write(session, tmp_path / "again.nwb")
    new = ("object_id", "file_create_date")
    assert [d for d in nwb.diff(expected, path) if not d.path.endswith(new)] == []
    assert differences(path, again) == []


@pytest.mark.parametrize("onto_itself", [False, True])
def test_references_lead_to_what_was_replaced(onto_itself: bool, tmp_path: Path) -> None:
    path = write_fixture("two-photon", tmp_path / "session.nwb")
    table_path = f"{OPHYS}/ImageSegmentation/PlaneSegmentation"
    with nwb.open(path) as session:
        table = session[table_path]
        count = len(table)
        masks = np.asarray(table.pixel_mask)[:count]
        table.pixel_mask.array = masks
        table.pixel_mask_index.array = np.arange(1, count + 1, dtype="u1")
        table.id.array = np.arange(10, 10 + count, dtype="i8")
        after = nwb.write(
            session, path if onto_itself else tmp_path / "after.nwb", overwrite=onto_itself
        )
        if onto_itself:
            assert table.pixel_mask_index.target is table.pixel_mask
    with h5py.File(after) as file:
        stored = file[table_path]
        assert file[stored["pixel_mask_index"].attrs["target"]] == stored["pixel_mask"]
        assert stored["pixel_mask"][()].tolist() == masks.tolist()
        assert file[file[f"{TRACES}/rois"].attrs["table"]] == stored
    with nwb.open(after) as session:
        table = session[table_path]
        assert table.pixel_mask_index.target is table.pixel_mask
        assert [len(table["pixel_mask"][row]) for row in range(count)] == [1] * count
        assert session.problems == []
    assert wrong_values(after) == []


def test_a_link_can_be_put_back(tmp_path: Path) -> None:
    before = write_fixture("two-photon", tmp_path / "before.nwb")
    with nwb.open(before) as session:
        scope = session.devices["Microscope"]
        model, scope.model = scope.model, None
        without = nwb.write(session, tmp_path / "without.nwb")
        scope.model = model
        after = nwb.write(session, tmp_path / "after.nwb")
    with nwb.open(without) as session:
        assert session.devices["Microscope"].model is None
    with nwb.open(after) as session:
        assert session.devices["Microscope"].model is session.device_models["Scope 2P"]
    assert nwb.diff(before, after) == []
