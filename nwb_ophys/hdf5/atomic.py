"""Put a file in place all at once: written beside its target, synced, renamed."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from nwb_ophys.errors import (
    FileAccessError,
    FileExistsNWBError,
    FileIsFolderError,
    FileMissingError,
    FilePermissionError,
)
from nwb_ophys.hdf5.syncing import sync_folder

__all__ = ["check_target", "replacing"]


def check_target(path: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """Find where a file is to be put, symbolic links resolved.

    Raises
    ------
    FileMissingError
        Where its folder does not exist.
    FilePermissionError
        Where its folder may not be looked into.
    FileIsFolderError
        Where a folder is there.
    FileExistsNWBError
        Where a file is there that may not be overwritten.
    """
    target = Path(os.path.realpath(path))
    try:
        # Asked of the system: what pathlib raises, and what it hides, changes with Python.
        mode = os.stat(target).st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = None
    except PermissionError as error:
        raise FilePermissionError(
            "the folder may not be looked into", file=path, hint="choose another folder"
        ) from error
    except OSError as error:  # symbolic links in a circle, names that are too long
        raise FileAccessError(f"the target cannot be found: {error}", file=path) from error
    if mode is not None and stat.S_ISDIR(mode):
        raise FileIsFolderError("the target is a folder", file=path, hint="name a file in it")
    if not target.parent.is_dir():
        raise FileMissingError(
            f"the folder {target.parent} does not exist", file=path, hint="make it first"
        )
    if mode is not None and not overwrite:
        raise FileExistsNWBError(
            "the target exists", file=path, hint="choose another name, or overwrite=True"
        )
    return target


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a path to write to, which takes the place of the target when the block ends well.

    When the block raises, or is interrupted, the target stays as it was and nothing is left.
    The new file has the mode and group of the one that it replaces.

    Raises
    ------
    FileAccessError
        Where the folder cannot be written to, or the file cannot be synced or renamed.
    """
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        _create(temporary, target)
        yield temporary
        _take_over_mode(target, temporary)
        _sync(temporary)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):  # where there is none, or none could be made
            os.unlink(temporary)
        raise
    sync_folder(target.parent)


def _create(temporary: Path, target: Path) -> None:
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except PermissionError as error:
        raise FilePermissionError(
            "the folder may not be written to", file=target, hint="choose another folder"
        ) from error
    except OSError as error:
        raise FileAccessError(f"the folder cannot be written to: {error}", file=target) from error


def _take_over_mode(target: Path, temporary: Path) -> None:
    try:
        status = os.stat(target)
    except FileNotFoundError:
        return
    os.chmod(temporary, status.st_mode & 0o7777)
    if hasattr(os, "chown"):
        # Not all may give files away; then the group stays that of the user.
        with contextlib.suppress(PermissionError):
            os.chown(temporary, -1, status.st_gid)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
