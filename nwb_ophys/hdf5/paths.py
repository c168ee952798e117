"""Paths of HDF5: pure text, no file is asked."""

from __future__ import annotations

__all__ = ["absolute", "join"]


def absolute(group: str, target: str) -> str:
    """Give the target of a soft link of a group as an absolute path."""
    parts = [] if target.startswith("/") else group.split("/")
    parts += target.split("/")
    return "/" + "/".join(part for part in parts if part not in ("", "."))


def join(group: str, name: str) -> str:
    """Give the path of a member of a group."""
    return f"{group.rstrip('/')}/{name}"
