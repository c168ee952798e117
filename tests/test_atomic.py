"""A write is done as a whole or not at all: what was there before is there after a failure."""

from __future__ import annotations

import io
import os
import re
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scripts import run, start
from small import MOVIE, frames, small_session

import nwb_ophys as nwb
from nwb_ophys.hdf5 import atomic
from nwb_ophys.hdf5.atomic import replacing

POSIX = pytest.mark.skipif(os.name != "posix", reason="modes, groups and signals are POSIX's")
OLD = b"what was there before"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    made = tmp_path / "out.nwb"
    made.write_bytes(OLD)
    return made


def streamed(error: BaseException | None) -> nwb.NWBFile:
    """A session whose movie comes in blocks, until the iterator raises."""

    def blocks() -> Iterator[np.ndarray]:
        for _ in range(5):
            yield frames()
        if error is not None:
            raise error

    session = small_session()
    session.acquisition.add(
        nwb.TwoPhotonSeries(
            name="stream",
            data=blocks(),
            unit="n.a.",
            rate=30.0,
            imaging_plane=session.imaging_planes["plane"],
        )
    )
    return session


# -- where to ----------------------------------------------------------------------------------


def test_the_path_of_the_written_file_is_returned(tmp_path: Path) -> None:
    assert nwb.write(small_session(), str(tmp_path / "a.nwb")) == (tmp_path / "a.nwb").resolve()
    assert [one.name for one in tmp_path.iterdir()] == ["a.nwb"]


def test_an_existing_file_is_not_replaced_unasked(target: Path) -> None:
    message = f"{target}: the target exists (choose another name, or overwrite=True)"
    with pytest.raises(nwb.FileExistsNWBError, match=re.escape(message)):
        nwb.write(small_session(), target)
    assert target.read_bytes() == OLD
    nwb.write(small_session(), target, overwrite=True)
    with nwb.open(target) as session:
        assert session.identifier == "m1"


def test_the_opened_file_is_not_replaced_unasked(path: Path) -> None:
    before = path.read_bytes()
    with nwb.open(path) as session, pytest.raises(nwb.FileExistsNWBError, match="the target exist"):
        nwb.write(session, path)
    assert path.read_bytes() == before


def test_a_folder_is_no_target(tmp_path: Path) -> None:
    message = f"{tmp_path}: the target is a folder (name a file in it)"
    with pytest.raises(nwb.FileIsFolderError, match=re.escape(message)):
        nwb.write(small_session(), tmp_path, overwrite=True)


def test_the_folder_must_be_there(tmp_path: Path) -> None:
    wanted = tmp_path / "no" / "a.nwb"
    message = f"{wanted}: the folder {tmp_path.resolve() / 'no'} does not exist (make it first)"
    with pytest.raises(nwb.FileMissingError, match=re.escape(message)):
        nwb.write(small_session(), wanted)


def test_only_sessions_are_written(tmp_path: Path) -> None:
    with pytest.raises(nwb.SchemaError, match=r"expected an NWBFile, found <Device d> of type Dev"):
        nwb.write(nwb.Device(name="d"), tmp_path / "a.nwb")  # type: ignore[arg-type]


@POSIX
def test_symbolic_links_are_resolved(target: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    first, second = tmp_path / "links" / "a.nwb", tmp_path / "links" / "b.nwb"
    first.symlink_to(target)
    second.symlink_to(first)
    assert nwb.write(small_session(), second, overwrite=True) == target.resolve()
    assert first.is_symlink()
    assert second.is_symlink()
    assert sorted(one.name for one in first.parent.iterdir()) == ["a.nwb", "b.nwb"]
    with nwb.open(second) as session:
        assert session.identifier == "m1"


@POSIX
def test_a_symbolic_link_to_nothing_yet(tmp_path: Path) -> None:
    (tmp_path / "a.nwb").symlink_to(tmp_path / "b.nwb")
    assert nwb.write(small_session(), tmp_path / "a.nwb") == (tmp_path / "b.nwb").resolve()
    assert (tmp_path / "a.nwb").is_symlink()


@POSIX
def test_symbolic_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a.nwb").symlink_to(tmp_path / "b.nwb")
    (tmp_path / "b.nwb").symlink_to(tmp_path / "a.nwb")
    with pytest.raises(nwb.FileAccessError, match=r"a\.nwb: the target cannot be found: .*"):
        nwb.write(small_session(), tmp_path / "a.nwb")


@POSIX
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_the_mode_is_kept(target: Path, mode: int) -> None:
    target.chmod(mode)
    nwb.write(small_session(), target, overwrite=True)
    assert stat.S_IMODE(target.stat().st_mode) == mode


@POSIX
def test_a_new_file_has_the_mode_of_new_files(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    nwb.write(small_session(), tmp_path / "a.nwb")
    assert (tmp_path / "a.nwb").stat().st_mode == (tmp_path / "plain").stat().st_mode


@POSIX
@pytest.mark.skipif(os.name == "posix" and os.getuid() != 0, reason="only root may change groups")
def test_the_group_is_kept(target: Path) -> None:
    os.chown(target, -1, 12345)
    target.chmod(0o660)
    nwb.write(small_session(), target, overwrite=True)
    assert target.stat().st_gid == 12345
    assert stat.S_IMODE(target.stat().st_mode) == 0o660


def test_where_the_group_cannot_be_kept_the_file_is_written(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr(os, "chown", refuse, raising=False)
    nwb.write(small_session(), target, overwrite=True)
    with nwb.open(target) as session:
        assert session.identifier == "m1"


@POSIX
def test_hard_links_to_the_old_file_keep_the_old_content(target: Path, tmp_path: Path) -> None:
    os.link(target, tmp_path / "other")
    nwb.write(small_session(), target, overwrite=True)
    assert (tmp_path / "other").read_bytes() == OLD


@POSIX
@pytest.mark.parametrize(
    ("mode", "message"),
    [(0o555, "the folder may not be written to"), (0o000, "the folder may not be looked into")],
)
def test_a_folder_that_is_locked(tmp_path: Path, mode: int, message: str) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(mode)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if stat.S_IMODE(folder.stat().st_mode) == 0o700:  # pytest's own, deeper under xdist
            folder.chmod(0o755)
    code = """
        import os, sys
        import h5py, nwb_ophys as nwb
        from small import small_session
        session = small_session()
        nwb.write, nwb.FilePermissionError
        from nwb_ophys import writing
        if os.getuid() == 0:
            os.setuid(65534)
        try:
            nwb.write(session, sys.argv[1])
        except PermissionError as error:
            assert isinstance(error, nwb.FilePermissionError)
            print(error)
    """
    done = run(code, locked / "a.nwb")
    assert done.stdout == f"{locked / 'a.nwb'}: {message} (choose another folder)\n", done.stderr
    assert list(locked.iterdir()) == []


# -- failures ----------------------------------------------------------------------------------


class CustomError(Exception):
    """An error of the user's own."""


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), SystemExit(3), CustomError("no more"), MemoryError(), OSError("lost")],
)
def test_an_iterator_that_raises(tmp_path: Path, there: bool, error: BaseException) -> None:
    target = tmp_path / "out.nwb"
    if there:
        target.write_bytes(OLD)
    with pytest.raises(type(error)):
        nwb.write(streamed(error), target, overwrite=True)
    assert [one.name for one in tmp_path.iterdir()] == (["out.nwb"] if there else [])
    assert not there or target.read_bytes() == OLD


def test_the_error_of_an_iterator_is_the_users_own(tmp_path: Path) -> None:
    error = CustomError("no more")
    with pytest.raises(CustomError) as caught:
        nwb.write(streamed(error), tmp_path / "out.nwb")
    assert caught.value is error


def test_an_iterator_that_ends_is_written(tmp_path: Path) -> None:
    nwb.write(streamed(None), tmp_path / "out.nwb")
    with nwb.open(tmp_path / "out.nwb") as session:
        np.testing.assert_array_equal(
            session.acquisition["stream"].data, np.tile(frames(), (5, 1, 1))
        )


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (
            [frames(), frames()[:, :3]],
            r"/acquisition/stream/data.*expected blocks like the first, int16 \(n, 6, 4\), found ",
        ),
        ([frames(), frames().astype("f8") + 0.5], "/acquisition/stream/data"),
        ([], "/acquisition/stream/data.*the iterator gave no block"),
    ],
)
def test_blocks_that_do_not_fit_together(target: Path, blocks: Any, message: str) -> None:
    session = streamed(None)
    session.acquisition["stream"].data.array = iter(blocks)
    with pytest.raises(nwb.SchemaError, match=message):
        nwb.write(session, target, overwrite=True)
    assert target.read_bytes() == OLD
    assert len(list(target.parent.iterdir())) == 1


@pytest.mark.parametrize("change", ["add", "replace", "delete"])
def test_an_interrupted_change_leaves_the_opened_file_and_its_session(
    path: Path, change: str
) -> None:
    before = path.read_bytes()

    def blocks() -> Iterator[np.ndarray]:
        yield frames()
        raise KeyboardInterrupt

    with nwb.open(path) as session:
        movie = session.acquisition["movie"]
        if change == "delete":
            del session.processing["ophys"].children["Fluorescence"]
        if change == "replace":
            movie.data.array = blocks()
        else:
            session.acquisition.add(nwb.TimeSeries(name="new", data=blocks(), unit="V", rate=1.0))
        with pytest.raises(KeyboardInterrupt):
            nwb.write(session, path, overwrite=True)
        assert path.read_bytes() == before
        assert [one.name for one in path.parent.iterdir()] == ["small.nwb"]
        # What was opened can still be read, and the write be repeated.
        if change == "replace":
            movie.data.array = frames()
        else:
            np.testing.assert_array_equal(movie.data, frames())
            session.acquisition["new"].data.array = np.arange(3.0)
        nwb.write(session, path, overwrite=True)
        if change != "replace":
            assert session.acquisition["new"].hdf5_path == "/acquisition/new"
    with nwb.open(path) as session:
        np.testing.assert_array_equal(session[MOVIE].data, frames())
        assert ("new" in session.acquisition) == (change != "replace")
        assert ("Fluorescence" in session.processing["ophys"]) == (change != "delete")


@pytest.mark.parametrize("step", ["_sync", "_take_over_mode"])
def test_a_failure_after_the_last_byte(
    target: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(atomic, step, fail)
    message = rf"{re.escape(str(target))}: the file cannot be written: .*Input/output error"
    with pytest.raises(nwb.FileAccessError, match=message):
        nwb.write(small_session(), target, overwrite=True)
    assert target.read_bytes() == OLD
    assert len(list(target.parent.iterdir())) == 1


def test_a_failing_rename(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise PermissionError(13, "the file is in use")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(nwb.FileAccessError, match=r"out\.nwb: the file cannot be written.*in use"):
        nwb.write(small_session(), target, overwrite=True)
    assert target.read_bytes() == OLD
    assert len(list(target.parent.iterdir())) == 1


def test_all_is_synced_before_it_is_renamed_and_the_folder_after(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        done.append("folder" if is_folder else "file")
        fsync(descriptor)

    def renamed(old: Path, new: Path) -> None:
        assert Path(old).parent == Path(new).parent
        done.append("rename")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    nwb.write(small_session(), target, overwrite=True)
    assert done[-3:] == ["file", "rename", "folder"]


def test_a_folder_that_cannot_be_synced_is_no_failure(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def synced(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(22, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", synced)
    nwb.write(small_session(), target, overwrite=True)
    with nwb.open(target) as session:
        assert session.identifier == "m1"


def test_an_interrupt_while_the_new_file_is_made(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = os.open

    def interrupted(*arguments: Any) -> int:
        os.close(made(*arguments))
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "open", interrupted)
    with pytest.raises(KeyboardInterrupt), replacing(target):
        pass
    assert list(target.parent.iterdir()) == [target]
    assert target.read_bytes() == OLD


def test_many_writers_of_one_file_do_not_meet(target: Path) -> None:
    with replacing(target) as first, replacing(target) as second:
        assert first != second
        first.write_bytes(b"1")
        second.write_bytes(b"2")
    assert target.read_bytes() == b"1"
    assert len(list(target.parent.iterdir())) == 1


def test_the_temporary_file_is_hidden_and_lies_beside_the_target(target: Path) -> None:
    with replacing(target) as temporary:
        assert temporary.parent == target.parent
        assert re.fullmatch(r"\.out\.nwb\.[0-9a-f]{8}\.tmp", temporary.name)


# -- a full disk, and death --------------------------------------------------------------------

_LIMITED = """
    import os, resource, signal, sys
    import numpy as np
    import nwb_ophys as nwb
    from small import small_session

    session = small_session() if sys.argv[2] == "authored" else nwb.open(sys.argv[3])
    big = np.random.default_rng(0).integers(0, 9999, 3_000_000)
    data = big if sys.argv[4] == "array" else iter([big[:1_000_000]] * 3)
    session.acquisition.add(nwb.TimeSeries(name="big", data=data, unit="V", rate=1.0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
    try:
        nwb.write(session, sys.argv[1], overwrite=True, compression=None)
    except nwb.FileAccessError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
    del session.acquisition["big"]
    if sys.argv[2] == "authored":
        nwb.write(session, os.path.dirname(sys.argv[1]) + "/later.nwb")
    print("done")
"""


@POSIX
@pytest.mark.parametrize("data", ["array", "stream"])
@pytest.mark.parametrize("kind", ["authored", "opened"])
def test_a_full_disk(target: Path, pristine: Path, kind: str, data: str) -> None:
    done = run(_LIMITED, target, kind, pristine, data)
    first, last = done.stdout.splitlines() or [done.stderr, ""]
    assert first.startswith(f"{target}: the file cannot be written: "), done.stderr
    assert done.returncode == 0, done.stderr
    assert "File too large (make room there, or choose another folder)" in first
    assert last == "done"
    assert target.read_bytes() == OLD
    later = {"later.nwb"} if kind == "authored" else set()
    assert {one.name for one in target.parent.iterdir()} == {"out.nwb"} | later
    if later:
        with nwb.open(target.parent / "later.nwb") as session:
            assert session.identifier == "m1"


@POSIX
@pytest.mark.parametrize("onto_itself", [True, False])
def test_a_full_disk_while_the_file_is_copied(path: Path, onto_itself: bool) -> None:
    target = path if onto_itself else path.parent / "copy.nwb"
    before = path.read_bytes()
    code = """
        import resource, signal, sys
        import nwb_ophys as nwb
        session = nwb.open(sys.argv[1])
        session.notes = "changed"
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        try:
            nwb.write(session, sys.argv[2], overwrite=True)
        except OSError as error:
            print(error)
        session.acquisition["movie"].data[:]
        print("done")
    """
    done = run(code, path, target)
    first, last = done.stdout.splitlines() or [done.stderr, ""]
    assert first.startswith(f"{target}: the file cannot be written: "), done.stderr
    assert last == "done"
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == ["small.nwb"]


_KILLED = """
    import os, sys
    import numpy as np
    import nwb_ophys as nwb
    from small import small_session

    def blocks():
        for number in range(6):
            if number == 3:
                os.kill(os.getpid(), int(sys.argv[3]))
            yield np.zeros(100_000)

    session = small_session() if sys.argv[2] == "authored" else nwb.open(sys.argv[1])
    session.acquisition.add(nwb.TimeSeries(name="much", data=blocks(), unit="V", rate=1.0))
    nwb.write(session, sys.argv[1], overwrite=True, compression=None)
"""


@POSIX
@pytest.mark.parametrize("kind", ["authored", "opened"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_writer_that_is_killed(path: Path, kind: str, number: signal.Signals) -> None:
    before = path.read_bytes()
    done = run(_KILLED, path, kind, int(number))
    assert done.returncode == -number, done.stderr
    assert path.read_bytes() == before
    others = [one for one in path.parent.iterdir() if one != path]
    if number == signal.SIGINT:
        assert done.stderr.endswith("\nKeyboardInterrupt\n")
        assert others == []
    else:  # it could not clean up, and what it left is no session
        assert [re.fullmatch(r"\.small\.nwb\.\w+\.tmp", one.name) for one in others] != [None]
    with nwb.open(path) as session:
        session.notes = "later"
        nwb.write(session, path, overwrite=True)
        assert session.notes == "later"


@POSIX
def test_readers_see_the_old_file_or_the_new_one(path: Path) -> None:
    code = """
        import itertools, sys
        import nwb_ophys as nwb
        from small import small_session
        for number in itertools.count():
            session = small_session()
            session.notes = str(number)
            nwb.write(session, sys.argv[1], overwrite=True)
    """
    versions = set()
    with start(code, path) as writer:
        try:
            while len(versions) < 10:
                assert writer.poll() is None, writer.communicate()
                with h5py.File(path, "r") as file:  # never missing, never half a file
                    assert file["identifier"].asstr()[()] == "m1"
                    np.testing.assert_array_equal(file[f"{MOVIE}/data"], frames())
                    if "general/notes" in file:
                        versions.add(file["general/notes"][()])
        finally:
            writer.kill()


class Counted(io.BytesIO):
    """A file object that refuses to give much at once."""

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        assert 0 <= size <= 1 << 23
        return super().read(size)


def test_a_file_object_is_copied_piece_by_piece(path: Path, tmp_path: Path) -> None:
    content = path.read_bytes() + bytes(1 << 24)
    with nwb.open(Counted(content)) as session:
        assert nwb.write(session, tmp_path / "copy.nwb").read_bytes() == content
        session.session_description = "another one"
        nwb.write(session, tmp_path / "changed.nwb")
        assert session.identifier
    with nwb.open(tmp_path / "changed.nwb") as session:
        assert session.session_description == "another one"
