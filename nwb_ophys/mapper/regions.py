"""Region references of old files: a part of a dataset, read when it is indexed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from nwb_ophys.hdf5.decoding import decode
from nwb_ophys.hdf5.nodes import Node

__all__ = ["Region"]


@dataclass(frozen=True, slots=True)
class Region:
    """A region reference, which old files use: a part of a dataset.

    Parameters
    ----------
    target
        The model of the dataset.
    data
        The dataset, to be read at ``selection``.
    reference
        h5py's reference to the part.
    """

    target: Any
    node: Node
    reference: Any

    def __getitem__(self, index: Any) -> Any:
        """Read the part, flattened where it is no block, and give ``part[index]``."""
        with self.node.lock:
            dataset = h5py.Dataset(self.node.id)
            part = decode(np.asarray(dataset[self.reference]), self.node.resolve, dataset.dtype)
        return part[index]
