"""`read_segmentation` gives the right pixels whoever wrote the file, frames never square."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from pynwb.base import Images
from pynwb.image import GrayscaleImage, ImageSeries
from pynwb.ophys import (
    DfOverF,
    Fluorescence,
    ImageSegmentation,
    OpticalChannel,
    RoiResponseSeries,
    TwoPhotonSeries,
)

import nwb_ophys as nwb
from nwb_ophys.errors import SchemaError
from tests.results import COLUMNS, RATE, ROIS, ROWS, SAMPLES, Result

REAL = Path(__file__).parents[2] / "shared" / "real"
real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the real files are not at {REAL}")


class File:
    """A file in the making by PyNWB, as the writers of old made theirs."""

    def __init__(self, path: Path, *, external: list[int] | None = None) -> None:
        self.path = path
        self.file = NWBFile("made up", "a", datetime(2024, 1, 1, tzinfo=UTC))
        device = self.file.create_device("Microscope")
        self.plane = self.file.create_imaging_plane(
            name="ImagingPlane",
            optical_channel=OpticalChannel(name="c", description="c", emission_lambda=500.0),
            description="plane",
            device=device,
            excitation_lambda=600.0,
            indicator="GCaMP",
            location="V1",
        )
        self.movie: Any = None
        if external is not None:
            self.movie = TwoPhotonSeries(
                name="TwoPhotonSeries",
                dimension=external,
                external_file=["movie.tif"],
                starting_frame=[0],
                format="external",
                imaging_plane=self.plane,
                rate=RATE,
                num_samples=SAMPLES,
            )
            self.file.add_acquisition(self.movie)
        self.ophys = self.file.create_processing_module("ophys", "processed")

    def table(self, description: str, **options: Any) -> Any:
        holder = ImageSegmentation(**options.pop("holder", {}))
        self.ophys.add(holder)
        options.setdefault("name", "PlaneSegmentation")
        return holder.create_plane_segmentation(
            description=description, imaging_plane=self.plane, **options
        )

    def traces(self, container: Any, name: str, data: Any, table: Any, rows: Any = None) -> None:
        region = table.create_roi_table_region(
            description="ROIs", region=list(range(len(table)) if rows is None else rows)
        )
        if container.name not in self.ophys.data_interfaces:
            self.ophys.add(container)
        self.ophys[container.name].add_roi_response_series(
            RoiResponseSeries(name=name, data=data, rois=region, unit="lumens", rate=RATE)
        )

    def images(self, name: str, **arrays: Any) -> None:
        images = Images(name=name)
        for key, array in arrays.items():
            images.add_image(GrayscaleImage(name=key, data=array))
        self.ophys.add(images)

    def write(self) -> Path:
        with NWBHDF5IO(self.path, "w") as io:
            io.write(self.file)
        return self.path


def row_first(mask: np.ndarray) -> list[tuple[int, int, float]]:
    rows, columns = np.nonzero(mask)
    return [(r, c, mask[r, c]) for r, c in zip(rows, columns, strict=True)]


def suite2p(truth: Result, path: Path) -> Path:
    made = File(path, external=[ROWS, COLUMNS])
    table = made.table("suite2p output", reference_images=made.movie)
    for mask, plane in zip(truth.masks, truth.plane, strict=True):
        if truth.planes > 1:
            table.add_roi(voxel_mask=[(r, c, plane, w) for r, c, w in row_first(mask)])
        else:
            table.add_roi(pixel_mask=row_first(mask))
    pairs = np.stack([truth.accepted.astype(float), truth.probability], axis=1)
    table.add_column("iscell", "two columns - iscell & probcell", pairs)
    for container, name in (
        ("Fluorescence", "fluorescence"),
        ("Neuropil", "neuropil"),
        ("Deconvolved", "deconvolved"),
    ):
        for plane in range(truth.planes):
            rows = np.flatnonzero(truth.plane == plane)
            data = truth.traces[name][:, rows]
            made.traces(Fluorescence(name=container), f"plane{plane}", data, table, rows)
    for plane in range(truth.planes):
        made.images(
            f"Backgrounds_{plane}",
            meanImg=truth.images["mean"][plane],
            max_proj=truth.images["max"][plane],
            Vcorr=truth.images["correlation"][plane],
        )
    return made.write()


def assert_traces(result: nwb.Segmentation, truth: Result, *names: str) -> None:
    for name in names:
        assert np.array_equal(getattr(result, name), truth.traces[name]), name
    assert result.rate == RATE


def test_suite2p(tmp_path: Path) -> None:
    truth = Result()
    result = nwb.read_segmentation(suite2p(truth, tmp_path / "a.nwb"), axes="yx")
    assert result.shape == (ROWS, COLUMNS)
    assert np.array_equal(result.masks.to_dense(), truth.masks)
    assert_traces(result, truth, "fluorescence", "neuropil", "deconvolved")
    assert result.accepted.tolist() == truth.accepted.tolist()
    assert np.array_equal(result.columns["probability"], truth.probability)
    for name in ("mean", "max", "correlation"):
        assert np.array_equal(result.images[name], truth.images[name][0])
    assert "written by suite2p: the member x of its pixels is the row" in result.notes[0]
    turned = nwb.read_segmentation(tmp_path / "a.nwb")
    assert np.array_equal(turned.masks.to_dense(), truth.masks.transpose(0, 2, 1))
    assert np.array_equal(turned.images["mean"], truth.images["mean"][0].T)


@pytest.mark.parametrize("planes", [2, 11])
def test_suite2p_of_several_planes(tmp_path: Path, planes: int) -> None:
    truth = Result(planes=planes)
    result = nwb.read_segmentation(suite2p(truth, tmp_path / "a.nwb"), axes="yx")
    assert result.axes == "yxz"
    assert np.array_equal(result.masks.to_dense(), truth.volume)
    # In the file "plane10" comes before "plane2"; their regions tell whose traces they are.
    assert_traces(result, truth, "fluorescence", "neuropil", "deconvolved")
    assert np.array_equal(result.images["mean"], truth.images["mean"].transpose(1, 2, 0))


@pytest.mark.filterwarnings("ignore:RoiResponseSeries")  # PyNWB sees it too
@pytest.mark.parametrize("samples", [SAMPLES, ROIS])
def test_old_suite2p_stored_traces_by_roi(tmp_path: Path, samples: int) -> None:
    truth = Result()
    made = File(tmp_path / "a.nwb", external=[ROWS, COLUMNS])
    table = made.table("suite2p output")
    for mask in truth.masks:
        table.add_roi(pixel_mask=row_first(mask))
    for container, name in (("Fluorescence", "fluorescence"), ("Deconvolved", "deconvolved")):
        data = truth.traces[name][:samples].T
        made.traces(Fluorescence(name=container), container, data, table)
    result = nwb.read_segmentation(made.write(), axes="yx")
    assert np.array_equal(result.fluorescence, truth.traces["fluorescence"][:samples])
    assert np.array_equal(result.deconvolved, truth.traces["deconvolved"][:samples])
    assert "Fluorescence/Fluorescence: stored as (roi, time), turned" in result.notes


def test_caiman(tmp_path: Path) -> None:
    truth = Result()
    made = File(tmp_path / "a.nwb")
    movie = ImageSeries(
        name="TwoPhotonSeries",
        external_file=["a.tif"],
        starting_frame=[0],
        format="external",
        rate=RATE,
        num_samples=SAMPLES,
    )
    made.file.add_acquisition(movie)
    table = made.table("CNMF_ROIs", reference_images=movie)
    for name in ("r", "snr", "accepted", "rejected"):
        table.add_column(name, name)
    footprints = truth.footprints().toarray()
    for number, column in enumerate(footprints.T):
        table.add_roi(  # flattened by columns, folded by rows
            image_mask=column.reshape(ROWS, COLUMNS),
            r=0.5,
            snr=truth.probability[number],
            accepted=bool(truth.accepted[number]),
            rejected=False,
        )
    background = np.arange(ROWS * COLUMNS * 1.0)
    table.add_roi(
        image_mask=background.reshape(ROWS, COLUMNS),
        r=np.nan,
        snr=np.nan,
        accepted=False,
        rejected=False,
    )
    times = np.arange(SAMPLES) / RATE
    holder = Fluorescence()
    made.ophys.add(holder)
    for name, data, rows in (
        ("RoiResponseSeries", truth.traces["fluorescence"], range(ROIS)),
        ("Background_Fluorescence_Response", np.ones((SAMPLES, 1)), [ROIS]),
    ):
        holder.create_roi_response_series(
            name=name,
            data=data,
            rois=table.create_roi_table_region(description="r", region=list(rows)),
            unit="lumens",
            timestamps=times,
        )
    made.ophys.add(TimeSeries(name="residuals", data=data, unit="NA", timestamps=times))
    result = nwb.read_segmentation(made.write(), axes="yx")
    assert len(result) == ROIS
    assert np.array_equal(result.masks.to_dense(), truth.masks)
    assert np.array_equal(result.fluorescence, truth.traces["fluorescence"])
    assert np.array_equal(result.timestamps, times)
    assert result.accepted.tolist() == truth.accepted.tolist()
    assert np.array_equal(result.columns["snr"], truth.probability)
    assert result.background is not None
    expected = background.reshape((ROWS, COLUMNS), order="F")
    assert np.array_equal(result.background.masks.to_dense()[0], expected)
    assert "its masks are stored scrambled" in result.notes[0]
    assert "1 rows are components of the background, kept apart" in result.notes


@pytest.mark.parametrize("kinds", [("pixel",), ("image",), ("pixel", "image")])
@pytest.mark.parametrize("old", [True, False], ids=["old", "new"])
def test_neuroconv(tmp_path: Path, kinds: tuple[str, ...], old: bool) -> None:
    truth = Result()
    made = File(tmp_path / "a.nwb")
    table = made.table("Segmented ROIs")
    for mask in truth.masks:
        masks = {"pixel_mask": row_first(mask), "image_mask": mask.T}
        table.add_roi(**{f"{kind}_mask": masks[f"{kind}_mask"] for kind in kinds})
    if old:
        table.add_column("ROICentroids", "x, y", np.ones((ROIS, 2)))
        table.add_column("Accepted", "accepted", truth.accepted.astype(int))
        dff: Any = DfOverF()
    else:
        table.add_column("roi_name", "name", [str(one) for one in range(ROIS)])
        table.add_column("iscell", "whether it is a cell", truth.accepted.astype(float))
        dff = Fluorescence()
    made.traces(Fluorescence(), "RoiResponseSeries", truth.traces["fluorescence"], table)
    made.traces(Fluorescence(), "Neuropil", truth.traces["neuropil"], table)
    made.traces(Fluorescence(), "Deconvolved", truth.traces["deconvolved"], table)
    made.traces(Fluorescence(), "Denoised", truth.traces["dff"] + 1, table)
    made.traces(dff, "RoiResponseSeries" if old else "DfOverF", truth.traces["dff"], table)
    made.images("SegmentationImages", **{"MeanImage" if old else "mean": truth.images["mean"][0].T})
    result = nwb.read_segmentation(made.write(), axes="yx")
    assert result.shape == (ROWS, COLUMNS)
    assert np.array_equal(result.masks.to_dense(), truth.masks)
    assert_traces(result, truth, "fluorescence", "neuropil", "deconvolved", "dff")
    assert np.array_equal(result.traces["Denoised"], truth.traces["dff"] + 1)
    assert result.accepted.tolist() == truth.accepted.tolist()
    assert np.array_equal(result.images["mean"], truth.images["mean"][0])
    assert "neuroconv" in result.notes[0]


def test_neuroconv_of_several_planes(tmp_path: Path) -> None:
    truths = [Result(seed=one) for one in range(2)]
    made = File(tmp_path / "a.nwb")
    holder = ImageSegmentation()
    made.ophys.add(holder)
    for number, truth in enumerate(truths):
        table = holder.create_plane_segmentation(
            name=f"PlaneSegmentationChan1Plane{number}",
            description="ROIs",
            imaging_plane=made.plane,
        )
        for mask in truth.masks:
            table.add_roi(pixel_mask=row_first(mask))
        table.add_column("roi_name", "name", [str(one) for one in range(ROIS)])
        for name, kind in (
            ("RoiResponseSeries", "fluorescence"),
            ("Neuropil", "neuropil"),
            ("Deconvolved", "deconvolved"),
        ):
            series = f"{name}Chan1Plane{number}"
            made.traces(Fluorescence(), series, truth.traces[kind], table)
    path = made.write()
    for number, truth in enumerate(truths):
        name = f"PlaneSegmentationChan1Plane{number}"
        result = nwb.read_segmentation(path, name, axes="yx")
        assert np.array_equal(result.masks.to_dense((ROWS, COLUMNS)), truth.masks)
        assert_traces(result, truth, "fluorescence", "neuropil", "deconvolved")
    with pytest.raises(SchemaError, match="expected name="):
        nwb.read_segmentation(path)


def test_allensdk(tmp_path: Path) -> None:
    truth = Result()
    made = File(tmp_path / "a.nwb")
    table = made.table(
        "Segmented rois", name="cell_specimen_table", holder={"name": "image_segmentation"}
    )
    for mask in truth.masks:
        table.add_roi(image_mask=mask > 0)
    table.add_column("cell_specimen_id", "id", np.full(ROIS, -1))
    table.add_column("valid_roi", "valid", truth.accepted)
    made.traces(DfOverF(name="dff"), "traces", truth.traces["dff"], table)
    for container, name in (
        ("corrected_fluorescence", "fluorescence"),
        ("neuropil_trace", "neuropil"),
        ("demixed_trace", "deconvolved"),
    ):
        made.traces(Fluorescence(name=container), "traces", truth.traces[name], table)
    holder = made.ophys["corrected_fluorescence"]
    for name in ("r", "RMSE"):
        holder.create_roi_response_series(
            name=name,
            data=np.arange(ROIS) / 10,
            rois=table.create_roi_table_region(description="r", region=list(range(ROIS))),
            unit="NA",
            timestamps=np.arange(ROIS) / 1.0,
        )
    made.images(
        "images", max_projection=truth.images["max"][0], average_image=truth.images["mean"][0]
    )
    result = nwb.read_segmentation(made.write(), axes="yx")
    assert np.array_equal(result.masks.to_dense(), truth.masks > 0)
    assert_traces(result, truth, "dff", "fluorescence", "neuropil")
    assert np.array_equal(result.traces["demixed_trace"], truth.traces["deconvolved"])
    assert result.accepted.tolist() == truth.accepted.tolist()
    assert np.array_equal(result.images["max"], truth.images["max"][0])
    assert any("/RMSE left out: one number a ROI" in note for note in result.notes)


def test_others_are_read_as_nwb_says(tmp_path: Path) -> None:
    truth = Result()
    made = File(tmp_path / "a.nwb")
    movie = TwoPhotonSeries(
        name="TwoPhotonSeries",
        data=np.zeros((SAMPLES, COLUMNS, ROWS), np.int16),
        imaging_plane=made.plane,
        rate=RATE,
        unit="n.a.",
    )
    made.file.add_acquisition(movie)
    table = made.table("output from segmenting my favorite imaging plane", reference_images=movie)
    for mask in truth.masks:
        table.add_roi(pixel_mask=[(c, r, w) for r, c, w in row_first(mask)])
    made.traces(Fluorescence(), "RoiResponseSeries", truth.traces["fluorescence"], table)
    result = nwb.read_segmentation(made.write(), axes="yx")
    assert result.shape == (ROWS, COLUMNS)
    assert np.array_equal(result.masks.to_dense(), truth.masks)
    assert result.notes == ("read as NWB says: x is the column, y the row",)


# -- what is read can be written -----------------------------------------------------------------


def again(path: Path, result: nwb.Segmentation, **options: Any) -> nwb.Segmentation:
    nwb.write_segmentation(path, result, name="again", **options)
    return nwb.read_segmentation(path, "again", axes="yx")


@pytest.mark.parametrize("planes", [1, 3])
def test_a_result_goes_from_the_file_of_suite2p_into_one_of_ours(
    tmp_path: Path, planes: int
) -> None:
    truth = Result(planes=planes)
    path = suite2p(truth, tmp_path / "a.nwb")
    result = nwb.read_segmentation(path, axes="yx")
    read = again(path, result)  # although suite2p tells the size of its movie as (row, column)
    assert np.array_equal(read.masks.to_dense(), result.masks.to_dense())
    assert np.array_equal(read.fluorescence, truth.traces["fluorescence"])
    assert np.array_equal(read.images["mean"], result.images["mean"])
    first = nwb.read_segmentation(path, "PlaneSegmentation", axes="yx")
    assert np.array_equal(first.masks.to_dense(), result.masks.to_dense())


# -- real files ----------------------------------------------------------------------------------


@real
def test_real_caiman() -> None:
    result = nwb.read_segmentation(REAL / "caiman.nwb", axes="yx")
    assert result.shape == (12, 20)
    with h5py.File(REAL / "caiman.nwb") as file:
        stored = file["processing/ophys/ImageSegmentation/PlaneSegmentation/image_mask"][:3]
    for image, mask in zip(stored, result.masks.to_dense(), strict=True):
        assert np.array_equal(mask, image.ravel().reshape(image.shape, order="F"))
    outlines = result.masks.contours()
    assert all(len(one) < 12 for outline in outlines for one in outline)  # not torn apart


@real
def test_real_neuroconv() -> None:
    result = nwb.read_segmentation(REAL / "neuroconv_segmentation.nwb", axes="yx")
    with h5py.File(REAL / "neuroconv_segmentation.nwb") as file:
        stored = file["processing/ophys/ImageSegmentation/PlaneSegmentation/image_mask"][:]
    assert np.array_equal(result.masks.to_dense(), stored.transpose(0, 2, 1))
    assert {"mean", "correlation"} <= set(result.images)
    assert result.dff is not None


@real
@pytest.mark.parametrize("name", ["nwbexp_test_PlaneSegmentation", "nwbexp_test_RoiResponseSeries"])
def test_real_files_of_old_versions(name: str) -> None:
    with nwb.open(REAL / f"{name}.nwb") as session:
        result = nwb.read_segmentation(session)
        assert len(result) == 2


def test_without_a_segmentation(tmp_path: Path) -> None:
    path = File(tmp_path / "a.nwb").write()
    with pytest.raises(nwb.MemberNotFoundError, match="there is no segmentation; there is none"):
        nwb.read_segmentation(path)
    wrong: Callable[..., Any] = nwb.read_segmentation
    with pytest.raises(nwb.FileMissingError):
        wrong(tmp_path / "b.nwb")
