"""The official schemas as they are packed, and the specifications that files bring along."""

import importlib.util
import json
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import pytest
from scripts import printed

from nwb_ophys import specs
from nwb_ophys.errors import FileMissingError, MemberNotFoundError
from nwb_ophys.spec_index import defined_types, index_namespace
from nwb_ophys.specs import Catalog, Namespace, cached_namespaces, newest, packed_namespaces

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = {"core": "2.11.0", "hdmf-common": "1.10.0", "hdmf-experimental": "0.6.0"}


@pytest.fixture(scope="session")
def pynwb_file(tmp_path_factory):
    """Write a minimal file with PyNWB, which caches the specifications in it."""
    import pynwb

    path = tmp_path_factory.mktemp("pynwb") / "minimal.nwb"
    session = pynwb.NWBFile("minimal", "m1", datetime(2024, 1, 1, tzinfo=UTC))
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(session)
    return path


@pytest.fixture(scope="session")
def hook():
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def namespace(name, types=(), *, key="groups", includes=("core",), sources=None):
    """Make the specification of an extension; an include is a name, or a name with types."""
    schema = [
        {"namespace": item}
        if isinstance(item, str)
        else dict(zip(["namespace", "data_types"], item, strict=True))
        for item in includes
    ]
    sources = {"ext": json.dumps({key: list(types)})} if sources is None else sources
    schema += [{"source": source} for source in sources]
    text = json.dumps({"namespaces": [{"name": name, "version": "0.1.0", "schema": schema}]})
    return Namespace(name, "0.1.0", text, sources)


def nd(name, inc=None, **members):
    spec = {"neurodata_type_def": name, "doc": "", **members}
    return spec if inc is None else {**spec, "neurodata_type_inc": inc}


def names(catalog, *key):
    return [(entry.namespace, entry.name) for entry in catalog.bases(*key)]


# The packed schemas


def test_packed_namespaces_are_what_pynwb_caches(pynwb_file):
    packed = packed_namespaces()
    assert {name: each.version for name, each in packed.items()} == VERSIONS
    with h5py.File(pynwb_file) as file:
        cached = cached_namespaces(file[file.attrs[".specloc"]])
    assert cached.keys() == packed.keys()
    for name, theirs in cached.items():
        assert theirs.version == packed[name].version
        assert theirs.namespace_text == packed[name].namespace_text
        assert theirs.sources == dict(packed[name].sources)


def test_packed_index_is_the_index_of_the_packed_texts():
    # A catalog of these texts may be there from a file, which has them in another order.
    rebuilt = Catalog.from_texts(packed_namespaces().values())
    assert set(rebuilt.types()) == set(Catalog.packed().types())
    assert rebuilt.problems == Catalog.packed().problems == []


def test_every_packed_type_has_a_spec_and_ends_at_a_root():
    catalog = Catalog.packed()
    entries = list(catalog.types())
    assert len(entries) > 90
    for entry in entries:
        spec = catalog.spec(entry.namespace, entry.name)
        assert specs.type_def_inc(spec) == (entry.name, entry.base and entry.base[1])
        *_, root = catalog.bases(entry.namespace, entry.name)
        assert (root.namespace, root.name) in {
            ("hdmf-common", "Data"),
            ("hdmf-common", "Container"),
        }


def test_bases_cross_namespaces():
    assert names(Catalog.packed(), "core", "PlaneSegmentation") == [
        ("core", "PlaneSegmentation"),
        ("hdmf-common", "DynamicTable"),
        ("hdmf-common", "Container"),
    ]
    entry = Catalog.packed().get("core", "TimestampVectorData")
    assert (entry.kind, entry.base) == ("dataset", ("hdmf-common", "VectorData"))


@pytest.mark.parametrize(
    "name", ["DynamicTable", "VectorData", "VectorIndex", "DynamicTableRegion"]
)
def test_table_types_said_core_in_old_files(name):
    assert Catalog.packed().get("core", name) is Catalog.packed().get("core", name)
    assert Catalog.packed().get("core", name).namespace == "hdmf-common"


@pytest.mark.parametrize(
    "key", [("core", "Nonesuch"), ("hdmf-common", "TimeSeries"), ("ndx-none", "TimeSeries")]
)
def test_unknown_types(key):
    assert Catalog.packed().get(*key) is None
    assert list(Catalog.packed().bases(*key)) == []
    with pytest.raises(MemberNotFoundError, match=f"'{key[0]}' has no type '{key[1]}'"):
        Catalog.packed().spec(*key)


def test_packed_is_shared_and_read_only():
    assert Catalog.packed() is Catalog.packed()
    assert packed_namespaces() is packed_namespaces()
    with pytest.raises(TypeError):
        packed_namespaces()["core"] = None
    with pytest.raises(FrozenInstanceError):
        Catalog.packed().get("core", "Device").name = "other"


def test_types_are_looked_up_without_the_texts():
    code = (
        "from nwb_ophys import specs\n"
        "assert specs.Catalog.packed().get('core', 'TwoPhotonSeries').base[1] == 'ImageSeries'\n"
        "assert specs.packed_namespaces.cache_info().currsize == 0"
    )
    printed(code)


def test_missing_schemas_say_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(specs, "_PACKED", tmp_path)
    with pytest.raises(FileMissingError, match=r"index\.json.*are missing.*pip install -e"):
        specs._PackedCatalog()


# Specifications cached in files


def test_extension_stands_on_official_types_that_the_file_lacks():
    catalog = Catalog.from_texts([namespace("ndx-a", [nd("Tail", "SpatialSeries")])])
    assert names(catalog, "ndx-a", "Tail")[:3] == [
        ("ndx-a", "Tail"),
        ("core", "SpatialSeries"),
        ("core", "TimeSeries"),
    ]
    assert catalog.spec("ndx-a", "Tail")["doc"] == ""
    assert catalog.spec("ndx-a", "TimeSeries")["neurodata_type_def"] == "TimeSeries"
    assert catalog.get("core", "Device").namespace == "core"
    assert catalog.get("ndx-b", "Tail") is None


def test_specifications_of_the_file_come_before_ours():
    old = namespace("core", [nd("TimeSeries"), nd("VectorData", "TimeSeries")], includes=())
    catalog = Catalog.from_texts([old, namespace("ndx-a", [nd("Tail", "VectorData")])])
    # A NWB type without a base stands on NWBContainer, here on ours.
    assert names(catalog, "ndx-a", "Tail") == [
        ("ndx-a", "Tail"),
        ("core", "VectorData"),
        ("core", "TimeSeries"),
        ("core", "NWBContainer"),
        ("hdmf-common", "Container"),
    ]


def test_both_spellings_of_the_keys():
    spelled = {"data_type_def": "Enum", "data_type_inc": "VectorData", "doc": ""}
    catalog = Catalog.from_texts(
        [namespace("ndx-a", [spelled], key="datasets", includes=["hdmf-common"])]
    )
    assert catalog.get("ndx-a", "Enum").base == ("hdmf-common", "VectorData")
    assert catalog.get("ndx-a", "Enum").kind == "dataset"


def test_types_defined_inside_others():
    inner = nd("Inner", "NWBData")
    middle = {"name": "plain", "groups": [nd("Middle", "NWBContainer", datasets=[inner])]}
    catalog = Catalog.from_texts([namespace("ndx-a", [nd("Outer", groups=[middle])])])
    assert [(entry.name, entry.kind) for entry in catalog.types()] == [
        ("Outer", "group"),
        ("Middle", "group"),
        ("Inner", "dataset"),
    ]
    assert catalog.spec("ndx-a", "Inner") == inner


def test_includes_that_name_their_types():
    catalog = Catalog.from_texts(
        [
            namespace("ndx-a", [nd("Probe", "Device"), nd("Lens", "Device")]),
            namespace("ndx-b", [nd("Probe", "Container"), nd("Lens", "Device")]),
            namespace(
                "ndx-c",
                [nd("MyProbe", "Probe"), nd("MyLens", "Lens"), nd("MyDevice", "Device")],
                includes=[("ndx-a", ["Lens"]), ("ndx-b", ["Probe"])],
            ),
        ]
    )
    assert catalog.get("ndx-c", "MyProbe").base == ("ndx-b", "Probe")
    assert catalog.get("ndx-c", "MyLens").base == ("ndx-a", "Lens")
    assert catalog.get("ndx-c", "MyDevice").base == ("core", "Device")  # through ndx-a


def test_a_type_may_extend_its_namesake():
    catalog = Catalog.from_texts([namespace("ndx-a", [nd("Subject", "Subject")])])
    assert names(catalog, "ndx-a", "Subject")[:2] == [("ndx-a", "Subject"), ("core", "Subject")]


@pytest.mark.parametrize(
    "types",
    [
        [nd("A", "B"), nd("B", "A")],
        [nd("A", "A")],
        [nd("A", "Lost")],
    ],
    ids=["each other", "itself", "nothing"],
)
def test_broken_inheritance_ends(types):
    catalog = Catalog.from_texts([namespace("ndx-a", types, includes=["ndx-a"])])
    found = names(catalog, "ndx-a", "A")
    assert found == [("ndx-a", spec["neurodata_type_def"]) for spec in types]
    assert catalog.get("ndx-a", "A").base == ("ndx-a", types[0]["neurodata_type_inc"])


def test_namespaces_that_include_each_other():
    catalog = Catalog.from_texts(
        [
            namespace("ndx-a", [nd("A", "B")], includes=["ndx-b"]),
            namespace("ndx-b", [nd("B", "Device")], includes=["ndx-a", "core"]),
        ]
    )
    assert names(catalog, "ndx-a", "A")[:3] == [("ndx-a", "A"), ("ndx-b", "B"), ("core", "Device")]


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "not valid JSON"), ("", "not valid JSON"), ("[]", "found list"), ("[" * 10**6, "JSON")],
    ids=["cut", "empty", "list", "deep"],
)
def test_broken_source_is_skipped_and_listed(text, said):
    sources = {"bad": text, "good": json.dumps({"groups": [nd("Good", "Device")]})}
    catalog = Catalog.from_texts([namespace("ndx-a", sources=sources)])
    assert catalog.get("ndx-a", "Good").source == "good"
    [problem] = catalog.problems
    assert "'ndx-a', source 'bad'" in problem
    assert said in problem


def test_broken_namespace_text_leaves_the_types():
    sources = {"good": json.dumps({"groups": [nd("Good", "Device")]})}
    catalog = Catalog.from_texts([Namespace("ndx-a", "1", "nonsense", sources)])
    assert catalog.get("ndx-a", "Good").base == ("core", "Device")
    [problem] = catalog.problems
    assert problem.startswith("namespace 'ndx-a': ")


@pytest.mark.parametrize(
    "document",
    [
        {"groups": None, "datasets": "x"},
        {"groups": [None, 1, "x", [], {}]},
        {"groups": [{"neurodata_type_def": 1, "groups": {}}]},
    ],
)
def test_odd_documents_define_nothing(document):
    assert list(defined_types(document)) == []
    odd = json.dumps({"namespaces": [None, {"schema": [None, {"namespace": 1}]}, 2]})
    index, problems = index_namespace("ndx-a", odd, {"s": json.dumps(document)})
    assert index == {"includes": {}, "types": {}}
    assert problems == []


def test_cached_namespaces_of_old_layouts(tmp_path):
    with h5py.File(tmp_path / "old.h5", "w") as file:
        root = file.create_group("specifications")
        for version in ("2.9.0", "2.10.0", "2.10.0-alpha"):
            group = root.create_group(f"core/{version}")
            group["namespace"] = f"text {version}"
            group["nwb.base"] = np.array([b"bytes"])
            group["nwb.file"] = np.bytes_(b"fixed \xc3\xa9 \xff")
            group["nwb.none"] = h5py.Empty("f4")
            group.create_group("nwb.group")
            group["nwb.lost"] = h5py.SoftLink("/nowhere")
        root["lost"] = h5py.SoftLink("/nowhere")
        root["stray"] = 1
        root.create_group("empty")
        found = cached_namespaces(root)
    assert found.keys() == {"core"}
    assert found["core"].version == "2.10.0"
    assert found["core"].namespace_text == "text 2.10.0"
    sources = dict(found["core"].sources)
    assert sources.pop("nwb.file") == "fixed é \udcff"
    assert sources.pop("nwb.base") == "bytes"
    assert set(sources.values()) == {""}  # listed among the problems, once indexed


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("2.9.0", "2.10.0"),
        ("2.6.0-alpha", "2.6.0"),
        ("2.5.0", "2.6.0-alpha"),
        ("2.6.0-alpha", "2.6.0-beta"),
        ("1.0rc2", "1.0rc10"),
        ("2.0b", "2.0.0"),
        ("2.1", "2.1.1"),
        ("v0.1.0", "0.2.0"),
        ("None", "0.0.1"),
        ("", "0"),
        ("latest", "0.1.0-dev"),
        ("9" * 5000 + "x", "9" * 5000 + "y"),
    ],
)
def test_newest(older, newer):
    assert newest([older, newer]) == newest([newer, older]) == newer


def test_newest_of_nothing():
    with pytest.raises(ValueError, match="empty"):
        newest([])


# The build hook


def test_pack_is_deterministic_and_what_is_installed(hook, tmp_path):
    for folder in ("a", "b"):
        hook.pack(ROOT, tmp_path / folder)
    packed = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert packed.keys() == {"index.json", "texts.json", "LICENSES.txt"}
    assert packed == {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    assert packed == {path.name: path.read_bytes() for path in specs._PACKED.iterdir()}
    assert json.loads(packed["index.json"])["versions"] == VERSIONS
    licences = packed["LICENSES.txt"].decode()
    assert licences.count("Redistributions of source code must retain") == 2
    assert "nwb-schema" in licences
    assert "hdmf-common-schema" in licences


def test_pack_refuses_other_releases(hook, tmp_path):
    text = '[build-system]\nrequires = ["hatchling>=1", "pynwb==0.0.1"]'
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    with pytest.raises(RuntimeError, match=r"packed from pynwb 0\.0\.1, but found .* installed"):
        hook.pack(tmp_path, tmp_path / "out")
    text = text.replace("pynwb", "no-such-release")
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    with pytest.raises(RuntimeError, match="found none installed"):
        hook.pack(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_pack_refuses_other_schemas(hook, monkeypatch, tmp_path):
    monkeypatch.setattr(hook, "SCHEMAS", {**hook.SCHEMAS, "core": "9.9.9"})
    with pytest.raises(RuntimeError, match=r"expected the schemas .*9\.9\.9.*hold .*2\.11\.0"):
        hook.pack(ROOT, tmp_path / "out")
    assert not (tmp_path / "out").exists()
