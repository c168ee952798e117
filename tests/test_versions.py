"""Files of each release of the schema, written by the PyNWB of the day, read to known values."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from judges import wrong_values

import nwb_ophys as nwb
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.layout import layout_of
from nwb_ophys.storage import Array, Attr, Value
from nwb_ophys.testing import assert_roundtrip, touch

FOLDER = Path(__file__).parents[1] / "fixtures" / "versions"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
sys.path.insert(0, str(FOLDER))
import values as v  # noqa: E402

RELEASES = [entry["schema"] for entry in MANIFEST.values()]
START = datetime(2019, 5, 4, 3, 2, 1, 123456, tzinfo=timezone(timedelta(hours=-7)))
OPHYS, MASKS = "/processing/ophys", "/processing/ophys/ImageSegmentation"
BEHAVIOR = "/processing/behavior"


@pytest.fixture(params=MANIFEST, ids=RELEASES)
def file(request: pytest.FixtureRequest) -> Path:
    return FOLDER / request.param


def writer(file: Path) -> tuple[int, ...]:
    """The PyNWB that wrote a file."""
    return tuple(map(int, MANIFEST[file.name]["pynwb"].split(".")))


# -- what is in them -----------------------------------------------------------------------------


def contents(pynwb: tuple[int, ...]) -> dict[str, tuple[str, dict[str, Any]]]:
    """The objects that a file of this PyNWB holds, by path: type, and what is not the default."""
    first, old, new = pynwb < (1,), pynwb < (1, 1), pynwb >= (2,)
    zero = 0.0 if old else -1.0  # the default of what is not known was another one
    timed = {"rate": 10.0, "starting_time": 0.0}

    def movie(array: Any) -> Any:
        # PyNWB 0.6 kept images as int8, and what is more than that as 127.
        return np.clip(array, -128, 127).astype("i1") if first else array

    def narrow(array: Any) -> Any:  # floats of 0.6
        return array.astype("f4") if first else array

    def series(kind: str, data: Any, unit: str, **more: Any) -> tuple[str, dict[str, Any]]:
        return kind, {"data": data, "unit": unit, "resolution": zero} | more

    def images(kind: str, data: Any, *size: int, **more: Any) -> tuple[str, dict[str, Any]]:
        sizes = {"dimension": list(size)} if old else {}
        count = {"num_samples": len(data)} if pynwb[:2] == (4, 1) else {}
        return series(kind, movie(data), "a.u.", **sizes | count | more)

    def times(values: Any) -> dict[str, Any]:
        return {"timestamps": values} | ({"timestamps_unit": "Seconds"} if old else {})

    found: dict[str, tuple[str, dict[str, Any]]] = {
        "/general/subject": (
            "Subject",
            {
                "subject_id": "m001",
                "age": "P90D",
                "description": "A mouse.",
                "genotype": "wt",
                "sex": "F",
                "species": "Mus musculus",
                "weight": "0.025 kg",
            }
            | (
                {"date_of_birth": datetime(2019, 2, 4, tzinfo=START.tzinfo)}
                if pynwb > (1, 0, 2)
                else {}
            )
            | ({"strain": "C57BL/6J"} if pynwb >= (1, 5) else {}),
        ),
        "/general/devices/microscope": (
            "Device",
            {"description": "Two photons.", "manufacturer": "Acme"} if pynwb >= (1, 3, 1) else {},
        ),
        "/acquisition/movie": images(
            "TwoPhotonSeries",
            v.MOVIE,
            3,
            4,
            description="The movie.",
            comments="A comment.",
            conversion=2.0,
            resolution=0.5,
            rate=10.0,
            starting_time=0.5,
            pmt_gain=1.5,
            scan_line_rate=8000.0,
            field_of_view=[200.0, 300.0],
        ),
        "/acquisition/volume": images(
            "TwoPhotonSeries",
            v.VOLUME,
            3,
            4,
            2,
            **times(v.VOLUME_TIMES),
            field_of_view=[200.0, 300.0, 40.0],
        ),
        "/acquisition/external": (
            "ImageSeries",
            timed
            | {
                "external_file": ["a.tif", "b c/d.tif"],
                "starting_frame": [0, 7],
                "format": "external",
                "dimension": [3, 4],
            }
            | ({"data": np.zeros((0, 0, 0)), "unit": "n.a."} if new else {})
            | ({"num_samples": 20} if pynwb >= (4,) else {}),
        ),
        f"{BEHAVIOR}/Position/position": series(
            "SpatialSeries", narrow(v.POSITION), "meters", reference_frame="A corner.", **timed
        ),
        f"{BEHAVIOR}/CompassDirection/heading": series(
            "SpatialSeries", narrow(v.HEADING), "meters", reference_frame="A corner.", **timed
        ),
        f"{BEHAVIOR}/EyeTracking/eye": series(
            "SpatialSeries", narrow(v.EYE), "meters", reference_frame="A corner.", **timed
        ),
        f"{BEHAVIOR}/BehavioralTimeSeries/speed": series("TimeSeries", v.SPEED, "m/s", **timed),
        f"{BEHAVIOR}/BehavioralEvents/licks": series(
            "TimeSeries", np.ones(3), "n.a.", **times(v.LICK_TIMES)
        ),
        f"{BEHAVIOR}/PupilTracking/pupil": series("TimeSeries", v.PUPIL, "m", **timed),
        f"{BEHAVIOR}/BehavioralEpochs/bouts": series(
            "IntervalSeries", v.BOUTS, "n/a", **times(v.BOUT_TIMES) | {"resolution": -1.0}
        ),
        f"{OPHYS}/Fluorescence/raw": series(
            "RoiResponseSeries", narrow(v.RESPONSES), "lumens", **times(v.RESPONSE_TIMES)
        ),
        f"{OPHYS}/Fluorescence/neuropil": series(
            "RoiResponseSeries", v.NEUROPIL, "lumens", **timed
        ),
        f"{OPHYS}/DfOverF/dff": series(
            "RoiResponseSeries", narrow(v.DFF), "n.a.", **times(v.RESPONSE_TIMES)
        ),
    }
    for name, kind in (("Position",) * 2, ("EyeTracking",) * 2, ("CompassDirection",) * 2):
        found[f"{BEHAVIOR}/{name}"] = kind, {}
    # Stacks could be written whole, and in their collection, late.
    if new:
        within = f"{OPHYS}/MotionCorrection/stack"
    else:
        within = OPHYS if pynwb < (1, 3) else f"{OPHYS}/stack"
    begun = {"rate": 10.0, "starting_time": 0.5}
    found[f"{within}/corrected"] = images("ImageSeries", v.CORRECTED, 3, 4, **begun)
    found[f"{within}/xy_translation"] = series("TimeSeries", v.SHIFTS, "pixels", **begun)
    if pynwb >= (2, 4):
        found["/acquisition/camera"] = images(
            "OnePhotonSeries",
            v.CAMERA,
            rate=20.0,
            starting_time=0.0,
            binning=2,
            exposure_time=0.01,
            power=1.5,
            intensity=0.25,
            pmt_gain=2.0,
            scan_line_rate=4.0,
        )
    for name, array, resolution, text in (
        ("gray", v.GRAY, 70.0, "A mean."),
        ("rgb", v.RGB, 71.0, "In colors."),
        ("rgba", v.RGBA, 72.0, "Half transparent."),
    ):
        kind = "GrayscaleImage" if name == "gray" else f"{name.upper()}Image"
        told = {"array": array, "resolution": resolution, "description": text}
        found[f"/acquisition/pictures/{name}"] = kind, told
    return found


def planes(pynwb: tuple[int, ...]) -> dict[str, dict[str, Any]]:
    """The imaging planes; grids replaced what an array of positions had told."""
    told = {
        "excitation_lambda": 920.0,
        "indicator": "GCaMP6f",
        "location": "V1",
        "imaging_rate": 10.0,
    }
    grid = {
        "grid_spacing": [1.5, 2.5],
        "grid_spacing_unit": "micrometers",
        "origin_coords": [10.0, 20.0, 30.0],
        "origin_coords_unit": "micrometers",
    }
    manifold = {
        "manifold": v.MANIFOLD.astype("f4") if pynwb < (1,) else v.MANIFOLD,
        "manifold_conversion": 1e-6,
        "manifold_unit": "micrometers",
    }
    first = {"description": "The plane.", "reference_frame": "bregma"}
    return {
        "plane": told | first | (grid if pynwb >= (1, 3) else {}),
        "deep": told | {"description": "Several planes."} | (manifold if pynwb < (3,) else {}),
    }


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
