"""Mended files, judged by plain h5py and by PyNWB."""

from __future__ import annotations

import shutil
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pynwb
import pytest
from pynwb.validation import validate
from versions import FILES, FOLDER, MANIFEST, RELEASES, read_by_pynwb

import nwb_ophys as nwb
from nwb_ophys import cli
from nwb_ophys.mending import RULES, Mending
from nwb_ophys.testing import touch
from nwb_ophys.testing.h5compare import differences

NEWEST = FOLDER / "schema-2.11.0.nwb"
MASKS = "/processing/ophys/ImageSegmentation"
UNREADABLE_MASKS = {f"{MASKS}/pixels/pixel_mask", f"{MASKS}/voxels/voxel_mask"}
"""What PyNWB 1.1 to 1.3 wrote as plain integers: no masks any more."""


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    return Path(shutil.copy(NEWEST, tmp_path / "broken.nwb"))


def mended(path: Path, **options: Any) -> tuple[Path, Mending]:
    out = path.with_name("mended.nwb")
    with nwb.open(path) as session:
        mending = nwb.upgrade(session, **options)
        nwb.write(session, out)
    return out, mending


def told(mending: Mending) -> set[tuple[str, str, str]]:
    return {(one.path, one.field, one.rule) for one in mending.mends}


def problems(path: Path) -> list[str]:
    with nwb.open(path) as session:
        list(touch(session))
        return [str(one) for one in session.problems]


def faults(path: Path) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pynwb.NWBHDF5IO(path, "r", load_namespaces=False) as io:
            return list(validate(io=io))


# -- releases ------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=FILES, ids=RELEASES)
def upgraded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, Mending]:
    folder = tmp_path_factory.mktemp("upgraded")
    path = Path(shutil.copy(request.param, folder / request.param.name))
    return (path, *mended(path))


def test_every_release_becomes_the_newest(upgraded: tuple[Path, Path, Mending]) -> None:
    path, out, mending = upgraded
    release = tuple(map(int, MANIFEST[path.name]["schema"].split(".")))
    lost = (2, 1) <= release < (2, 3)
    assert {one.path for one in mending.left} == (UNREADABLE_MASKS if lost else set())
    assert len(problems(out)) == (2 if lost else 0)
    if not lost:  # PyNWB's validator fails on those
        assert faults(out) == []
    with h5py.File(out) as file:
        assert file.attrs["nwb_version"] == "2.11.0"
        assert file[file.attrs[".specloc"]].name == "/specifications"
        cached = {name: list(group) for name, group in file["specifications"].items()}
        found: list[str] = []
        file.visititems(lambda name, one: found.extend(f"{name}@{key}" for key in one.attrs))
        assert not [one for one in found if one.endswith("@help")]
    assert cached["core"] == ["2.11.0"]
    assert cached["hdmf-common"] == ["1.10.0"]
    with nwb.open(out) as session:
        assert nwb.upgrade(session).mends == []


def test_data_and_what_is_not_listed_are_as_they_were(
    upgraded: tuple[Path, Path, Mending],
) -> None:
    path, out, mending = upgraded
    listed = {f"{one.path}@{one.field}" for one in mending.mends}
    listed |= {one.path for one in mending.mends if one.field == "array"}
    listed |= {f"{one.path}/data" for one in mending.mends if one.field == "data"}
    listed |= {f"{one.path}/timestamps@unit" for one in mending.mends if "timestamps" in one.field}
    listed |= {f"/general/{one.field}" for one in mending.mends if one.rule == "shape"}
    assert differences(path, out, ignore=lambda where: ignored(where, listed)) == []
    with h5py.File(path) as before, h5py.File(out) as after:
        for one in mending.mends:
            if one.field == "array":
                old, new = before[one.path][()], after[one.path][()]
                assert old.tolist() == new.tolist(), one.path


def ignored(where: str, listed: set[str]) -> bool:
    return where in listed | {"/specifications", "/@.specloc"}


@pytest.mark.parametrize("release", ["1.2.0", "2.0.2", "2.3.0"])
def test_pynwb_reads_the_same_values(release: str, tmp_path: Path) -> None:
    path = Path(shutil.copy(FOLDER / f"schema-{release}.nwb", tmp_path / "old.nwb"))
    out, _ = mended(path)
    before, after = read_by_pynwb(path), read_by_pynwb(out)
    assert before.keys() == after.keys()
    for name, told in before.items():
        for field, value in told["fields"].items():
            new = after[name]["fields"].get(field)
            if field in ("description", "help") or (name, field) == ("external", "unit"):
                continue
            assert new == value or new == [value], (name, field)


def test_a_layout_that_the_newest_schema_has_not_is_left(tmp_path: Path) -> None:
    path = Path(shutil.copy(FOLDER / "early-1.2.0.nwb", tmp_path / "early.nwb"))
    out, mending = mended(path)
    (left,) = [one for one in mending.left if one.rule == "version"]
    assert "no type ImageMasks, PixelMasks, ROITable, ROITableRegion" in left.message
    with h5py.File(path) as before, h5py.File(out) as after:
        assert after.attrs["nwb_version"] == before.attrs["nwb_version"]
        assert "specifications" not in after
        assert "object_id" in after["acquisition"][next(iter(after["acquisition"]))].attrs


# -- single mends --------------------------------------------------------------------------------


def test_nothing_to_mend_is_an_unchanged_copy(broken: Path) -> None:
    out, mending = mended(broken)
    assert mending == Mending()
    assert out.read_bytes() == broken.read_bytes()


def test_identities_and_units_of_time(broken: Path) -> None:
    with h5py.File(broken, "r+") as file:
        del file["acquisition/movie"].attrs["object_id"]
        file["acquisition/movie/starting_time"].attrs["unit"] = "Seconds"
        del file["acquisition/volume/timestamps"].attrs["unit"]
        del file["acquisition/volume/timestamps"].attrs["interval"]
        file["processing/ophys/Fluorescence/raw/timestamps"].attrs["unit"] = "ms"
    assert len(problems(broken)) == 5  # two series share the last timestamps
    out, mending = mended(broken)
    assert told(mending) == {
        ("/acquisition/movie", "object_id", "missing"),
        ("/acquisition/movie/starting_time", "unit", "fixed"),
        ("/acquisition/volume", "timestamps_unit", "missing"),
        ("/acquisition/volume", "interval", "missing"),
    }
    assert {one.message for one in mending.left} == {"expected 'seconds', found 'ms'"}
    with h5py.File(out) as file:
        assert len(file["acquisition/movie"].attrs["object_id"]) == 36
        assert file["acquisition/movie/starting_time"].attrs["unit"] == "seconds"
        assert file["acquisition/volume/timestamps"].attrs["unit"] == "seconds"
        assert file["acquisition/volume/timestamps"].attrs["interval"] == 1
        assert file["processing/ophys/Fluorescence/raw/timestamps"].attrs["unit"] == "ms"
    changed = {
        "/acquisition/movie@object_id",
        "/acquisition/movie/starting_time@unit",
        "/acquisition/volume/timestamps@unit",
        "/acquisition/volume/timestamps@interval",
    }
    assert differences(broken, out, ignore=changed.__contains__) == []


def test_colnames_become_the_columns_that_are_there(broken: Path) -> None:
    with h5py.File(broken, "r+") as file:
        table = file["intervals/trials"]
        there = [str(one) for one in table.attrs["colnames"]]
        listed = [*there[1:], "ghost", there[1]]
        table.attrs["colnames"] = np.array(listed, object)
    out, mending = mended(broken)
    (mend,) = mending.mends
    assert (mend.path, mend.field, mend.rule) == ("/intervals/trials", "colnames", "columns")
    assert "'ghost'" in mend.was
    assert "'ghost'" not in mend.now
    with h5py.File(out) as file:
        assert list(file["intervals/trials"].attrs["colnames"]) == [*there[1:], there[0]]
    assert mending.left == []
    assert faults(out) == []


def test_colnames_of_what_is_no_column_are_left(broken: Path) -> None:
    with h5py.File(broken, "r+") as file:
        table = file["intervals/trials"]
        table["plain"] = np.arange(4)
        names = [*table.attrs["colnames"], "plain"]
        table.attrs["colnames"] = np.array(names, object)
    _, mending = mended(broken)
    assert mending.mends == []
    assert [(one.path, one.rule) for one in mending.left] == [("/intervals/trials", "columns")]


def test_what_is_mended_is_listed_once(broken: Path) -> None:
    index = "/intervals/epochs/tags_index"
    with h5py.File(broken, "r+") as file:
        del file[index].attrs["description"]
        del file["/intervals/epochs/tags"].attrs["description"]
        del file["/intervals/epochs"].attrs["colnames"]
    out, mending = mended(broken)
    assert len(mending.mends) == len(told(mending)) == 3
    with h5py.File(out) as file:
        assert file[index].attrs["description"] == "Where the rows of 'tags' end."
        assert file["/intervals/epochs/tags"].attrs["description"] == "no description"


@pytest.mark.parametrize("remove", ["core", "hdmf-common", ".specloc", "all"])
def test_missing_specifications_are_cached(broken: Path, remove: str) -> None:
    with h5py.File(broken, "r+") as file:
        if remove == "all":
            del file["specifications"]
        elif remove != ".specloc":
            del file["specifications"][remove]
        if remove in (".specloc", "all"):
            del file.attrs[".specloc"]
    out, mending = mended(broken)
    assert {(one.path, one.rule) for one in mending.mends} == {("/specifications", "missing")}
    with h5py.File(out) as file, h5py.File(NEWEST) as whole:
        assert file[file.attrs[".specloc"]].name == "/specifications"
        for name in ("core", "hdmf-common", "hdmf-experimental"):
            assert list(file["specifications"][name]) == list(whole["specifications"][name])


def naive(path: Path, text: str = "2019-05-04T03:02:01") -> None:
    with h5py.File(path, "r+") as file:
        for name in ("session_start_time", "general/subject/date_of_birth"):
            file[name][()] = text
        file["file_create_date"][0] = text


def test_dates_get_the_offset_of_their_zone(broken: Path) -> None:
    naive(broken)
    out, mending = mended(broken, timezone="America/Los_Angeles")
    assert told(mending) == {
        ("/", "session_start_time", "dtype"),
        ("/", "file_create_date", "dtype"),
        ("/general/subject", "date_of_birth", "dtype"),
    }
    with h5py.File(out) as file:
        for text in (file["session_start_time"][()], file["file_create_date"][0]):
            assert datetime.fromisoformat(text.decode()) == datetime.fromisoformat(
                "2019-05-04T03:02:01-07:00"
            )
    assert problems(out) == []


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        (None, "2019-05-04T03:02:01"),
        *[("Europe/Zurich", text) for text in ("2019-10-27T02:30:00", "2019-03-31T02:30:00")],
    ],
)
def test_dates_without_a_certain_offset_are_left(broken: Path, zone: str | None, text: str) -> None:
    naive(broken, text)
    _, mending = mended(broken, timezone=zone)
    assert mending.mends == []
    assert len(mending.left) == 3


def test_only_what_is_asked_for(tmp_path: Path) -> None:
    path = Path(shutil.copy(FOLDER / "schema-2.0.2.nwb", tmp_path / "old.nwb"))
    out, mending = mended(path, only=["missing:object_id"])
    assert {one.field for one in mending.mends} == {"object_id"}
    assert differences(path, out, ignore=lambda where: where.endswith("@object_id")) == []
    assert {"fixed", "dtype", "version"} <= {one.rule for one in mending.left}


def test_an_attribute_of_another_file_is_not_touched(broken: Path) -> None:
    other = Path(shutil.copy(NEWEST, broken.with_name("other.nwb")))
    with h5py.File(other, "r+") as file:
        file["acquisition/volume/timestamps"].attrs["unit"] = "Seconds"
    with h5py.File(broken, "r+") as file:
        del file["acquisition/volume/timestamps"]
        file["acquisition/volume/timestamps"] = h5py.ExternalLink(
            "other.nwb", "/acquisition/volume/timestamps"
        )
    before = other.read_bytes()
    _, mending = mended(broken)
    assert mending.mends == []
    assert [one.field for one in mending.left] == ["timestamps_unit"]
    assert other.read_bytes() == before


def test_numbers_that_are_not_exact_are_left(broken: Path) -> None:
    place = "processing/ophys/ImageSegmentation/pixels/pixel_mask"
    with h5py.File(broken, "r+") as file:
        old = file[place]
        kind = [("x", "f8"), ("y", "f8"), ("weight", "f4")]
        attributes, values = dict(old.attrs), old[()].astype(kind)
        del file[place]
        values["x"][0] = 0.5
        file[place] = values
        file[place].attrs.update(attributes)
    _, mending = mended(broken)
    assert mending.mends == []
    assert (f"/{place}", "array", "dtype") in {
        (one.path, one.field, one.rule) for one in mending.left
    }


def test_a_table_with_a_column_that_cannot_be_read(broken: Path) -> None:
    with h5py.File(broken, "r+") as file:
        del file["intervals/trials/start_time"]
        file["intervals/trials/start_time"] = h5py.ExternalLink("nowhere.nwb", "/x")
        file["acquisition/movie/starting_time"].attrs["unit"] = "s"
    out, mending = mended(broken)
    assert told(mending) == {("/acquisition/movie/starting_time", "unit", "fixed")}
    assert {one.rule for one in mending.left} == {"link"}
    with h5py.File(out) as file:
        assert file["intervals/trials"].get("start_time", getlink=True).filename == "nowhere.nwb"


def test_a_session_is_mended_in_place(tmp_path: Path) -> None:
    path = Path(shutil.copy(FOLDER / "schema-2.0.2.nwb", tmp_path / "old.nwb"))
    out, _ = mended(path)
    with nwb.open(path, "r+") as session:
        nwb.upgrade(session)
        session.save()
        assert not session.changes()
    assert faults(path) == []
    assert differences(path, out, ignore=lambda where: where.endswith("@object_id")) == []


# -- errors, and the command ---------------------------------------------------------------------


def test_unknown_zones_and_rules(broken: Path) -> None:
    with nwb.open(broken) as session:
        with pytest.raises(nwb.NWBError, match="no time zone 'Mars/Olympus'"):
            nwb.upgrade(session, timezone="Mars/Olympus")
        with pytest.raises(nwb.NWBError, match="rule 'colours'; there is columns, dtype"):
            nwb.upgrade(session, only=["colours"])
        session.notes = "Changed."
        with pytest.raises(nwb.SchemaError, match="changes of its own"):
            nwb.upgrade(session)


def test_a_session_in_no_file_is_refused() -> None:
    now = datetime.fromisoformat("2020-01-02T03:04:05+00:00")
    session = nwb.NWBFile(identifier="x", session_description="x", session_start_time=now)
    with pytest.raises(nwb.SchemaError, match="in no file"):
        nwb.upgrade(session)


def test_the_command_lists_mends(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = broken.with_name("out.nwb")
    assert cli.main(["fix", str(broken), "-o", str(out)]) == 0
    assert "nothing to mend, an unchanged copy" in capsys.readouterr().out
    assert out.read_bytes() == broken.read_bytes()
    naive(broken)
    assert cli.main(["fix", str(broken), "-o", str(out)]) == 2
    assert "out.nwb" in capsys.readouterr().err
    arguments = ["--timezone", "UTC", "--only", "dtype", "--overwrite"]
    assert cli.main(["fix", str(broken), "-o", str(out), *arguments]) == 0
    shown = capsys.readouterr().out
    assert (
        "/, field 'session_start_time': was 2019-05-04T03:02:01, now 2019-05-04T03:02:01+00:00 "
        "[dtype]\n" in shown
    )
    assert "3 mended, 0 left" in shown


def test_the_help_names_every_rule() -> None:
    for rule in RULES:
        assert rule in cli.COMMANDS["fix"].details


def test_only_sessions_are_mended() -> None:
    with pytest.raises(
        nwb.SchemaError, match=r"expected an opened session, found 'a\.nwb' of type"
    ):
        nwb.upgrade("a.nwb")  # type: ignore[arg-type]
