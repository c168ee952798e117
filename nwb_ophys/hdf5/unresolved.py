"""Arrays whose references stay pointers, whatever session has the file open."""

from __future__ import annotations

from typing import Any

import numpy as np

from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.hdf5.nodes import Node
from nwb_ophys.hdf5.values import pointers_of

__all__ = ["unresolved"]


def unresolved(node: Node) -> LazyArray:
    """Give the data of a dataset, with references as `Pointer` and `RegionPointer`."""
    return LazyArray(_Handle(node))


class _Handle:
    """What a `LazyArray` needs to know of a dataset.

    Parameters
    ----------
    node
        The dataset.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.generation, self.pending = node.generation, node.pending
        self.file, self.path, self.lock = node.file, node.path, node.lock
        self.dataset, self.form, self.raw = node.dataset, node.form, node.raw
        self.check_readable = node.check_readable

    def resolve(self, references: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Turn h5py references into pointers."""
        return pointers_of(references, self.node.source.id)
