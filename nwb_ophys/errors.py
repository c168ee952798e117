"""Every exception of the package; each names the file, the HDF5 path and the field it is about.

All of them are `NWBError`, and each is also the built-in exception that a caller would expect
(`FileNotFoundError` for a missing file, `KeyError` for a missing member, ...).
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable
from types import FrameType

__all__ = [
    "ClosedError",
    "DataError",
    "FileAccessError",
    "FileChangedError",
    "FileExistsNWBError",
    "FileIsFolderError",
    "FileLockedError",
    "FileMissingError",
    "FilePermissionError",
    "LinkError",
    "MemberNotFoundError",
    "NWBError",
    "NotNWBError",
    "SchemaError",
    "SchemaUpgradeWarning",
    "TooLargeError",
    "UnsafePickleError",
    "UnsavedChangesWarning",
]


class NWBError(Exception):
    """Base of all errors of this package.

    Parameters
    ----------
    message
        What went wrong: what was expected and what was found.
    file
        The file it happened in.
    path
        The HDF5 path of the object.
    field
        The field, attribute or member of that object.
    hint
        What the user can do about it.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | os.PathLike[str] | None = None,
        path: str | None = None,
        field: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = None if file is None else os.fspath(file)
        self.path = path
        self.field = field
        self.hint = hint

    def __str__(self) -> str:
        place = [part for part in (self.file, self.path) if part]
        if self.field:
            place.append(f"field {self.field!r}")
        text = ", ".join(place)
        text = f"{text}: {self.message}" if text else self.message
        return f"{text} ({self.hint})" if self.hint else text

    def __reduce__(self) -> tuple[object, ...]:
        # Built-in bases (OSError, KeyError) would rebuild from `args` alone and lose the place.
        return _rebuild, (type(self), self.message, self.__dict__)


def _rebuild(cls: type[NWBError], message: str, state: dict[str, object]) -> NWBError:
    error = cls(message)
    error.__dict__.update(state)
    return error


class FileAccessError(NWBError, OSError):
    """A file cannot be opened, read or written."""


class FileMissingError(FileAccessError, FileNotFoundError):
    """There is no file at that path."""


class FileIsFolderError(FileAccessError, IsADirectoryError):
    """The path is a folder, not a file."""


class FilePermissionError(FileAccessError, PermissionError):
    """The operating system does not allow this access to the file."""


class FileLockedError(FileAccessError, BlockingIOError):
    """Another process holds a lock on the file."""


class FileExistsNWBError(FileAccessError, FileExistsError):
    """The target of a write is there already."""


class FileChangedError(FileAccessError):
    """The file is no longer the one that was opened."""


class NotNWBError(NWBError, ValueError):
    """The file is not an NWB 2.x file, or not a whole one."""


class ClosedError(NWBError, ValueError):
    """The session was closed before this was read."""


class DataError(NWBError, OSError):
    """Stored data cannot be decoded: a corrupt chunk, a wrong checksum, an unknown filter."""


class MemberNotFoundError(NWBError, KeyError):
    """There is no such member in a group, or no object at that HDF5 path."""


class LinkError(NWBError, LookupError):
    """A link or an object reference that leads nowhere, in a circle, or where it may not go."""


class SchemaError(NWBError, ValueError):
    """What is to be written does not conform to the NWB schema."""


class TooLargeError(NWBError, MemoryError):
    """More data would have to be loaded than there is memory."""


class SchemaUpgradeWarning(UserWarning):
    """Objects of the newest schema were added to a file of an older one."""


class UnsavedChangesWarning(UserWarning):
    """A session that was opened to be changed is closed, and what was changed was not saved."""


def warn(message: str, category: type[Warning]) -> None:
    """Warn of the line outside of this package that led here, however deep in it that was found."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _is_ours(frame):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Give a hint where a name is close to one that is known."""
    import difflib

    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else None


def _is_ours(frame: FrameType) -> bool:
    name = str(frame.f_globals.get("__name__", ""))
    return name.partition(".")[0] in ("nwb_ophys", "contextlib")


class UnsafePickleError(NWBError, ValueError):
    """Loading a pickled file would run code that came with it."""
