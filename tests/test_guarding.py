"""HDF5 survives every failure to write, wherever it happens, and so does what was there before."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scripts import run
from small import frames, small_session

import nwb_ophys as nwb
from nwb_ophys.hdf5 import guarding
from nwb_ophys.hdf5.guarding import check_write, guarded, made_in_memory
from nwb_ophys.testing.h5compare import differences


def streaming_session() -> nwb.NWBFile:
    """Make a session that is not made in memory, as its stream may be of any size."""
    session = small_session()
    blocks = iter([np.zeros(3)])
    session.acquisition.add(nwb.TimeSeries(name="stream", data=blocks, unit="V", rate=1.0))
    return session


class Failing(io.FileIO):
    """A file on a disk that takes so many writes and no more, or that is interrupted then."""

    left = 0
    error: BaseException = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write(self, data: Any, /) -> int:
        if type(self).left <= 0:
            raise type(self).error
        type(self).left -= 1
        return super().write(data)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> type[Failing]:
    monkeypatch.setattr(guarding.io, "FileIO", Failing)
    monkeypatch.setattr(Failing, "error", Failing.error)
    return Failing


def fill(file: h5py.File) -> None:
    for number in range(20):
        group = file.create_group(f"group{number}")
        group.attrs["text"] = "text" * 50
        group.create_dataset("data", data=frames(), chunks=True, compression="gzip")


def fill_and_raise(file: h5py.File, error: Exception) -> None:
    fill(file)
    raise error


def count_writes(tmp_path: Path, failing: type[Failing]) -> int:
    failing.left = 1 << 40
    (tmp_path / "counted.h5").touch()
    with guarded(tmp_path / "counted.h5") as file:
        fill(file)
    return (1 << 40) - failing.left


def test_a_write_that_works(tmp_path: Path) -> None:
    (tmp_path / "a.h5").touch()
    with guarded(tmp_path / "a.h5") as file:
        fill(file)
        check_write()
    with guarded(tmp_path / "a.h5") as file:
        file["more"] = 1
        del file["group3"]
    with h5py.File(tmp_path / "a.h5") as file:
        assert len(file) == 20
        np.testing.assert_array_equal(file["group7/data"], frames())


def test_a_file_made_in_memory_is_as_any_other(tmp_path: Path) -> None:
    for make in (guarded, made_in_memory):
        (tmp_path / make.__name__).touch()
        with make(tmp_path / make.__name__) as file:
            fill(file)
    assert differences(tmp_path / "guarded", tmp_path / "made_in_memory") == []


def test_nothing_is_written_of_a_file_in_memory_that_fails(tmp_path: Path) -> None:
    (tmp_path / "a.h5").touch()
    with (
        pytest.raises(ValueError, match="stop"),
        made_in_memory(tmp_path / "a.h5") as file,
    ):
        fill_and_raise(file, ValueError("stop"))
    assert not file
    assert (tmp_path / "a.h5").read_bytes() == b""


def test_every_write_may_fail(tmp_path: Path, failing: type[Failing]) -> None:
    total = count_writes(tmp_path, failing)
    assert total > 20
    for allowed in range(total):
        (tmp_path / "a.h5").write_bytes(b"")
        failing.left = allowed
        with (
            pytest.raises(OSError, match="No space left"),
            guarded(tmp_path / "a.h5") as file,
        ):
            fill(file)
        assert not file  # closed for good, so nothing is left to fail when the interpreter ends


def test_long_writes_stop_at_once(tmp_path: Path, failing: type[Failing]) -> None:
    failing.left = 5
    blocks = 0

    def endless() -> Any:
        nonlocal blocks
        while True:
            blocks += 1
            yield np.zeros((50, 100, 100), np.int16) + blocks

    session = small_session()
    session.acquisition.add(nwb.TimeSeries(name="endless", data=endless(), unit="V", rate=1.0))
    message = r"a\.nwb: the file cannot be written: No space left on device \(make room there"
    with pytest.raises(nwb.FileAccessError, match=message):
        nwb.write(session, tmp_path / "a.nwb")
    assert blocks < 20
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("number", [errno.EIO, errno.EFBIG, errno.EDQUOT])
def test_the_reason_is_told(
    path: Path, failing: type[Failing], number: int, in_memory: bool
) -> None:
    before = path.read_bytes()
    session = small_session() if in_memory else streaming_session()
    failing.left = 0 if in_memory else 30
    failing.error = OSError(number, os.strerror(number))
    with pytest.raises(nwb.FileAccessError, match=os.strerror(number)) as caught:
        nwb.write(session, path, overwrite=True)
    assert caught.value.file == str(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["small.nwb"]


@pytest.mark.parametrize("allowed", range(0, 60, 4))
def test_the_opened_file_is_safe(path: Path, failing: type[Failing], allowed: int) -> None:
    before = path.read_bytes()
    with nwb.open(path) as session:
        session.notes = "changed"
        session.acquisition.add(nwb.TimeSeries(name="n", data=[1.0] * 5000, unit="V", rate=1.0))
        if allowed % 8:
            session.acquisition["movie"].description = "changed"
        failing.left = allowed
        try:
            nwb.write(session, path, overwrite=True)
        except nwb.FileAccessError:
            assert path.read_bytes() == before
        else:  # it took fewer writes than that
            assert failing.left > 0
        failing.left = 1 << 40
        nwb.write(session, path, overwrite=True)
    with nwb.open(path) as session:
        assert session.notes == "changed"
        np.testing.assert_array_equal(session.acquisition["movie"].data, frames())
    assert os.listdir(path.parent) == ["small.nwb"]


def test_an_interrupt_within_a_write_of_hdf5(path: Path, failing: type[Failing]) -> None:
    before = path.read_bytes()
    failing.left, failing.error = 30, KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        nwb.write(streaming_session(), path, overwrite=True)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["small.nwb"]


def test_the_error_of_the_block_is_raised_where_writing_works(tmp_path: Path) -> None:
    (tmp_path / "a.h5").touch()
    with pytest.raises(ZeroDivisionError), guarded(tmp_path / "a.h5") as file:  # noqa: PT012
        fill(file)
        _ = 1 / 0
    assert not file


def test_handlers_of_signals_are_put_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    (tmp_path / "a.h5").touch()
    with guarded(tmp_path / "a.h5"):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(sys.platform == "win32", reason="limits are those of POSIX")
@pytest.mark.parametrize("limit", [0, 1000, 100_000, 1_000_000])
@pytest.mark.parametrize("kind", ["array", "stream", "added", "removed"])
def test_a_real_limit_leaves_the_interpreter_whole(path: Path, kind: str, limit: int) -> None:
    code = """
        import os, resource, signal, sys
        import numpy as np
        import nwb_ophys as nwb
        from small import small_session
        path, limit, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
        noise = np.random.default_rng(0).integers(0, 1 << 15, (64, 128, 128), np.int16)
        session = nwb.open(path) if kind in ("added", "removed") else small_session()
        data = iter([noise, noise]) if kind == "stream" else noise
        session.acquisition.add(nwb.TimeSeries(name="n", data=data, unit="V", rate=1.0))
        if kind == "removed":
            del session.acquisition["movie"]
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            nwb.write(session, path, overwrite=True)
        except nwb.FileAccessError as error:
            print(error)
    """
    before = path.read_bytes()
    done = run(code, path, limit, kind)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{path}: the file cannot be written: File too large (make room")
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["small.nwb"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
@pytest.mark.parametrize(
    ("delay", "series"),
    [
        *((delay, 4) for delay in (0.0, 0.003, 0.01, 0.03)),
        *((delay, 12) for delay in (0.0, 0.003, 0.01, 0.03, 0.06)),
    ],
)
def test_interrupts_at_any_moment(path: Path, delay: float, series: int) -> None:
    # Twelve are too many to be made in memory, so that HDF5 calls the guard, where an interrupt
    # then surfaces. Wherever it comes, the file is the old one or the new one: the new one also
    # where it comes between the renaming and the end of the write. Three things are Python's own:
    # an interrupt within a finalizer is dropped, and Python says so; one within eval, which builds
    # classes, ends the interpreter by it once all is done, however it was caught; and a write may
    # end before one.
    code = """
        import os, signal, sys
        import numpy as np
        import nwb_ophys as nwb
        from small import small_session
        session = small_session()
        noise = np.random.default_rng(0).integers(0, 1 << 15, (200, 128, 128), np.int16)
        for number in range(int(sys.argv[3])):
            session.acquisition.add(
                nwb.TimeSeries(name=f"n{number}", data=noise, unit="V", rate=1.0)
            )
        nwb.write(session, sys.argv[1] + ".first")  # what is built on first use is there now
        os.remove(sys.argv[1] + ".first")
        signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
        try:
            signal.setitimer(signal.ITIMER_REAL, float(sys.argv[2]) + 1e-6)
            nwb.write(session, sys.argv[1], overwrite=True)
            left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
            print("early" if left else "dropped")
        except KeyboardInterrupt:
            print("interrupted")
    """
    before = path.read_bytes()
    done = run(code, path, delay, series)
    assert done.returncode in (0, -signal.SIGINT), done.stderr
    assert done.stderr == "" or done.stderr.startswith("Exception ignored in"), done.stderr
    assert os.listdir(path.parent) == ["small.nwb"]
    assert done.stdout in ("interrupted\n", "early\n", "dropped\n")
    assert done.stdout == "interrupted\n" or (done.stdout == "dropped\n") == (done.stderr != "")
    if done.stdout != "interrupted\n" or path.read_bytes() != before:
        with nwb.open(path) as session:
            assert {f"n{number}" for number in range(series)} <= set(session.acquisition)


def test_a_failure_that_is_remembered_until_the_end(path: Path) -> None:
    # The traceback holds all that took part in the write, while the interpreter goes down.
    code = """
        import errno, io, sys
        import nwb_ophys as nwb
        from nwb_ophys.hdf5 import guarding
        from test_guarding import streaming_session

        class Full(io.FileIO):
            left, error = 30, OSError(errno.ENOSPC, "full")

            def write(self, data):
                Full.left -= 1
                if Full.left < 0:
                    raise Full.error
                return super().write(data)

        guarding.io.FileIO = Full
        try:
            nwb.write(streaming_session(), sys.argv[1], overwrite=True)
        except nwb.FileAccessError as error:
            sys.kept = error
            print(error.__cause__)
    """
    done = run(code, path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[Errno 28] full\n", "")
