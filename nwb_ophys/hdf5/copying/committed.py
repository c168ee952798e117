"""Committed datatypes, which several datasets and attributes share."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from h5py import h5g, h5o, h5t

__all__ = ["CommittedTypes"]


class CommittedTypes:
    """Committed datatypes of the source, each once in the target."""

    def __init__(self, target: Any) -> None:
        self._target = target
        self.made: dict[int, Any] = {}
        """Those of the target, by their addresses in the source."""

    def of(self, type_: Any) -> Any:
        """Give the datatype to create something with: for a committed one, its copy."""
        if not type_.committed():
            return type_
        address = h5o.get_info(type_).addr
        if address not in self.made:
            name = str(len(self.made)).encode()
            h5o.copy(type_, b".", self._nursery, name)
            self.made[address] = h5t.open(self._nursery, name)
        return self.made[address]

    @cached_property
    def _nursery(self) -> Any:
        """A group without a name, where datatypes can be committed before they get theirs.

        Those that never do live on without one, as long as something uses them.
        """
        return h5g.create(self._target, None)
