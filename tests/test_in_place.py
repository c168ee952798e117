"""Changes that are saved into the file itself, judged by plain h5py and by PyNWB."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from pynwb import NWBHDF5IO

import nwb_ophys as nwb
from nwb_ophys.hdf5 import editing
from nwb_ophys.hdf5.journal import journal_path
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
        pytest.warns(nwb.UnsavedChangesWarning, match=r"session\.nwb: the session was changed"),
        nwb.open(path, "r+") as session,
    ):
        session.session_description = "another"
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
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout.readline() == b"open\n"
        with nwb.open(path, "r+") as session:
            session.session_description = "another"
            with pytest.raises(nwb.FileLockedError, match=f"by process .*{child.pid}"):
                session.save()
            child.communicate()
            session.save()


def test_a_save_under_way_makes_others_wait_and_is_named(path, monkeypatch):
    edit = editing.Edit(str(path), str(path))
    try:
        monkeypatch.setattr("nwb_ophys.hdf5.source.WAIT", 0.05)
        with pytest.raises(nwb.FileLockedError, match=rf"is being saved by process {os.getpid()}"):
            nwb.open(path)
        with pytest.raises(OSError, match="signature"):
            h5py.File(path, locking=False)
    finally:
        edit.roll_back()
    nwb.open(path).close()


# -- being killed ------------------------------------------------------------------------------

_CHILD = """
    import sys, numpy as np, nwb_ophys as nwb
    with nwb.open(sys.argv[1], "r+") as session:
        session.session_description = "after"
        frames = np.arange(80 << 17).reshape(-1, 1 << 10)
        session.acquisition.add(nwb.TimeSeries(name="new", data=frames, unit="a", rate=1.0))
        for name in list(session.acquisition):
            session.acquisition[name].description = "after"
        print("saving", flush=True)
        session.save(compression=None)
        print("saved", flush=True)
        sys.stdin.read()
"""


def test_a_save_that_is_killed_leaves_the_old_file_or_the_new_one(path):
    before = path.read_bytes()
    random = np.random.default_rng(7)
    outcomes = []
    with nwb.open(path) as session:
        old_names = set(session.acquisition)
    for _ in range(30):
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(_CHILD), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as child:
            assert child.stdout.readline() == b"saving\n"
            time.sleep(random.uniform(0, 0.35))
            child.send_signal(signal.SIGKILL)
        left = journal_path(path).exists()
        with nwb.open(path) as session:
            is_new = session.session_description == "after"
            assert ("new" in session.acquisition) is is_new
            if is_new:
                assert session.acquisition["new"].data.shape == (10240, 1024)
                assert int(session.acquisition["new"].data[-1, -1]) == (80 << 17) - 1
            else:
                assert set(session.acquisition) == old_names
        if not is_new:
            assert path.read_bytes() == before
        outcomes.append((left, is_new))
        path.write_bytes(before)
        journal_path(path).unlink(missing_ok=True)
    assert any(left for left, _ in outcomes), outcomes
