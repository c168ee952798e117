"""Copies of whole files."""

import ctypes
import errno
import os
import shutil
from pathlib import Path

import pytest

from nwb_ophys.hdf5 import bytewise

pytestmark = pytest.mark.skipif(
    not hasattr(os, "copy_file_range"), reason="the system cannot copy within the kernel"
)


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bytewise, "_STEP", 1000)


@pytest.fixture(params=[0, 1, 999, 1000, 4999, 5000, 12345])
def source(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "source"
    path.write_bytes(os.urandom(request.param))
    return path


def test_every_byte_is_copied(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"what was there is longer" * 1000)
    bytewise.copy_synced(source, target)
    assert target.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("answer", [errno.EXDEV, errno.ENOSYS, errno.EINVAL, None])
def test_systems_that_cannot(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: int | None
) -> None:
    def refuse(*_: object) -> int:
        if answer is None:
            return 0
        raise OSError(answer, os.strerror(answer))

    monkeypatch.setattr(os, "copy_file_range", refuse)
    bytewise.copy_synced(source, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("failing", ["copy_file_range", "fsync"])
def test_a_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    source = tmp_path / "source"
    source.write_bytes(os.urandom(10000))
    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        bytewise.copy_synced(source, tmp_path / "target")


def test_a_failure_midway_is_not_taken_for_a_system_that_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(10000))
    real, calls = os.copy_file_range, []

    def once(*args: int) -> int:
        calls.append(args)
        if len(calls) > 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(*args)

    monkeypatch.setattr(os, "copy_file_range", once)
    monkeypatch.setattr(shutil, "copyfile", lambda *_: pytest.fail("copied again"))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        bytewise.copy_synced(source, tmp_path / "target")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EOPNOTSUPP])
def test_room_that_cannot_be_reserved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    class System:
        def fallocate(self, *_: int) -> int:
            ctypes.set_errno(number)
            return -1

        def sync_file_range(self, *_: int) -> int:
            return -1

    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(10000))
    monkeypatch.setattr(bytewise, "_system", System)
    if number == errno.EOPNOTSUPP:
        bytewise.copy_synced(source, target)
        assert target.read_bytes() == source.read_bytes()
    else:
        with pytest.raises(OSError, match=os.strerror(number)):
            bytewise.copy_synced(source, target)


def test_systems_that_can_neither_reserve_nor_begin(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bytewise, "_system", lambda: None)
    bytewise.copy_synced(source, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == source.read_bytes()
