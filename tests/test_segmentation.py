"""Results of segmentations: checked, written where other readers look, read back by all of them."""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pynwb
import pytest
from nwbinspector import Importance, inspect_nwbfile
from pydantic import ValidationError
from scripts import printed

import nwb_ophys as nwb
from nwb_ophys.errors import (
    FileMissingError,
    FilePermissionError,
    MemberNotFoundError,
    NWBError,
    SchemaError,
)
from nwb_ophys.testing import make_session
from tests.results import COLUMNS, RATE, ROIS, ROWS, SAMPLES, Result

OPHYS = "/processing/ophys"
TABLE = f"{OPHYS}/ImageSegmentation/PlaneSegmentation"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A session with a movie, and nothing segmented."""
    session = make_session(
        frames=SAMPLES, width=COLUMNS, height=ROWS, rois=3, rate=RATE, segmentation=False
    )
    return nwb.write(session, tmp_path / "session.nwb")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def assert_same(a: nwb.Segmentation, b: nwb.Segmentation) -> None:
    """All of a result came back, in the axes that it was given in."""
    assert a.axes == b.axes
    assert a.shape == b.shape
    assert len(a) == len(b)
    for one, other in zip(a.masks, b.masks, strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)
    for name in ("fluorescence", "neuropil", "dff", "deconvolved", "accepted"):
        ours, theirs = getattr(a, name), getattr(b, name)
        assert (ours is None) == (theirs is None), name
        assert ours is None or np.array_equal(ours, theirs, equal_nan=name != "accepted"), name
    for mine, other in ((a.traces, b.traces), (a.images, b.images), (a.columns, b.columns)):
        assert set(mine) == set(other)
        for name in mine:
            assert np.array_equal(mine[name], other[name]), name
    assert np.allclose(a.get_timestamps(), b.get_timestamps())


# -- the object ----------------------------------------------------------------------------------


def test_what_is_given_is_held() -> None:
    truth = Result()
    result = truth.segmentation()
    assert repr(result) == (
        "<Segmentation: 5 ROIs in 14 x 23 (yx), fluorescence, neuropil, dff, deconvolved, "
        "30 samples at 15 Hz>"
    )
    assert result.fluorescence is truth.traces["fluorescence"]
    assert np.array_equal(result.masks.to_dense(), truth.masks)
    turned = result.transposed("xy")
    assert turned.shape == (COLUMNS, ROWS)
    assert np.array_equal(turned.masks.to_dense(), truth.masks.transpose(0, 2, 1))
    assert np.array_equal(turned.images["mean"], truth.images["mean"][0].T)
    assert_same(result, turned.transposed("yx"))


def test_some_of_the_rois() -> None:
    truth = Result()
    result = truth.segmentation(ids=[9, 8, 7, 6, 5], traces={"other": truth.traces["dff"]})
    cells = result.select(result.accepted)
    kept = np.flatnonzero(truth.accepted)
    assert np.array_equal(cells.masks.to_dense(), truth.masks[kept])
    assert np.array_equal(cells.fluorescence, truth.traces["fluorescence"][:, kept])
    assert np.array_equal(cells.traces["other"], truth.traces["dff"][:, kept])
    assert cells.ids.tolist() == [9 - one for one in kept]
    assert cells.accepted.all()
    with pytest.raises(SchemaError, match="expected rows of the 5 ROIs"):
        result.select([True])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"fluorescence": np.ones((SAMPLES, 7))},
            r"fluorescence has 7 ROIs .* but masks has 5",
        ),
        (
            {"neuropil": np.ones((ROIS, SAMPLES))},
            r"neuropil has 30 ROIs .*looks like \(roi, time\): give neuropil\.T",
        ),
        (
            {"deconvolved": np.ones((SAMPLES + 1, ROIS))},
            "deconvolved has 31 samples, but fluorescence has 30",
        ),
        ({"dff": np.ones(SAMPLES)}, r"dff: expected \(time, roi\) numbers, found float64 of shape"),
        ({"dff": [["a"] * ROIS]}, r"dff: expected \(time, roi\) numbers, found <U1"),
        ({"accepted": [True]}, "accepted has 1 rows, but masks has 5 ROIs"),
        ({"accepted": [0.2] * ROIS}, "accepted: expected True and False"),
        ({"columns": {"snr": [1.0, 2.0]}}, r"columns\['snr'\] has 2 rows, but masks has 5 ROIs"),
        (
            {"images": {"mean": np.ones((COLUMNS, ROWS))}},
            r"images\['mean'\] is 23 x 14, but the masks are 14 x 23 \(y, x\) .*axes exchanged",
        ),
        ({"rate": None, "timestamps": np.arange(7.0)}, "fluorescence has 30 samples, but times"),
        ({"timestamps": np.arange(SAMPLES)}, "either a rate or timestamps, found both"),
        (
            {"rate": None, "timestamps": np.zeros(SAMPLES)},
            "times that increase, found 0 after 0 at sample 1",
        ),
        ({"rate": None, "timestamps": [np.nan]}, "timestamps: expected finite times, found nan"),
        ({"rate": -1.0}, "greater than 0"),
        ({"masks": np.full((ROIS, ROWS, COLUMNS), np.nan)}, "finite weights, found nan in ROI 0"),
        ({"ids": np.arange(3)}, "ids has 3 rows, but masks has 5 ROIs"),
        ({"columns": {"snr": 3.0}}, r"columns\['snr'\]: expected one value a ROI, found 3\.0"),
        ({"traces": np.ones(3)}, "traces: expected a mapping of names"),
        ({"flourescence": 1}, "flourescence"),
    ],
)
def test_arrays_that_disagree_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Result().segmentation(**changes)


# -- written, and read by others -----------------------------------------------------------------


def test_what_is_written_is_read_back(path: Path) -> None:
    result = Result().segmentation()
    assert nwb.write_segmentation(path, result, imaging_plane="ImagingPlane") == path
    assert_same(nwb.read_segmentation(path, axes="yx"), result)
    assert_same(nwb.read_segmentation(path), result.transposed("xy"))


@pytest.mark.parametrize("kinds", ["pixel", "image", ("pixel", "image"), ("image", "voxel")])
def test_masks_of_any_kind(path: Path, kinds: Any) -> None:
    truth = Result()
    nwb.write_segmentation(path, truth.segmentation(), kinds=kinds)
    with nwb.open(path) as session:
        assert set(session[TABLE].masks.kinds) == ({kinds} if isinstance(kinds, str) else {*kinds})
    read = nwb.read_segmentation(path, axes="yx")
    if "voxel" in kinds:
        assert np.array_equal(read.masks.to_dense()[..., 0], truth.masks)
    else:
        assert np.array_equal(read.masks.to_dense(), truth.masks)


def test_pynwb_reads_the_same_and_finds_no_fault(path: Path) -> None:
    truth = Result()
    nwb.write_segmentation(path, truth.segmentation(), kinds=("pixel", "image"))
    with pynwb.NWBHDF5IO(path, "r") as io:
        ophys = io.read().processing["ophys"]
        table = ophys["ImageSegmentation"]["PlaneSegmentation"]
        assert np.array_equal(table["image_mask"].data[:], truth.masks.transpose(0, 2, 1))
        for number, mask in enumerate(truth.masks):
            image = np.zeros((ROWS, COLUMNS), np.float32)
            for x, y, weight in table["pixel_mask"][number]:
                image[y, x] = weight
            assert np.array_equal(image, mask)
        assert table["accepted"].data[:].tolist() == truth.accepted.tolist()
        assert table.imaging_plane.name == "ImagingPlane"
        for container, name in (
            ("Fluorescence", "fluorescence"),
            ("Neuropil", "neuropil"),
            ("Deconvolved", "deconvolved"),
        ):
            series = ophys[container]["plane0"]
            assert np.array_equal(series.data[:], truth.traces[name])
            assert series.rate == RATE
            assert series.rois.table is table
            assert series.rois.data[:].tolist() == list(range(ROIS))
        dff = ophys["DfOverF"]["RoiResponseSeries"]
        assert np.array_equal(dff.data[:], truth.traces["dff"])
        mean = ophys["Backgrounds_0"]["meanImg"].data[:]
        assert np.array_equal(mean, truth.images["mean"][0].T)
    assert pynwb.validate(path=path) == []


@pytest.mark.parametrize("volume", [False, True])
def test_nwb_inspector_has_nothing_to_say(path: Path, tmp_path: Path, volume: bool) -> None:
    if volume:
        path = volume_file(tmp_path)
        truth = Result(planes=3)
        nwb.write_segmentation(path, volume_of(truth), kinds=("voxel", "image"))
        assert pynwb.validate(path=path) == []
    else:
        nwb.write_segmentation(path, Result().segmentation(), kinds=("pixel", "image"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = list(
            inspect_nwbfile(
                nwbfile_path=path,
                importance_threshold=Importance.BEST_PRACTICE_VIOLATION,
            )
        )
    assert [one.message for one in found] == []


def test_roiextractors_reads_the_same(path: Path) -> None:
    roiextractors = pytest.importorskip("roiextractors")
    truth = Result()
    nwb.write_segmentation(path, truth.segmentation(), kinds=("pixel", "image"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = roiextractors.NwbSegmentationExtractor(path)
        assert found.get_num_rois() == ROIS
        assert tuple(found.get_image_shape()) == (ROWS, COLUMNS)
        assert np.array_equal(found.get_roi_image_masks().transpose(2, 0, 1), truth.masks)
        assert np.array_equal(found.get_traces(name="dff"), truth.traces["dff"])
        movie = roiextractors.NwbImagingExtractor(path)
        assert tuple(movie.get_image_shape()) == (ROWS, COLUMNS)
        assert movie.get_num_samples() == SAMPLES
        del found, movie

    few = truth.segmentation(neuropil=None, deconvolved=None)
    nwb.write_segmentation(path, few, kinds=("pixel", "image"), replace=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = roiextractors.NwbSegmentationExtractor(path)
        assert np.array_equal(found.get_traces(name="raw"), truth.traces["fluorescence"])
        del found


def read_as_suite2p(path: Path) -> dict[str, Any]:
    """Look up what suite2p's reader looks up, under the names that it has in its code."""
    with pynwb.NWBHDF5IO(path, "r") as io:
        file = io.read()
        ophys = file.processing["ophys"]
        table = ophys["ImageSegmentation"]["PlaneSegmentation"]
        volume = "pixel_mask" not in table.colnames
        rois = table["voxel_mask" if volume else "pixel_mask"]
        stat = [np.array([tuple(pixel) for pixel in rois[n]]) for n in range(len(rois))]
        traces = {}
        for name in ("Fluorescence", "Neuropil", "Deconvolved"):
            series = ophys[name].roi_response_series
            assert next(iter(series)) == "plane0"
            traces[name] = np.concatenate([one.data[:] for one in series.values()], axis=1).T
        planes = 1 + max(int(one[0][2]) for one in stat) if volume else 1
        return {
            "stat": stat,
            "iscell": np.array([table["iscell"][n] for n in range(len(stat))]),
            "mean": [ophys[f"Backgrounds_{z}"]["meanImg"].data[:] for z in range(planes)],
            "rate": file.acquisition["TwoPhotonSeries"].rate,
            **traces,
        }


def test_suite2p_finds_what_it_looks_for(path: Path) -> None:
    truth = Result()
    nwb.write_segmentation(path, truth.segmentation(columns={"probability": truth.probability}))
    found = read_as_suite2p(path)
    first, second = found["mean"][0].shape  # what it takes for rows and columns: the image turned
    for mask, pixels in zip(truth.masks, found["stat"], strict=True):
        image = np.zeros((first, second))
        image[pixels[:, 0].astype(int), pixels[:, 1].astype(int)] = pixels[:, -1]
        assert np.allclose(image.T, mask)
    assert np.array_equal(found["mean"][0].T, truth.images["mean"][0])
    assert np.array_equal(found["Fluorescence"], truth.traces["fluorescence"].T)
    assert np.array_equal(found["iscell"][:, 0], truth.accepted)
    assert np.array_equal(found["iscell"][:, 1], truth.probability)
    assert found["rate"] == RATE


# -- volumes -------------------------------------------------------------------------------------


def volume_file(folder: Path) -> Path:
    session = make_session(
        frames=SAMPLES, width=COLUMNS, height=ROWS, rois=3, rate=RATE, segmentation=False
    )
    return nwb.write(session, folder / "volume.nwb")


def volume_of(truth: Result) -> nwb.Segmentation:
    return truth.segmentation(
        masks=truth.volume,
        columns={"plane": truth.plane},
        images={name: image.transpose(1, 2, 0) for name, image in truth.images.items()},
    )


def test_volumes(tmp_path: Path) -> None:
    truth = Result(planes=3)
    path = volume_file(tmp_path)
    result = volume_of(truth)
    nwb.write_segmentation(path, result)
    assert_same(nwb.read_segmentation(path, axes="yx"), result)
    with nwb.open(path) as session:
        assert session[TABLE].masks.kinds == ("voxel",)
        ophys = session.processing["ophys"]
        assert [one for one in ophys.children if one.startswith("Back")] == [
            f"Backgrounds_{z}" for z in range(3)
        ]
    found = read_as_suite2p(path)
    assert found["Fluorescence"].shape == (3 * ROIS, SAMPLES)
    assert len(found["mean"]) == 3
    for pixels, mask, plane in zip(found["stat"], truth.masks, truth.plane, strict=True):
        assert set(pixels[:, 2]) == {plane}
        assert mask[pixels[:, 1].astype(int), pixels[:, 0].astype(int)] == pytest.approx(
            pixels[:, -1]
        )


def test_several_planes_one_by_one(path: Path) -> None:
    first, second = Result(seed=1), Result(seed=2)
    nwb.write_segmentation(path, first.segmentation())
    nwb.write_segmentation(path, second.segmentation(), name="deeper")
    assert_same(nwb.read_segmentation(path, "deeper", axes="yx"), second.segmentation())
    assert_same(nwb.read_segmentation(path, TABLE, axes="yx"), first.segmentation())
    with pytest.raises(SchemaError, match=r"expected name=, one of .*PlaneSegmentation.*deeper"):
        nwb.read_segmentation(path)
    with pytest.raises(MemberNotFoundError, match="no segmentation 'none'; there is /proc"):
        nwb.read_segmentation(path, "none")
    assert pynwb.validate(path=path) == []


# -- layout --------------------------------------------------------------------------------------


def test_regions_are_stored_once(path: Path) -> None:
    nwb.write_segmentation(path, Result().segmentation())
    with h5py.File(path) as file:
        ophys = file[OPHYS]
        assert ophys["Fluorescence/plane0"].get("rois", getlink=True).__class__ is h5py.HardLink
        for series in ("Neuropil/plane0", "Deconvolved/plane0", "DfOverF/RoiResponseSeries"):
            link = ophys[series].get("rois", getlink=True)
            assert isinstance(link, h5py.SoftLink)
            assert link.path == f"{OPHYS}/Fluorescence/plane0/rois"
        movie = file[TABLE]["reference_images"].get("TwoPhotonSeries", getlink=True)
        assert movie.path == "/acquisition/TwoPhotonSeries"


def test_names_are_chosen(path: Path) -> None:
    result = Result().segmentation()
    nwb.write_segmentation(path, result, module="cells", name="found", series="by_hand")
    with nwb.open(path) as session:
        assert session["/processing/cells/Fluorescence/by_hand"].data.shape == (SAMPLES, ROIS)
        assert len(session["/processing/cells/ImageSegmentation/found"]) == ROIS


def test_further_traces_columns_and_the_background(path: Path) -> None:
    truth = Result()
    background = nwb.Segmentation(
        masks=np.ones((1, ROWS, COLUMNS)),
        axes="yx",
        fluorescence=np.ones((SAMPLES, 1)),
        rate=RATE,
    )
    result = truth.segmentation(
        traces={"Denoised": truth.traces["dff"]},
        columns={"name": list("abcde"), "tags": [["x"], [], ["y", "z"], [], []]},
        background=background,
    )
    nwb.write_segmentation(path, result)
    read = nwb.read_segmentation(path, axes="yx")
    assert np.array_equal(read.traces["Denoised"], truth.traces["dff"])
    assert read.columns["name"].tolist() == list("abcde")
    assert [list(one) for one in read.columns["tags"]] == [["x"], [], ["y", "z"], [], []]
    assert read.background is not None
    assert np.array_equal(read.background.masks.to_dense(), background.masks.to_dense())
    assert np.array_equal(read.background.fluorescence, np.ones((SAMPLES, 1)))
    assert pynwb.validate(path=path) == []


def test_times_are_those_of_the_movie_where_none_are_told(path: Path) -> None:
    nwb.write_segmentation(path, Result().segmentation(rate=None))
    assert nwb.read_segmentation(path).rate == RATE


def test_the_beginning_is_that_of_the_movie_where_it_is_not_told(tmp_path: Path) -> None:
    truth = Result()
    for name, times in (
        ("rate", {"rate": RATE, "starting_time": 7.5}),
        ("timestamps", {"timestamps": 7.5 + np.arange(SAMPLES) / RATE}),
    ):
        session = make_session(frames=SAMPLES, rois=3, rate=RATE, segmentation=False, motion=False)
        plane = session.imaging_planes["ImagingPlane"]
        del session.acquisition["TwoPhotonSeries"]
        frames = np.zeros((SAMPLES, COLUMNS, ROWS), np.int16)
        session.acquisition.add(
            nwb.TwoPhotonSeries(name="m", data=frames, unit="n.a.", imaging_plane=plane, **times)
        )
        path = nwb.write(session, tmp_path / f"{name}.nwb")
        nwb.write_segmentation(path, truth.segmentation())
        read = nwb.read_segmentation(path)
        assert np.allclose(read.get_timestamps(), 7.5 + np.arange(SAMPLES) / RATE)
        part = {kind: trace[10:] for kind, trace in truth.traces.items()}
        later = truth.segmentation(**part, starting_time=7.5 + 10 / RATE)
        nwb.write_segmentation(path, later, replace=True)
        assert nwb.read_segmentation(path).starting_time == 7.5 + 10 / RATE


def test_where_no_roi_was_found(path: Path) -> None:
    nothing = nwb.Segmentation(
        masks=np.zeros((0, ROWS, COLUMNS)),
        axes="yx",
        fluorescence=np.zeros((SAMPLES, 0)),
        accepted=np.zeros(0, bool),
        rate=RATE,
    )
    nwb.write_segmentation(path, nothing, kinds="voxel", name="deep")
    assert nwb.read_segmentation(path, "deep").shape == (COLUMNS, ROWS, 1)
    nwb.write_segmentation(path, nothing, kinds=("pixel", "image"))
    read = nwb.read_segmentation(path, "PlaneSegmentation", axes="yx")
    assert len(read) == 0
    assert read.shape == (ROWS, COLUMNS)
    assert read.fluorescence.shape == (SAMPLES, 0)
    assert pynwb.validate(path=path) == []


def test_timestamps(path: Path) -> None:
    times = np.arange(SAMPLES) / RATE + np.linspace(0, 0.01, SAMPLES)
    nwb.write_segmentation(path, Result().segmentation(rate=None, timestamps=times))
    read = nwb.read_segmentation(path)
    assert read.rate is None
    assert np.array_equal(read.timestamps, times)


def test_a_table_is_replaced_with_its_traces_and_images(path: Path) -> None:
    first, second = Result(seed=1), Result(seed=2)
    nwb.write_segmentation(path, first.segmentation(), kinds=("pixel", "image"))
    changed = second.segmentation(neuropil=None, images={"mean": second.images["mean"][0]})
    nwb.write_segmentation(path, changed, replace=True)
    assert_same(nwb.read_segmentation(path, axes="yx"), changed)
    with h5py.File(path) as file:
        assert "Neuropil" not in file[OPHYS]
        assert "image_mask" not in file[TABLE]
        assert list(file[f"{OPHYS}/Fluorescence"]) == ["RoiResponseSeries"]
    assert pynwb.validate(path=path) == []


def test_into_a_session_that_is_authored(tmp_path: Path) -> None:
    session = make_session(
        frames=SAMPLES, width=COLUMNS, height=ROWS, rois=3, rate=RATE, segmentation=False
    )
    result = Result().segmentation()
    table = nwb.add_segmentation(session, result)
    assert len(table) == ROIS
    with pytest.raises(SchemaError, match="the name is taken"):
        nwb.add_segmentation(session, result)
    nwb.add_segmentation(session, result, replace=True)
    nwb.write(session, tmp_path / "a.nwb")
    assert_same(nwb.read_segmentation(tmp_path / "a.nwb", axes="yx"), result)


# -- bad input changes nothing -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"imaging_plane": "plan"}, "no imaging plane 'plan'; there are 'ImagingPlane'"),
        (
            {"axes": "xy", "images": {}},
            {},
            r"masks are 14 x 23 \(x, y\), but the frames of the movie .* are 23 x 14 .*axes='yx'",
        ),
        (
            {name: np.ones((SAMPLES - 1, ROIS)) for name in Result().traces},
            {},
            "fluorescence has 29 samples, but the movie of its imaging plane has 30 frames",
        ),
        ({}, {"kinds": ("outline",)}, "kinds of masks among 'pixel', 'voxel', 'image'"),
        ({"masks": [[(0, 99, 1.0)]] * ROIS, "images": {}}, {}, "reach beyond the movie"),
        ({"columns": {"pixel_mask": np.arange(ROIS)}}, {}, "there is a column of that name"),
        (
            {"traces": {"Fluorescence": np.ones((SAMPLES, ROIS))}},
            {},
            r"traces\['Fluorescence'\] would lie where others do, at Fluorescence/plane0",
        ),
        ({"columns": {"id": np.arange(ROIS)}}, {}, "a column cannot be named 'id'"),
        ({"starting_time": 1.0}, {}, "fluorescence has 30 samples, but the movie"),
    ],
)
def test_what_does_not_fit_changes_nothing(
    path: Path, changes: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    result = Result().segmentation(**changes)
    before, files = digest(path), set(path.parent.iterdir())
    with pytest.raises(NWBError, match=message):
        nwb.write_segmentation(path, result, **options)
    assert digest(path) == before
    assert set(path.parent.iterdir()) == files


def test_a_name_that_is_taken_says_what_is_there(path: Path) -> None:
    result = Result().segmentation()
    nwb.write_segmentation(path, result)
    before = digest(path)
    with pytest.raises(
        SchemaError,
        match=r"PlaneSegmentation: the name is taken: there is a PlaneSegmentation of 5 ROIs "
        r"\('Regions of interest in ImagingPlane\.'\) \(choose another name=, or replace=True\)",
    ):
        nwb.write_segmentation(path, result)
    with pytest.raises(SchemaError, match=r"plane0: the name is taken: there are traces .*series="):
        nwb.write_segmentation(path, result, name="other", series="plane0")
    assert digest(path) == before


def test_masks_that_were_made_nan_are_not_written(path: Path) -> None:
    result = Result().segmentation()
    result.masks.flat.weights[3] = np.nan
    before = digest(path)
    with pytest.raises(SchemaError, match="expected finite weights, found nan in ROI 0"):
        nwb.write_segmentation(path, result)
    assert digest(path) == before


def test_files_that_may_not_be_changed(path: Path, tmp_path: Path) -> None:
    result = Result().segmentation()
    with pytest.raises(FileMissingError):
        nwb.write_segmentation(tmp_path / "no.nwb", result)
    before = digest(path)
    os.chmod(path, 0o444)
    with pytest.raises(FilePermissionError, match=r"may not be written to .*make it writable"):
        nwb.write_segmentation(path, result)
    assert digest(path) == before


_FULL = """
    import resource, signal, sys
    import numpy as np
    import nwb_ophys as nwb
    noise = np.random.default_rng(0).random((30, 40000))
    result = nwb.Segmentation(masks=[[(0, 0, 1.0)]] * 40000, fluorescence=noise, rate=15.0)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
    try:
        nwb.write_segmentation(sys.argv[1], result)
    except nwb.FileAccessError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of files are those of POSIX")
def test_a_full_disk_changes_nothing(path: Path) -> None:
    before, files = digest(path), set(path.parent.iterdir())
    assert "File too large (make room there" in printed(_FULL, path)
    assert digest(path) == before
    assert set(path.parent.iterdir()) == files


def test_a_session_without_planes_or_with_several(tmp_path: Path) -> None:
    session = make_session(frames=5, segmentation=False)
    plane = session.imaging_planes["ImagingPlane"]
    session.imaging_planes.add(plane.model_copy(update={"name": "second"}))
    result = nwb.Segmentation(masks=[[(0, 0, 1.0)]])
    with pytest.raises(SchemaError, match="those that there are: 'ImagingPlane', 'second'"):
        nwb.add_segmentation(session, result)
    with pytest.raises(SchemaError, match=r"there are: none .*session\.imaging_planes"):
        nwb.add_segmentation(
            nwb.NWBFile(
                identifier="a",
                session_description="b",
                session_start_time=session.session_start_time,
            ),
            result,
        )


def test_arrays_of_an_opened_session_are_taken_without_touching_it(path: Path) -> None:
    nwb.write_segmentation(path, Result().segmentation())
    with nwb.open(path, "r+") as session:
        stored = session[f"{OPHYS}/Fluorescence/plane0"]
        result = nwb.Segmentation(
            masks=session[TABLE].masks, fluorescence=stored.data, rate=stored.rate
        )
        nwb.add_segmentation(session, result, name="again")
        chosen = session[TABLE].select([True, False, True, False, False], name="few")
        session[f"{OPHYS}/ImageSegmentation"].add(chosen)
        session.processing["ophys"].add(
            nwb.Fluorescence(name="Few", children=chosen.responses()[:1])
        )
        session.save()
        assert stored.data.unit == "a.u."
    again = nwb.read_segmentation(path, "again", axes="yx")
    assert np.array_equal(again.fluorescence, Result().traces["fluorescence"])
    with nwb.open(path) as session:
        few = session[f"{OPHYS}/ImageSegmentation/few"]
        assert len(few) == 2
        assert [one.rois.table for one in session[f"{OPHYS}/Few"].children.values()] == [few]
    assert pynwb.validate(path=path) == []


def test_a_session_is_no_path() -> None:
    with pytest.raises(nwb.SchemaError, match=r"found 3 of type int \(add_segmentation\(session"):
        nwb.write_segmentation(3, None)  # type: ignore[arg-type]
