"""Import images of labels, as cellpose and other programs give them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from nwb_ophys.errors import DataError, FileMissingError, NWBError, SchemaError
from nwb_ophys.masks.flat import FlatMasks
from nwb_ophys.segmentation.unpickling import load_npy

__all__ = ["import_labels"]


def import_labels(labels: Any, axes: str) -> dict[str, Any]:
    """Give the fields of a `Segmentation`."""
    file = labels if isinstance(labels, (str, os.PathLike)) else None
    image = np.asarray(labels if file is None else _load(Path(file)))
    if image.ndim not in (2, 3):
        raise SchemaError(
            f"expected an image of labels of 2 or 3 axes, found shape {image.shape}", file=file
        )
    if image.ndim == 3 and len(axes) == 2:
        axes = f"z{axes}" if axes == "yx" else f"{axes}z"
    try:
        flat, ids = FlatMasks.from_labels(image, axes)
    except SchemaError as error:
        raise SchemaError(error.message, file=file) from error
    return {
        "masks": flat,
        "axes": axes,
        "ids": ids.astype(np.int64),
        "description": "ROIs from an image of labels.",
    }


def _load(path: Path) -> Any:
    if not path.is_file():
        raise FileMissingError("there is no such file", file=path)
    if path.suffix.lower() == ".npy":
        loaded = load_npy(path, mapped=False)
        if isinstance(loaded, dict):  # as cellpose saves its results
            if "masks" not in loaded:
                raise SchemaError("expected 'masks' among what is saved, found none", file=path)
            return loaded["masks"]
        return loaded
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise SchemaError(
            f"expected a .tif, .tiff or .npy file, found {path.suffix or 'no suffix'!r}",
            file=path,
            hint="load the image, and give the array",
        )
    try:
        import tifffile
    except ImportError as error:
        raise NWBError("TIFF files need tifffile", hint="pip install 'nwb-ophys[tiff]'") from error
    try:
        return tifffile.imread(path)
    except (tifffile.TiffFileError, ValueError) as error:
        raise DataError(f"no TIFF that can be read: {error}", file=path) from error
