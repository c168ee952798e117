"""The files of each release of the schema, and what is in them."""

from __future__ import annotations

import json
import sys
import warnings
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pynwb

FOLDER = Path(__file__).parents[1] / "fixtures" / "versions"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
sys.path.insert(0, str(FOLDER))
import read as of_the_day  # noqa: E402
import values as v  # noqa: E402

__all__ = [
    "BEHAVIOR",
    "FILES",
    "FOLDER",
    "MANIFEST",
    "MASKS",
    "OPHYS",
    "RELEASES",
    "START",
    "contents",
    "of_the_day",
    "planes",
    "read_by_pynwb",
    "v",
    "writer",
]

FILES = [FOLDER / name for name in MANIFEST if name.startswith("schema-")]
RELEASES = [MANIFEST[file.name]["schema"] for file in FILES]
START = datetime(2019, 5, 4, 3, 2, 1, 123456, tzinfo=timezone(timedelta(hours=-7)))
OPHYS, MASKS = "/processing/ophys", "/processing/ophys/ImageSegmentation"
BEHAVIOR = "/processing/behavior"


def writer(file: Path) -> tuple[int, ...]:
    """The PyNWB that wrote a file."""
    return tuple(map(int, MANIFEST[file.name]["pynwb"].split(".")))


def contents(made: tuple[int, ...]) -> dict[str, tuple[str, dict[str, Any]]]:
    """The objects that a file of this PyNWB holds, by path: type, and what is not the default."""
    first, old, new = made < (1,), made < (1, 1), made >= (2,)
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
        count = {"num_samples": len(data)} if made[:2] == (4, 1) else {}
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
                if made > (1, 0, 2)
                else {}
            )
            | ({"strain": "C57BL/6J"} if made >= (1, 5) else {}),
        ),
        "/general/devices/microscope": (
            "Device",
            {"description": "Two photons.", "manufacturer": "Acme"} if made >= (1, 3, 1) else {},
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
            | ({"num_samples": 20} if made >= (4,) else {}),
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
        within = OPHYS if made < (1, 3) else f"{OPHYS}/stack"
    begun = {"rate": 10.0, "starting_time": 0.5}
    found[f"{within}/corrected"] = images("ImageSeries", v.CORRECTED, 3, 4, **begun)
    found[f"{within}/xy_translation"] = series("TimeSeries", v.SHIFTS, "pixels", **begun)
    if made >= (2, 4):
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


def planes(made: tuple[int, ...]) -> dict[str, dict[str, Any]]:
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
        "manifold": v.MANIFOLD.astype("f4") if made < (1,) else v.MANIFOLD,
        "manifold_conversion": 1e-6,
        "manifold_unit": "micrometers",
    }
    first = {"description": "The plane.", "reference_frame": "bregma"}
    return {
        "plane": told | first | (grid if made >= (1, 3) else {}),
        "deep": told | {"description": "Several planes."} | (manifold if made < (3,) else {}),
    }


def read_by_pynwb(path: Path) -> dict[str, Any]:
    """Read what PyNWB of today makes of a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pynwb.NWBHDF5IO(path, "r", load_namespaces=False) as io:
            return dict(of_the_day.held(io.read(), {}))
