"""The rollback journal: the old content of what a save in place overwrites; `docs/journal.md`.

A save first writes a journal beside the file and then the journal's id in place of the signature
that every HDF5 file begins with. Old content is in the journal, and synced, before it is
overwritten. To put the signature back is to commit. So a file that carries the id of a journal is
put back as it was from that journal, and no other file ever is.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from struct import Struct
from typing import Final

from nwb_ophys.errors import FileAccessError, FilePermissionError
from nwb_ophys.hdf5.signature import EARLY_MARK, JOURNAL_MARK, SIGNATURE
from nwb_ophys.hdf5.syncing import sync, sync_folder, write_all

__all__ = [
    "LARGEST",
    "Header",
    "Journal",
    "find_journal",
    "journal_path",
    "read_header",
    "roll_back",
    "whole_records",
]

VERSION: Final = 1
_HEADER: Final = 4096
_SYNCED_AT: Final = _HEADER - 512
"""Where the header says how far the journal was synced: in a sector of its own."""
_RECORD: Final = Struct("<4sQII")
_MAGIC: Final = b"OLD:"
_DONE_SIZE: Final = 12
LARGEST: Final = 1 << 20
"""The most bytes that one record holds."""


@dataclass(frozen=True)
class Header:
    """What a journal says of itself.

    Parameters
    ----------
    version
        The version of its format.
    id
        The eight bytes that the file carries in place of its signature, in hexadecimal.
    name
        The name of the file when it was saved.
    size
        Its size before.
    signature_at
        Where its signature lies, 0 unless the file has a user block.
    mtime_ns
        When it was changed last before.
    pid, host, started
        The process that saves, and when it began.
    """

    version: int
    id: str
    name: str
    size: int
    signature_at: int
    mtime_ns: int
    pid: int
    host: str
    started: str

    @property
    def mark(self) -> bytes:
        """The id as the file carries it once something is overwritten."""
        return bytes.fromhex(self.id)

    @property
    def early_mark(self) -> bytes:
        """The id as the file carries it before."""
        return EARLY_MARK + self.mark[3:]

    @property
    def writer(self) -> str:
        """The process that saves, for messages."""
        return f"process {self.pid} on {self.host}, since {self.started}"


def journal_path(path: str | os.PathLike[str]) -> Path:
    """Say where the journal of a file lies: beside it, symbolic links resolved."""
    real = Path(os.path.realpath(path))
    return real.with_name(f"{real.name}-journal")


class Journal:
    """A journal that is being written.

    Parameters
    ----------
    path
        The file that is saved.
    descriptor
        The file, open.
    signature_at
        Where its signature lies.

    Raises
    ------
    FilePermissionError
        Where its folder may not be written to.
    """

    def __init__(self, path: str, descriptor: int, signature_at: int) -> None:
        self.path = journal_path(path)
        status = os.fstat(descriptor)
        mark = JOURNAL_MARK + secrets.token_bytes(5)
        while mark == SIGNATURE:  # pragma: no cover  (they differ in the second byte)
            mark = JOURNAL_MARK + secrets.token_bytes(5)
        self.header = Header(
            VERSION,
            mark.hex(),
            self.path.name.removesuffix("-journal"),
            status.st_size,
            signature_at,
            status.st_mtime_ns,
            os.getpid(),
            socket.gethostname(),
            time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        )
        _set_aside(self.path)
        try:
            self._descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        except PermissionError as error:
            raise FilePermissionError(
                f"no journal can be made in the folder {self.path.parent}, "
                "without which the file is not changed in place",
                file=path,
                hint="write the session to a new file: nwb_ophys.write(session, path)",
            ) from error
        self._end = _HEADER
        self.safe = False
        """Whether the journal would be there after the power went."""
        try:
            # Who may write the file may roll it back, too.
            os.fchmod(self._descriptor, status.st_mode & 0o666)
            with suppress(OSError):
                os.fchown(self._descriptor, status.st_uid, status.st_gid)
            write_all(self._descriptor, _encode_header(self.header), 0)
        except BaseException:
            self.remove()
            raise

    def keep(self, at: int, data: bytes) -> None:
        """Add old content of the file; it is safe once `sync` was called."""
        head = _RECORD.pack(_MAGIC, at, len(data), _checksum(self.header.mark, at, data))
        write_all(self._descriptor, head + data, self._end)
        self._end += len(head) + len(data)

    def sync(self) -> None:
        """Have all of it reach the disk, its name included."""
        sync(self._descriptor)
        if not self.safe:
            sync_folder(self.path.parent)
            self.safe = True
        # Up to here all is whole from now on, or it was damaged. That may itself get lost when the
        # power goes, and the end then be taken for one that was never synced.
        write_all(self._descriptor, _encode_synced(self.header.mark, self._end), _SYNCED_AT)

    def close(self) -> None:
        """Close the journal, and leave it where it is."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def remove(self) -> None:
        """Remove the journal, as the file is whole."""
        if self._descriptor >= 0:
            # Should it outlast what follows, it is known to be left over.
            with suppress(OSError):
                write_all(self._descriptor, _done(self.header), self._end)
        self.close()
        # One that is there again after the power went is known to be left over, so no sync.
        self.path.unlink(missing_ok=True)


def _encode_header(header: Header) -> bytes:
    name = header.name
    text = (
        "This is a journal of nwb_ophys. The saving of a file was interrupted, or is under way:\n"
        f"{name}\n"
        "The old content of what was overwritten there is in here. To put the file back as it "
        "was, open it with nwb_ophys,\nor run: nwb-ophys recover FILE. Until then, keep this "
        "journal beside the file.\n"
    )
    fields = json.dumps(asdict(header)).encode()
    data = text.encode("utf-8", "surrogateescape") + fields + b"\n"
    data += f"{zlib.crc32(fields):08x}\n".encode()
    return data.ljust(_HEADER - 1, b" ") + b"\n"


def _encode_synced(mark: bytes, end: int) -> bytes:
    return b"%016x %08x\n" % (end, _checksum(mark, end, b""))


def _decode_synced(mark: bytes, data: bytes) -> int:
    """Read how far a journal was synced; 0 where it does not say."""
    try:
        end = int(data[:16], 16)
    except ValueError:
        return 0
    return end if data == _encode_synced(mark, end) else 0


def read_header(path: Path) -> Header | None:
    """Read what a journal says of itself; None where it is none, or not a whole one."""
    try:
        with open(path, "rb") as stream:
            data = stream.read(_HEADER)
    except OSError:
        return None
    start = data.find(b'\n{"version"') + 1
    fields, _, rest = data[start:].partition(b"\n")
    try:
        if not start or int(rest[:8], 16) != zlib.crc32(fields):
            return None
        values = json.loads(fields)
        if values["version"] > VERSION:
            raise FileAccessError(
                f"the journal has version {values['version']}, and this release knows {VERSION}",
                file=path,
                hint="install a newer release of nwb_ophys, and open the file with that",
            )
        return Header(**{name: values[name] for name in Header.__dataclass_fields__})
    except (ValueError, KeyError, TypeError):
        return None


def find_journal(path: str, mark: bytes) -> Path | None:
    """Find the journal whose id a file carries: beside it, under whatever name."""
    own = journal_path(path)
    candidates = [own]
    with suppress(OSError):
        candidates += sorted(own.parent.glob("*-journal*"))
    for candidate in candidates:
        header = read_header(candidate)
        if header is not None and header.mark == mark:
            return candidate
    return None


def _records(path: Path, mark: bytes) -> Iterator[tuple[int, bytes]]:
    """Iterate over the old content in a journal, as far as it is whole."""
    with open(path, "rb") as stream:
        stream.seek(_HEADER)
        while len(head := stream.read(_RECORD.size)) == _RECORD.size:
            magic, at, length, checksum = _RECORD.unpack(head)
            if magic != _MAGIC or length > LARGEST:
                return
            data = stream.read(length)
            if len(data) < length or _checksum(mark, at, data) != checksum:
                return
            yield at, data


def whole_records(
    path: Path, mark: bytes, file: str, *, needed: bool
) -> list[tuple[int, int, int]]:
    """List the old content in a journal: where it was, its length, and where the journal has it.

    What comes after an end that was never wholly written was never overwritten, as it would have
    been synced before.

    Parameters
    ----------
    path, mark
        The journal, and its id.
    file
        The file, for messages.
    needed
        Whether the file says that the journal was synced once, so that its beginning was.

    Raises
    ------
    FileAccessError
        Where the journal is damaged, or was cut.
    """
    whole, found = _HEADER, []
    for at, data in _records(path, mark):
        found.append((at, len(data), whole + _RECORD.size))
        whole += _RECORD.size + len(data)
    with open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        stream.seek(_SYNCED_AT)
        synced = _decode_synced(mark, stream.read(len(_encode_synced(mark, 0))))
    if whole >= max(synced, _HEADER + needed):
        return found
    how = f"it was synced up to byte {synced:,}, and " if synced else "it "
    cut = size < max(synced, _HEADER + needed)
    how += f"ends at byte {size:,}" if cut else f"is damaged at byte {whole:,}"
    raise FileAccessError(
        f"a save of this file was interrupted, and the journal {path.name}, with the old content "
        f"of what was overwritten, is not whole: {how}; nothing was put back",
        file=file,
        hint=f"put a whole copy of {path.name} beside the file and open it again, or take the file "
        "from a backup",
    )


def _checksum(mark: bytes, at: int, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(mark + at.to_bytes(8, "little")))


def roll_back(descriptor: int, journal: Path, file: str) -> None:
    """Put a file back as it was before the save whose journal this is.

    Parameters
    ----------
    descriptor
        The file, open for writing, exclusively locked.
    journal
        The journal whose id the file carries.
    file
        The file, for messages.

    Raises
    ------
    FileAccessError
        Where the journal does not fit the file, or is damaged; the file then stays as it is.
    """
    header = read_header(journal)
    if header is None or os.fstat(descriptor).st_size < header.size:
        raise FileAccessError(
            f"the journal {journal.name} does not fit the file, which is shorter than before",
            file=file,
            hint="take the file from a backup",
        )
    # The id stays in the file to the end, so that all this can be begun again.
    at, mark = header.signature_at, header.mark
    whole_records(journal, mark, file, needed=os.pread(descriptor, 3, at) == JOURNAL_MARK)
    for offset, data in _records(journal, mark):
        if offset + len(data) > header.size:
            data = data[: header.size - offset]
        if offset <= at < offset + len(data):
            data = data[: at - offset] + mark + data[at - offset + 8 :]
        write_all(descriptor, data, offset)
    os.ftruncate(descriptor, header.size)
    sync(descriptor)
    write_all(descriptor, SIGNATURE, at)
    with suppress(OSError, NotImplementedError):
        os.utime(descriptor, ns=(os.fstat(descriptor).st_atime_ns, header.mtime_ns))
    sync(descriptor)
    with suppress(OSError), open(journal, "ab") as stream:
        stream.write(_done(header))
    with suppress(OSError):  # its folder may not be written to; the file needs it no more
        journal.unlink()


def _set_aside(path: Path) -> None:
    """Make room for a new journal, where one is left over.

    One that says that it has done its work is deleted. Any other may be needed by a file that was
    moved or copied away, and gets another name.
    """
    try:
        with open(path, "rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _DONE_SIZE))
            data = stream.read()
    except FileNotFoundError:
        return
    header = read_header(path)
    if header is not None and data == _done(header):
        path.unlink()
    else:
        path.rename(path.with_name(f"{path.name}.{header.id if header else 'unknown'}"))


def _done(header: Header) -> bytes:
    return b"DONE" + header.mark
