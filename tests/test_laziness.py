"""Nothing is read before it is asked for: proved by counting what is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scripts import printed
from small import MOVIE, SEGMENTATION, TRACES, frames, small_file

import nwb_ophys as nwb
from nwb_ophys.hdf5 import nodes
from nwb_ophys.hdf5.arrays import LazyArray


class Counted:
    """What was read: elements of arrays, headers and objects that HDF5 opened, by their paths."""

    def __init__(self) -> None:
        self.elements: Counter[str] = Counter()
        self.headers: Counter[str] = Counter()
        self.opened: Counter[str] = Counter()

    @property
    def objects(self) -> set[str]:
        return set(self.headers) | set(self.opened)

    def clear(self) -> None:
        for counter in (self.elements, self.headers, self.opened):
            counter.clear()


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    seen = Counted()
    engine, opener, header = LazyArray.engine, nodes.h5o.open, nodes.Node._read_header

    def fetch(stored: Any, blocks: Any, out: Any) -> None:
        name = h5py.h5i.get_name(stored.dataset).decode()
        seen.elements[name] += sum(int(np.prod(block.shape)) for block in blocks)
        engine(stored, blocks, out)

    def opened(group: Any, name: bytes, *rest: Any) -> Any:
        seen.opened[name.decode()] += 1
        return opener(group, name, *rest)

    def read(node: nodes.Node) -> Any:
        seen.headers[node.path] += 1
        return header(node)

    class H5O:
        open = staticmethod(opened)

        def __getattr__(self, name: str) -> Any:
            return getattr(h5py.h5o, name)

    monkeypatch.setattr(LazyArray, "engine", staticmethod(fetch))
    monkeypatch.setattr(nodes, "h5o", H5O())
    monkeypatch.setattr(nodes.Node, "_read_header", read)
    return seen


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_file(tmp_path_factory.mktemp("lazy") / "small.nwb")


def test_the_counter_counts(path: Path, counted: Counted) -> None:
    with nwb.open(path) as session:
        data = session[MOVIE].data
        assert not counted.elements
        _ = data[2:4]
        assert counted.elements == {f"{MOVIE}/data": frames()[2:4].size}
        assert counted.headers[MOVIE] == 1
        assert counted.opened[f"{MOVIE}/data"] == 1


def test_opening_touches_the_root_alone(path: Path, counted: Counted) -> None:
    with nwb.open(path) as session:
        assert counted.objects <= {"/", ""}
        assert not counted.elements
        assert session.hdf5_path == "/"
        _ = session.identifier
        assert counted.objects <= {"/", "", "/identifier"}


BROWSING: dict[str, Callable[[Any], Any]] = {
    "repr": repr,
    "str": str,
    "dir": dir,
    "hash": hash,
    "equality": lambda model: model == model,
    "bool": bool,
    "members": lambda model: list(getattr(model, "children", ())),
    "length": lambda model: len(getattr(model, "children", ())),
    "shape": lambda model: getattr(model, "shape", None),
    "dtype": lambda model: getattr(model, "dtype", None),
    "size": lambda model: getattr(model, "nbytes", None),
    "attributes": lambda model: dict(model.attrs),
    "dump": lambda model: model.model_dump(),
}


@pytest.mark.parametrize("name", BROWSING)
def test_browsing_reads_no_array(path: Path, counted: Counted, name: str) -> None:
    with nwb.open(path) as session:
        for model in session.walk():
            BROWSING[name](model)
        arrays = {
            model.hdf5_path
            for model in session.walk()
            if hasattr(model, "shape") and len(model.shape)
        }
        assert f"{MOVIE}/data" in arrays
        assert not arrays & set(counted.elements)


def test_walking_and_finding_read_no_array(path: Path, counted: Counted) -> None:
    with nwb.open(path) as session:
        assert len(list(session.find(nwb.RoiResponseSeries))) == 1
        assert session[TRACES].rois.table is session[SEGMENTATION]
        assert session.acquisition["movie"].imaging_plane.name == "plane"
        assert len(session[SEGMENTATION]) == 5
        assert session[SEGMENTATION].colnames == ["pixel_mask", "snr"]
        assert len(session[SEGMENTATION]["pixel_mask"]) == 5
        assert session.problems == []
        assert not counted.elements


def test_the_tree_reads_no_array(path: Path, counted: Counted) -> None:
    from nwb_ophys.tree import tree

    assert any("movie" in line for line in tree(path))
    assert not counted.elements


def test_a_row_reads_a_row(path: Path, counted: Counted) -> None:
    with nwb.open(path) as session:
        cells = session[SEGMENTATION]
        masks = cells["pixel_mask"]
        assert len(masks[3]) == 2
        assert counted.elements[f"{SEGMENTATION}/pixel_mask"] == 2
        counted.clear()
        assert len(masks[1:4]) == 3
        assert counted.elements == {f"{SEGMENTATION}/pixel_mask": 6}
        counted.clear()
        assert len(cells.to_dataframe([1], exclude=["pixel_mask"])) == 1
        assert f"{SEGMENTATION}/pixel_mask" not in counted.elements


def test_times_are_counted_rather_than_read(path: Path, counted: Counted) -> None:
    with nwb.open(path) as session:
        np.testing.assert_allclose(session[MOVIE].get_timestamps(slice(3, 5)), [3 / 30, 4 / 30])
        assert not counted.elements


def test_fields_are_read_once(path: Path, counted: Counted) -> None:
    with nwb.open(path) as session:
        for _ in range(3):
            _ = session[MOVIE].imaging_plane.location, session[MOVIE].data, session.identifier
        assert max(counted.headers.values()) == 1
        assert max(counted.opened.values()) == 1


def test_copying_decodes_no_array(path: Path, counted: Counted, tmp_path: Path) -> None:
    with nwb.open(path) as session:
        session.notes = "changed"
        del session.processing["ophys"].children["Fluorescence"]
        nwb.write(session, tmp_path / "a.nwb")
        large = {name for name, count in counted.elements.items() if count > 5}
        assert large == set()


# -- the number of objects ---------------------------------------------------------------------


def many_series(path: Path, count: int) -> Path:
    with h5py.File(small_file(path), "r+") as file:
        acquisition = file["acquisition"]
        for number in range(count):
            series = acquisition.create_group(f"series{number:04}")
            series.attrs.update(
                neurodata_type="TimeSeries", namespace="core", object_id=f"{number}"
            )
            series["data"] = np.arange(5.0)
            series["data"].attrs["unit"] = "V"
            series["timestamps"] = np.arange(5.0)
    return path


USES: dict[str, Callable[[Any], Any]] = {
    "open": lambda session: None,
    "identifier": lambda session: session.identifier,
    "count": lambda session: len(session.acquisition),
    "repr": lambda session: (repr(session), repr(session.acquisition)),
    "one": lambda session: session.acquisition["series0007"].data[:],
    "path": lambda session: session["/acquisition/series0011"].data.unit,
    "rois": lambda session: session[TRACES].rois.table.colnames,
    "contains": lambda session: ("series0003" in session.acquisition, "x" in session.acquisition),
    "close": lambda session: session.close(),
}


@pytest.mark.parametrize("name", USES)
def test_work_does_not_grow_with_the_file(
    tmp_path_factory: pytest.TempPathFactory, counted: Counted, name: str
) -> None:
    opened = {}
    for count in (20, 2000):
        place = tmp_path_factory.mktemp("many") / "many.nwb"
        with nwb.open(many_series(place, count)) as session:
            USES[name](session)
            opened[count] = [
                sum(counter.values())
                for counter in (counted.headers, counted.opened, counted.elements)
            ]
        counted.clear()
    assert opened[20] == opened[2000]
    assert opened[2000][0] < 20 > opened[2000][1]


def test_importing_loads_nothing_heavy() -> None:
    code = (
        "import sys, nwb_ophys; "
        "print([m for m in ('h5py', 'pynwb', 'hdmf', 'pandas', 'scipy', 'nwb_ophys.checks', "
        "'nwb_ophys.models') if m in sys.modules])"
    )
    assert printed(code) == "[]\n"


def test_opening_loads_no_writer(path: Path) -> None:
    code = (
        "import sys, nwb_ophys; s = nwb_ophys.open(sys.argv[1]); s.identifier; "
        "print([m for m in ('nwb_ophys.writing', 'nwb_ophys.checks', 'nwb_ophys.hdf5.copying', "
        "'nwb_ophys.conforming', 'nwb_ophys.specs', 'pandas', 'scipy') if m in sys.modules])"
    )
    assert printed(code, path) == "[]\n"
