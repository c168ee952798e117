"""What HDF5 files begin with, and what stands there while one is saved in place."""

from __future__ import annotations

import os
from typing import IO, Final

from nwb_ophys.errors import NotNWBError

__all__ = [
    "EARLY_MARK",
    "JOURNAL_MARK",
    "SIGNATURE",
    "carried_id",
    "check_signature",
    "find_signature",
    "is_early",
]

SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
JOURNAL_MARK, EARLY_MARK = b"\x89NW", b"\x89Nw"
"""What stands in place of the signature while a file is saved in place: see `journal`."""
_USER_BLOCKS: Final = (0, *(512 << shift for shift in range(12)))
"""Where the signature may be: after so many bytes that belong to other programs."""


def check_signature(stream: IO[bytes], file: str) -> bool:
    """Check that a file is HDF5; tell whether it carries the id of a journal instead of that."""
    stream.seek(0, os.SEEK_END)
    size = stream.tell()
    if not size:
        raise NotNWBError("expected an NWB file, found an empty one", file=file)
    for offset in _USER_BLOCKS:
        stream.seek(offset)
        head = stream.read(len(SIGNATURE))
        if head == SIGNATURE:
            return False
        if head[:3] in (JOURNAL_MARK, EARLY_MARK):
            return True
        if len(head) < len(SIGNATURE):
            break
    stream.seek(0)
    raise NotNWBError(
        f"expected an HDF5 file, found one that begins with {stream.read(16)!r}",
        file=file,
        hint="NWB files of version 2 are HDF5 files",
    )


def find_signature(descriptor: int) -> int | None:
    """Find where the signature of an HDF5 file, or the id in its place, lies."""
    for offset in _USER_BLOCKS:
        head = os.pread(descriptor, 8, offset)
        if head == SIGNATURE or head[:3] in (JOURNAL_MARK, EARLY_MARK):
            return offset
        if len(head) < 8:
            break
    return None


def carried_id(descriptor: int) -> bytes | None:
    """Give the journal's id that a file carries; None for a file that is whole."""
    at = find_signature(descriptor)
    head = b"" if at is None else os.pread(descriptor, 8, at)
    return JOURNAL_MARK + head[3:] if head[:3] in (JOURNAL_MARK, EARLY_MARK) else None


def is_early(descriptor: int) -> bool:
    """Tell whether a save was interrupted before it overwrote anything."""
    at = find_signature(descriptor)
    return at is not None and os.pread(descriptor, 3, at) == EARLY_MARK
