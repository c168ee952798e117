"""Classes built from specifications: of all official types, and of extensions that files carry."""

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

import nwb_ophys as nwb
from nwb_ophys.layout import layout_of
from nwb_ophys.registry import hand_written
from nwb_ophys.specs import Catalog
from nwb_ophys.storage import Array, Attr, Child, Link, Members, Ref

CATALOG = Catalog.packed()
REAL = Path(__file__).parent.parent.parent / "shared" / "real"
OFFICIAL = [(entry.namespace, entry.name) for entry in CATALOG.types()]


def real(name):
    path = REAL / name
    if not path.exists():
        pytest.skip(f"no real file {name} here")
    return path


@pytest.mark.parametrize(("namespace", "name"), OFFICIAL)
def test_every_official_type_has_a_class_of_its_name(namespace, name):
    cls = nwb.get_type(namespace, name)
    assert (cls.__name__, cls.neurodata_type, cls.namespace) == (name, name, namespace)
    assert cls is nwb.get_type(namespace, name)
    bases = list(CATALOG.bases(namespace, name))
    for entry in bases:
        assert issubclass(cls, nwb.get_type(entry.namespace, entry.name))
    for field in layout_of(cls).fields.values():
        if isinstance(field.marker, (Child, Link, Members)) and field.name != "children":
            assert field.types
    assert cls.__doc__
    assert pickle.loads(pickle.dumps(cls)) is cls


def test_generated_fields_have_the_markers_that_hand_written_ones_have():
    series = nwb.get_type("core", "ElectricalSeries")
    assert issubclass(series, nwb.TimeSeries)
    fields = layout_of(series).fields
    data = fields["data"].types[0]
    assert issubclass(data, nwb.TimeSeriesData)
    assert layout_of(data).fields["unit"].marker == Attr(fixed="volts")
    assert layout_of(data).value.marker.dtype == "numeric"
    assert issubclass(fields["electrodes"].types[0], nwb.DynamicTableRegion)
    assert fields["electrodes"].required
    group = layout_of(nwb.get_type("core", "ElectrodeGroup")).fields
    assert group["device"].types == (nwb.Device,)
    assert isinstance(group["device"].marker, Link)
    assert group["position"].marker == Array(
        (("x", "float32"), ("y", "float32"), ("z", "float32")), None
    )
    enum = layout_of(nwb.get_type("hdmf-experimental", "EnumData")).fields
    assert isinstance(enum["elements"].marker, Ref)
    assert enum["elements"].types == (nwb.VectorData,)
    matrix = layout_of(nwb.get_type("hdmf-common", "CSRMatrix")).fields
    assert matrix["shape"].marker.shape == (2,)


@pytest.mark.parametrize(
    ("file", "path", "types"),
    [
        (
            "ndxpose_0.3.0_poseestimation_one_camera.nwb",
            None,
            {"PoseEstimation", "PoseEstimationSeries"},
        ),
        ("pynwb_2.1.0_nwbfile_with_extension.nwb", None, set()),
        ("aibs.nwb", None, set()),
    ],
)
def test_files_of_extensions_open_fully_typed(file, path, types):
    met = set()
    with nwb.open(real(file)) as session, h5py.File(real(file)) as judge:
        for model in session.walk():
            for field in layout_of(type(model)).fields.values():
                getattr(model, field.name)
            stored = judge[model.hdf5_path]
            name, namespace = stored.attrs.get("neurodata_type"), stored.attrs.get("namespace")
            if name is None:
                continue
            cls = type(model)
            assert any(base.neurodata_type == name for base in (cls, *cls.__mro__[:-3]))
            if hand_written(namespace, name) is None:
                met.add(name)
                declared = {one.stored for one in layout_of(cls).fields.values()}
                undeclared = set(stored.attrs) - declared - {"neurodata_type", "namespace"}
                assert not undeclared, (model, undeclared)
        assert not session.problems
    assert types <= met
    assert met


def test_a_type_of_an_extension_derives_from_the_official_one():
    with nwb.open(real("ndxpose_0.3.0_poseestimation_one_camera.nwb")) as session:
        series = next(session.find(nwb.get_type("core", "SpatialSeries")))
        assert type(series).__name__ == "PoseEstimationSeries"
        assert type(series).namespace == "ndx-pose"
        confidence = series.confidence
        assert confidence.definition
        assert np.asarray(confidence).shape == (len(series.data),)
        again = pickle.loads(pickle.dumps(series.model_copy(deep=True)))
        assert type(again) is type(series)
        with nwb.open(real("ndxpose_0.3.0_poseestimation_one_camera.nwb")) as other:
            assert type(next(other.find(type(series)))) is type(series)
