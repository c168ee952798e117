"""The journal of a save in place: torn and reordered writes, and files of every kind."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
from pathlib import Path

import h5py
import killing
import numpy as np
import pytest
from killing import change

import nwb_ophys as nwb
from nwb_ophys import cli
from nwb_ophys.hdf5 import editing, pages
from nwb_ophys.hdf5.journal import journal_path
from nwb_ophys.hdf5.locking import FileLock
from nwb_ophys.hdf5.overlay import BeforeSave
from nwb_ophys.hdf5.signature import JOURNAL_MARK, SIGNATURE
from nwb_ophys.testing import write_fixture


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("original") / "session.nwb"
    write_fixture("two-photon", path)
    return path


@pytest.fixture
def path(original, tmp_path):
    return Path(shutil.copy2(original, tmp_path / "session.nwb"))


class Recorder:
    """Records what is done to the files of a folder, as the disk would be told."""

    def __init__(self, monkeypatch):
        self.operations = []
        for name in ("pwrite", "ftruncate", "fsync", "fdatasync", "unlink"):
            monkeypatch.setattr(os, name, self._recorded(name, getattr(os, name)))

    def _recorded(self, name, real):
        def call(first, *rest, **keywords):
            target = None if name == "unlink" else os.fstat(first).st_ino
            if name == "pwrite":
                self.operations.append((name, target, bytes(rest[0]), rest[1]))
            elif name == "unlink":
                self.operations.append((name, os.stat(first).st_ino, None, None))
            else:
                self.operations.append((name.replace("fdata", "f"), target, *rest))
            return real(first, *rest, **keywords)

        return call


def disk_after(operations, cut, before, main, random):
    """Give what may be on the disk when the power goes: unsynced writes in part, out of order."""
    contents = {main: bytearray(before)}
    synced = {}
    for i, (name, target, *_) in enumerate(operations[:cut]):
        if name == "fsync":
            synced[target] = i
    gone = set()
    for i, (name, target, *rest) in enumerate(operations[:cut]):
        if name == "fsync" or (i > synced.get(target, -1) and random.random() < 0.5):
            continue
        content = contents.setdefault(target, bytearray())
        if name == "pwrite":
            data, at = rest
            if i > synced.get(target, -1) and len(data) > 8 and random.random() < 0.3:
                data = data[: random.integers(len(data)) // 512 * 512]
            content.extend(bytes(max(0, at - len(content))))
            content[at : at + len(data)] = data
        elif name == "ftruncate":
            size = rest[0]
            content.extend(bytes(max(0, size - len(content))))
            del content[size:]
        elif name == "unlink":
            gone.add(target)
    return {key: bytes(one) for key, one in contents.items() if key not in gone}


def test_power_that_goes_at_any_time_leaves_the_old_file_or_the_new_one(
    path, tmp_path, monkeypatch
):
    before = path.read_bytes()
    with nwb.open(path, "r+") as session:
        change(session)
        with monkeypatch.context() as patched:
            patched.setattr(pages, "_ROOM", 3 * 4096)  # so that pages are written in between
            recorder = Recorder(patched)
            session.save()
    after = path.read_bytes()
    main = path.stat().st_ino
    operations = recorder.operations
    assert sum(name == "fsync" for name, *_ in operations) > 6
    marks = [
        i for i, one in enumerate(operations) if one[0] == "pwrite" and one[2][:3] == JOURNAL_MARK
    ]
    operations_to_the_mark = marks[0] + 1
    random = np.random.default_rng(3)
    found = set()
    other = tmp_path / "other" / "session.nwb"
    other.parent.mkdir()
    monkeypatch.setattr("nwb_ophys.hdf5.journal.sync", lambda descriptor: None)
    for cut in range(len(operations) + 1):
        for _ in range(4):
            disk = disk_after(operations, cut, before, main, random)
            other.write_bytes(disk.pop(main))
            for journal in disk.values():
                journal_path(other).write_bytes(journal)
            nwb.recover(other)
            result = other.read_bytes()
            if result[8:60] == before[8:60] and result.startswith(before):
                # Before anything is overwritten nothing is synced; what was added to the end
                # may then remain, and belongs to nothing.
                assert result == before or cut < operations_to_the_mark
                result = before
            assert result in (before, after), f"after {cut} of {len(operations)} operations"
            found.add(result == after)
            journal_path(other).unlink(missing_ok=True)
    assert found == {True, False}


def test_a_rollback_that_is_interrupted_starts_again(path, monkeypatch):
    before = path.read_bytes()
    half, journal = interrupted(path)
    with monkeypatch.context() as patched:
        recorder = Recorder(patched)
        nwb.recover(path)
    main = path.stat().st_ino
    assert path.read_bytes() == before
    random = np.random.default_rng(4)
    for cut in range(len(recorder.operations) + 1):
        disk = disk_after(recorder.operations, cut, half, main, random)
        path.write_bytes(disk[main])
        if path.read_bytes()[:8] != SIGNATURE:
            journal_path(path).write_bytes(journal)
        nwb.recover(path)
        assert path.read_bytes() == before


def interrupted(path):
    """Leave a file as a killed save does; give its bytes and those of its journal."""
    assert killing.run(killing.die_before_commit, str(path)) == -signal.SIGKILL
    return path.read_bytes(), journal_path(path).read_bytes()


def test_a_journal_of_another_state_is_never_applied(path, tmp_path):
    before = path.read_bytes()
    half, journal = interrupted(path)
    assert half[:8] != SIGNATURE
    with pytest.raises(OSError, match="signature"):
        h5py.File(path)
    assert journal.startswith(b"This is a journal of nwb_ophys.")
    # a backup put in its place is left alone
    os.replace(shutil.copy(path, tmp_path / "kept.nwb"), tmp_path / "kept.nwb")
    path.unlink()
    path.write_bytes(before + b"longer")
    assert nwb.recover(path) is False
    assert path.read_bytes() == before + b"longer"
    # and the journal is still there for the file that needs it
    with nwb.open(path, "r+") as session:
        change(session)
        session.save()
    with nwb.open(tmp_path / "kept.nwb") as session:
        assert session.subject.age != "P91D"
    assert (tmp_path / "kept.nwb").read_bytes() == before


def test_a_missing_journal_is_named(path):
    _, journal = interrupted(path)
    journal_path(path).rename(path.parent / "elsewhere")
    with pytest.raises(nwb.FileAccessError, match=r"journal .* not in its folder .*nwb-journal"):
        nwb.open(path)
    damaged = bytearray(journal)
    damaged[journal.index(b'"size": ') + 8] ^= 1
    journal_path(path).write_bytes(bytes(damaged))
    with pytest.raises(nwb.FileAccessError, match=r"not in its folder.* or its beginning is dam"):
        nwb.open(path)


def starts_of_records(journal):
    starts, at = [], 4096
    while journal[at : at + 4] == b"OLD:":
        starts.append(at)
        at += 20 + int.from_bytes(journal[at + 12 : at + 16], "little")
    return [*starts, at]


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :]


@pytest.mark.parametrize("byte", [0, 9, 13, 17, 1000])
def test_a_damaged_journal_is_not_rolled_back_in_part(path, byte):
    before = path.read_bytes()
    half, journal = interrupted(path)
    *starts, end = starts_of_records(journal)
    assert len(starts) > 2
    name = journal_path(path).name
    for start in starts:
        journal_path(path).write_bytes(flipped(journal, start + byte))
        said = rf"{name}.*not whole: it was synced up to byte {end:,}, and is damaged at byte "
        with pytest.raises(nwb.FileAccessError, match=said) as caught:
            nwb.open(path)
        assert f"at byte {start:,}; nothing was put back (put a whole copy of" in str(caught.value)
        assert caught.value.file == str(path)
        assert path.read_bytes() == half
    journal_path(path).write_bytes(journal)
    nwb.open(path).close()
    assert path.read_bytes() == before


def test_a_journal_that_was_not_copied_whole_is_refused(path):
    before = path.read_bytes()
    half, journal = interrupted(path)
    *starts, end = starts_of_records(journal)
    for cut in (*starts, starts[1] + 7, end - 1):
        journal_path(path).write_bytes(journal[:cut])
        with pytest.raises(nwb.FileAccessError, match=f"ends at byte {cut:,}; nothing"):
            nwb.recover(path)
        assert path.read_bytes() == half
    # Where it does not say how far it was synced, the file says that it was.
    unsaid = journal[:3584] + b" " * 511 + journal[4095:]
    journal_path(path).write_bytes(flipped(unsaid, starts[0] + 30))
    with pytest.raises(nwb.FileAccessError, match=r"not whole: it is damaged at byte 4,096;"):
        nwb.recover(path)
    assert path.read_bytes() == half
    journal_path(path).write_bytes(unsaid)
    assert nwb.recover(path) is True
    assert path.read_bytes() == before


def test_the_torn_end_of_a_journal_is_none_of_its_damage(path):
    before = path.read_bytes()
    half, journal = interrupted(path)
    edit_of_more = starts_of_records(journal)
    # What was never synced may be on the disk in any order: here the last of three is whole.
    record = journal[edit_of_more[0] : edit_of_more[1]]
    journal_path(path).write_bytes(journal + flipped(record, 50) + record[:9000] + record)
    assert nwb.recover(path) is True
    assert path.read_bytes() == before
    assert half != before


@pytest.fixture(params=[errno.EACCES, errno.EROFS], ids=["mode", "read-only disk"])
def not_writable(path, monkeypatch, request):
    """Refuse to open the file to write to it, as its mode or the disk would."""
    real = os.open

    def read_only(name, flags, *rest, **keywords):
        if os.fspath(name) == str(path) and flags & os.O_RDWR:
            raise OSError(request.param, os.strerror(request.param))
        return real(name, flags, *rest, **keywords)

    return lambda: monkeypatch.setattr(os, "open", read_only)


def test_a_half_saved_file_that_cannot_be_put_back_is_read_as_it_was(
    path, original, tmp_path, not_writable, monkeypatch
):
    before = path.read_bytes()
    half, journal = interrupted(path)
    not_writable()
    with pytest.raises(nwb.FilePermissionError, match="interrupted, and it may not be written to"):
        nwb.recover(path)
    with pytest.raises(nwb.FilePermissionError, match="interrupted, and it may not be written to"):
        nwb.open(path, "r+")
    with nwb.open(path) as session:
        (problem,) = session.problems
        assert (problem.rule, problem.severity) == ("interrupted", "warning")
        assert "a save was interrupted: this is the file as it was before" in problem.message
        assert nwb.diff(original, session) == []
        with nwb.open(original) as other:
            movie = next(iter(session.acquisition))
            np.testing.assert_array_equal(
                session.acquisition[movie].data[:], other.acquisition[movie].data[:]
            )
        copy = nwb.write(session, tmp_path / "copy.nwb")
    assert copy.read_bytes() == before
    assert [one.rule for one in nwb.validate(path) if one.path == "/"] == ["interrupted"]
    assert nwb.diff(original, nwb.read(path)) == []
    assert (path.read_bytes(), journal_path(path).read_bytes()) == (half, journal)
    journal_path(path).write_bytes(flipped(journal, 5000))
    with pytest.raises(nwb.FileAccessError, match="not whole: it was synced up to byte"):
        nwb.open(path)


def test_every_part_of_a_half_saved_file_is_that_of_before(path):
    before = path.read_bytes()
    half, _ = interrupted(path)
    random = np.random.default_rng(5)
    differing = np.flatnonzero(
        np.frombuffer(before, "u1") != np.frombuffer(half[: len(before)], "u1")
    )
    assert len(differing) > 100
    assert len(half) > len(before)
    with BeforeSave(str(path), str(path)) as stream:
        assert stream.read() == before
        assert stream.seek(0, os.SEEK_END) == len(before)
        assert stream.read(3) == b""
        for start in (*random.choice(differing, 200), len(before) - 5, 0, 4, len(before) + 9):
            size = int(random.integers(1, 20_000))
            stream.seek(max(0, int(start) - int(random.integers(9))))
            at = stream.tell()
            assert stream.read(size) == before[at : at + size]
        edit_waits = FileLock(str(path), write=True)
        assert not edit_waits.take(str(path))  # nobody puts it back meanwhile
        edit_waits.close()
    assert nwb.recover(path) is True


def test_a_journal_that_cannot_be_removed_is_left_over(path, monkeypatch):
    before = path.read_bytes()
    interrupted(path)
    real = Path.unlink

    def unlink(name, *rest, **keywords):
        if name == journal_path(path):
            raise PermissionError(13, "Permission denied")
        real(name, *rest, **keywords)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", unlink)
        nwb.open(path).close()
    assert path.read_bytes() == before
    assert journal_path(path).exists()
    with nwb.open(path, "r+") as session:
        change(session)
        session.save()
    assert not journal_path(path).exists()


def test_recover_on_the_command_line(path, capsys):
    before = path.read_bytes()
    interrupted(path)
    assert cli.main(["recover", str(path)]) == 0
    assert "put back as it was" in capsys.readouterr().out
    assert path.read_bytes() == before
    assert cli.main(["recover", str(path)]) == 0
    assert "nothing was done" in capsys.readouterr().out
    assert cli.main(["recover", str(path) + "x"]) == 2
    assert "there is no such file" in capsys.readouterr().err


@pytest.mark.parametrize("at", range(0, 40, 3))
def test_a_write_that_fails_changes_nothing(path, monkeypatch, at):
    before, status = path.read_bytes(), path.stat()
    real, count = os.pwrite, [0]

    def failing(descriptor, data, offset):
        count[0] += 1
        if count[0] > at and os.fstat(descriptor).st_ino == status.st_ino and at > 0:
            monkeypatch.setattr(os, "pwrite", real)
            raise OSError(28, "No space left on device")
        return real(descriptor, data, offset)

    session = nwb.open(path, "r+")
    change(session)
    monkeypatch.setattr(os, "pwrite", failing)
    try:
        session.save()
    except nwb.FileAccessError as error:
        assert "No space left" in str(error)  # noqa: PT017
        assert path.read_bytes() == before
        assert path.stat().st_mtime_ns == status.st_mtime_ns
        assert not journal_path(path).exists()
        session.save()  # the changes are still there
    assert session.acquisition["new"].data[-1] == 39999
    session.close()
    with nwb.open(path) as session:
        assert session.subject.age == "P91D"


def test_a_full_disk_changes_nothing(path):
    before = path.read_bytes()
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    session = nwb.open(path, "r+")
    change(session)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100000, old[1]))
        with pytest.raises(nwb.FileAccessError, match="cannot be written: File too large"):
            session.save(compression=None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before
    session.save()
    session.close()


def test_a_file_or_folder_that_may_not_be_written_to_is_said(path, monkeypatch):
    with nwb.open(path, "r+") as session:
        change(session)
        real = os.open

        def refuse(what):
            def opened(name, flags, *rest, **keywords):
                if os.fspath(name) == str(what) and flags & (os.O_RDWR | os.O_CREAT):
                    raise PermissionError(13, "Permission denied")
                return real(name, flags, *rest, **keywords)

            monkeypatch.setattr(os, "open", opened)

        refuse(path)
        with pytest.raises(
            nwb.FilePermissionError, match=r"may not be written to \(check its mode"
        ):
            session.save()
        refuse(journal_path(path))
        with pytest.raises(nwb.FilePermissionError, match="no journal can be made in the folder"):
            session.save()
        monkeypatch.setattr(os, "open", real)
        session.save()


def test_a_file_system_without_locks_is_refused(path, monkeypatch):
    import fcntl

    def none(descriptor, operation):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", none)
    before = path.read_bytes()
    session = nwb.open(path, "r+")
    change(session)
    with pytest.raises(nwb.FileAccessError, match=r"no such locks \(flock\) \(write the session"):
        session.save()
    session.close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("libver", ["earliest", "v108", "v110", "latest"])
@pytest.mark.parametrize("userblock", [0, 512, 4096])
def test_files_of_every_format(tmp_path, libver, userblock):
    path = tmp_path / "made.nwb"
    with h5py.File(path, "w", libver=(libver, "latest"), userblock_size=userblock) as file:
        with h5py.File(write_fixture("minimal", tmp_path / "other.nwb")) as other:
            for name in other:
                other.copy(name, file)
            file.attrs.update({k: v for k, v in other.attrs.items() if k != ".specloc"})
        file.create_dataset("acquisition/x/data", data=np.arange(10.0), maxshape=(None,))
        group = file["acquisition/x"]
        group.attrs.update({"neurodata_type": "TimeSeries", "namespace": "core"})
        group.attrs["object_id"] = "1"
        group["data"].attrs["unit"] = "a"
        group["starting_time"] = 0.0
        group["starting_time"].attrs.update({"rate": 1.0, "unit": "seconds"})
    if userblock:
        with open(path, "r+b") as stream:
            stream.write(b"user block")
    before = path.read_bytes()
    interrupted_copy = Path(shutil.copy(path, tmp_path / "copy.nwb"))
    with h5py.File(path) as file:
        version = file.id.get_create_plist().get_version()[0]
    with nwb.open(path, "r+") as session:
        session.acquisition["x"].data.append([1.0, 2.0])
        session.acquisition["x"].description = "longer"
        session.save()
    with h5py.File(path, "r+") as file:
        np.testing.assert_array_equal(file["acquisition/x/data"][8:], [8, 9, 1, 2])
        assert file.userblock_size == userblock
        assert file.id.get_create_plist().get_version()[0] == version
    if userblock:
        assert path.read_bytes()[:10] == b"user block"
    edit = editing.Edit(str(interrupted_copy), "copy.nwb")
    with edit.open(None) as file:
        file.attrs["identifier"] = "x"
    edit._guard.write_pages()
    assert interrupted_copy.read_bytes() != before
    edit.roll_back()
    assert interrupted_copy.read_bytes() == before


def test_symbolic_links_are_followed(path, tmp_path):
    link = tmp_path / "folder" / "link.nwb"
    link.parent.mkdir()
    link.symlink_to(path)
    before = path.read_bytes()
    interrupted(link)
    assert link.is_symlink()
    assert not list(link.parent.glob("*-journal"))
    with nwb.open(link) as session:
        assert session.subject.age != "P91D"
    assert path.read_bytes() == before
    hard = tmp_path / "hard.nwb"
    os.link(path, hard)
    interrupted(path)
    nwb.open(hard).close()  # its journal has the other name
    assert path.read_bytes() == before


def test_ctrl_c_takes_the_save_back(path, monkeypatch):
    before = path.read_bytes()
    session = nwb.open(path, "r+")
    change(session)
    real = pages.JournaledPages._store

    def store(self, at, view):
        if at > len(before):
            monkeypatch.setattr(pages.JournaledPages, "_store", real)
            os.kill(os.getpid(), signal.SIGINT)
        real(self, at, view)

    monkeypatch.setattr(pages.JournaledPages, "_store", store)
    with pytest.raises(KeyboardInterrupt):
        session.save()
    assert path.read_bytes() == before
    assert not journal_path(path).exists()
    session.save()
    session.close()
    assert path.read_bytes() != before


# -- room ----------------------------------------------------------------------------------------


def test_repack_gives_back_the_room_of_what_was_deleted(path, capsys):
    noise = np.random.default_rng(0).integers(0, 256, 300_000, "u1")
    with nwb.open(path, "r+") as session:
        session.acquisition.add(nwb.TimeSeries(name="secret", data=noise, unit="a", rate=1.0))
        session.save(compression=None)
        session.acquisition.add(nwb.TimeSeries(name="z", data=noise[:99], unit="a", rate=1.0))
        session.save()
        del session.acquisition["secret"]
        session.save()
    assert noise[1000:1064].tobytes() in path.read_bytes()
    kept = Path(shutil.copy(path, path.with_name("kept.nwb")))
    before = path.stat().st_size
    assert cli.main(["repack", str(path)]) == 0
    saved = before - path.stat().st_size
    assert saved > 290_000
    assert f"{saved:,} bytes smaller" in capsys.readouterr().out
    assert noise[1000:1064].tobytes() not in path.read_bytes()
    assert nwb.diff(kept, path) == []


def test_deleting_is_not_copied_into_the_journal(path):
    with nwb.open(path, "r+") as session:
        big = np.zeros(1 << 19)
        session.acquisition.add(nwb.TimeSeries(name="big", data=big, unit="a", rate=1.0))
        session.save(compression=None)
        del session.acquisition["big"]
        sizes = []
        real = editing.Edit.commit

        def commit(edit):
            edit._guard.write_pages()
            sizes.append(os.path.getsize(journal_path(path)))
            real(edit)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(editing.Edit, "commit", commit)
            session.save()
        assert sizes[0] < 100_000


def test_before_anything_is_overwritten_the_journal_may_be_lost(path):
    before = path.read_bytes()
    edit = editing.Edit(str(path), str(path))
    with edit.open(None) as file:
        file["acquisition"]["more"] = np.zeros(9000)
        file.flush()
        half = path.read_bytes()
    edit.roll_back()
    assert path.read_bytes() == before
    assert half[8 : len(before)] == before[8:]
    path.write_bytes(half)
    nwb.open(path).close()
    assert path.read_bytes()[: len(before)] == before
    with h5py.File(path) as file:
        assert "more" not in file["acquisition"]


def test_the_mark_of_a_writer_that_was_killed_is_explained(tmp_path):
    path = tmp_path / "marked.nwb"
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["nwb_version"] = "2.7.0"
    with path.open("r+b") as stream:  # a mark, with the checksum that HDF5 writes beside it
        with h5py.File(path, "r+", libver="latest") as file:
            file.attrs["x"] = 1
            file.flush()
            marked = path.read_bytes()
        stream.write(marked[:48])
    with pytest.raises(nwb.FileAccessError, match=r"opened the file to write .*h5clear -s"):
        nwb.open(path, "r+")
