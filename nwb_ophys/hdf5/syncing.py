"""Bytes that reach the disk: all of them, and before what follows."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

__all__ = ["sync", "sync_folder", "write_all"]


def sync(descriptor: int) -> None:
    """Have what was written reach the disk."""
    try:
        import fcntl

        full = fcntl.F_FULLFSYNC  # type: ignore[attr-defined,unused-ignore]  # macOS
    except (ImportError, AttributeError):
        # Data, and what it takes to find them; when they were changed may follow later.
        getattr(os, "fdatasync", os.fsync)(descriptor)
    else:
        fcntl.fcntl(descriptor, full)


def write_all(descriptor: int, data: Any, at: int) -> None:
    """Write at a position, however often the system writes less than it is given."""
    view = memoryview(data)
    done = 0
    while done < len(view):
        done += os.pwrite(descriptor, view[done:], at + done)


def sync_folder(folder: Path) -> None:
    """Have the names of the files in a folder reach the disk."""
    # Windows cannot open folders, and some network file systems cannot sync them; the rename
    # itself is then as lasting as the system makes it.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
