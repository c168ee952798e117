"""Models as plain Python and JSON, and the JSON schemas of that."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel
from small import MOVIE, PLANE, TRACES, small_file, small_session

import nwb_ophys as nwb
from nwb_ophys.models.base import ConfiguredBaseModel
from nwb_ophys.testing import make, make_session
from nwb_ophys.testing.factories import hand_written_models


@cache
def validator(cls: type[BaseModel], mode: Any = "serialization") -> Draft202012Validator:
    schema = cls.model_json_schema(mode=mode)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def faults(dump: Any, *schema: Any) -> list[str]:
    return [
        f"{'/'.join(map(str, one.absolute_path))}: {one.message}"
        for one in validator(*schema).iter_errors(dump)
    ]


def dumped(model: ConfiguredBaseModel) -> Any:
    return json.loads(model.model_dump_json())


# -- schemas -------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", hand_written_models(), ids=lambda cls: cls.__name__)
def test_what_a_model_dumps_follows_its_schema_and_those_of_its_bases(cls: Any) -> None:
    dump = dumped(make(cls))
    bases = [base for base in cls.__mro__ if issubclass(base, ConfiguredBaseModel)]
    for base in bases:
        assert faults(dump, base) == [], base
    assert set(validator(cls).schema.get("properties", {})) <= set(dump)


def test_a_session_follows_the_schema_of_files() -> None:
    dump = dumped(make_session(frames=5, width=4, height=3, rois=2))
    assert faults(dump, nwb.NWBFile) == []
    dump["acquisition"]["TwoPhotonSeries"]["name"] = 3
    dump["session_start_time"] = 2026
    dump["trials"]["colnames"] = "start_time"
    del dump["identifier"]
    found = " ".join(faults(dump, nwb.NWBFile))
    for fault in ("acquisition/TwoPhotonSeries", "session_start_time", "trials", "'identifier'"):
        assert fault in found


def test_types_without_a_hand_written_model_have_schemas(tmp_path: Path) -> None:
    def core(name: str) -> Any:
        return nwb.get_type("core", name)

    made = small_session()
    shank = made.electrode_groups.add(
        core("ElectrodeGroup")(
            name="shank", description="d", location="CA1", device=made.devices["scope"]
        )
    )
    made.electrodes = core("ElectrodesTable")(
        name="electrodes", description="All.", location=["CA1"] * 3, group=[shank] * 3
    )
    made.acquisition.add(
        core("ElectricalSeries")(
            name="lfp",
            data=np.zeros((4, 2)),
            rate=10.0,
            electrodes=nwb.DynamicTableRegion(
                name="electrodes", description="d", array=[0, 2], table=made.electrodes
            ),
            channel_conversion=[1.0, 2.0],
        )
    )
    made.units = core("Units")(description="Sorted by hand.")
    made.units.add_column("spike_times", [[0.1, 0.4], [0.2]], "In seconds.", index=True)
    with nwb.open(nwb.write(made, tmp_path / "a.nwb")) as session:
        assert faults(dumped(session), nwb.NWBFile) == []
        series = session.acquisition["lfp"]
        dump = dumped(series)
        told = validator(type(series)).schema["$defs"]["ElectricalSeriesChannelConversion"]
        assert dump["electrodes"]["table"] == session.electrodes.hdf5_path
        assert faults(dump, type(series)) == faults(dump, nwb.TimeSeries) == []
        assert faults(dump | {"channel_conversion": ["a"]}, type(series))
        shown = told["properties"]["array"]["description"]
        assert shown.endswith("An array (num_channels,), dtype float32.")
        assert faults(dumped(session.units), type(session.units)) == []


def test_what_a_schema_says() -> None:
    schema = nwb.TwoPhotonSeries.model_json_schema()
    assert faults(dumped(make(nwb.TwoPhotonSeries)), nwb.TwoPhotonSeries, "validation") == []
    assert schema["title"] == "TwoPhotonSeries"
    assert schema["description"] == "A movie from a two-photon microscope."
    assert schema["required"] == ["name", "imaging_plane"]
    told = schema["properties"]
    assert told["imaging_plane"]["type"] == "string"
    assert "A link: the path of the ImagingPlane" in told["imaging_plane"]["description"]
    assert told["data"]["$ref"] == "#/$defs/ImageSeriesData"
    data = schema["$defs"]["ImageSeriesData"]["properties"]
    assert (
        "An array (frame, x, y) or (frame, x, y, z), dtype numeric." in data["array"]["description"]
    )
    assert told["field_of_view"]["anyOf"][1] == {"type": "null"}
    assert told["timestamps"]["anyOf"][0] == {"type": "array", "items": {"type": "number"}}
    file = nwb.NWBFile.model_json_schema()
    assert file["properties"]["session_start_time"]["format"] == "date-time"
    assert file["properties"]["devices"]["additionalProperties"] == {"$ref": "#/$defs/Device"}
    masks = nwb.PlaneSegmentation.model_json_schema()["$defs"]["PlaneSegmentationPixelMask"]
    rows = masks["properties"]["array"]["anyOf"][0]["items"]
    assert [one["title"] for one in rows["prefixItems"]] == ["x", "y", "weight"]


def test_models_within_models_of_others() -> None:
    class Report(BaseModel):
        device: nwb.Device
        tables: list[nwb.DynamicTable]

    schema = Report.model_json_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["properties"]["tables"]["items"] == {"$ref": "#/$defs/DynamicTable"}
    assert set(schema["$defs"]) >= {"Device", "DynamicTable", "VectorData", "MeaningsTable"}


# -- dumps ---------------------------------------------------------------------------------------


def dangling(path: Path, edit: Callable[[h5py.File], None]) -> nwb.NWBFile:
    small_file(path)
    with h5py.File(path, "r+") as file:
        edit(file)
    return nwb.open(path)


def test_a_link_that_leads_nowhere_is_dumped_as_the_path_that_it_holds(tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        for name, link in {
            "data": h5py.SoftLink("/acquisition/raw/data"),
            "timestamps": h5py.ExternalLink("raw.nwb", "/acquisition/raw/timestamps"),
            "imaging_plane": h5py.SoftLink("/general/nowhere"),
        }.items():
            if name in file[MOVIE]:
                del file[MOVIE][name]
            file[MOVIE][name] = link
        file["acquisition/lost"] = h5py.SoftLink("/acquisition/none")

    with dangling(tmp_path / "a.nwb", edit) as session:
        for mode in ("python", "json"):
            dump = session.model_dump(mode=mode)
            assert dump["acquisition"]["lost"] == "/acquisition/none"
            movie = dump["acquisition"]["movie"]
            assert movie["data"] == "/acquisition/raw/data"
            assert movie["timestamps"] == "raw.nwb:/acquisition/raw/timestamps"
            assert movie["imaging_plane"] == "/general/nowhere"
        noted = {(one.path, one.field) for one in session.problems if one.rule == "link"}
        assert noted >= {(MOVIE, "data"), (MOVIE, "timestamps"), (MOVIE, "imaging_plane")}
        with pytest.raises(nwb.LinkError, match="dangling soft link"):
            session.acquisition["movie"].data  # noqa: B018


def test_a_group_that_is_a_dangling_link_is_dumped_as_its_path(tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        del file["acquisition"]
        file["acquisition"] = h5py.SoftLink("/somewhere/else")

    with dangling(tmp_path / "a.nwb", edit) as session:
        dump = session.model_dump()
        assert dump["acquisition"] == "/somewhere/else"
        assert dump["imaging_planes"]["plane"]["hdf5_path"] == PLANE


def test_a_reference_that_leads_nowhere_is_none(tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        gone = file.create_group("scratch/gone")
        file[TRACES]["rois"].attrs["table"] = gone.ref
        del file["scratch/gone"]

    with dangling(tmp_path / "a.nwb", edit) as session:
        assert session[TRACES].model_dump()["rois"]["table"] is None
        assert any("leads to an object that is not" in one.message for one in session.problems)


def test_json_takes_whatever_files_hold(tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        file["acquisition/movie"].attrs["comments"] = h5py.Empty("f4")
        file["scratch/bytes"] = np.array([b"a", b"\xff"], dtype="S1")
        file["scratch/pair"] = np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")])
        file["scratch/null"] = h5py.Empty("i4")
        file["scratch/complex"] = 1 + 2j

    with dangling(tmp_path / "a.nwb", edit) as session:
        dump = json.loads(session.model_dump_json())
        assert dump["acquisition"]["movie"]["comments"] is None
        scratch = {name: one["array"] for name, one in dump["scratch"].items()}
        assert scratch["pair"] == [[1, 2.5]]
        assert scratch["null"] is None
        assert scratch["bytes"][0] == "a"
        assert scratch["complex"] == "(1+2j)"


def test_none_is_left_out_at_all_depths() -> None:
    series = make(nwb.TimeSeries, control=None)
    series.data.continuity = None
    dump = series.model_dump(exclude_none=True)
    assert "control" not in dump
    assert "continuity" not in dump["data"]
    assert "unit" in dump["data"]
    start = datetime(2026, 1, 2, tzinfo=UTC)
    subject = nwb.Subject(date_of_birth=start)
    assert subject.model_dump(mode="json")["date_of_birth"] == start.isoformat()


def test_models_within_models_of_others_are_dumped_whole(tmp_path: Path) -> None:
    with nwb.open(small_file(tmp_path / "a.nwb")) as session:

        class Report(BaseModel):
            file: nwb.NWBFile
            series: nwb.TimeSeries

        report = Report(file=session, series=session.acquisition["movie"])
        assert report.series is session.acquisition["movie"]
        dump = report.model_dump(mode="json")
        assert dump["series"] == session.acquisition["movie"].model_dump(mode="json")
        assert faults(dump, Report) == []
        assert json.loads(report.model_dump_json()) == json.loads(json.dumps(dump))
        assert set(report.model_dump(include={"series": {"name"}})["series"]) == {"name"}


def test_a_model_is_completed_where_another_one_first_holds_it() -> None:
    script = (
        "from pydantic import BaseModel; import nwb_ophys as nwb\n"
        "class Report(BaseModel):\n"
        "    file: nwb.NWBFile\n"
        "print(sorted(Report.model_json_schema()['properties']))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "['file']\n"
