"""`Source`: one HDF5 file, owned by a session, that can be closed, reopened and told apart."""

from __future__ import annotations

import io
import os
import shutil
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple

import h5py

from nwb_ophys.errors import ClosedError, FileChangedError, FilePermissionError
from nwb_ophys.hdf5.headers import Headers
from nwb_ophys.hdf5.locking import FileLock
from nwb_ophys.hdf5.opening import open_object, open_path, opening_error
from nwb_ophys.hdf5.raw import RawFile
from nwb_ophys.hdf5.signature import check_signature

if TYPE_CHECKING:
    from nwb_ophys.hdf5.nodes import Node

__all__ = ["ExternalPolicy", "Identity", "Mode", "Source"]

ExternalPolicy = Literal["folder", "all", "none"]
"""Which other files may be opened on behalf of a file: those below its folder, all, none."""
Mode = Literal["r", "r+"]

_PIECE = 1 << 23


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
            raise opening_error(error, path) from error
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
    mode
        Whether the file is only read, or may be saved in place as well. Either way it is open to
        read; a save opens it anew.

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
        mode: Mode = "r",
    ) -> None:
        self.mode: Mode = mode
        self.lock = threading.RLock()
        self.external: ExternalPolicy = external
        self.nodes: dict[int, Node] = {}
        self.resolver: Callable[[Node, Any], Any] | None = None
        self.siblings: dict[str, Source] = {}
        self.identity: Identity | None = None
        self._object: IO[bytes] | bytes | None = None
        self._file: h5py.File | None = None
        self._headers: Headers | None = None
        self._lock: FileLock | IO[bytes] | None = None
        self._suspended = False
        self.lent = False
        """Whether a save reads and writes through the handle just now."""
        self.half_saved = False
        """Whether this is how the file was before a save that was interrupted, and is no more."""
        self.place_of: Callable[[str], str | None] | None = None
        """Where objects lie that a save has moved, by the paths that they are known by."""
        if isinstance(target, (str, os.PathLike)):
            self.path: str | None = os.path.abspath(os.fspath(target))
            self.file = os.fspath(target)
            try:
                self._file, self._lock = open_path(self.path, self.file)
            except FilePermissionError:
                if mode != "r" or not self._open_half_saved(self.path):
                    raise
            else:
                self.identity = Identity.of(self.path)
                _OPEN.add(self)
        else:
            self.path = None
            self.file = name or str(getattr(target, "name", "<file object>"))
            self._object = target
            self._file = open_object(target, self.file)
        self.folder = os.path.dirname(os.path.abspath(self.file))
        self.bounds = self.folder
        if self.path is not None:
            self.siblings[os.path.realpath(self.path)] = self

    def _open_half_saved(self, path: str) -> bool:
        """Open a file that cannot be put back as it was before; tell whether it is such a one."""
        try:
            with open(path, "rb") as stream:
                self.half_saved = check_signature(stream, self.file)
        except OSError:
            return False
        if self.half_saved:
            from nwb_ophys.hdf5.overlay import BeforeSave

            before: Any = BeforeSave(path, self.file)
            self.path, self._object, self._lock = None, before, before
            self._file = open_object(before, self.file)
        return self.half_saved

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
            self._file, self._lock = open_path(self.path, self.file)
            self._suspended = False
        return self._file.id

    @property
    def headers(self) -> Headers:
        """What reads plain attributes without HDF5."""
        if self._headers is None:
            self._headers = Headers(RawFile.of(self.id))
        return self._headers

    @property
    def raw(self) -> RawFile | None:
        """The bytes of the file; None where only HDF5 can read them."""
        with self.lock:
            return self.headers.raw

    def suspend(self) -> None:
        """Close the file until something is read again, if it is the same file then."""
        with self.lock:
            if self._headers is not None and self._headers.raw is not None:
                self._headers.raw.retire()
            file, self._file = self._file, None
            self._headers = None
            self._suspended = True
            for node in list(self.nodes.values()):  # others may be walking meanwhile
                node.release()
            if file is not None:
                file.close()
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    @contextmanager
    def lend(self) -> Iterator[Callable[[h5py.File], None]]:
        """Close the file for the time of a save, which all others who read it wait for.

        Gives a function that takes the handle by which the save has the file open; what is read
        meanwhile, by the save itself, is read by way of that.
        """
        status = self.identity
        assert status is not None
        same = [
            other
            for other in list(_OPEN)
            if other is not self and other.identity is not None and other.identity[:2] == status[:2]
        ]
        with ExitStack() as held:
            for source in sorted([self, *same], key=id):
                held.enter_context(source.lock)
            for source in (self, *same):
                if not source.closed:
                    source.suspend()
            try:
                yield self._lend
            finally:
                self.lent, self.place_of = False, None
                self._file = self._headers = None
                self._suspended = True
                for node in list(self.nodes.values()):
                    node.release()

    def _lend(self, file: h5py.File) -> None:
        self._file, self._headers, self._suspended, self.lent = file, None, False, True

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
            self._file, self._lock = open_path(self.path, self.file)
            self._suspended = False
            self.identity = Identity.of(self.path)

    def renumber(self, nodes: list[Node], moved: list[Node]) -> None:
        """Take these nodes for those of the file, as far as they are still there.

        Parameters
        ----------
        nodes
            Nodes, in the order in which they were found.
        moved
            Those of them whose addresses may be others now.
        """
        with self.lock:
            self.nodes.clear()
            again = set(map(id, moved))
            for node in sorted(nodes, key=lambda one: one.path):
                if id(node) in again:
                    try:
                        node.address = int(h5py.h5o.get_info(node.id).addr)
                    except (OSError, ValueError, KeyError):
                        continue
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

    def copy_object(self, target: str | os.PathLike[str]) -> None:
        """Write the bytes of a source that is not a path to a file, piece by piece."""
        held = self._object
        assert held is not None
        with self.lock, open(target, "wb") as new:
            stream = io.BytesIO(held) if isinstance(held, bytes) else held
            stream.seek(0)
            shutil.copyfileobj(stream, new, _PIECE)

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


_OPEN: weakref.WeakSet[Source] = weakref.WeakSet()
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
