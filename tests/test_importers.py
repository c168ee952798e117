"""Results of suite2p, CaImAn and label images are imported to the right pixels."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import nwb_ophys as nwb
from nwb_ophys.errors import (
    DataError,
    FileMissingError,
    NotNWBError,
    SchemaError,
    UnsafePickleError,
)
from nwb_ophys.segmentation.unpickling import load_npy
from tests.results import COLUMNS, RATE, ROIS, ROWS, SAMPLES, Result

REAL = Path(__file__).parents[2] / "shared" / "real"


# -- suite2p -------------------------------------------------------------------------------------


@pytest.mark.parametrize("old", [True, False], ids=["ops", "settings"])
def test_a_plane_of_suite2p(tmp_path: Path, old: bool) -> None:
    truth = Result()
    root = truth.suite2p(tmp_path, old=old)
    for folder in (root / "plane0", root, tmp_path):
        result = nwb.Segmentation.from_suite2p(folder)
        assert result.axes == "yx"
        assert result.shape == (ROWS, COLUMNS)
        assert np.array_equal(result.masks.to_dense(), truth.masks)
        stat = truth.stat()
        for row, one in zip(result.masks, stat, strict=True):
            assert np.array_equal(row["y"], one["ypix"])
            assert np.array_equal(row["x"], one["xpix"])
            assert np.array_equal(row["weight"], one["lam"])
        for name in ("fluorescence", "neuropil", "deconvolved"):
            assert np.array_equal(getattr(result, name), truth.traces[name])
        assert result.accepted.tolist() == truth.accepted.tolist()
        assert np.array_equal(result.columns["probability"], truth.probability)
        assert result.columns["skew"].tolist() == [0.5] * ROIS
        assert result.rate == RATE
        assert np.array_equal(result.images["mean"], truth.images["mean"][0])
        inside = np.s_[1 : ROWS - 2, 3 : COLUMNS - 1]
        for name in ("max", "correlation"):
            whole = np.zeros((ROWS, COLUMNS))
            whole[inside] = truth.images[name][0][inside]
            assert np.array_equal(result.images[name], whole)


def test_traces_of_suite2p_stay_in_their_files(tmp_path: Path) -> None:
    root = Result().suite2p(tmp_path, old=True)
    trace = nwb.Segmentation.from_suite2p(root).fluorescence
    assert isinstance(trace.base, np.memmap) or isinstance(trace, np.memmap)


def test_both_channels_of_suite2p(tmp_path: Path) -> None:
    truth = Result()
    result = nwb.Segmentation.from_suite2p(truth.suite2p(tmp_path, old=True, chan2=True))
    assert np.array_equal(result.traces["Fluorescence_chan2"], truth.traces["dff"])
    assert np.array_equal(result.traces["Neuropil_chan2"], truth.traces["dff"] + 1)
    assert np.array_equal(result.images["mean_chan2"], truth.images["mean"][0] + 1)
    assert result.columns["redcell"].tolist() == [True] * ROIS
    assert np.array_equal(result.columns["redcell_probability"], truth.probability)


@pytest.mark.parametrize("old", [True, False], ids=["ops", "settings"])
def test_all_planes_of_suite2p_are_a_volume(tmp_path: Path, old: bool) -> None:
    truth = Result(planes=3)
    root = truth.suite2p(tmp_path, old=old)
    result = nwb.Segmentation.from_suite2p(root)
    assert result.axes == "yxz"
    assert np.array_equal(result.masks.to_dense(), truth.volume)
    assert np.array_equal(result.fluorescence, truth.traces["fluorescence"])
    assert result.columns["plane"].tolist() == truth.plane.tolist()
    assert result.accepted.tolist() == truth.accepted.tolist()
    assert np.array_equal(result.images["mean"], truth.images["mean"].transpose(1, 2, 0))
    one = nwb.Segmentation.from_suite2p(root, plane=1)
    assert np.array_equal(one.masks.to_dense(), truth.masks[ROIS : 2 * ROIS])
    assert np.array_equal(one.neuropil, truth.traces["neuropil"][:, ROIS : 2 * ROIS])


def test_eleven_planes_are_counted_not_spelled(tmp_path: Path) -> None:
    truth = Result(planes=11)
    result = nwb.Segmentation.from_suite2p(truth.suite2p(tmp_path, old=True))
    assert result.columns["plane"].tolist() == truth.plane.tolist()
    assert np.array_equal(result.fluorescence, truth.traces["fluorescence"])


def test_planes_of_unequal_length_and_planes_that_are_empty(tmp_path: Path) -> None:
    truth = Result(planes=3)
    root = truth.suite2p(tmp_path, old=True)
    for file in ("F", "Fneu", "spks"):
        path = root / "plane1" / f"{file}.npy"
        np.save(path, np.load(path)[:, :-1])
    (root / "plane2" / "stat.npy").unlink()
    result = nwb.Segmentation.from_suite2p(root)
    assert result.shape == (ROWS, COLUMNS, 3)
    assert np.isnan(result.fluorescence[-1]).tolist() == [False] * ROIS + [True] * ROIS
    assert np.array_equal(result.fluorescence[:-1], truth.traces["fluorescence"][:-1, : 2 * ROIS])
    assert "plane2 left out: it has no stat.npy" in result.notes
    assert any("fluorescence: planes have [29, 30] samples" in note for note in result.notes)


def test_the_combined_folder_of_suite2p(tmp_path: Path) -> None:
    truth = Result(planes=2)
    root = truth.suite2p(tmp_path, old=True)
    combined = root / "combined"
    combined.mkdir()
    stat = np.concatenate([truth.stat(0), truth.stat(1)])
    for number, one in enumerate(stat):
        one["iplane"] = truth.plane[number]
        one["xpix"] = one["xpix"] + COLUMNS * truth.plane[number]
    np.save(combined / "stat.npy", stat, allow_pickle=True)
    np.save(combined / "F.npy", truth.traces["fluorescence"].T)
    settings = {"Ly": ROWS, "Lx": 2 * COLUMNS, "fs": RATE}
    np.save(combined / "ops.npy", np.array(settings, dtype=object), allow_pickle=True)
    for result in (
        nwb.Segmentation.from_suite2p(combined),
        nwb.Segmentation.from_suite2p(root, plane="combined"),
    ):
        assert result.shape == (ROWS, 2 * COLUMNS)
        dense = result.masks.to_dense()
        assert np.array_equal(dense[:ROIS, :, :COLUMNS], truth.masks[:ROIS])
        assert np.array_equal(dense[ROIS:, :, COLUMNS:], truth.masks[ROIS:])
        assert result.columns["plane"].tolist() == truth.plane.tolist()


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the real files are not at {REAL}")
def test_a_real_folder_and_the_file_that_suite2p_made_of_it() -> None:
    folder = nwb.Segmentation.from_suite2p(REAL / "suite2p_1plane")
    file = nwb.read_segmentation(REAL / "suite2p_1plane.nwb", axes="yx")
    assert np.array_equal(folder.masks.to_dense(), file.masks.to_dense())
    assert folder.shape == file.shape == (96, 128)
    for name in ("fluorescence", "neuropil", "deconvolved", "accepted"):
        assert np.array_equal(getattr(folder, name), getattr(file, name)), name
    for name in ("mean", "max", "correlation"):
        assert np.array_equal(folder.images[name], file.images[name]), name


def test_folders_that_are_not_whole(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match="there is no such folder"):
        nwb.Segmentation.from_suite2p(tmp_path / "nowhere")
    with pytest.raises(FileMissingError, match=r"expected stat\.npy, or folders plane0"):
        nwb.Segmentation.from_suite2p(tmp_path)
    root = Result().suite2p(tmp_path, old=True)
    with pytest.raises(FileMissingError, match=r"no stat.npy in 'plane7'; there are .*plane0"):
        nwb.Segmentation.from_suite2p(root, plane=7)
    np.save(root / "plane0" / "F.npy", np.zeros((ROIS + 1, SAMPLES)))
    with pytest.raises(SchemaError, match=r"F\.npy: expected \(roi, time\) of the 5 ROIs in stat"):
        nwb.Segmentation.from_suite2p(root)
    np.save(root / "plane0" / "iscell.npy", np.zeros((ROIS - 1, 2)))
    (root / "plane0" / "F.npy").unlink()
    with pytest.raises(SchemaError, match=r"iscell\.npy: expected a row for each of the 5 ROIs"):
        nwb.Segmentation.from_suite2p(root)
    (root / "plane0" / "ops.npy").unlink()
    with pytest.raises(FileMissingError, match=r"expected ops\.npy, or settings\.npy and db\.npy"):
        nwb.Segmentation.from_suite2p(root)


# -- pickles -------------------------------------------------------------------------------------


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("touch pwned",)


@pytest.mark.parametrize(
    "payload",
    [Evil(), {"ypix": Evil()}, [os.path.join], pickle.Unpickler, eval],
    ids=["call", "nested", "function", "class", "eval"],
)
def test_pickles_that_would_run_code_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, payload: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    root = Result().suite2p(tmp_path, old=True)
    whole = np.empty(1, object)
    whole[0] = payload
    np.save(root / "plane0" / "stat.npy", whole, allow_pickle=True)
    with pytest.raises(UnsafePickleError, match=r"stat\.npy: expected numpy arrays and plain valu"):
        nwb.Segmentation.from_suite2p(root)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_pickles_are_loaded(tmp_path: Path, protocol: int) -> None:
    plain = {
        "array": np.arange(6.0).reshape(2, 3),
        "scalar": np.float32(1.5),
        "text": "ä",
        "bytes": b"\xff",
        "set": {1, 2},
        "nested": np.array([{"a": np.arange(3)}, None], dtype=object),
    }
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|O", "fortran_order": False, "shape": ()}
        )
        pickle.dump(np.array(plain, dtype=object), file, protocol=protocol)
    loaded = load_npy(path)
    assert np.array_equal(loaded.pop("array"), plain.pop("array"))
    nested = loaded.pop("nested")
    assert nested[0]["a"].tolist() == [0, 1, 2]
    plain.pop("nested")
    assert loaded == plain


def test_files_that_are_no_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(b"not an array")
    with pytest.raises(DataError, match=r"a\.npy: no whole \.npy file"):
        load_npy(path)
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"no whole \.npy file"):
        load_npy(path)


# -- CaImAn --------------------------------------------------------------------------------------


def test_a_file_of_caiman(tmp_path: Path) -> None:
    truth = Result()
    result = nwb.Segmentation.from_caiman(truth.caiman(tmp_path / "results.hdf5"))
    assert result.axes == "yx"
    assert result.shape == (ROWS, COLUMNS)
    assert np.array_equal(result.masks.to_dense(), truth.masks)
    assert np.array_equal(
        result.fluorescence, truth.traces["fluorescence"] + truth.traces["neuropil"]
    )
    assert np.array_equal(result.traces["Denoised"], truth.traces["fluorescence"])
    assert np.array_equal(result.deconvolved, truth.traces["deconvolved"])
    assert result.dff is None
    assert result.accepted.tolist() == truth.accepted.tolist()
    assert np.array_equal(result.columns["snr"], truth.probability * 9)
    assert "r" not in result.columns
    assert np.array_equal(result.images["correlation"], truth.images["correlation"][0])
    assert result.rate == RATE
    background = result.background
    assert background is not None
    expected = np.arange(ROWS * COLUMNS).reshape((ROWS, COLUMNS), order="F")
    assert np.array_equal(background.masks.to_dense()[0], expected)
    assert background.fluorescence.shape == (SAMPLES, 1)


def test_a_volume_of_caiman(tmp_path: Path) -> None:
    dims = (4, 3, 2)
    dense = np.random.default_rng(0).random((5, *dims))
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["estimates/A"] = dense.transpose(0, 3, 2, 1).reshape(5, -1).T
        file["estimates/dims"] = dims
    result = nwb.Segmentation.from_caiman(tmp_path / "a.hdf5")
    assert result.axes == "yxz"
    assert np.array_equal(result.masks.to_dense(), dense)


def test_files_that_are_none_of_caiman(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    with pytest.raises(FileMissingError):
        nwb.Segmentation.from_caiman(path)
    path.write_text("text")
    with pytest.raises(NotNWBError, match="expected an HDF5 file of CaImAn"):
        nwb.Segmentation.from_caiman(path)
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(NotNWBError, match=r"found no estimates/A .*cnm\.save"):
        nwb.Segmentation.from_caiman(path)
    Result().caiman(path)
    with h5py.File(path, "r+") as file:
        file["estimates/dims"][...] = (ROWS, COLUMNS + 1)
    with pytest.raises(SchemaError, match=r"estimates/A: expected 336 pixels"):
        nwb.Segmentation.from_caiman(path)


# -- labels --------------------------------------------------------------------------------------


def labels_of(masks: np.ndarray) -> np.ndarray:
    labels = np.zeros(masks.shape[1:], np.uint16)
    for number, mask in enumerate(masks):
        labels[(mask > 0) & (labels == 0)] = 3 * number + 2
    return labels


@pytest.mark.parametrize("form", ["array", "tif", "npy", "cellpose"])
def test_images_of_labels(tmp_path: Path, form: str) -> None:
    labels = labels_of(Result().masks)
    source: Any = labels
    if form == "tif":
        tifffile = pytest.importorskip("tifffile")
        source = tmp_path / "labels.tif"
        tifffile.imwrite(source, labels)
    elif form != "array":
        source = tmp_path / "labels_seg.npy"
        whole = labels if form == "npy" else np.array({"masks": labels, "flows": [1]}, object)
        np.save(source, whole, allow_pickle=True)
    traces = np.ones((SAMPLES, len(np.unique(labels)) - 1))
    result = nwb.Segmentation.from_labels(source, fluorescence=traces, rate=RATE)
    assert result.axes == "yx"
    assert result.ids.tolist() == sorted(set(labels.ravel()) - {0})
    expected = labels == result.ids[:, None, None]
    assert np.array_equal(result.masks.to_dense(), expected)


def test_labels_of_volumes() -> None:
    labels = np.arange(24).reshape(2, 3, 4) % 3  # (plane, row, column)
    result = nwb.Segmentation.from_labels(labels)
    assert result.axes == "zyx"
    assert np.array_equal(result.masks.to_dense(), [labels == 1, labels == 2])
    turned = result.masks.transposed("xyz").to_dense()
    assert np.array_equal(turned[0], (labels == 1).transpose(2, 1, 0))


def test_what_are_no_labels(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="whole numbers, found float64"):
        nwb.Segmentation.from_labels(np.zeros((3, 4)))
    with pytest.raises(FileMissingError):
        nwb.Segmentation.from_labels(tmp_path / "no.tif")
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(SchemaError, match=r"\.tif, \.tiff or \.npy file, found '\.png'"):
        nwb.Segmentation.from_labels(tmp_path / "a.png")
    np.save(tmp_path / "a.npy", np.array({"flows": 1}, dtype=object), allow_pickle=True)
    with pytest.raises(SchemaError, match="expected 'masks' among what is saved"):
        nwb.Segmentation.from_labels(tmp_path / "a.npy")
    pytest.importorskip("tifffile")
    (tmp_path / "a.tif").write_bytes(b"no TIFF")
    with pytest.raises(DataError, match="no TIFF that can be read"):
        nwb.Segmentation.from_labels(tmp_path / "a.tif")
