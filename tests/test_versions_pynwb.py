"""Files of each release of the schema: what PyNWB reads of them, in its day and now."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from versions import FILES, MANIFEST, MASKS, RELEASES, of_the_day, read_by_pynwb, v, writer

import nwb_ophys as nwb
from nwb_ophys.hdf5.arrays import LazyArray


@pytest.fixture(params=FILES, ids=RELEASES)
def file(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def by_name(session: nwb.NWBFile) -> dict[str, Any]:
    """The objects of a session under the names that `read.py` gives them."""
    found: dict[str, Any] = {"root": session}
    for model in session.walk():
        parent, _, name = model.hdf5_path.rpartition("/")
        found.setdefault(name, model)
        found[f"{parent.rpartition('/')[2]}/{name}"] = model
    return found


OTHER_NAMES = {
    ("ImagingPlane", "conversion"): "manifold_conversion",
    ("ImagingPlane", "unit"): "manifold_unit",
    ("Subject", "age__reference"): "age_reference",
}
OF_DATA = {"unit", "conversion", "offset", "resolution"}


def held(model: Any, kind: str, field: str) -> Any:
    """What we hold of a field that PyNWB gives, in the form that `read.py` writes."""
    if field == "starting_time_unit":
        value = model.starting_time.unit
    elif field == "help":
        value = model.attrs["help"]
    elif field == "num_samples" and getattr(model, field, None) is None:  # PyNWB counts them
        value = 0 if model.data is None else len(model.data.array)
    elif field == "data" and not isinstance(model, nwb.TimeSeries):
        value = model.array
    else:
        value = getattr(model, OTHER_NAMES.get((kind, field), field))
    if isinstance(value, nwb.TimeSeriesStartingTime):
        value = value.value
    value = getattr(value, "array", value)
    return of_the_day.plain(np.asarray(value) if isinstance(value, LazyArray) else value)


def assumed(model: Any, kind: str, field: str) -> bool:
    """Whether PyNWB gives a value of its own for what the file does not have."""
    if kind == "ImageSeries" and field in OF_DATA and model.data is None:
        return True
    return kind == "ImagingPlane" and field in ("conversion", "unit") and model.manifold is None


def test_we_read_what_the_pynwb_of_the_day_read(file: Path) -> None:
    read = json.loads(file.with_suffix(".json").read_text())
    assert len(read) > 70
    compared = 0
    with nwb.open(file) as session:
        ours = by_name(session)
        for name, told in read.items():
            for field, theirs in told["fields"].items():
                if assumed(ours[name], told["type"], field):
                    continue
                value = held(ours[name], told["type"], field)
                if name == "root" and isinstance(theirs, str) and isinstance(value, list):
                    theirs = [theirs]  # a single one, then a list
                assert value == theirs, (name, field)
                compared += 1
    assert compared > 250


def test_pynwb_reads_a_changed_copy_as_it_reads_the_original(file: Path, tmp_path: Path) -> None:
    with nwb.open(file) as session:
        session.notes = "Changed."
        session.acquisition["movie"].comments = "Changed, too."
        labels = session[f"{MASKS}/images"].vector_data["label"]
        labels.array = np.array([v.LABELS[0], "axon", v.LABELS[2]], object)
        copy = nwb.write(session, tmp_path / "copy.nwb")
    before, after = read_by_pynwb(file), read_by_pynwb(copy)
    changed = {
        (name, field)
        for name in before
        for field in {*before[name]["fields"], *after[name]["fields"]}
        if before[name]["fields"].get(field) != after[name]["fields"].get(field)
    }
    assert before.keys() == after.keys()
    assert changed == {("root", "notes"), ("movie", "comments"), ("images/label", "data")}
    assert after["images/label"]["fields"]["data"] == [v.LABELS[0], "axon", v.LABELS[2]]


def test_pynwb_reads_what_is_added_and_all_the_rest(file: Path, tmp_path: Path) -> None:
    added = nwb.TimeSeries(name="added", data=np.arange(3.0), unit="V", rate=2.0)
    with nwb.open(file) as session, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        session.acquisition["added"] = added
        copy = nwb.write(session, tmp_path / "added.nwb")
    newest = MANIFEST[file.name]["nwb_version"] == "2.11.0"
    assert [one.category for one in caught] == [nwb.SchemaUpgradeWarning] * (not newest)
    assert all(one.filename == __file__ for one in caught)  # the user's line
    before, after = read_by_pynwb(file), read_by_pynwb(copy)
    if writer(file) < (2, 3):  # what age counts from was not told, then is birth where it is not
        before["subject"]["fields"]["age__reference"] = "birth"
    assert after["added"]["fields"]["data"] == [0.0, 1.0, 2.0]
    assert {name: told for name, told in after.items() if name != "added"} == before
