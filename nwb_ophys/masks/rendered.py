"""`Rendered`: images of masks that are made where they are indexed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nwb_ophys.errors import SchemaError
from nwb_ophys.masks.basics import Array
from nwb_ophys.masks.flat import FlatMasks

__all__ = ["Rendered", "rendered"]

_IN_MEMORY = 1 << 26


class Rendered:
    """Images of masks, (roi, ...), made when they are indexed: 5,000 of them may take 5 GB.

    Parameters
    ----------
    masks
        The masks; how large the images are is known of them.
    """

    def __init__(self, masks: FlatMasks) -> None:
        if masks.shape is None:
            raise SchemaError("images of masks need shape=, the number of pixels per axis")
        self._masks = masks
        self._frame = masks.shape
        self.shape = (len(masks), *masks.shape)
        self.dtype: np.dtype[Any] = masks.weights.dtype
        self.ndim = len(self.shape)

    @property
    def nbytes(self) -> int:
        """The number of bytes that all of them would take in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        first, *rest = index if isinstance(index, tuple) else (index,)
        if first is Ellipsis or first is None:
            return np.asarray(self)[index]
        rows = np.arange(len(self))[first]
        dense = self._masks.take(np.atleast_1d(rows)).to_dense(self._frame)
        if rows.ndim == 0:
            return dense[(0, *rest)]
        return dense.reshape(rows.shape + self._frame)[(slice(None), *rest)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError("images that are made when they are indexed are always new")
        return np.asarray(self._masks.to_dense(self._frame), dtype)

    def __repr__(self) -> str:
        return f"<images of masks, {self.dtype} {self.shape}>"


def rendered(masks: FlatMasks) -> Any:
    """Make images of masks: in memory, or where they are large when they are indexed."""
    images = Rendered(masks)
    return images if images.nbytes > _IN_MEMORY else np.asarray(images)
