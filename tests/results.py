"""A made-up result of a segmentation, and what other programs would have left of it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy import sparse

ROWS, COLUMNS, ROIS, SAMPLES, RATE = 14, 23, 5, 30, 15.0


class Result:
    """Masks as (roi, row, column) images, and traces as (time, roi)."""

    def __init__(self, seed: int = 0, planes: int = 1) -> None:
        random = np.random.default_rng(seed)
        self.planes = planes
        self.masks = np.zeros((ROIS * planes, ROWS, COLUMNS), np.float32)
        for number, image in enumerate(self.masks):
            top, left = random.integers(0, ROWS - 4), random.integers(0, COLUMNS - 6)
            image[top : top + 2 + number % 3, left : left + 5] = random.uniform(
                0.1, 1, (2 + number % 3, 5)
            )
        count = len(self.masks)
        self.plane = np.repeat(np.arange(planes), ROIS)
        self.traces = {
            name: random.normal(100, 9, (SAMPLES, count)).astype(np.float32)
            for name in ("fluorescence", "neuropil", "deconvolved", "dff")
        }
        self.accepted = np.arange(count) % 3 != 1
        self.probability = random.random(count)
        self.images = {
            name: random.normal(50, 5, (planes, ROWS, COLUMNS)).astype(np.float32)
            for name in ("mean", "max", "correlation")
        }

    @property
    def volume(self) -> np.ndarray:
        """The masks of several planes, (roi, row, column, plane)."""
        whole = np.zeros((*self.masks.shape, self.planes), np.float32)
        for number, plane in enumerate(self.plane):
            whole[number, ..., plane] = self.masks[number]
        return whole

    def segmentation(self, **changes: Any) -> Any:
        import nwb_ophys as nwb

        fields = {
            "masks": self.masks,
            "axes": "yx",
            **self.traces,
            "accepted": self.accepted,
            "columns": {"snr": np.linspace(2, 9, len(self.masks))},
            "images": {name: image[0] for name, image in self.images.items()},
            "rate": RATE,
        }
        return nwb.Segmentation(**{**fields, **changes})

    # -- suite2p ---------------------------------------------------------------------------------

    def stat(self, plane: int = 0) -> np.ndarray:
        found = []
        for mask in self.masks[self.plane == plane]:
            rows, columns = np.nonzero(mask)
            order = np.lexsort((rows, columns))  # not that of rows
            rows, columns = rows[order], columns[order]
            found.append(
                {
                    "ypix": rows,
                    "xpix": columns,
                    "lam": mask[rows, columns],
                    "npix": len(rows),
                    "med": [float(np.median(rows)), float(np.median(columns))],
                    "skew": np.float32(0.5),
                    "overlap": np.zeros(len(rows), bool),
                }
            )
        return np.array(found, dtype=object)

    def suite2p(self, folder: Path, *, old: bool, chan2: bool = False) -> Path:
        """Write the folders of suite2p, as versions before 1.0 did or as later ones do."""
        root = folder / "suite2p"
        for plane in range(self.planes):
            here = root / f"plane{plane}"
            here.mkdir(parents=True)
            mine = self.plane == plane
            np.save(here / "stat.npy", self.stat(plane), allow_pickle=True)
            for file, name in (
                ("F", "fluorescence"),
                ("Fneu", "neuropil"),
                ("spks", "deconvolved"),
            ):
                np.save(here / f"{file}.npy", self.traces[name].T[mine])
            if chan2:
                np.save(here / "F_chan2.npy", self.traces["dff"].T[mine])
                np.save(here / "Fneu_chan2.npy", self.traces["dff"].T[mine] + 1)
                np.save(here / "redcell.npy", np.stack([mine[mine], self.probability[mine]], 1))
            pairs = np.stack([self.accepted[mine], self.probability[mine]], axis=1)
            np.save(here / "iscell.npy", pairs.astype(float))
            self._settings(here, plane, old, chan2)
        return root

    def _settings(self, here: Path, plane: int, old: bool, chan2: bool) -> None:
        crop = (slice(1, ROWS - 2), slice(3, COLUMNS - 1))
        registered = {
            "meanImg": self.images["mean"][plane],
            "yrange": [1, ROWS - 2],
            "xrange": [3, COLUMNS - 1],
        }
        if chan2:
            registered["meanImg_chan2"] = self.images["mean"][plane] + 1
        detected = {
            "max_proj": self.images["max"][plane][crop],
            "Vcorr": self.images["correlation"][plane][crop],
        }
        database = {
            "Ly": ROWS,
            "Lx": COLUMNS,
            "nframes": SAMPLES,
            "nplanes": self.planes,
            "nchannels": 1 + chan2,
            "data_path": [here],  # a pickled path
        }
        settings = {"fs": RATE, "tau": 1.0, "date_proc": datetime(2024, 1, 2)}
        if old:
            whole = {**settings, **database, **registered, **detected}
            np.save(here / "ops.npy", np.array(whole, dtype=object), allow_pickle=True)
            return
        for name, part in (
            ("settings", settings),
            ("db", database),
            ("reg_outputs", registered),
            ("detect_outputs", detected),
        ):
            np.save(here / f"{name}.npy", np.array(part, dtype=object), allow_pickle=True)

    # -- CaImAn ----------------------------------------------------------------------------------

    def footprints(self) -> Any:
        """(pixel, component), pixels counted down the columns."""
        flat = self.masks.transpose(0, 2, 1).reshape(len(self.masks), -1)
        return sparse.csc_matrix(flat.T.astype(float))

    def caiman(self, path: Path) -> Path:
        """Write the HDF5 file of CaImAn, which stores a text where there is nothing."""
        footprints = self.footprints()
        with h5py.File(path, "w") as file:
            estimates = file.create_group("estimates")
            for name in ("data", "indices", "indptr"):
                estimates[f"A/{name}"] = getattr(footprints, name)
            estimates["A/shape"] = footprints.shape
            estimates["C"] = self.traces["fluorescence"].T
            estimates["YrA"] = self.traces["neuropil"].T
            estimates["S"] = self.traces["deconvolved"].T
            estimates["F_dff"] = "NoneType"
            estimates["b"] = np.arange(ROWS * COLUMNS * 1.0)[:, None]
            estimates["f"] = np.ones((1, SAMPLES))
            estimates["Cn"] = self.images["correlation"][0]
            estimates["dims"] = (ROWS, COLUMNS)
            estimates["idx_components"] = np.flatnonzero(self.accepted)
            estimates["SNR_comp"] = self.probability * 9
            estimates["r_values"] = "NoneType"
            file["params/data/fr"] = RATE
            file["params/data/dims"] = (ROWS, COLUMNS)
        return path
