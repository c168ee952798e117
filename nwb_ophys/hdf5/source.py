"""`Source`: one HDF5 file, owned by a session, that can be closed, reopened and told apart."""

from __future__ import annotations

import errno
import io
import os
import stat
import threading
import weakref
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple

import h5py

from nwb_ophys.errors import (
    ClosedError,
    FileAccessError,
    FileChangedError,
    FileIsFolderError,
    FileLockedError,
    FileMissingError,
    FilePermissionError,
    NotNWBError,
)
from nwb_ophys.hdf5.headers import Headers

if TYPE_CHECKING:
    from nwb_ophys.hdf5.nodes import Node

__all__ = ["ExternalPolicy", "Identity", "Source"]

ExternalPolicy = Literal["folder", "all", "none"]
"""Which other files may be opened on behalf of a file: those below its folder, all, none."""

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_USER_BLOCKS = (0, *(512 << shift for shift in range(12)))


class Identity(NamedTuple):
    """What tells a file from another one, or from itself after a change."""

    device: int
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: str) -> Identity:
        """Look a path up.

        Raises
        ------
        FileMissingError
            Where there is no such file.
        """
        try:
            status = os.stat(path)
        except OSError as error:
            raise _explained(error, path) from error
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


class Source:
    """One HDF5 file open for reading.

    Parameters
    ----------
    target
        A path, an open binary file object, or the bytes of a file.
    name
        The file to speak of in messages, and from whose folder relative links are resolved, where
        the target is not a path.
    external
        Which other files may be opened on its behalf.

    Raises
    ------
    FileMissingError, FileIsFolderError, FilePermissionError, FileLockedError
        Where the file cannot be opened.
    NotNWBError
        Where it is not an HDF5 file, or not a whole one.
    """

    def __init__(
        self,
        target: str | os.PathLike[str] | IO[bytes] | bytes,
        *,
        name: str | None = None,
        external: ExternalPolicy = "folder",
    ) -> None:
        self.lock = threading.RLock()
        self.external: ExternalPolicy = external
        self.nodes: dict[int, Node] = {}
        self.resolver: Callable[[Node, Any], Any] | None = None
        self.siblings: dict[str, Source] = {}
        self.identity: Identity | None = None
        self._object: IO[bytes] | bytes | None = None
        self._file: h5py.File | None = None
        self._headers: Headers | None = None
        self._suspended = False
        if isinstance(target, (str, os.PathLike)):
            self.path: str | None = os.path.abspath(os.fspath(target))
            self.file = os.fspath(target)
            self._file = _open_path(self.path, self.file)
            self.identity = Identity.of(self.path)
        else:
            self.path = None
            self.file = name or str(getattr(target, "name", "<file object>"))
            self._object = target
            self._file = _open_object(target, self.file)
        self.folder = os.path.dirname(os.path.abspath(self.file))
        self.bounds = self.folder
        if self.path is not None:
            self.siblings[os.path.realpath(self.path)] = self

    @classmethod
    def reopened(cls, path: str, identity: Identity, external: ExternalPolicy) -> Source:
        """Get the source of a path for an object that was pickled, one for all of a process.

        Raises
        ------
        FileChangedError
            Where the file is not the one that the object was read from.
        """
        with _REOPENED_LOCK:
            key = (path, identity)
            source = _REOPENED.get(key)
            if source is None or source.closed:
                check_identity(path, path, identity)
                source = _REOPENED[key] = cls(path, external=external)
            return source

    @property
    def closed(self) -> bool:
        """Whether the file was closed for good."""
        return self._file is None and not self._suspended

    @property
    def id(self) -> h5py.h5f.FileID:
        """The HDF5 handle of the file.

        Raises
        ------
        ClosedError
            Where the file was closed.
        """
        if self._file is None:
            if not self._suspended or self.path is None:
                raise ClosedError(
                    "the file was closed",
                    file=self.file,
                    hint="read what you need inside the `with` block, or use nwb_ophys.read",
                )
            self.check_unchanged()
            self._file = _open_path(self.path, self.file)
            self._suspended = False
        return self._file.id

    @property
    def headers(self) -> Headers:
        """What reads plain attributes without HDF5."""
        if self._headers is None:
            self._headers = Headers(self.id)
        return self._headers

    def suspend(self) -> None:
        """Close the file until something is read again, if it is the same file then."""
        with self.lock:
            file, self._file = self._file, None
            self._headers = None
            self._suspended = True
            for node in list(self.nodes.values()):  # others may be walking meanwhile
                node.release()
            if file is not None:
                file.close()

    def close(self) -> None:
        """Close the file; what was not read by now can be read no more."""
        with self.lock:
            self.suspend()
            self._suspended = False
            for other in list(self.siblings.values()):
                if not other.closed:
                    other.close()

    def replaced(self) -> None:
        """Go on with the file that now lies at the path, which a write put there."""
        assert self.path is not None
        with self.lock:
            self.suspend()
            self._file = _open_path(self.path, self.file)
            self._suspended = False
            self.identity = Identity.of(self.path)

    def renumber(self, nodes: dict[str, Node]) -> None:
        """Find the nodes of a replaced file again, by path; drop those that are no more."""
        with self.lock:
            self.nodes.clear()
            for path in sorted(nodes):
                node = nodes[path]
                try:
                    node.address = int(h5py.h5o.get_info(node.id).addr)
                except (OSError, ValueError, KeyError):
                    del nodes[path]
                else:
                    self.nodes.setdefault(node.address, node)

    def check_unchanged(self) -> None:
        """Raise `FileChangedError` where the path no longer leads to the file that was opened."""
        if self.path is not None and self.identity is not None:
            check_identity(self.path, self.file, self.identity)

    def image(self) -> bytes | None:
        """Give the bytes of a source that is not a path."""
        if isinstance(self._object, bytes):
            return self._object
        if self._object is not None:
            with self.lock:
                self._object.seek(0)
                return self._object.read()
        return None

    def sibling(self, path: str) -> Source:
        """Open another file on behalf of this one, once for all files that belong together."""
        with self.lock:
            key = os.path.realpath(path)
            other = self.siblings.get(key)
            if other is None:
                other = Source(path, external=self.external)
                other.lock, other.resolver = self.lock, self.resolver
                other.siblings, other.bounds = self.siblings, self.bounds
                self.siblings[key] = other
            return other

    def may_open(self, target: str) -> bool:
        """Tell whether another file may be opened on behalf of this one."""
        if self.external == "all":
            return True
        if self.external == "none":
            return False
        folder = os.path.realpath(self.bounds)
        try:
            return os.path.commonpath([folder, os.path.realpath(target)]) == folder
        except ValueError:  # on another drive
            return False

    @property
    def how_to_allow(self) -> str:
        """Say what allows files to be opened that `may_open` refuses."""
        if self.external == "none":
            return 'open(..., external_links="folder") allows files below its folder, "all" any'
        return (
            "only files below the folder of the session are opened; "
            'open(..., external_links="all") allows others'
        )

    def beside(self, target: str) -> str:
        """Resolve the file name of an external link, which is relative to this file's folder."""
        return os.path.normpath(os.path.join(self.folder, target))


_REOPENED: weakref.WeakValueDictionary[tuple[str, Identity], Source] = weakref.WeakValueDictionary()
_REOPENED_LOCK = threading.Lock()


def check_identity(path: str, file: str, expected: Identity) -> None:
    """Raise `FileChangedError` where a path does not lead to the expected file."""
    found = Identity.of(path)
    if found != expected:
        differing = [
            f"{name} {was} then, {now} now"
            for name, was, now in zip(Identity._fields, expected, found, strict=True)
            if was != now
        ]
        raise FileChangedError(
            "this is no longer the file that was opened: " + ", ".join(differing),
            file=file,
            hint="open it again",
        )


def _open_path(path: str, file: str) -> h5py.File:
    try:
        is_folder = stat.S_ISDIR(os.stat(path).st_mode)
    except OSError as error:
        raise _explained(error, file) from error
    if is_folder:
        raise FileIsFolderError(
            "expected an NWB file, found a folder", file=file, hint="name a file inside it"
        )
    try:
        with open(path, "rb") as stream:
            _check_signature(stream, file)
    except OSError as error:
        raise _explained(error, file) from error
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise _explained(error, file) from error


def _open_object(target: IO[bytes] | bytes, file: str) -> h5py.File:
    stream = io.BytesIO(target) if isinstance(target, bytes) else target
    try:
        _check_signature(stream, file)
        if isinstance(target, bytes):
            return h5py.File(h5py.h5f.open_file_image(target))
        return h5py.File(target, "r")
    except OSError as error:
        raise _explained(error, file) from error


def _check_signature(stream: IO[bytes], file: str) -> None:
    stream.seek(0, os.SEEK_END)
    size = stream.tell()
    if not size:
        raise NotNWBError("expected an NWB file, found an empty one", file=file)
    for offset in _USER_BLOCKS:
        stream.seek(offset)
        head = stream.read(len(_SIGNATURE))
        if head == _SIGNATURE:
            return
        if len(head) < len(_SIGNATURE):
            break
    stream.seek(0)
    raise NotNWBError(
        f"expected an HDF5 file, found one that begins with {stream.read(16)!r}",
        file=file,
        hint="NWB files of version 2 are HDF5 files",
    )


def _explained(error: OSError, file: str) -> FileAccessError | NotNWBError:
    if isinstance(error, (FileAccessError, NotNWBError)):
        return error
    reason = str(error)
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return FileMissingError("there is no such file", file=file)
    if isinstance(error, PermissionError):
        return FilePermissionError(
            "permission denied", file=file, hint="check the owner and the mode of the file"
        )
    if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES) or "lock file" in reason:
        return FileLockedError(
            f"the file is locked, most likely by a program that writes to it: {reason}",
            file=file,
            hint="close the file there first",
        )
    if "truncated" in reason or "eof" in reason:
        return NotNWBError(
            f"the file is truncated: {reason}",
            file=file,
            hint="its copying or writing was interrupted; take it from its origin again",
        )
    if error.errno is not None:
        return FileAccessError(f"the file cannot be opened: {reason}", file=file)
    return NotNWBError(f"the file is no whole HDF5 file: {reason}", file=file)
