"""The rules that span fields: what breaks each, what passes, and when they are looked at."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pynwb
import pytest
from small import (
    FRAMES,
    MOVIE,
    PLANE,
    ROIS,
    SEGMENTATION,
    TRACES,
    frames,
    small_file,
    small_session,
)

import nwb_ophys as nwb
from nwb_ophys import checks
from nwb_ophys.checks import broken_rules

OPHYS = "/processing/ophys"


def series(**fields: Any) -> nwb.TimeSeries:
    return nwb.TimeSeries(**{"name": "s", "data": np.arange(4.0), "unit": "V", **fields})


def plane(**fields: Any) -> nwb.ImagingPlane:
    return nwb.ImagingPlane(
        **{
            "name": "p",
            "device": nwb.Device(name="d"),
            "excitation_lambda": 920.0,
            "indicator": "i",
            "location": "l",
            "children": [nwb.OpticalChannel(name="c", description="c", emission_lambda=1.0)],
            **fields,
        }
    )


def images(**fields: Any) -> nwb.ImageSeries:
    return nwb.ImageSeries(**{"name": "s", "unit": "n.a.", "rate": 1.0, **fields})


def table(count: int = 3, **fields: Any) -> nwb.DynamicTable:
    made = nwb.DynamicTable(name="t", description="a table", **fields)
    made.add_column("a", np.arange(count), "the first")
    return made


def ragged(ends: Any = (1, 3, 4)) -> nwb.DynamicTable:
    made = table()
    made.add_column("r", np.arange(4.0), "ragged", index=list(ends))
    return made


def changed(model: Any, **fields: Any) -> Any:
    for name, value in fields.items():
        part, _, last = name.rpartition("__")
        setattr(getattr(model, part) if part else model, last, value)
    return model


def unlisted() -> nwb.DynamicTable:
    made = table()
    made.vector_data.add(nwb.VectorData(name="b", description="b", array=np.arange(3)))
    return made


def region(rows: Any, of: nwb.DynamicTable | None = None) -> nwb.DynamicTableRegion:
    return nwb.DynamicTableRegion(
        name="r", description="r", array=np.asarray(rows, "i4"), table=of or table()
    )


def aligned(**fields: Any) -> nwb.AlignedDynamicTable:
    parts = [nwb.DynamicTable(name=name, description=name) for name in ("x", "y")]
    for part in parts:
        part.add_column("a", np.arange(3), "a")
    made = nwb.AlignedDynamicTable(name="t", description="t", children=parts)
    made.add_column("own", np.arange(3), "own")
    return changed(made, **fields)


def into_itself() -> nwb.DynamicTable:
    made = table()
    made.add_column("self", [0, 2, 1], "s", table=made)
    return made


def column(name: str) -> nwb.VectorData:
    return nwb.VectorData(name=name, description="c", array=np.arange(3))


def with_short_part() -> nwb.AlignedDynamicTable:
    made = aligned()
    made.children.add(nwb.DynamicTable(name="z", description="z"))
    made.children["z"].add_column("a", np.arange(2), "a")
    made.categories = ["x", "y", "z"]
    return made


BREAKS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "stranger in colnames": (
        lambda: changed(table(), colnames=["a", "ghost"]),
        "colnames",
        "expected the names of the columns, found 'ghost', which is no column",
    ),
    "column that is not in colnames": (
        unlisted,
        "colnames",
        "expected the names of the columns, found not 'b', which is one",
    ),
    "both": (
        lambda: changed(unlisted(), colnames=["a", "ghost"]),
        "colnames",
        "expected the names of the columns, found 'ghost', which is no column, and not 'b', which "
        "is one",
    ),
    "column listed twice": (
        lambda: changed(table(), colnames=["a", "a"]),
        "colnames",
        "expected each column once, found 'a' more than once",
    ),
    "region of a table into itself": (
        into_itself,
        "self",
        "expected another table to point into than 't' itself",
    ),
    "column with the name of an attribute": (
        lambda: changed(table(), vector_data=[column("description")]),
        "vector_data",
        "expected other names than those of attributes, found 'description'",
    ),
    "column that is too short": (
        lambda: changed(ragged(), id__array=np.arange(4)),
        "a",
        "expected 4 rows, as the table has, found 3",
    ),
    "column that is too long": (
        lambda: changed(table(), id__array=np.arange(2)),
        "a",
        "expected 2 rows, as the table has, found 3; a ragged column is made by add_column(..., "
        "index=True)",
    ),
    "index that falls": (
        lambda: ragged([3, 1, 4]),
        "r_index",
        "expected end offsets that never decrease, found 1 after 3 in row 1",
    ),
    "index that goes too far": (
        lambda: ragged([1, 3, 5]),
        "r_index",
        "expected end offsets within the 4 elements of 'r', found 5",
    ),
    "region below its table": (
        lambda: region([0, -1]),
        "array",
        "expected rows of 't', from 0 to 2, found -1",
    ),
    "region beyond its table": (
        lambda: region([0, 3]),
        "array",
        "expected rows of 't', from 0 to 2, found 3",
    ),
    "region of an empty table": (
        lambda: region([0], table(0)),
        "array",
        "'t' has no rows, found 0",
    ),
    "region of no table": (
        lambda: changed(region([0]), table=None),
        "table",
        "a region needs the table that its rows are in, found None",
    ),
    "category that is no table": (
        lambda: aligned(categories=["x"]),
        "categories",
        "expected the names of the tables, 'x', 'y', found 'x'",
    ),
    "category of other rows": (
        with_short_part,
        "children",
        "expected 3 rows in 'z', as the table has, found 2",
    ),
    "no times": (series, "timestamps", "expected either timestamps or a rate, found neither"),
    "times twice": (
        lambda: series(rate=1.0, timestamps=np.arange(4.0)),
        "timestamps",
        "expected either timestamps or a rate, found both",
    ),
    "rate below 0": (
        lambda: series(rate=-1.0),
        "starting_time",
        "expected a rate of 0 or more, found -1.0",
    ),
    "too few timestamps": (
        lambda: series(timestamps=np.arange(3.0)),
        "timestamps",
        "expected one for each of the 4 samples, found 3",
    ),
    "external file of another format": (
        lambda: changed(images(external_file=["a.avi"]), format="raw"),
        "format",
        "expected 'external' beside external files, found 'raw'",
    ),
    "frames beside an external file": (
        lambda: images(external_file=["a.avi"], format="external", data=frames()),
        "data",
        "expected no frames beside those of the external files, found an array of shape (20, 6, 4)",
    ),
    "files without starts": (
        lambda: images(external_file=["a.avi", "b.avi"], format="external", starting_frame=[0]),
        "starting_frame",
        "expected one for each of the 2 files, found 1",
    ),
    "plane without channel": (
        lambda: plane(children=[]),
        "children",
        "expected one OpticalChannel at least, found none",
    ),
    "fluorescence of nothing": (
        lambda: nwb.Fluorescence(),
        "children",
        "expected one RoiResponseSeries at least, found none",
    ),
    "dff of nothing": (
        lambda: nwb.DfOverF(),
        "children",
        "expected one RoiResponseSeries at least, found none",
    ),
    "segmentation of nothing": (
        lambda: nwb.ImageSegmentation(),
        "children",
        "expected one PlaneSegmentation at least, found none",
    ),
    "images of nothing": (
        lambda: nwb.Images(name="i", description="i"),
        "children",
        "expected one BaseImage at least, found none",
    ),
    "epochs of nothing": (
        lambda: nwb.BehavioralEpochs(),
        "children",
        "expected one IntervalSeries at least, found none",
    ),
    "position of nothing": (
        lambda: nwb.Position(),
        "children",
        "expected one SpatialSeries at least, found none",
    ),
    "field potentials of nothing": (
        lambda: nwb.get_type("core", "LFP")(),
        "children",
        "expected one ElectricalSeries at least, found none",
    ),
    "a series that its place does not take": (
        lambda: pairs(np.zeros((3, 4), "i2")),
        "children",
        "'s', data.array: expected axes (num_times, 2), found shape (3, 4)",
    ),
    "correction of nothing": (
        lambda: nwb.MotionCorrection(),
        "children",
        "expected one CorrectedImageStack at least, found none",
    ),
}


@pytest.mark.parametrize("case", BREAKS)
def test_what_breaks_a_rule(case: str) -> None:
    make, field, message = BREAKS[case]
    assert (field, message) in list(broken_rules(make()))


def test_every_rule_has_something_that_breaks_it() -> None:
    authored = [one for one in checks.RULES if one.authored]
    broken = set()
    for make, field, message in BREAKS.values():
        model = make()
        for one in authored:
            if isinstance(model, one.kinds) and (field, message) in list(one.check(model)):
                broken.add(one.name)
    assert broken == {one.name for one in authored}


def named_index() -> nwb.DynamicTable:
    made = table()
    data = made.vector_data.add(nwb.VectorData(name="r", description="r", array=np.arange(5)))
    made.vector_data.add(
        nwb.VectorIndex(name="ends", description="", array=np.array([1, 2, 5], "u1"), target=data)
    )
    made.colnames = ["a", "r"]
    return made


def movie_of_a_stream() -> nwb.TimeSeries:
    return series(data=iter([np.zeros(3)]), timestamps=np.arange(7.0))


def segmentation(**fields: Any) -> nwb.PlaneSegmentation:
    return nwb.PlaneSegmentation(name="s", description="s", imaging_plane=plane(), **fields)


def two_sizes() -> nwb.PlaneSegmentation:
    made = segmentation(image_mask=np.ones((1, 2, 2)))
    made.add_column("pixel_mask", [[(9, 9, 1.0)]], "pixels", index=True)
    return made


def pairs(data: Any) -> Any:
    folder = Path(__file__).parent / "extensions"
    one = nwb.TimeSeries(name="s", data=data, unit="V", rate=1.0, comments="none")
    one.attrs["side"] = "left"
    return nwb.load_extension(folder / "ndx-odd.namespace.yaml").Pairs(children=[one])


PASSES: dict[str, Callable[[], Any]] = {
    "table": table,
    "series that their place takes": lambda: pairs(np.zeros((3, 2), "i2")),
    "empty table": lambda: nwb.DynamicTable(name="t", description="t"),
    "table of no rows": lambda: table(0),
    "ragged": ragged,
    "rows that are empty": lambda: ragged([0, 0, 4]),
    "index that leaves something over": lambda: ragged([1, 2, 3]),
    "index of another name": named_index,
    "region": lambda: region([0, 2, 2]),
    "region of no rows": lambda: region([]),
    "aligned": aligned,
    "categories in another order": lambda: aligned(categories=["y", "x"]),
    "rate": lambda: series(rate=1.0),
    "rate of 0": lambda: series(rate=0.0),
    "timestamps": lambda: series(timestamps=np.arange(4.0)),
    "control of another length": lambda: series(
        rate=1.0, control=np.zeros(2, "u1"), control_description=["a"]
    ),
    "stream": movie_of_a_stream,
    "timestamps as a stream": lambda: series(timestamps=iter([np.arange(4.0)])),
    "external file": lambda: images(external_file=["a.avi"]),
    "external files": lambda: images(
        external_file=["a.avi", "b.avi"], format="external", starting_frame=[0, 9]
    ),
    "external file with times of its own": lambda: nwb.ImageSeries(
        name="s", unit="n.a.", external_file=["a.avi"], timestamps=np.arange(9.0)
    ),
    "frames": lambda: images(data=frames()),
    "plane": plane,
    "axes that differ": lambda: plane(
        origin_coords=np.zeros(3, "f4"), grid_spacing=np.ones(2, "f4")
    ),
    "segmentation without masks": segmentation,
    "image masks": lambda: segmentation(image_mask=np.ones((2, 6, 4))),
    "masks of two sizes": two_sizes,
}


@pytest.mark.parametrize("case", PASSES)
def test_what_passes(case: str) -> None:
    assert list(broken_rules(PASSES[case]())) == []


def test_a_whole_session_passes() -> None:
    assert [found for model in small_session().walk() for found in broken_rules(model)] == []


@pytest.mark.parametrize("case", ["no times", "fluorescence of nothing", "column listed twice"])
def test_a_write_says_where(case: str, tmp_path: Path) -> None:
    make, field, message = BREAKS[case]
    session = small_session()
    model = make()
    session.processing["ophys"].children.pop(model.name, None)
    session.processing["ophys"].children.add(model)
    expected = f"{OPHYS}/{model.name}, field {field!r}: {message}"
    with pytest.raises(nwb.SchemaError, match=re.escape(expected)):
        nwb.write(session, tmp_path / "a.nwb")
    assert list(tmp_path.iterdir()) == []


def test_assignments_are_never_refused_by_rules() -> None:
    movie = small_session().acquisition["movie"]
    movie.timestamps = np.arange(3.0)  # not consistent yet
    movie.starting_time = None
    assert len(list(broken_rules(movie))) == 1
    movie.timestamps = np.arange(float(FRAMES))
    assert list(broken_rules(movie)) == []


# -- when they are looked at -------------------------------------------------------------------


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A file that breaks rules: a plane without channels, an index that falls, a region beyond."""
    path = small_file(tmp_path / "broken.nwb")
    with h5py.File(path, "r+") as file:
        del file[f"{PLANE}/green"]
        index = file[f"{SEGMENTATION}/pixel_mask_index"]
        index[...] = index[...][::-1]
        file[f"{TRACES}/rois"][0] = 99
    return path


def test_what_was_in_the_file_is_carried_over(broken: Path) -> None:
    with nwb.open(broken) as session:
        session.imaging_planes["plane"].location = "V2"
        session[SEGMENTATION].description = "changed"
        session[TRACES].comments = "changed"
        session[f"{TRACES}/rois"].description = "changed"
        nwb.write(session, broken.parent / "copy.nwb")
    assert {one.path for one in nwb.diff(broken, broken.parent / "copy.nwb")} == {
        f"{PLANE}/location",
        f"{SEGMENTATION}@description",
        f"{TRACES}@comments",
        f"{TRACES}/rois@description",
    }


@pytest.mark.parametrize("touched", [False, True])
def test_what_is_not_changed_is_not_looked_at(
    broken: Path, touched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def note(model: Any) -> Any:
        looked.append(model.hdf5_path)
        return iter(())

    monkeypatch.setattr("nwb_ophys.mapper.checking.broken_rules", note)
    with nwb.open(broken) as session:
        if touched:
            for model in session.walk():
                repr(model)
        session.devices["scope"].description = "changed"
        nwb.write(session, broken.parent / "copy.nwb")
    assert looked == ["/general/devices/scope"]


def test_a_change_that_breaks_another_rule_is_refused(broken: Path) -> None:
    with nwb.open(broken) as session:
        session[SEGMENTATION].colnames = ["snr"]
        expected = (
            f"{SEGMENTATION}, field 'colnames': expected the names of the columns, found not "
            "'pixel_mask', which is one"
        )
        with pytest.raises(nwb.SchemaError, match=re.escape(expected)):
            nwb.write(session, broken.parent / "copy.nwb")


def test_a_column_that_is_changed_is_judged_by_its_table(tmp_path: Path) -> None:
    path = small_file(tmp_path / "a.nwb")
    with nwb.open(path) as session:
        session[f"{SEGMENTATION}/snr"].array = np.arange(ROIS + 2.0)
        expected = f"{SEGMENTATION}, field 'snr': expected {ROIS} rows, as the table has, found 7"
        with pytest.raises(nwb.SchemaError, match=re.escape(expected)):
            nwb.write(session, path, overwrite=True)
        session[MOVIE].data.array = frames(3)  # a movie with a rate may have any length
        session[f"{SEGMENTATION}/snr"].array = np.arange(float(ROIS))
        nwb.write(session, path, overwrite=True)


# -- none is stricter than the schema and PyNWB ------------------------------------------------


def pynwb_session() -> pynwb.NWBFile:
    ours = small_session()
    return pynwb.NWBFile(
        session_description="s", identifier="i", session_start_time=ours.session_start_time
    )


def unusual(file: pynwb.NWBFile) -> None:
    """Things that PyNWB writes, some with a warning, and its validator accepts."""
    from hdmf.common import VectorData, VectorIndex
    from pynwb.ophys import (
        Fluorescence,
        ImageSegmentation,
        OpticalChannel,
        PlaneSegmentation,
        RoiResponseSeries,
    )

    scope = file.create_device(name="scope")
    channel = OpticalChannel(name="c", description="c", emission_lambda=1.0)
    where = file.create_imaging_plane(
        name="p", optical_channel=channel, description="d", device=scope, excitation_lambda=1.0,
        indicator="i", location="l", origin_coords=[0.0, 0.0, 0.0], grid_spacing=[1.0, 1.0],
    )  # fmt: skip
    mask = VectorData(name="pixel_mask", description="m", data=[(9, 9, 1.0), (1, 1, 1.0)])
    cells = PlaneSegmentation(
        name="cells", description="c", imaging_plane=where,
        columns=[
            VectorData(name="image_mask", description="m", data=np.ones((2, 2, 2))),
            mask,
            VectorIndex(name="pixel_mask_index", data=[1, 2], target=mask),
        ],
        colnames=["image_mask", "pixel_mask"],
    )  # fmt: skip
    bare = PlaneSegmentation(name="bare", description="b", imaging_plane=where)
    module = file.create_processing_module(name="ophys", description="o")
    module.add(ImageSegmentation(plane_segmentations=[cells, bare]))
    rois = cells.create_roi_table_region(region=[0, 1], description="r")
    traces = RoiResponseSeries(name="traces", data=np.zeros((5, 3)), rois=rois, unit="a", rate=1.0)
    module.add(Fluorescence(roi_response_series=[traces]))
    file.add_acquisition(
        pynwb.TimeSeries(
            name="still", data=[1.0, 2.0], unit="V", rate=0.0, control=np.zeros(5, "u1"),
            control_description=["a"],
        )
    )  # fmt: skip


def test_what_pynwb_writes_and_accepts_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "pynwb.nwb"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = pynwb_session()
        unusual(file)
        with pynwb.NWBHDF5IO(path, "w") as io:
            io.write(file)
        assert not pynwb.validate(path=str(path))
    with nwb.open(path) as session:
        broken = {
            (model.hdf5_path, found) for model in session.walk() for found in broken_rules(model)
        }
        assert broken == set()
        # A copy of it all is authored anew, and conforms.
        twin = session.model_copy(deep=True)
        nwb.write(twin, tmp_path / "twin.nwb")
