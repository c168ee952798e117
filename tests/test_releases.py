"""What older releases allowed, as their own specifications say it."""

from __future__ import annotations

import json
from typing import Any

import h5py
import pytest
from versions import FOLDER, MANIFEST

import nwb_ophys as nwb
from nwb_ophys.mapper.releases import EARLIER, was_legal
from nwb_ophys.specs import Catalog, cached_namespaces, newest
from nwb_ophys.testing import hand_written_models

PLACES = {
    ("TimeSeriesStartingTime", "unit", "fixed"): ("TimeSeries", "starting_time/@unit", "value"),
    ("TimeSeries", "timestamps_unit", "fixed"): ("TimeSeries", "timestamps/@unit", "value"),
    ("ElectricalSeriesData", "unit", "fixed"): ("ElectricalSeries", "data/@unit", "value"),
    ("PatchClampSeriesData", "unit", "fixed"): ("CurrentClampSeries", "data/@unit", "value"),
    ("OptogeneticSeriesData", "unit", "fixed"): ("OptogeneticSeries", "data/@unit", "value"),
    ("OpticalSeries", "data", "missing"): ("OpticalSeries", "data", "required"),
    ("OpticalSeriesData", "array", "shape"): ("OpticalSeries", "data", "shape"),
    ("Image", "array", "dtype"): ("Image", "", "dtype"),
    ("ImagingPlane", "origin_coords", "shape"): ("ImagingPlane", "origin_coords", "shape"),
    ("ImagingPlane", "grid_spacing", "shape"): ("ImagingPlane", "grid_spacing", "shape"),
    ("VectorIndex", "array", "dtype"): ("VectorIndex", "", "dtype"),
    ("VectorIndex", "description", "missing"): ("VectorIndex", "@description", "required"),
    ("ImageSeries", "data", "missing"): ("ImageSeries", "data", "required"),
    ("IndexSeriesData", "array", "dtype"): ("IndexSeries", "data", "dtype"),
    ("IndexSeriesData", "unit", "fixed"): ("IndexSeries", "data/@unit", "value"),
    ("SpatialSeriesData", "array", "shape"): ("SpatialSeries", "data", "shape"),
}
"""Where the schema has what an entry is about: type, place in it, and what of that."""

READ_ALIKE = {
    ("DynamicTable", "@colnames", "dtype"): "ASCII text is text",
    ("NWBFile", "@nwb_version", "value"): "of another release",
    ("NWBFile", "general/experimenter", "shape"): "a single one is a list of one",
    ("NWBFile", "general/related_publications", "shape"): "a single one is a list of one",
    ("PlaneSegmentation", "@colnames", "dtype"): "ASCII text is text",
    ("TimeIntervals", "@colnames", "dtype"): "ASCII text is text",
    ("ImageReferences", "", "dtype"): "what images of today are, those of old are, too",
    ("TimeIntervals", "timeseries", "dtype"): "became a type of its own",
}
ALIKE = {"int": "int32", "uint": "uint32", "float": "float32"}


def plain(dtype: Any) -> Any:
    """A dtype without the words about it, under the one name that it has today."""
    if isinstance(dtype, list):
        return [(member["name"], plain(member["dtype"])) for member in dtype]
    if isinstance(dtype, dict):
        return {key: value for key, value in dtype.items() if key != "doc"}
    return ALIKE.get(dtype, dtype)


def told(catalog: Catalog, kind: str, *, bases: bool = True) -> dict[tuple[str, str], Any]:
    """What a specification says of a type, by place and what of it; what its bases say, last."""
    found: dict[tuple[str, str], Any] = {}

    def put(place: str, spec: dict[str, Any], required: bool) -> None:
        says = {
            "dtype": plain(spec.get("dtype")),
            "shape": json.dumps(spec.get("shape")),
            "value": spec.get("value"),
            "required": required and spec.get("default_value") is None,
        }
        for what, value in says.items():
            if place or what in spec:  # what a type does not say of itself, its base may
                found.setdefault((place, what), value)

    def walk(spec: dict[str, Any], prefix: str) -> None:
        for each in spec.get("attributes", []):
            put(f"{prefix}@{each['name']}", each, each.get("required", True))
        for each in (*spec.get("datasets", []), *spec.get("groups", [])):
            if each.get("name"):
                put(prefix + each["name"], each, each.get("quantity", 1) in (1, "+"))
                walk(each, f"{prefix}{each['name']}/")

    entry = catalog.get("core", kind) or catalog.get("hdmf-common", kind)
    while entry is not None:
        spec = catalog.spec(entry.namespace, entry.name)
        put("", spec, True)
        walk(spec, "")
        entry = catalog.get(*entry.base) if bases and entry.base else None
    return found


@pytest.fixture(scope="module")
def releases() -> dict[str, Catalog]:
    """The specifications that the files of each release cache; those of 2.0b cache none."""
    found = {}
    for name, entry in MANIFEST.items():
        with h5py.File(FOLDER / name) as file:
            if "specifications" in file:
                cached = cached_namespaces(file["specifications"])
                found[entry["schema"]] = Catalog.from_texts(cached.values())
    return found


@pytest.mark.parametrize("which", EARLIER, ids=".".join)
def test_each_entry_ends_when_the_schema_changed(
    which: tuple[str, str, str], releases: dict[str, Catalog]
) -> None:
    kind, place, what = PLACES[which]
    today = told(Catalog.packed(), kind)[place, what]
    until = EARLIER[which].until
    for version, catalog in releases.items():
        before = version != until and newest((version, until)) == until
        assert (told(catalog, kind).get((place, what)) != today) == before, version


def test_nothing_else_was_otherwise(releases: dict[str, Catalog]) -> None:
    known = {*PLACES.values(), *READ_ALIKE}
    found = set()
    for catalog in releases.values():
        for model in hand_written_models():
            kind = model.__name__
            today = told(Catalog.packed(), kind)
            for (place, what), value in told(catalog, kind, bases=False).items():
                loosened = what == "required" and value  # what may be left out today
                if (place, what) in today and value != today[place, what] and not loosened:
                    found.add((kind, place, what))
    assert found - known == set()
    assert set(READ_ALIKE) - found == set()


def test_what_was_found_counts_too() -> None:
    clock = nwb.TimeSeriesStartingTime
    for unit, version, legal in (
        ("Seconds", "2.0b", True),
        ("Seconds", "2.0.2", True),
        ("Seconds", "2.1.0", False),
        ("Seconds", "2.10.0", False),
        ("minutes", "2.0b", False),
    ):
        message = f"expected 'seconds', found {unit!r}"
        assert was_legal(clock, "unit", "fixed", message, version) is legal


def test_the_nearest_base_decides_of_types_without_a_hand_written_model() -> None:
    message = "expected 'volts', found 'volt'"
    data = nwb.get_type("core", "CurrentClampSeries").model_fields["data"].annotation
    assert "PatchClampSeriesData" in {base.__name__ for base in data.__mro__}
    assert was_legal(data, "unit", "fixed", message, "2.0.2")
    assert not was_legal(data, "unit", "fixed", message, "2.1.0")
