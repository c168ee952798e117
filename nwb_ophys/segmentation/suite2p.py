"""Import the folders that suite2p leaves, of old and new versions."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from nwb_ophys.errors import DataError, FileMissingError, SchemaError
from nwb_ophys.masks.basics import weight_dtype
from nwb_ophys.masks.flat import FlatMasks
from nwb_ophys.segmentation.result import TRACES
from nwb_ophys.segmentation.unpickling import load_npy

__all__ = ["import_suite2p"]

_SETTINGS: Final = ("settings", "db", "ops", "reg_outputs", "detect_outputs")
"""Files with a mapping each; up to version 0.14 all of it is in ``ops``."""

_TRACES: Final = {
    "fluorescence": "F.npy",
    "neuropil": "Fneu.npy",
    "deconvolved": "spks.npy",
    "Fluorescence_chan2": "F_chan2.npy",
    "Neuropil_chan2": "Fneu_chan2.npy",
}
_IMAGES: Final = ("meanImg", "max_proj", "Vcorr", "meanImg_chan2")
_MEASURES: Final = ("compact", "footprint", "skew", "std", "radius", "aspect_ratio", "npix_norm")


def import_suite2p(folder: str | os.PathLike[str], plane: int | str | None) -> dict[str, Any]:
    """Give the fields of a `Segmentation`, with (row, column) axes."""
    folder = Path(folder)
    if not folder.is_dir():
        raise FileMissingError("there is no such folder", file=folder)
    if not (folder / "stat.npy").is_file() and (folder / "suite2p").is_dir():
        folder = folder / "suite2p"
    if (folder / "stat.npy").is_file():
        if plane is not None:
            raise SchemaError("the folder is that of one plane; plane= has no use", file=folder)
        return _plane(folder)
    planes = {
        int(found[1]): one
        for one in folder.iterdir()
        if (found := re.fullmatch(r"plane(\d+)", one.name)) and one.is_dir()
    }
    if plane is not None:
        name = plane if isinstance(plane, str) else f"plane{plane}"
        if not (folder / name / "stat.npy").is_file():
            there = ", ".join(sorted(one.name for one in folder.iterdir() if one.is_dir()))
            raise FileMissingError(
                f"there is no stat.npy in {name!r}; there are the folders {there or 'none'}",
                file=folder,
            )
        return _plane(folder / name)
    filled = {z: planes[z] for z in sorted(planes) if (planes[z] / "stat.npy").is_file()}
    if not filled:
        raise FileMissingError(
            "expected stat.npy, or folders plane0, plane1, ... with one each, found none",
            file=folder,
        )
    if len(planes) == 1:
        return _plane(next(iter(filled.values())))
    skipped = [f"plane{z} left out: it has no stat.npy" for z in sorted(planes) if z not in filled]
    return _volume({z: _plane(one) for z, one in filled.items()}, max(planes) + 1, skipped)


# -- one plane ---------------------------------------------------------------------------------


def _plane(folder: Path) -> dict[str, Any]:
    settings = _settings(folder)
    stat: Any = load_npy(folder / "stat.npy")
    if np.ndim(stat) != 1 or not all(isinstance(one, dict) for one in stat):
        raise DataError("expected a mapping for each ROI", file=folder / "stat.npy")
    shape = _shape(settings, folder)
    notes: list[str] = []
    values: dict[str, Any] = {
        "masks": _masks(stat, shape, folder),
        "axes": "yx",
        "description": "ROIs found by suite2p.",
        "images": _images(settings, shape, notes),
    }
    if settings.get("fs"):
        values["rate"] = float(settings["fs"])
    traces: dict[str, Any] = {}
    for name, file in _TRACES.items():
        if (folder / file).is_file():
            trace = load_npy(folder / file).T
            if trace.ndim != 2 or trace.shape[1] != len(stat):
                raise SchemaError(
                    f"expected (roi, time) of the {len(stat)} ROIs in stat.npy, found "
                    f"{trace.T.shape}",
                    file=folder / file,
                )
            (values if name in TRACES else traces)[name] = trace
    values["traces"] = traces
    values["columns"] = _columns(stat, folder, values)
    values["notes"] = tuple(notes)
    return values


def _settings(folder: Path) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for name in _SETTINGS:
        path = folder / f"{name}.npy"
        if path.is_file():
            loaded = load_npy(path)
            if not isinstance(loaded, dict):
                raise DataError("expected a mapping of settings", file=path)
            merged.update(loaded)
    if not merged:
        raise FileMissingError(
            "expected ops.npy, or settings.npy and db.npy, found none of them", file=folder
        )
    return merged


def _shape(settings: dict[str, Any], folder: Path) -> tuple[int, int]:
    if settings.get("Ly") is not None and settings.get("Lx") is not None:
        return int(settings["Ly"]), int(settings["Lx"])
    mean = settings.get("meanImg")
    if mean is None:
        raise SchemaError("expected Ly and Lx, the size of the frames, found neither", file=folder)
    rows, columns = np.asarray(mean).shape
    return int(rows), int(columns)


def _masks(stat: Sequence[dict[str, Any]], shape: tuple[int, int], folder: Path) -> FlatMasks:
    for number, one in enumerate(stat):
        sizes = {key: np.size(one.get(key, ())) for key in ("ypix", "xpix", "lam")}
        if len(set(sizes.values())) > 1:
            raise SchemaError(
                f"ROI {number}: expected as many of ypix, xpix and lam, found {sizes}",
                file=folder / "stat.npy",
            )

    def joined(key: str) -> Any:
        parts = [np.ravel(one.get(key, ())) for one in stat if np.size(one.get(key, ()))]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    ends = np.cumsum([np.size(one.get("lam", ())) for one in stat], dtype=np.int64)
    weights = joined("lam")
    weights = weights.astype(weight_dtype(weights.dtype))
    points = np.empty(len(weights), [("y", "i8"), ("x", "i8"), ("weight", weights.dtype)])
    points["y"], points["x"], points["weight"] = joined("ypix"), joined("xpix"), weights
    return FlatMasks.from_points(points, ends, "yx", shape)


def _images(settings: dict[str, Any], shape: tuple[int, int], notes: list[str]) -> dict[str, Any]:
    images = {}
    for name in _IMAGES:
        if settings.get(name) is None:
            continue
        image = np.asarray(settings[name])
        if image.shape != shape:
            whole = _uncropped(image, settings, shape)
            if whole is None:
                notes.append(f"image {name!r} left out: it is {image.shape}, frames are {shape}")
                continue
            image = whole
        images[name] = image
    return images


def _uncropped(image: Any, settings: dict[str, Any], shape: tuple[int, int]) -> Any:
    """Put an image of the part that is in view in all frames back into its place."""
    rows, columns = settings.get("yrange"), settings.get("xrange")
    if rows is None or columns is None or image.ndim != 2:
        return None
    top, bottom, left, right = (int(one) for one in (rows[0], rows[-1], columns[0], columns[-1]))
    if image.shape != (bottom - top, right - left) or bottom > shape[0] or right > shape[1]:
        return None
    whole = np.zeros(shape, image.dtype)
    whole[top:bottom, left:right] = image
    return whole


def _columns(stat: Sequence[dict[str, Any]], folder: Path, values: dict[str, Any]) -> Any:
    columns: dict[str, Any] = {}
    for name, flag in (("iscell", "accepted"), ("redcell", "redcell")):
        path = folder / f"{name}.npy"
        if not path.is_file():
            continue
        pairs = np.atleast_1d(load_npy(path, mapped=False))
        if len(pairs) != len(stat):
            raise SchemaError(
                f"expected a row for each of the {len(stat)} ROIs in stat.npy, found {len(pairs)}",
                file=path,
            )
        flags = (pairs if pairs.ndim == 1 else pairs[:, 0]) > 0.5
        (values if flag == "accepted" else columns)[flag] = flags
        if pairs.ndim == 2 and pairs.shape[1] > 1:
            columns["probability" if flag == "accepted" else "redcell_probability"] = pairs[:, 1]
    for name in _MEASURES:
        told: list[Any] = [one.get(name) for one in stat]
        if told and all(one is not None and np.ndim(one) == 0 for one in told):
            columns[name] = np.array([float(one) for one in told])
    if len(stat) and all("iplane" in one for one in stat):
        columns["plane"] = np.array([int(one["iplane"]) for one in stat])
    return columns


# -- several planes ----------------------------------------------------------------------------


def _volume(planes: dict[int, dict[str, Any]], depth: int, notes: list[str]) -> dict[str, Any]:
    """Put planes one above the other: z counts them."""
    shapes = [one["masks"].shape for one in planes.values()]
    shape = (max(one[0] for one in shapes), max(one[1] for one in shapes), depth)
    if len(set(shapes)) > 1:
        notes.append("planes have different sizes; they share their first row and column")
    parts = []
    for z, one in planes.items():
        flat = one["masks"]
        positions = np.full(len(flat.weights), z, np.uint32)
        parts.append(
            FlatMasks("yxz", (*flat.coordinates, positions), flat.weights, flat.ends, shape)
        )
        notes += [f"plane{z}: {note}" for note in one["notes"]]
    values: dict[str, Any] = {
        "masks": FlatMasks.join(parts),
        "axes": "yxz",
        "description": "ROIs found by suite2p in several planes.",
        "images": _stacked(planes, shape),
    }
    rates = {one["rate"] for one in planes.values() if "rate" in one}
    if len(rates) > 1:
        raise SchemaError(f"planes have different rates: {sorted(rates)}; import them one by one")
    if rates:
        values["rate"] = rates.pop()
    counts = [len(one["masks"]) for one in planes.values()]
    for name in TRACES:
        trace = _side_by_side([one.get(name) for one in planes.values()], counts, name, notes)
        if trace is not None:
            values[name] = trace
    names = dict.fromkeys(name for one in planes.values() for name in one["traces"])
    values["traces"] = {
        name: _side_by_side(
            [one["traces"].get(name) for one in planes.values()], counts, name, notes
        )
        for name in names
    }
    if all("accepted" in one for one in planes.values()):
        values["accepted"] = np.concatenate([one["accepted"] for one in planes.values()])
    columns = {"plane": np.repeat(list(planes), counts)}
    shared = set.intersection(*(set(one["columns"]) for one in planes.values()))
    for name in sorted(shared - {"plane"}):
        columns[name] = np.concatenate([one["columns"][name] for one in planes.values()])
    return {**values, "columns": columns, "notes": tuple(notes)}


def _stacked(planes: dict[int, dict[str, Any]], shape: tuple[int, ...]) -> dict[str, Any]:
    images: dict[str, Any] = {}
    for z, one in planes.items():
        for name, image in one["images"].items():
            whole = images.setdefault(name, np.zeros(shape, image.dtype))
            whole[: image.shape[0], : image.shape[1], z] = image
    return images


def _side_by_side(parts: Sequence[Any], counts: Sequence[int], name: str, notes: list[str]) -> Any:
    """Join the traces of planes; NaN where one of them has none, or has fewer samples."""
    lengths = [part.shape[0] for part in parts if part is not None]
    if not lengths:
        return None
    samples = max(lengths)
    if min(lengths) < samples or len(lengths) < len(parts):
        notes.append(
            f"{name}: planes have {sorted(set(lengths))} samples; NaN where there are none"
        )
    dtype = np.result_type(np.float32, *(part.dtype for part in parts if part is not None))
    whole = np.full((samples, sum(counts)), np.nan, dtype)
    first = 0
    for part, count in zip(parts, counts, strict=True):
        if part is not None:
            whole[: part.shape[0], first : first + count] = part
        first += count
    return whole
