"""Files of each release of the schema, written by the PyNWB of the day, read to known values."""

from __future__ import annotations

import hashlib
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from judges import wrong_values
from versions import (
    FILES,
    FOLDER,
    MANIFEST,
    MASKS,
    OPHYS,
    RELEASES,
    START,
    contents,
    planes,
    v,
    writer,
)

import nwb_ophys as nwb
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.layout import layout_of
from nwb_ophys.storage import Array, Attr, Value
from nwb_ophys.testing import assert_roundtrip, touch


@pytest.fixture(params=FILES, ids=RELEASES)
def file(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def unlike(model: Any, told: dict[str, Any]) -> list[str]:
    """List the fields that are not as told, or, where not told of, not the default."""
    wrong = []
    for name, wanted in told.items():
        value = getattr(model, name)
        if name == "data" or hasattr(value, "array"):
            value = value.array
        if not equal(value, wanted):
            wrong.append(f"{model!r}, {name}: {value!r} is not {wanted!r}")
    parts = [getattr(model, name, None) for name in ("data", "starting_time")]
    for part in (model, *(part for part in parts if part is not None and hasattr(model, "rate"))):
        for one in layout_of(type(part)).fields.values():
            if one.name in {*told, "object_id", "array", "value"} or one.required:
                continue
            if isinstance(part, nwb.TimeSeriesStartingTime) and one.name == "unit":
                continue
            value = getattr(part, one.name)
            if not isinstance(one.marker, Array | Attr | Value) or value is None:
                continue
            if not equal(value, one.default()):
                wrong.append(f"{part!r}, {one.name}: {value!r} is not the default")
    return wrong


def equal(value: Any, wanted: Any) -> bool:
    if isinstance(value, LazyArray | np.ndarray):
        stored = np.asarray(value)
        wide = isinstance(wanted, np.ndarray) and wanted.size and stored.dtype != wanted.dtype
        return bool(not wide and np.array_equal(stored, wanted))
    return bool(value == wanted)


def test_objects_are_typed_and_hold_what_was_written(file: Path) -> None:
    with nwb.open(file) as session:
        for path, (kind, told) in contents(writer(file)).items():
            model = session[path]
            assert type(model) is getattr(nwb, kind), path
            assert unlike(model, told) == []


def test_clocks_tell_seconds(file: Path) -> None:
    with nwb.open(file) as session:
        units = {one.unit for one in session.walk() if isinstance(one, nwb.TimeSeriesStartingTime)}
        assert units == {"Seconds" if writer(file) < (1, 1) else "seconds"}


def test_planes_are_as_they_were_told(file: Path) -> None:
    with nwb.open(file) as session:
        assert set(session.imaging_planes) == {"plane", "deep"}
        for name, told in planes(writer(file)).items():
            plane = session.imaging_planes[name]
            assert type(plane) is nwb.ImagingPlane
            assert unlike(plane, told) == []
            assert plane.device is session.devices["microscope"]
        channels = {"green": 510.0, "red": 600.5}
        assert set(session.imaging_planes["plane"].children) == set(channels)
        for name, wavelength in channels.items():
            channel = session.imaging_planes["plane"].children[name]
            told = {"description": f"The {name} channel.", "emission_lambda": wavelength}
            assert type(channel) is nwb.OpticalChannel
            assert unlike(channel, told) == []


def test_links_lead_where_they_led(file: Path) -> None:
    with nwb.open(file) as session:
        movie, planes_ = session.acquisition["movie"], session.imaging_planes
        assert movie.imaging_plane is planes_["plane"]
        assert session.acquisition["volume"].imaging_plane is planes_["deep"]
        # From 1.0 to 1.4, PyNWB wrote each of them twice.
        linked = {"movie"} | ({"reference_images"} if (1,) <= writer(file) < (1, 4) else set())
        for name, plane in (("images", "plane"), ("pixels", "plane"), ("voxels", "deep")):
            table = session[f"{MASKS}/{name}"]
            assert table.imaging_plane is planes_[plane]
            assert set(table.reference_images) == linked
            assert all(image is movie for image in table.reference_images.values())
        for path in ("raw", "neuropil"):
            rois = session[f"{OPHYS}/Fluorescence/{path}"].rois
            table = "images" if path == "raw" else "pixels"
            assert rois.table is session[f"{MASKS}/{table}"]
            assert np.array_equal(rois, v.REGION if path == "raw" else [0, 1, 2])
        rois = session[f"{OPHYS}/DfOverF/dff"].rois
        assert rois.table is session[f"{MASKS}/images"]
        assert rois.description == "The same two."
        if writer(file) >= (1,):
            place = "/MotionCorrection" if writer(file) >= (2,) else ""
            stack = session[f"{OPHYS}{place}/stack"]
            assert type(stack) is nwb.CorrectedImageStack
            assert stack.original is movie
            assert type(stack.corrected) is nwb.ImageSeries
            assert np.array_equal(stack.corrected.data.array, v.CORRECTED)
            assert np.array_equal(stack.xy_translation.data.array, v.SHIFTS)
        shown = session.stimulus["shown"]
        assert type(shown) is nwb.IndexSeries
        assert np.array_equal(shown.data.array, v.SHOWN)
        assert (shown.unit, shown.rate) == ("N/A", 2.0)
        if writer(file) < (2, 1):
            assert shown.indexed_timeseries is movie
            return
        place = session.stimulus_template if writer(file) >= (2, 3) else session.acquisition
        deck = place["deck"]
        assert shown.indexed_images is deck
        order = [image.name for image in deck.order_of_images.array]
        assert order == ["card2", "card1", "card0"]
        for number in range(3):
            assert np.array_equal(deck.children[f"card{number}"].array, v.GRAY + number)


def test_masks_and_their_columns(file: Path) -> None:
    # From 1.1 to 1.3, PyNWB kept masks of pixels as integers, whole weights and all.
    weight = int if (1, 1) <= writer(file) < (1, 4) else float
    with nwb.open(file) as session:
        images, pixels, voxels = (session[f"{MASKS}/{n}"] for n in ("images", "pixels", "voxels"))
        assert {type(table) for table in (images, pixels, voxels)} == {nwb.PlaneSegmentation}
        assert equal(images.image_mask.array, v.IMAGE_MASKS)
        for table, masks, column in (
            (pixels, v.PIXEL_MASKS, "pixel_mask"),
            (voxels, v.VOXEL_MASKS, "voxel_mask"),
        ):
            kept = [[(*point[:-1], weight(point[-1])) for point in mask] for mask in masks]
            assert [[tuple(point) for point in mask] for mask in table[column]] == kept
            assert table.colnames == [column]
        assert [bool(one) for one in images["accepted"]] == v.ACCEPTED
        assert list(images["label"]) == v.LABELS
        assert [list(one) for one in images["scores"]] == v.SCORES
        assert images.colnames == ["accepted", "label", "scores", "image_mask"]
        assert [len(table) for table in (images, pixels, voxels)] == [3, 3, 2]


def test_intervals(file: Path) -> None:
    with nwb.open(file) as session:
        movie = session.acquisition["movie"]
        trials, epochs, invalid = session.trials, session.epochs, session.invalid_times
        custom = session.intervals["custom"] if writer(file) >= (1, 0, 3) else None
        for table, count in ((trials, v.TRIALS), (custom, 3))[: 1 if custom is None else 2]:
            assert type(table) is nwb.TimeIntervals
            assert np.array_equal(table["start_time"], v.starts(count))
            assert np.array_equal(table["stop_time"], v.stops(count))
        assert [bool(one) for one in trials["correct"]] == v.CORRECT
        assert list(trials["choice"]) == v.CHOICES
        if writer(file) >= (1,):
            assert [list(one) for one in trials["tags"]] == v.TRIAL_TAGS
        assert custom is None or list(custom["scored"]) == v.SCORED
        assert [list(one) for one in epochs["tags"]] == [["first", "odd"], ["second"]]
        assert [list(one) for one in invalid["tags"]] == [["bad"]]
        assert np.array_equal(invalid["start_time"], [3.0])
        # A second and a half after it begins at 0.5 s, at 10 Hz.
        rows = [[tuple(reference) for reference in row] for row in epochs["timeseries"]]
        assert [row[0][:2] for row in rows] == [(5, 5), (15, 5)]
        assert all(row[0][2] is movie for row in rows)


def test_the_session_itself(file: Path) -> None:
    told = MANIFEST[file.name]
    several = slice(None) if writer(file) >= (1, 1) else slice(1)
    with nwb.open(file) as session:
        assert session.nwb_version == told["nwb_version"]
        assert session.session_start_time == START
        assert session.session_start_time.utcoffset() == START.utcoffset()
        assert session.timestamps_reference_time == START - timedelta(seconds=5)
        assert session.session_description == "A session with unicode: μm"
        assert session.experimenter == ["Lovelace, Ada", "Müller, Jo"][several]
        assert session.related_publications == ["doi:10.1/a", "doi:10.2/b"][several]
        assert session.keywords == (["imaging", "mouse"] if writer(file) >= (1,) else None)
        for field, text in {
            "identifier": "fixture",
            "experiment_description": "An experiment.",
            "institution": "An institute",
            "lab": "A lab",
            "notes": "Some notes.",
            "session_id": "s1",
            "surgery": "A window.",
            "virus": "AAV",
        }.items():
            assert getattr(session, field) == text
        assert all(date <= datetime.now(UTC) for date in session.file_create_date)


# -- what is said of them ------------------------------------------------------------------------


def test_every_file_is_the_one_of_the_manifest() -> None:
    assert set(MANIFEST) == {path.name for path in FOLDER.glob("*.nwb")}
    for name, told in MANIFEST.items():
        kept = (FOLDER / name).read_bytes()
        assert (len(kept), hashlib.sha256(kept).hexdigest()) == (told["size"], told["sha256"])
    assert sum(told["size"] for told in MANIFEST.values()) < 6 * 10**6


def test_only_what_broke_the_schema_of_its_day_is_held_against_a_file(file: Path) -> None:
    made = writer(file)
    wrong = set()
    if made < (1, 0, 2):  # it was required, and PyNWB did not know it
        wrong.add(("/acquisition/pictures", "description", "missing"))
    if made < (1, 4):  # floats, then integers without members, in place of unsigned integers
        wrong |= {(f"{MASKS}/{of}s/{of}_mask", "array", "dtype") for of in ("pixel", "voxel")}
    with nwb.open(file) as session:
        touch(session)
        assert {(one.path, one.field, one.rule) for one in session.problems} == wrong


@pytest.mark.parametrize(("release", "lacking"), [("2.3.0", False), ("2.4.0", True)])
def test_data_that_a_release_required_are_missed(
    release: str, lacking: bool, tmp_path: Path
) -> None:
    path = Path(shutil.copy(FOLDER / f"schema-{release}.nwb", tmp_path))
    with h5py.File(path, "r+") as opened:
        opened["acquisition/external"].pop("data", None)
    with nwb.open(path) as session:
        assert session.acquisition["external"].data is None
        found = "/acquisition/external, field 'data': the schema requires 'data' [missing]"
        assert list(map(str, session.problems)) == [found] * lacking


def test_what_every_release_required_is_missed_in_all(file: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(file, tmp_path))
    with h5py.File(path, "r+") as opened:
        del opened["general/optophysiology/plane/location"]
    with nwb.open(path) as session:
        assert session.imaging_planes["plane"].location is None
        place = "/general/optophysiology/plane"
        assert [one.path for one in session.problems if one.field == "location"] == [place]


# -- others, and copies --------------------------------------------------------------------------


def test_an_unchanged_file_stays_as_it_is(file: Path) -> None:
    assert_roundtrip(file)


def test_every_value_is_what_h5py_reads(file: Path) -> None:
    assert wrong_values(file) == []


# -- the format that had the name of 2.0b before -------------------------------------------------


def test_what_was_written_before_2_0b_was_settled_opens() -> None:
    early = FOLDER / "early-1.2.0.nwb"
    with nwb.open(early) as session:
        assert session.session_start_time == datetime(2018, 2, 3, 4, 5, 6)
        movie = session.acquisition["movie"]
        assert type(movie) is nwb.TwoPhotonSeries
        assert movie.attrs["source"] == "a microscope"
        assert np.array_equal(movie.data, v.MOVIE.astype("i1"))
        assert (movie.rate, movie.imaging_plane) == (10.0, session.imaging_planes["plane"])
        raw = session[f"{OPHYS}/Fluorescence/raw"]
        assert np.array_equal(raw.data, v.RESPONSES)
        # A region of a table of regions of masks.
        cells = session[f"{MASKS}/cells"]
        rois = raw.rois.array[()]
        assert rois.target is cells.children["rois"]
        assert [row["name"] for row in rois[()]] == ["roi0", "roi1"]
        assert [row["pixel_mask"].target for row in rois[()]] == [cells.children["pixel_masks"]] * 2
        rows = cells.children["rois"].array[()]
        pixels = rows[2]["pixel_mask"]
        assert pixels.target is cells.children["pixel_masks"]
        assert [tuple(point) for point in pixels[()]] == v.PIXEL_MASKS[2]
        unknown = {one.path for one in session.problems if one.rule == "unknown-type"}
        masks = {f"{MASKS}/cells/{name}" for name in ("image_masks", "pixel_masks", "rois")}
        assert unknown == {*masks, f"{OPHYS}/Fluorescence/raw/rois"}
    assert wrong_values(early) == []
    assert_roundtrip(early)
