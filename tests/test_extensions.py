"""Extensions that are loaded for authoring: what their files hold, judged by PyNWB and h5py."""

import copy
import json
import pickle
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import pynwb
import pytest
from nwbinspector import Importance, inspect_nwbfile
from scripts import printed

import nwb_ophys as nwb
from nwb_ophys import cli
from nwb_ophys.errors import FileMissingError, SchemaError
from nwb_ophys.layout import layout_of

FOLDER = Path(__file__).parent / "extensions"
ODD = FOLDER / "ndx-odd.namespace.yaml"
WHEN = datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC)


def core(name):
    return nwb.get_type("core", name)


def new_session():
    return nwb.NWBFile(
        identifier="odd-1-of-these",
        session_description="A session of generated types.",
        session_start_time=WHEN,
        experimenter="Last, First",
        institution="Here",
        lab="This",
        experiment_description="Whether types work.",
        keywords=["types"],
        subject=nwb.Subject(
            subject_id="m1", species="Mus musculus", age="P90D", sex="F", description="A mouse."
        ),
    )


def new_plane(session):
    device = session.devices.add(nwb.Device(name="scope", description="A microscope."))
    channel = nwb.OpticalChannel(name="green", description="Green.", emission_lambda=520.0)
    return session.imaging_planes.add(
        nwb.ImagingPlane(
            name="plane",
            description="A plane.",
            device=device,
            excitation_lambda=920.0,
            indicator="GCaMP6f",
            location="VISp",
            children=[channel],
        )
    )


def add_electrodes(session, count=4):
    probe = session.devices.add(nwb.Device(name="probe", description="A probe."))
    group = core("ElectrodeGroup")(
        name="shank", description="A shank.", location="CA1", device=probe, position=(1.0, 2.0, 3.0)
    )
    session.electrode_groups.add(group)
    session.electrodes = core("ElectrodesTable")(
        name="electrodes",
        description="All electrodes.",
        location=["CA1"] * count,
        group=[group] * count,
    )
    session.electrodes.add_column("group_name", ["shank"] * count, "The group.")
    return session.electrodes


def judged(path, *, least=Importance.BEST_PRACTICE_VIOLATION):
    """Let PyNWB read and validate a file, and the inspector look at it."""
    assert pynwb.validate(path=str(path)) == []
    found = [
        (one.check_function_name, one.message)
        for one in inspect_nwbfile(nwbfile_path=str(path))
        if one.importance.value >= least.value
    ]
    assert not found
    return pynwb.NWBHDF5IO(str(path), "r", load_namespaces=True)


@pytest.fixture
def odd():
    return nwb.load_extension(ODD)


@pytest.fixture
def odd_session(odd):
    session = new_session()
    plane = new_plane(session)
    # The type is of another extension, which this one includes.
    stage = nwb.get_type("ndx-base", "Stage")(name="stage", description="It moves.", axes=["x"])
    session.devices.add(stage)
    electrodes = add_electrodes(session, 4)
    session.acquisition.add(
        odd.TetrodeSeries(
            name="tetrode",
            description="Four channels.",
            data=np.arange(40, dtype="int16").reshape(10, 4),
            gain=3.0,
            rate=100.0,
            conversion=1e-6,
            trode_id=7,
            electrodes=electrodes.create_region(name="electrodes", description="All."),
        ),
        odd.PhasedSeries(
            name="other", description="A series.", data=[1.5, 2.5], unit="V", rate=1.0, phase=0.25
        ),
    )
    inner = nwb.get_type("ndx-base", "Stage")(name="inner stage", axes=["x", "y"])
    session.lab_meta_data.add(
        odd.Protocol(
            copy_="no copy",
            class_="first",
            begun=WHEN,
            visits=[WHEN, WHEN],
            settings=[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
            threshold=1.25,
            note="inside",
            inner=[inner],
            children=[odd.Step(name="one", order=1, stage=stage)],
            imaging_plane=plane,
        )
    )
    rows = np.empty(2, [("label", object), ("depth", "f4"), ("plane", object)])
    rows[0], rows[1] = ("vessel", 1.5, plane), ("soma", 2.5, plane)
    session.analysis.add(odd.OldStyle(landmarks={"array": rows, "reference": stage}))
    return session


def test_authored_types_are_read_by_pynwb_and_valid(odd_session, tmp_path):
    path = nwb.write(odd_session, tmp_path / "odd.nwb")
    with judged(path) as io:
        file = io.read()
        tetrode = file.acquisition["tetrode"]
        assert type(tetrode).__name__ == "TetrodeSeries"
        assert isinstance(tetrode, pynwb.ecephys.ElectricalSeries)
        assert (tetrode.trode_id, tetrode.unit, tetrode.data.shape) == (7, "volts", (10, 4))
        protocol = file.lab_meta_data["staging"]
        assert protocol.settings.shape == (2, 3)
        assert file.analysis["old"].landmarks[1][0] == "soma"
    with h5py.File(path) as file:
        assert set(file["specifications"]) >= {"core", "hdmf-common", "ndx-odd", "ndx-base"}
        assert list(file["specifications/ndx-odd"]) == ["0.2.0"]
        protocol = file["general/staging"]
        assert protocol.attrs["copy"] == "no copy"
        assert protocol["threshold"].attrs["threshold_unit"] == "V"
        assert protocol["threshold"][()] == 1.25
        assert "answer" not in protocol
        assert protocol.get("plane", getlink=True).path == "/general/optophysiology/plane"
        assert file["general/devices/stage"].attrs["kind"] == "linear"
        marks = file["analysis/old/landmarks"]
        assert file[marks.attrs["reference"]] == file["general/devices/stage"]
        assert file[marks[0]["plane"]] == file["general/optophysiology/plane"]


def test_they_read_back_as_the_same_classes(odd, odd_session, tmp_path):
    path = nwb.write(odd_session, tmp_path / "odd.nwb")
    with nwb.open(path) as session:
        tetrode = session.acquisition["tetrode"]
        assert type(tetrode) is odd.TetrodeSeries
        assert isinstance(tetrode, core("ElectricalSeries"))
        assert (tetrode.gain, tetrode.trode_id, tetrode.unit) == (3.0, 7, "volts")
        other = session.acquisition["other"]
        assert type(other) is odd.PhasedSeries
        assert isinstance(other, nwb.TimeSeries)
        assert type(other) is not nwb.TimeSeries
        assert other.phase == 0.25
        protocol = session.lab_meta_data["staging"]
        assert protocol.begun == WHEN
        assert protocol.visits == [WHEN, WHEN]
        assert (protocol.copy_, protocol.class_, protocol.note) == ("no copy", "first", "inside")
        assert protocol.answer == 42
        assert float(protocol.threshold) == 1.25
        assert protocol.threshold_unit == "V"
        assert protocol.imaging_plane is session.imaging_planes["plane"]
        assert protocol["one"].stage is session.devices["stage"]
        assert list(protocol.inner) == ["inner stage"]
        marks = session.analysis["old"].landmarks
        assert marks.reference is session.devices["stage"]
        assert marks[0]["plane"] is session.imaging_planes["plane"]
        assert not session.problems
        assert not nwb.diff(odd_session, session)
        again = nwb.write(session, tmp_path / "again.nwb")
    assert again.read_bytes() == path.read_bytes()


def test_sessions_with_them_can_be_copied_and_pickled(odd, odd_session, tmp_path):
    twin = pickle.loads(pickle.dumps(odd_session))
    assert type(twin.acquisition["tetrode"]) is odd.TetrodeSeries
    assert not nwb.diff(odd_session, twin)
    deep = copy.deepcopy(odd_session)
    assert deep.lab_meta_data["staging"].imaging_plane is deep.imaging_planes["plane"]
    path = tmp_path / "twin.pickle"
    path.write_bytes(pickle.dumps(odd_session))
    script = (
        "import pickle, sys; s = pickle.load(open(sys.argv[1], 'rb'));"
        "t = s.acquisition['tetrode']; print(type(t).__name__, t.trode_id, t.gain)"
    )
    assert printed(script, path).split() == ["TetrodeSeries", "7", "3.0"]


def test_what_is_authored_must_conform(odd):
    stage = nwb.get_type("ndx-base", "Stage")
    with pytest.raises(ValueError, match="fixes it at 'linear', found 'round'"):
        stage(name="s", axes=["x"], kind="round")
    with pytest.raises(ValueError, match=r"expected axes \(num_times, 4\), found shape \(5, 3\)"):
        layout_of(odd.TetrodeSeries).fields["data"].types[0](array=np.zeros((5, 3), "int16"))
    with pytest.raises(ValueError, match=r"expected axes \(a\) or \(a, 3\)"):
        odd.Protocol(copy_="c", begun=WHEN, settings=np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"expected rows of compound .*, found 42"):
        odd.Landmarks(name="l", array=42, reference=stage(name="s", axes=["x"]))
    with pytest.raises(ValueError, match="expected objects to refer to, found 42"):
        core("ElectrodesTable")(name="e", description="e", location=["a"], group={"array": 42})
    with pytest.raises(ValueError, match="order"):
        odd.Step(name="one")
    with pytest.raises(ValueError, match="expected Stage, found"):
        odd.Step(name="one", order=1, stage=nwb.Device(name="d"))


def test_as_many_members_as_the_schema_asks_for(odd, odd_session, tmp_path):
    protocol = odd_session.lab_meta_data["staging"]
    step = protocol.children["one"]
    del protocol.children["one"]
    path = tmp_path / "odd.nwb"
    with pytest.raises(SchemaError) as caught:
        nwb.write(odd_session, path)
    assert not path.exists()
    assert (caught.value.path, caught.value.field) == ("/general/staging", "children")
    assert caught.value.message == "expected one Step at least, found none"
    protocol.children.add(step)
    device = odd_session.devices["scope"]
    other = new_plane_like(protocol.imaging_plane, device)
    odd_session.imaging_planes.add(other)
    protocol.children.add(other)
    with pytest.raises(SchemaError, match="one ImagingPlane at most, found 'plane', 'other'"):
        nwb.write(odd_session, path)
    del protocol.children["other"]
    nwb.write(odd_session, path)
    with nwb.open(path, "r+") as session:
        assert not [one for one in nwb.validate(session) if one.severity == "error"]
        del session.lab_meta_data["staging"].children["one"]
        with pytest.raises(SchemaError, match="expected one Step at least, found none"):
            session.save()
        session.discard()
    with h5py.File(path, "r+") as file:
        del file["general/staging/one"]
        file["general/staging/second"] = h5py.SoftLink("/general/optophysiology/other")
    theirs = {(one.location, type(one).__name__) for one in pynwb.validate(path=str(path))}
    assert theirs == {
        ("general/staging", "MissingDataType"),
        ("general/staging", "IncorrectQuantityError"),
    }
    errors = [one for one in nwb.validate(path) if one.severity == "error"]
    assert {(one.path, one.field, one.rule) for one in errors} == {
        ("/general/staging", "children", "members-are-as-many-as-they-must-be")
    }
    assert len(errors) == 2
    with nwb.open(path, "r+") as session:  # what it was like before is carried over
        session.lab_meta_data["staging"].class_ = "second"
        session.save()


def new_plane_like(plane, device):
    channel = nwb.OpticalChannel(name="red", description="Red.", emission_lambda=620.0)
    return nwb.ImagingPlane(
        name="other",
        description="Another.",
        device=device,
        excitation_lambda=plane.excitation_lambda,
        indicator="x",
        location="y",
        children=[channel],
    )


def test_official_types_without_a_model_are_authored(tmp_path):
    session = new_session()
    electrodes = add_electrodes(session, 3)
    laser = session.devices.add(nwb.Device(name="laser", description="A laser."))
    site = core("OptogeneticStimulusSite")(
        name="site", description="A site.", excitation_lambda=473.0, location="CA1", device=laser
    )
    session.ogen_sites.add(site)
    session.stimulus.add(
        core("OptogeneticSeries")(
            name="light", description="Power.", data=np.linspace(0, 1, 7), rate=10.0, site=site
        )
    )
    units = core("Units")(description="Sorted units.")
    times = [[0.1, 0.25, 0.3], [0.15], [0.5, 0.65]]
    units.add_column("spike_times", times, "Spike times.", index=True)
    units.spike_times.resolution = 1 / 30000
    units.add_column("electrodes", [[0, 1], [2], [1]], "Where.", index=True, table=electrodes)
    units.add_column("waveform_mean", np.ones((3, 20)), "Mean waveforms.")
    session.units = units
    electrode = core("IntracellularElectrode")(
        name="pipette", description="A pipette.", device=laser, cell_id="c1"
    )
    session.icephys_electrodes.add(electrode)
    session.acquisition.add(
        core("CurrentClampSeries")(
            name="clamp",
            description="Voltage.",
            data=np.arange(10.0),
            rate=1e4,
            gain=1.0,
            electrode=electrode,
            stimulus_description="NA",
            bias_current=1e-12,
        )
    )
    path = nwb.write(session, tmp_path / "official.nwb")
    with judged(path) as io:
        file = io.read()
        assert list(file.units["spike_times"][0]) == times[0]
        assert list(file.units["electrodes"][0].index) == [0, 1]
        assert file.units.resolution == pytest.approx(1 / 30000)
        assert file.stimulus["light"].site is file.ogen_sites["site"]
        assert file.electrodes["group"][1] is file.electrode_groups["shank"]
        assert file.acquisition["clamp"].electrode is file.icephys_electrodes["pipette"]
    with nwb.open(path) as back:
        assert type(back.units) is core("Units")
        assert list(back.units["spike_times"][2]) == times[2]
        assert list(back.units["electrodes"][1]) == [2]
        assert back.units.electrodes.table is back.electrodes
        assert type(back.electrodes) is core("ElectrodesTable")
        assert not back.problems


def test_sessions_without_such_types_do_not_build_any():
    script = (
        "import sys, datetime as d, nwb_ophys as nwb;"
        "nwb.NWBFile(identifier='a', session_description='b',"
        " session_start_time=d.datetime.now(d.UTC));"
        "print([one for one in sys.modules if one.startswith('nwb_ophys.generated.')])"
    )
    assert printed(script).strip() == "['nwb_ophys.generated.official']"


# -- two versions, and specifications that are broken --------------------------------------------


def changed(folder, old, new, version=None):
    """Copy the extensions with a change."""
    shutil.copytree(FOLDER, folder)
    source = folder / "ndx-odd.extensions.yaml"
    text = source.read_text()
    assert old in text
    source.write_text(text.replace(old, new))
    if version is not None:
        name = folder / "ndx-odd.namespace.yaml"
        name.write_text(name.read_text().replace("0.2.0", version))
    return folder / "ndx-odd.namespace.yaml"


def series_file(extension, path, **values):
    session = new_session()
    session.acquisition.add(
        extension.PhasedSeries(name="s", data=[1.0], unit="V", rate=1.0, **values)
    )
    return nwb.write(session, path)


def test_two_versions_are_open_at_once(odd, tmp_path):
    newer = nwb.load_extension(
        changed(tmp_path / "newer", "default_value: 0.5", "default_value: 0.75", "0.3.0")
    )
    a = series_file(odd, tmp_path / "a.nwb")
    b = series_file(newer, tmp_path / "b.nwb")
    with nwb.open(a) as old, nwb.open(b) as new:
        assert old.acquisition["s"].phase == 0.5
        assert new.acquisition["s"].phase == 0.75
        assert type(old.acquisition["s"]) is not type(new.acquisition["s"])
    assert nwb.get_type("ndx-odd", "PhasedSeries", "0.3.0") is newer.PhasedSeries
    assert nwb.get_type("ndx-odd", "PhasedSeries", "0.2.0") is odd.PhasedSeries
    assert nwb.get_type("ndx-odd", "PhasedSeries") is newer.PhasedSeries
    mixed = new_session()
    for each in (odd, newer):
        mixed.acquisition.add(each.PhasedSeries(name=each.version, data=[1.0], unit="V", rate=1.0))
    with pytest.raises(SchemaError, match=r"ndx-odd 0\.\d\.0 and of ndx-odd 0\.\d\.0 cannot be in"):
        nwb.write(mixed, tmp_path / "mixed.nwb")
    assert not (tmp_path / "mixed.nwb").exists()


def test_what_says_the_same_is_the_same_class(odd, tmp_path):
    words = nwb.load_extension(
        changed(tmp_path / "words", "A series with a phase.", "Other words.")
    )
    assert words.PhasedSeries is odd.PhasedSeries
    assert words.Protocol is odd.Protocol


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"neurodata_type_inc": "Nothing"}, "'Nothing' is specified nowhere"),
        ({"neurodata_type_inc": "Landmarks"}, "it is a group, but its base"),
        ({"neurodata_type_inc": "Step"}, "go in a circle"),
    ],
)
def test_a_broken_specification_degrades(odd_session, tmp_path, change, message):
    path = nwb.write(odd_session, tmp_path / "broken.nwb")
    with h5py.File(path, "r+") as file:
        place = file["specifications/ndx-odd/0.2.0"]
        source = json.loads(place["ndx-odd.extensions"][()])
        for spec in source["groups"]:
            if spec.get("neurodata_type_def") == "TetrodeSeries":
                spec.update(change)
            for inner in spec.get("groups", ()):
                if inner.get("neurodata_type_def") == "Step":
                    inner["neurodata_type_inc"] = "TetrodeSeries"
        del place["ndx-odd.extensions"]
        place["ndx-odd.extensions"] = json.dumps(source)
    with nwb.open(path) as session:
        tetrode = session.acquisition["tetrode"]
        assert type(tetrode).__name__ == "TetrodeSeries"
        assert isinstance(tetrode, nwb.models.NWBContainer)
        assert tetrode["data"].shape == (10, 4)
        assert tetrode.attrs["trode_id"] == 7
        found = [one for one in session.problems if one.rule == "specification"]
        assert any(message in one.message and one.path == tetrode.hdf5_path for one in found)
        assert session.lab_meta_data["staging"].answer == 42
        nwb.write(session, tmp_path / "again.nwb")
    assert nwb.validate(path)


@pytest.mark.parametrize("odd_value", [None, 1, -1, "x", [], {}, [None], [[]], [{}], 1.5, "+"])
def test_validate_bears_every_specification(odd_session, tmp_path, odd_value):
    path = nwb.write(odd_session, tmp_path / "odd.nwb")
    with h5py.File(path) as file:
        source = json.loads(file["specifications/ndx-odd/0.2.0/ndx-odd.extensions"][()])
    for key in ("attributes", "datasets", "groups", "name", "quantity", "shape", "dtype", "dims"):
        spoiled = copy.deepcopy(source)
        for spec in spoiled["groups"] + spoiled["datasets"]:
            for inner in (spec, *spec.get("groups", ()), *spec.get("datasets", ())):
                inner[key] = odd_value
        with h5py.File(path, "r+") as file:
            place = file["specifications/ndx-odd/0.2.0"]
            del place["ndx-odd.extensions"]
            place["ndx-odd.extensions"] = json.dumps(spoiled)
        assert isinstance(nwb.validate(path), list)


def test_without_a_specification_every_member_is_kept(odd_session, tmp_path):
    path = nwb.write(odd_session, tmp_path / "bare.nwb")
    with h5py.File(path, "r+") as file:
        del file["specifications/ndx-odd"]
    with nwb.open(path) as session:
        tetrode = session.acquisition["tetrode"]
        assert type(tetrode).__name__ == "TetrodeSeries"
        assert tetrode.attrs["trode_id"] == 7
        assert [one.rule for one in session.problems] == ["unknown-type"]


def test_values_that_depart_are_listed(odd_session, tmp_path):
    path = nwb.write(odd_session, tmp_path / "departs.nwb")
    with h5py.File(path, "r+") as file:
        file["general/devices/stage"].attrs["kind"] = "round"
        del file["acquisition/tetrode"].attrs["trode_id"]
        del file["general/staging/settings"]
        file["general/staging/settings"] = np.zeros((2, 2))
    with nwb.open(path) as session:
        assert session.devices["stage"].kind == "round"
        assert session.acquisition["tetrode"].trode_id is None
        assert session.lab_meta_data["staging"].settings.shape == (2, 2)
        assert {(one.path, one.field, one.rule) for one in session.problems} == {
            ("/general/devices/stage", "kind", "fixed"),
            ("/acquisition/tetrode", "trode_id", "missing"),
            ("/general/staging", "settings", "shape"),
        }


# PyNWB knows one type of a name only; its validator would take the one of core.
def test_a_type_may_extend_one_of_its_own_name(tmp_path):
    path = changed(
        tmp_path / "same",
        "neurodata_type_def: PhasedSeries",
        "neurodata_type_def: TimeSeries",
        "0.4.0",
    )
    same = nwb.load_extension(path)
    assert same.TimeSeries is not nwb.TimeSeries
    assert issubclass(same.TimeSeries, nwb.TimeSeries)
    session = new_session()
    session.acquisition.add(same.TimeSeries(name="s", data=[1.0], unit="V", rate=1.0, phase=2.0))
    with nwb.open(nwb.write(session, tmp_path / "same.nwb")) as back:
        assert type(back.acquisition["s"]) is same.TimeSeries
        assert back.acquisition["s"].phase == 2.0
        assert not back.problems


def test_what_one_use_of_a_type_asks_for_is_judged(odd, tmp_path):
    def pair(name, data, **attributes):
        made = nwb.TimeSeries(name=name, unit="V", rate=1.0, data=data)
        if "comments" in attributes:
            made.comments = attributes.pop("comments")
        made.attrs.update(attributes)
        return made

    both = {"side": "left", "comments": "none"}
    good = np.zeros((3, 2), "i2")
    for data, attributes, message in [
        (np.zeros(3, "i2"), both, "'s', data.array: expected axes (num_times, 2), found"),
        (good.astype("f8"), both, "'s', data.array: expected int16, found float64"),
        (good, {"comments": "none"}, "'s', side: it is required there, found None"),
        (good, {"side": "left"}, "'s', comments: it is required there, and its default is not"),
    ]:
        session = new_session()
        session.acquisition.add(odd.Pairs(children=[pair("s", data, **attributes)]))
        with pytest.raises(SchemaError) as caught:
            nwb.write(session, tmp_path / "refused.nwb")
        assert message in caught.value.message
        assert (caught.value.path, caught.value.field) == ("/acquisition/pairs", "children")
    session = new_session()
    names = ("right", "flat", "float")
    session.acquisition.add(odd.Pairs(children=[pair(name, good, **both) for name in names]))
    path = nwb.write(session, tmp_path / "uses.nwb")
    assert pynwb.validate(path=str(path)) == []
    place = "/acquisition/pairs"
    assert not [one for one in nwb.validate(path) if one.severity == "error"]
    with h5py.File(path, "r+") as file:
        del file[place]["right"].attrs["comments"]
        for name, values in (("flat", good[:, 0]), ("float", good.astype("f8"))):
            attributes = dict(file[place][name]["data"].attrs)
            del file[place][name]["data"]
            file[place][name]["data"] = values
            file[place][name]["data"].attrs.update(attributes)
    found = {
        (one.path, one.field): one.message
        for one in nwb.validate(path)
        if one.severity == "error" and one.rule == "own-schema"
    }
    assert found == {
        (f"{place}/right", "comments"): (
            "expected an attribute 'comments', found none, in ndx-odd 0.2.0"
        ),
        (f"{place}/flat/data", "array"): (
            "expected axes (num_times, 2), found shape (3,), in ndx-odd 0.2.0"
        ),
        (f"{place}/float/data", "array"): "expected int16, found float64, in ndx-odd 0.2.0",
    }
    theirs = {f"/{one.location}".partition(".")[0] for one in pynwb.validate(path=str(path))}
    assert theirs == {one for one, _ in found}


# -- finding extensions --------------------------------------------------------------------------


def test_an_installed_package_is_found_and_not_imported(tmp_path, monkeypatch):
    package = tmp_path / "ndx_there"
    (package / "spec").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('it was imported')")
    for name in ("namespace", "extensions"):
        text = (FOLDER / f"ndx-base.{name}.yaml").read_text().replace("ndx-base", "ndx-there")
        (package / "spec" / f"ndx-there.{name}.yaml").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    extension = nwb.load_extension("ndx-there")
    assert (extension.name, extension.version, extension.types) == ("ndx-there", "1.0.0", ["Stage"])
    assert nwb.get_type("ndx-there", "Stage") is extension.Stage
    assert "ndx_there" not in sys.modules
    assert "Stage" in dir(extension)
    with pytest.raises(AttributeError, match="has no type 'Scene'; it has Stage"):
        extension.Scene  # noqa: B018


def test_what_cannot_be_found_is_said(tmp_path):
    with pytest.raises(FileMissingError, match="no installed package 'ndx-nowhere'"):
        nwb.load_extension("ndx-nowhere")
    with pytest.raises(FileMissingError, match="no such specification"):
        nwb.load_extension(tmp_path / "x.namespace.yaml")
    with pytest.raises(SchemaError, match=r"'ndx-nowhere' is not known.*load_extension"):
        nwb.get_type("ndx-nowhere", "A")
    nwb.load_extension(ODD)
    with pytest.raises(SchemaError, match=r"not known in version 9.*0\.2\.0"):
        nwb.get_type("ndx-odd", "Step", "9")
    with pytest.raises(SchemaError, match=r"no type 'Stepp'.*did you mean 'Step'"):
        nwb.get_type("ndx-odd", "Stepp")
    with pytest.raises(SchemaError, match=r"known in version 2\.11\.0, not in 2\.0\.0"):
        nwb.get_type("core", "Units", "2.0.0")
    broken = tmp_path / "ndx-b.namespace.yaml"
    broken.write_text("namespaces: [")
    with pytest.raises(SchemaError, match="is no YAML"):
        nwb.load_extension(broken)
    broken.write_text("namespaces:\n- {name: ndx-b, version: '1', schema: 1.5}\n")
    with pytest.raises(SchemaError, match=r"schema of .ndx-b. as a list .* found 1\.5"):
        nwb.load_extension(broken)
    text = "namespaces:\n- {name: ndx-b, version: '1', schema: [{namespace: ndx-missing}]}\n"
    broken.write_text(text)
    with pytest.raises(SchemaError, match="includes 'ndx-missing', which is not known"):
        nwb.load_extension(broken)


# -- stubs ---------------------------------------------------------------------------------------

USE = """
from typing import TYPE_CHECKING, cast

import nwb_ophys as nwb
from nwb_ophys.storage import NDArray

if TYPE_CHECKING:
    from ndx_odd_types import Types

odd = cast("Types", nwb.load_extension("ndx-odd"))
step = odd.Step(name="one", order=1)
order: int = step.order
series = odd.TetrodeSeries(name="s", data=[[1, 2, 3, 4]], trode_id=1, gain=2.0, electrodes=[0])
rate: float | None = series.rate
series.data, series.gain = [[1, 2, 3, 4]], 3.0
held: NDArray | None = series.data.array
marks = odd.OldStyle().landmarks
"""


def test_stubs_tell_type_checkers(tmp_path, capsys):
    target = tmp_path / "ndx_odd_types.pyi"
    assert cli.main(["stubs", str(ODD), "-o", str(target)]) == 0
    assert cli.main(["stubs", str(ODD)]) == 0
    assert capsys.readouterr().out == target.read_text()
    lines = USE.count("\n")
    (tmp_path / "use.py").write_text(
        USE + 'odd.Step(nme="one", order=1)\nwrong: str = step.order\nseries.gain = "x"\n'
    )
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    found = [one for one in run.stdout.splitlines() if ": error: " in one]
    assert [one.split(": error: ")[0] for one in found] == [
        f"use.py:{lines + 1}",
        f"use.py:{lines + 2}",
        f"use.py:{lines + 3}",
    ], run.stdout


def test_stubs_of_what_is_not_there(capsys):
    assert cli.main(["stubs", "ndx-nowhere"]) == 2
    assert "no installed package 'ndx-nowhere'" in capsys.readouterr().err


def test_one_region_of_two_objects_is_of_the_type_of_both(tmp_path):
    session = new_session()
    electrodes = add_electrodes(session, 3)
    session.acquisition.add(
        core("ElectricalSeries")(
            name="raw",
            description="Raw.",
            data=np.zeros((5, 3)),
            rate=10.0,
            electrodes=electrodes.create_region(name="electrodes", description="All."),
        )
    )
    path = nwb.write(session, tmp_path / "shared.nwb")
    with h5py.File(path, "r+") as file:  # as PyNWB writes a region that is given twice
        features = file.create_group("processing/features")
        features.attrs.update(
            {"neurodata_type": "ProcessingModule", "namespace": "core", "object_id": "1"}
        )
        features.attrs["description"] = "Features."
        found = features.create_group("pca")
        found.attrs.update(
            {"neurodata_type": "FeatureExtraction", "namespace": "core", "object_id": "2"}
        )
        found["description"] = np.array(["PCA"], object)
        found["features"] = np.zeros((5, 3, 1), "f4")
        found["times"] = np.zeros(5)
        found["electrodes"] = h5py.SoftLink("/acquisition/raw/electrodes")
    assert pynwb.validate(path=str(path)) == []
    assert [str(one) for one in nwb.validate(path) if one.severity == "error"] == []
