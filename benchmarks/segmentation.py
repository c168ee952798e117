"""Results of segmentations: put into a session that is there, masks read back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

import nwb_ophys as nwb
from benchmarks.files import ROIS, Files
from benchmarks.registry import benchmark, faster
from benchmarks.timing import Comparison, Stopwatch, compare, seconds

_PIXELS = 60  # of each mask
_RATE = 30.0


@benchmark(
    "segmentation",
    "append {segmented:,} ROIs and gzip traces of {trace_samples:,} samples to a session",
    against="pynwb, gzip 4",
    target=faster(3),
)
def append(files: Files) -> Comparison:
    scale = files.scale
    random = np.random.default_rng(0)
    pixels = random.integers(0, 512, (scale.segmented, _PIXELS, 3)).astype(float)
    pixels[..., 2] = random.random(pixels.shape[:2])
    traces = random.normal(100, 9, (scale.trace_samples, scale.segmented)).astype(np.float32)
    masks = list(pixels)
    session = files.plain_movie()

    def fresh(name: str) -> Path:
        # The time to copy the session is not that of either side.
        return Path(shutil.copyfile(session, files.target(name)))

    return compare(
        _timed(_append_ours, fresh, "ours.nwb", masks, traces),
        _timed(_append_theirs, fresh, "theirs.nwb", masks, traces),
        scale,
        warm=False,
    )


def _timed(work: Any, fresh: Any, name: str, masks: Any, traces: Any) -> Stopwatch:
    def run() -> float:
        path = fresh(name)
        return seconds(lambda: work(path, masks, traces))()

    return run


def _append_ours(path: Path, masks: Any, traces: Any) -> None:
    times = np.arange(len(traces)) / _RATE
    result = nwb.Segmentation(masks=masks, fluorescence=traces, timestamps=times)
    nwb.write_segmentation(path, result)


def _append_theirs(path: Path, masks: Any, traces: Any) -> None:
    from hdmf.backends.hdf5 import H5DataIO
    from pynwb import NWBHDF5IO
    from pynwb.ophys import Fluorescence, ImageSegmentation

    with NWBHDF5IO(path, "r+") as io:
        session = io.read()
        module = session.create_processing_module(name="ophys", description="results")
        segmentation, fluorescence = ImageSegmentation(), Fluorescence()
        module.add(segmentation)
        module.add(fluorescence)
        table = segmentation.create_plane_segmentation(
            name="PlaneSegmentation",
            description="regions of interest",
            imaging_plane=session.imaging_planes["plane"],
        )
        for mask in masks:
            table.add_roi(pixel_mask=mask)
        fluorescence.create_roi_response_series(
            name="RoiResponseSeries",
            data=H5DataIO(traces, compression="gzip", compression_opts=4),
            rois=table.create_roi_table_region(description="all", region=list(range(len(masks)))),
            unit="a.u.",
            timestamps=np.arange(len(traces)) / _RATE,
        )
        io.write(session)


@benchmark(
    "masks",
    "all masks of {segmented:,} ROIs as one sparse matrix",
    against="pynwb, ROI by ROI",
    target=faster(30),
)
def masks(files: Files) -> Comparison:
    from pynwb import NWBHDF5IO

    path = files.segmented()
    with nwb.open(path) as session, NWBHDF5IO(path, "r") as io:
        ours = session[ROIS]
        theirs = io.read().processing["ophys"]["ImageSegmentation"]["PlaneSegmentation"]
        if (ours.masks.to_sparse((512, 512)) != _sparse_by_pynwb(theirs)).nnz:
            raise RuntimeError("both sides read different masks")
        return compare(
            seconds(lambda: ours.masks.to_sparse((512, 512))),
            seconds(lambda: _sparse_by_pynwb(theirs)),
            files.scale,
        )


def _sparse_by_pynwb(table: Any) -> Any:
    from scipy import sparse

    rows, columns, weights = [], [], []
    for row in range(len(table)):
        for x, y, weight in table["pixel_mask"][row]:
            rows.append(row)
            columns.append(int(x) * 512 + int(y))
            weights.append(weight)
    return sparse.csr_matrix((weights, (rows, columns)), shape=(len(table), 512 * 512))
