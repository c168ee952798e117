"""Changes that are saved into the file itself, judged by plain h5py and by PyNWB."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
from pathlib import Path

import h5py
import killing
import numpy as np
import pytest
from pydantic import ValidationError
from pynwb import NWBHDF5IO
from scripts import start

import nwb_ophys as nwb
from nwb_ophys.hdf5 import editing
from nwb_ophys.hdf5.journal import journal_path
from nwb_ophys.hdf5.layouts import chunks_to_grow
from nwb_ophys.testing import write_fixture


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("original") / "session.nwb"
    write_fixture("two-photon", path)
    return path


@pytest.fixture
def path(original, tmp_path):
    return Path(shutil.copy2(original, tmp_path / "session.nwb"))


def series(name="extra", length=5, **fields):
    fields = {"unit": "a.u.", "rate": 2.0, **fields}
    return nwb.TimeSeries(name=name, data=np.arange(float(length)), **fields)


def test_only_what_changed_is_written(path, original):
    with nwb.open(path, "r+") as session:
        session.subject.age = "P91D"
        session.acquisition.add(series())
        session.save()
        assert session.acquisition["extra"].hdf5_path == "/acquisition/extra"
        np.testing.assert_array_equal(session.acquisition["extra"].data[1:3], [1.0, 2.0])
    assert not journal_path(path).exists()
    with h5py.File(path) as file, h5py.File(original) as before:
        assert file["general/subject/age"][()] == b"P91D"
        names = []
        before.visit(names.append)
        for name in names:
            assert name in file
            assert h5py.h5o.get_info(file[name].id).addr == h5py.h5o.get_info(before[name].id).addr
            if isinstance(before[name], h5py.Dataset) and name != "general/subject/age":
                assert np.array_equal(file[name][()], before[name][()])
    with NWBHDF5IO(path, "r") as io:
        read = io.read()
        assert read.subject.age == "P91D"
        np.testing.assert_array_equal(read.acquisition["extra"].data[:], np.arange(5.0))


def test_the_session_goes_on_after_a_save(path):
    with nwb.open(path, "r+") as session:
        plane = next(iter(session.imaging_planes.values()))
        first = session.acquisition.add(series("first"))
        session.save()
        first.description = "changed"
        session.acquisition.add(series("second"))
        session.save()
        del session.acquisition["first"]
        session.save()
        session.acquisition.add(first)
        with pytest.raises(nwb.SchemaError, match="was deleted from its file"):
            session.save()
        session.discard()
        session.acquisition.add(series("first", 7))  # where one was before
        session.save()
        assert next(iter(session.imaging_planes.values())) is plane
    with nwb.open(path) as session:
        assert len(session.acquisition["first"].data) == 7
        assert session.acquisition["second"].data.shape == (5,)


def test_a_save_without_changes_touches_nothing(path):
    before = (path.read_bytes(), path.stat())
    with nwb.open(path, "r+") as session:
        session.save()
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (before[0], before[1].st_mtime_ns)


def test_unsaved_changes_are_warned_of(path):
    before = path.read_bytes()
    with (
        pytest.warns(nwb.UnsavedChangesWarning, match=r"session\.nwb: the session was changed") as (
            caught
        ),
        nwb.open(path, "r+") as session,
    ):
        session.session_description = "another"
    assert [one.filename for one in caught] == [__file__]
    assert path.read_bytes() == before


def test_a_session_that_was_opened_to_read_is_not_saved(path):
    with nwb.open(path) as session:
        session.session_description = "another"
        with pytest.raises(nwb.FileAccessError, match=r"opened to read \(open it with .*\"r\+\""):
            session.save()


def test_what_does_not_conform_changes_nothing(path):
    before = path.read_bytes()
    with nwb.open(path, "r+") as session:
        session.acquisition.add(
            nwb.TimeSeries(name="x", data=np.arange(5.0), unit="s", timestamps=np.arange(4.0))
        )
        with pytest.raises(nwb.SchemaError, match="/acquisition/x"):
            session.save()
        assert path.read_bytes() == before
        del session.acquisition["x"]
        session.save()
    assert path.read_bytes() == before


def test_a_deleted_object_that_is_referred_to_is_refused(path):
    before = path.read_bytes()
    session = nwb.open(path, "r+")
    name = next(iter(session.imaging_planes))
    del session.imaging_planes[name]
    with pytest.raises(nwb.LinkError, match=r"was deleted, but .* still leads to it"):
        session.save()
    session.close()
    assert path.read_bytes() == before


# -- who else has the file ---------------------------------------------------------------------


def test_a_handle_of_h5py_is_refused(path):
    before = path.read_bytes()
    with nwb.open(path, "r+") as session:
        session.session_description = "another"
        with h5py.File(path, "r"), pytest.raises(nwb.FileLockedError, match="h5py has it open"):
            session.save()
        assert path.read_bytes() == before
        session.save()


def test_a_reader_in_another_process_is_named(path):
    code = f"""
        import sys, nwb_ophys
        with nwb_ophys.open({str(path)!r}):
            print("open", flush=True)
            sys.stdin.read()
    """
    with start(code, stdin=subprocess.PIPE) as child:
        assert child.stdout.readline() == "open\n"
        with nwb.open(path, "r+") as session:
            session.session_description = "another"
            with pytest.raises(nwb.FileLockedError, match=f"by process .*{child.pid}"):
                session.save()
            child.communicate()
            session.save()


def test_a_save_under_way_makes_others_wait_and_is_named(path, monkeypatch):
    edit = editing.Edit(str(path), str(path))
    try:
        monkeypatch.setattr("nwb_ophys.hdf5.opening.WAIT", 0.05)
        with pytest.raises(nwb.FileLockedError, match=rf"is being saved by process {os.getpid()}"):
            nwb.open(path)
        with pytest.raises(OSError, match="signature"):
            h5py.File(path, locking=False)
    finally:
        edit.roll_back()
    nwb.open(path).close()


# -- being killed ------------------------------------------------------------------------------


def test_a_save_that_is_killed_leaves_the_old_file_or_the_new_one(path):
    before = path.read_bytes()
    outcomes = []
    for writes in itertools.count(step=2):
        code = killing.run(killing.save_much, str(path), writes)
        left = journal_path(path).exists()
        with nwb.open(path) as session:
            is_new = session.session_description == "after"
            assert ("new" in session.acquisition) is is_new
            if is_new:
                np.testing.assert_array_equal(session.acquisition["new"].data, killing.much())
        assert is_new or path.read_bytes() == before
        outcomes.append((left, is_new))
        if code == 0:
            break
        assert code == -signal.SIGKILL
        path.write_bytes(before)
        journal_path(path).unlink(missing_ok=True)
    assert (True, False) in outcomes
    assert outcomes[-1] == (False, True)


# -- parts of arrays ---------------------------------------------------------------------------


@pytest.fixture
def arrays(path):
    """Make a file with datasets as other writers store them: growable, in one piece, fixed."""
    with h5py.File(path, "r+") as file:
        group = file["acquisition"]
        for name, options in {
            "grows": {"chunks": (4, 3, 5), "maxshape": (None, 3, 5), "compression": "gzip"},
            "whole": {},
            "fixed": {"chunks": (4, 3, 5)},
        }.items():
            one = group.create_group(name)
            one.attrs["neurodata_type"], one.attrs["namespace"] = "TimeSeries", "core"
            one.attrs["object_id"] = f"0000-{name}"
            values = np.arange(30 * 15, dtype="i2").reshape(30, 3, 5)
            data = one.create_dataset("data", data=values, **options)
            data.attrs["unit"], data.attrs["conversion"] = "a.u.", 1.0
            start = one.create_dataset("starting_time", data=0.0)
            start.attrs["rate"], start.attrs["unit"] = 1.0, "seconds"
    return path


@pytest.mark.parametrize("name", ["grows", "whole", "fixed"])
def test_parts_of_an_array_are_assigned(arrays, name):
    with h5py.File(arrays) as file:
        expected = file[f"acquisition/{name}/data"][()]
        address = h5py.h5o.get_info(file[f"acquisition/{name}/data"].id).addr
    with nwb.open(arrays, "r+") as session:
        data = session.acquisition[name].data
        for index, value in [
            (slice(10, 20), 7),
            ((slice(None, None, -3), 1), -2),
            ((..., np.array([0, 4, 0])), np.array([1, 2, 3])),
            (expected > 440, 0),
        ]:
            data[index] = value
            expected[index] = value
            for read in (..., slice(3, 28, 4), (slice(None), 2, [1, 3]), np.array([25, -1, 11])):
                np.testing.assert_array_equal(data[read], expected[read])
        before = arrays.read_bytes()
        session.save()
        assert arrays.read_bytes() != before
        np.testing.assert_array_equal(data[:], expected)
    with h5py.File(arrays) as file:
        stored = file[f"acquisition/{name}/data"]
        np.testing.assert_array_equal(stored[()], expected)
        assert h5py.h5o.get_info(stored.id).addr == address
        assert stored.attrs["unit"] == "a.u."


@pytest.mark.parametrize("name", ["grows", "whole", "fixed"])
def test_rows_are_appended(arrays, name):
    more = np.arange(4 * 15, dtype="i2").reshape(4, 3, 5)
    with h5py.File(arrays) as file:
        expected = np.concatenate([file[f"acquisition/{name}/data"][()], more, more[:1]])
    with nwb.open(arrays, "r+") as session:
        data = session.acquisition[name].data
        data.append(more)
        data[31] = 5
        data.append(more[:1])
        expected[31] = 5
        assert data.shape == (35, 3, 5)
        np.testing.assert_array_equal(data[28:], expected[28:])
        session.save()
        assert data.shape == (35, 3, 5)
        np.testing.assert_array_equal(data[:], expected)
        data.append(more)  # what could not grow was written anew, and can now
        session.save()
    with NWBHDF5IO(arrays, "r") as io:
        read = io.read().acquisition[name]
        np.testing.assert_array_equal(read.data[:35], expected)
        np.testing.assert_array_equal(read.data[35:], more)
        assert read.unit == "a.u."


def test_rows_of_a_table_are_appended(path):
    with nwb.open(path, "r+") as session:
        table = nwb.DynamicTable(name="table", description="d")
        table.add_column("number", np.arange(3.0), "a number")
        table.add_column("label", ["a", "bc", "d"], "a text")
        table.add_column("spikes", [[1.0], [], [2.0, 3.0]], "some numbers", index=True)
        session.scratch.add(table)
        session.save()
        ids = table.id.array
        for first in (3, 5):
            rows = {
                "number": [first, first + 1],
                "label": ["x", "long label"],
                "spikes": [np.arange(first), []],
            }
            table.add_rows(rows)
            assert len(table) == first + 2
            session.save()
        assert table.id.array is ids
    with NWBHDF5IO(path, "r") as io:
        read = io.read().scratch["table"]
        assert read["label"].data[:].tolist() == [
            *("a", "bc", "d", "x", "long label", "x", "long label")
        ]
        assert read["number"].data[:].tolist() == [0, 1, 2, 3, 4, 5, 6]
        assert [list(one) for one in read["spikes"][:]] == [
            *([1], [], [2, 3], [0, 1, 2], [], [0, 1, 2, 3, 4], [])
        ]
        assert read["spikes"].target.name == "spikes"
        assert read.id[:].tolist() == list(range(7))


def test_what_is_written_anew_to_grow_stays_as_it_was_stored(path):
    stored = {
        "packed": {"chunks": (7, 3), "compression": "gzip", "shuffle": True, "fillvalue": 9},
        "checked": {"chunks": (50, 6), "fletcher32": True},
        "plain": {},
    }
    values = np.arange(100 * 6, dtype="i4").reshape(100, 6)
    with h5py.File(path, "r+") as file:
        for name, options in stored.items():
            group = file.create_group(f"acquisition/{name}")
            group.attrs.update({"neurodata_type": "TimeSeries", "namespace": "core"})
            group.attrs["object_id"] = name
            data = group.create_dataset("data", data=values, **options)
            data.attrs["unit"] = "a.u."
            start = group.create_dataset("starting_time", data=0.0)
            start.attrs.update({"rate": 1.0, "unit": "seconds"})
    with nwb.open(path, "r+") as session:
        for name in stored:
            session.acquisition[name].data.append(values[:2])
        session.save()
    with h5py.File(path) as file:
        for name, options in stored.items():
            data = file[f"acquisition/{name}/data"]
            np.testing.assert_array_equal(data[()], np.concatenate([values, values[:2]]))
            assert data.maxshape == (None, 6)
            for option, value in options.items():
                assert getattr(data, option) == value
        plain = file["acquisition/plain/data"]
        assert plain.compression is None
        assert plain.chunks == chunks_to_grow((102, 6), 4, ("num_times", "num_channels"))


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("fate", ["deleted", "renamed", "exchanged", "assigned"])
def test_what_would_grow_is_still_deleted_renamed_and_exchanged(path, fate, in_place):
    with nwb.open(path, "r+") as session:
        session.scratch.add(nwb.ScratchData(name="kept", notes="old", array=np.arange(4.0)))
        session.acquisition.add(series(length=4))
        session.save()
        kept, extra = session.scratch["kept"], session.acquisition["extra"]
        kept.array.append([7.0, 8.0])  # stored in one piece, so that it is to be made anew
        extra.data.append([7.0, 8.0])
        if fate == "renamed":
            kept.name, extra.name = "other", "more"
        elif fate == "assigned":
            kept.array, extra.data = np.arange(3.0), np.arange(3.0)
        else:
            del session.scratch["kept"], session.acquisition["extra"]
        if fate == "exchanged":
            session.scratch.add(nwb.ScratchData(name="kept", notes="new", array=np.arange(2.0)))
            session.acquisition.add(series(length=2))
        if in_place:
            session.save()
        else:
            nwb.write(session, path, overwrite=True)
    grown = [0, 1, 2, 3, 7, 8]
    expected = {
        "deleted": {},
        "renamed": {"scratch/other": grown, "acquisition/more/data": grown},
        "exchanged": {"scratch/kept": [0, 1], "acquisition/extra/data": [0, 1]},
        "assigned": {"scratch/kept": [0, 1, 2], "acquisition/extra/data": [0, 1, 2]},
    }[fate]
    with h5py.File(path) as file:
        places = (
            "scratch/kept",
            "scratch/other",
            "acquisition/extra/data",
            "acquisition/more/data",
        )
        found = {name: file[name][()].tolist() for name in places if name in file}
        assert found == expected
        for name in found:
            if name.startswith("scratch"):
                assert file[name].attrs["notes"] == ("new" if fate == "exchanged" else "old")


def test_few_rows_that_grow_take_little_room(path):
    with nwb.open(path, "r+") as session:
        table = nwb.DynamicTable(name="table", description="d")
        for name in "abcdefgh":
            table.add_column(name, np.arange(3.0), "a number")
        session.scratch.add(table)
        session.save()
    before = path.stat().st_size
    with nwb.open(path, "r+") as session:
        session.scratch["table"].add_rows({name: [1.0] for name in "abcdefgh"})
        session.save()
    with h5py.File(path) as file:
        assert file["scratch/table/a"].chunks == (2048,)
    assert path.stat().st_size - before < 9 * (1 << 14) + 40_000


def test_a_large_dataset_of_fixed_size_does_not_grow(path):
    with nwb.open(path, "r+") as session:
        big = np.zeros((300, 40, 50))
        session.acquisition.add(nwb.TimeSeries(name="big", data=big, unit="a", rate=1.0))
        session.save(compression=None)
    with h5py.File(path) as file:
        if file["acquisition/big/data"].maxshape[0] is None:
            pytest.skip("new arrays can grow")
    with nwb.open(path, "r+") as session:
        data = session.acquisition["big"].data
        with pytest.raises(nwb.SchemaError, match=r"fixed size, \(300, 40, 50\).*iterator"):
            data.append(big[:1])
        data.array = iter([data[:], big[:2] + 1])
        session.save()
        assert data.shape == (302, 40, 50)
        data.append(big[:1])
        session.save()
        assert data.shape == (303, 40, 50)
        assert data[301, 3, 4] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.append(np.zeros((2, 4, 5))), r"expected shape \(n, 3, 5\), found"),
        (lambda data: data.__setitem__(0, 0.5), "the array holds int16"),
        (lambda data: data.__setitem__(0, 1 << 20), "the array holds int16"),
        (lambda data: data.__setitem__(slice(0, 2), np.zeros((3, 3, 5))), "cannot assign"),
    ],
)
def test_values_that_do_not_fit_are_refused_at_once(arrays, change, message):
    with nwb.open(arrays, "r+") as session:
        data = session.acquisition["grows"].data
        with pytest.raises(nwb.SchemaError, match=f"/acquisition/grows/data: .*{message}"):
            change(data)
        assert session.changes() == []


def test_an_array_that_was_deleted_is_not_mistaken_for_another_one(arrays):
    with nwb.open(arrays, "r+") as session:
        data = session.acquisition["fixed"].data
        del session.acquisition["fixed"]
        session.save()
        session.acquisition.add(series("fixed"))
        session.save()
        with pytest.raises(nwb.DataError, match=r"/acquisition/fixed/data: .*was deleted"):
            data[:]


def test_many_pending_rows_are_held_on_disk(arrays, monkeypatch):
    monkeypatch.setattr("nwb_ophys.hdf5.pending.LIMIT", 1000)
    more = np.arange(100 * 15, dtype="i2").reshape(100, 3, 5)
    with nwb.open(arrays, "r+") as session:
        data = session.acquisition["grows"].data
        data.append(more)
        assert isinstance(data.array.handle.pending.parts[0].values, np.memmap)
        data[40:90] = more[:50]
        np.testing.assert_array_equal(data[30:40], more[:10])
        session.save()
        np.testing.assert_array_equal(data[40:90], more[:50])


# -- moving, renaming, what changed, taking it back ---------------------------------------------


def test_objects_are_renamed_and_moved_with_what_refers_to_them(path):
    with nwb.open(path, "r+") as session:
        plane = next(iter(session.imaging_planes.values()))
        old_plane = plane.hdf5_path
        device = plane.device
        series = next(iter(session.acquisition.values()))
        old = series.hdf5_path
        with h5py.File(path) as file:
            address = h5py.h5o.get_info(file[old].id).addr
        plane.name = "moved plane"
        device.name = "moved device"
        del session.acquisition[series.name]
        session.stimulus.add(series)
        session.save()
        assert plane.hdf5_path == "/general/optophysiology/moved plane"
        assert series.hdf5_path == f"/stimulus/presentation/{series.name}"
        assert session["/general/optophysiology/moved plane"] is plane
        assert series.imaging_plane is plane
        assert series.data[0].shape == series.data.shape[1:]
    with h5py.File(path) as file:
        assert old not in file
        assert old_plane not in file
        assert h5py.h5o.get_info(file[series.hdf5_path].id).addr == address
        names = []
        file.visit(names.append)
        for name in names:  # no link dangles
            for each in file[name] if isinstance(file[name], h5py.Group) else ():
                assert file[name].get(each) is not None
    with NWBHDF5IO(path, "r") as io:
        read = io.read()
        found = read.stimulus[series.name]
        assert found.imaging_plane.name == "moved plane"
        assert found.imaging_plane.device.name == "moved device"


def test_what_is_moved_is_changed_as_well(arrays):
    more = np.ones((2, 3, 5), "i2")
    with nwb.open(arrays, "r+") as session:
        for name in ("whole", "fixed", "grows"):
            one = session.acquisition[name]
            one.name = f"{name}2"
            one.comments = "new"
            one.data.unit = "b.u."
            one.data[3] = 0
            one.data.append(more)
        session.save()
        assert session.acquisition["whole2"].data.shape == (32, 3, 5)
    with h5py.File(arrays) as file:
        for name in ("whole", "fixed", "grows"):
            group = file[f"acquisition/{name}2"]
            assert group.attrs["comments"] == "new"
            assert group["data"].attrs["unit"] == "b.u."
            assert group["data"].attrs["conversion"] == 1.0
            assert not group["data"][3].any()
            np.testing.assert_array_equal(group["data"][30:], more)


@pytest.mark.parametrize("seen", [False, True])
def test_an_object_is_renamed_and_then_deleted(path, seen):
    with nwb.open(path, "r+") as session:
        for name in ("one", "two"):
            session.acquisition.add(series(name))
        session.save()
        group = session["/acquisition"]
        if seen:
            assert "one" in group.children
        session.acquisition["one"].name = "other"
        session.processing["ophys"].name = "later"
        del session.acquisition["other"], session.processing["later"]
        group.children.add(series("three"))
        session.save()
        assert list(group.children) == list(session.acquisition)
        assert session["/acquisition/three"] is session.acquisition["three"]
        with pytest.raises(nwb.MemberNotFoundError, match="there is no 'one'"):
            session["/acquisition/one"]
    with h5py.File(path) as file:
        assert set(file["acquisition"]) == {"TwoPhotonSeries", "two", "three"}
        assert set(file["processing"]) == {"behavior"}


def test_members_of_a_group_are_those_of_the_collection_over_it(path):
    with nwb.open(path, "r+") as session:
        added = session.acquisition.add(series())
        assert session["/acquisition"].children is session.acquisition
        assert session["/acquisition/extra"] is added
        session["/acquisition"].children = []
        assert len(session.acquisition) == 0
        session.discard()
        assert list(session["/acquisition"].children) == ["TwoPhotonSeries"]


def test_one_object_is_no_collection(path):
    with nwb.open(path, "r+") as session:
        before = list(session.acquisition)
        for one in (nwb.Device(name="d"), session.processing["ophys"], series()):
            with pytest.raises(ValidationError, match=r"found a single one, <.*put it into a list"):
                session.acquisition = one
            with pytest.raises(ValidationError, match=r"found a single one, <.*put it into a list"):
                nwb.ProcessingModule(name="p", description="d", children=one)
        assert list(session.acquisition) == before


def test_names_are_swapped(path):
    with nwb.open(path, "r+") as session:
        one, two = session.acquisition.add(series("one", 3)), series("two", 4)
        session.acquisition.add(two)
        session.save()
        one.name = "other"
        two.name = "one"
        one.name = "two"
        session.save()
        assert len(session.acquisition["two"].data) == 3
    with h5py.File(path) as file:
        assert file["acquisition/two/data"].shape == (3,)
        assert file["acquisition/one/data"].shape == (4,)


def test_an_object_is_moved_into_a_new_one_and_out_of_a_deleted_one(path):
    with nwb.open(path, "r+") as session:
        module = nwb.ProcessingModule(name="first", description="d", children=[series("a", 3)])
        session.processing.add(module)
        session.save()
        moved = module.children["a"]
        new = nwb.ProcessingModule(name="second", description="d")
        session.processing.add(new)
        del module.children["a"]
        new.children.add(moved)
        moved.name = "b"
        del session.processing["first"]
        session.save()
        assert moved.hdf5_path == "/processing/second/b"
        np.testing.assert_array_equal(moved.data[:], [0, 1, 2])
    with NWBHDF5IO(path, "r") as io:
        processing = io.read().processing
        assert "first" not in processing
        np.testing.assert_array_equal(processing["second"]["b"].data[:], [0, 1, 2])


def test_a_name_that_is_taken_or_fixed_is_refused(path):
    session = nwb.open(path, "r+")
    session.acquisition.add(series("one"))
    first = next(iter(session.acquisition))
    with pytest.raises(nwb.SchemaError, match="two objects with one name"):
        session.acquisition[first].name = "one"
    with pytest.raises(nwb.SchemaError, match=r"/general/subject, field 'name': the name .* fixed"):
        session.subject.name = "other"
    session.close()


def test_changes_are_listed_and_taken_back(arrays):
    before = arrays.read_bytes()
    with nwb.open(arrays, "r+") as session:
        assert session.changes() == []
        device = next(iter(session.devices.values()))
        name = device.name
        session.subject.age = "P91D"
        session.acquisition.add(series())
        del session.acquisition["fixed"]
        session.acquisition["whole"].name = "renamed"
        session.acquisition["grows"].data[3:5] = 0
        session.acquisition["grows"].data.append(np.zeros((2, 3, 5), "i2"))
        device.attrs["note"] = "x"
        assert list(map(str, session.changes())) == [
            "delete /acquisition/fixed",
            "move /acquisition/whole to /acquisition/renamed",
            "add /acquisition/extra (TimeSeries)",
            "set /general/subject, age",
            "change rows 3 to 4, and append 2 rows, of /acquisition/grows/data",
            f"set attributes of /general/devices/{name}",
        ]
        session.discard()
        assert session.changes() == []
        assert session.subject.age != "P91D"
        assert "extra" not in session.acquisition
        assert session.acquisition["fixed"].data.shape == (30, 3, 5)
        assert session.acquisition["whole"].name == "whole"
        assert session.acquisition["grows"].data.shape == (30, 3, 5)
        assert session.acquisition["grows"].data[3, 0, 0] == 45
        assert "note" not in device.attrs
        session.save()
    assert arrays.read_bytes() == before
