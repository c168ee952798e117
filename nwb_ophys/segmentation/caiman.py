"""Import the HDF5 files in which CaImAn saves its results."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np

from nwb_ophys.errors import DataError, FileMissingError, NotNWBError, SchemaError
from nwb_ophys.masks.basics import import_sparse, weight_dtype
from nwb_ophys.masks.flat import FlatMasks

__all__ = ["import_caiman"]

_COLUMNS: Final = {"SNR_comp": "snr", "r_values": "r", "cnn_preds": "cnn"}


def import_caiman(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Give the fields of a `Segmentation`, with (row, column) axes."""
    if not Path(path).is_file():
        raise FileMissingError("there is no such file", file=path)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise NotNWBError(f"expected an HDF5 file of CaImAn: {error}", file=path) from error
    with file:
        estimates = file.get("estimates")
        if not isinstance(estimates, h5py.Group) or "A" not in estimates:
            raise NotNWBError(
                "expected an HDF5 file of CaImAn, found no estimates/A in it",
                file=path,
                hint="it is written by cnm.save('results.hdf5')",
            )
        try:
            return _Import(file, estimates, str(path)).fields()
        except (OSError, KeyError) as error:
            raise DataError(f"the file cannot be read: {error}", file=path) from error


class _Import:
    """The import of one file.

    Parameters
    ----------
    file
        The open file.
    estimates
        Its group of results.
    path
        Its path, for messages.
    """

    def __init__(self, file: h5py.File, estimates: h5py.Group, path: str) -> None:
        self.file = file
        self.estimates = estimates
        self.path = path
        self.dims = self._dims()
        self.axes = "yxz"[: len(self.dims)]

    def fields(self) -> dict[str, Any]:
        masks = self._footprints("A")
        assert masks is not None
        count = len(masks)
        denoised = self._traces("C", count)
        residuals = self._traces("YrA", count)
        values: dict[str, Any] = {
            "masks": masks,
            "axes": self.axes,
            "description": "Components found by CaImAn.",
            "fluorescence": denoised,
            "deconvolved": self._traces("S", count),
            "dff": self._traces("F_dff", count),
            "columns": self._columns(count),
            "accepted": self._accepted(count),
            "rate": self._rate(),
        }
        if denoised is not None and residuals is not None:
            values["fluorescence"] = denoised + residuals
            values["traces"] = {"Denoised": denoised}
        correlation = self._array("Cn")
        if correlation is not None and correlation.shape in (self.dims, self.dims[:2]):
            values["images"] = {"correlation": correlation}
        background = self._background(values["rate"])
        if background is not None:
            values["background"] = background
        return {name: value for name, value in values.items() if value is not None}

    def _array(self, name: str, group: Any = None) -> Any:
        """Read an array; None where there is none, for which CaImAn stores a text or a number."""
        item = (self.estimates if group is None else group).get(name)
        if not isinstance(item, h5py.Dataset) or not item.shape or item.dtype.kind not in "biuf":
            return None
        return item[()]

    def _dims(self) -> tuple[int, ...]:
        params = self.file.get("params/data")
        for group in (self.estimates, params, self.file):
            found = None if group is None else self._array("dims", group)
            if found is not None and found.ndim == 1 and len(found) in (2, 3):
                return tuple(int(size) for size in found)
        raise SchemaError("expected dims, the size of the frames, found none", file=self.path)

    def _rate(self) -> float | None:
        item = self.file.get("params/data/fr")
        value = item[()] if isinstance(item, h5py.Dataset) and item.shape == () else None
        return float(value) if isinstance(value, (np.number, float, int)) and value > 0 else None

    def _footprints(self, name: str) -> FlatMasks | None:
        """Read components, (pixel, component), pixels in Fortran order of the frame."""
        item = self.estimates.get(name)
        if isinstance(item, h5py.Group):
            data, indices, ends = (item[key][()] for key in ("data", "indices", "indptr"))
            shape = tuple(int(size) for size in item["shape"][()])
            if len(ends) - 1 != shape[1]:  # stored by rows
                sparse = import_sparse()
                columns = sparse.csr_matrix((data, indices, ends), shape=shape).tocsc()
                data, indices, ends = columns.data, columns.indices, columns.indptr
        else:
            dense = self._array(name)
            if dense is None:
                return None
            dense = dense.reshape(len(dense), -1)
            shape = dense.shape
            owners, indices = np.nonzero(dense.T)
            data = dense[indices, owners]
            ends = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=shape[1]))])
        if shape[0] != math.prod(self.dims):
            raise SchemaError(
                f"expected {math.prod(self.dims)} pixels, those of frames of {self.dims}, found "
                f"{shape[0]}",
                file=self.path,
                path=f"/estimates/{name}",
            )
        positions = np.unravel_index(np.asarray(indices, np.int64), self.dims, order="F")
        coordinates = tuple(axis.astype(np.uint32) for axis in positions)
        weights = data.astype(weight_dtype(data.dtype))
        return FlatMasks(self.axes, coordinates, weights, ends[1:].astype(np.int64), self.dims)

    def _traces(self, name: str, count: int) -> Any:
        """Read traces, (component, time), as (time, component)."""
        found = self._array(name)
        if found is None or found.size == 0:
            return None
        if found.ndim != 2 or len(found) != count:
            raise SchemaError(
                f"expected (component, time) of the {count} components of A, found {found.shape}",
                file=self.path,
                path=f"/estimates/{name}",
            )
        return found.T

    def _accepted(self, count: int) -> Any:
        chosen = self._array("idx_components")
        if chosen is None:
            return None
        accepted = np.zeros(count, bool)
        accepted[chosen.astype(np.int64)] = True
        return accepted

    def _columns(self, count: int) -> dict[str, Any]:
        found = {ours: self._array(theirs) for theirs, ours in _COLUMNS.items()}
        return {
            name: values.reshape(count)
            for name, values in found.items()
            if values is not None and values.size == count
        }

    def _background(self, rate: float | None) -> dict[str, Any] | None:
        masks = self._footprints("b")
        if masks is None or not len(masks):
            return None
        found = self._array("f")
        traces = None if found is None else np.atleast_2d(found)
        if traces is not None and len(traces) != len(masks):
            traces = None
        values: dict[str, Any] = {
            "masks": masks,
            "axes": self.axes,
            "description": "Components of the background, found by CaImAn.",
        }
        if traces is not None and rate is not None:
            values["rate"] = rate
        if traces is not None:
            values["fluorescence"] = traces.T
        return values
