"""What can be measured of masks: areas, centroids, boxes, overlaps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nwb_ophys.masks.basics import Array, import_sparse
from nwb_ophys.masks.flat import FlatMasks

__all__ = ["areas", "bounding_boxes", "centroids", "overlaps"]


def areas(masks: FlatMasks) -> Array:
    """(roi,), the number of pixels whose weight is not 0."""
    return masks.summed().counts


def centroids(masks: FlatMasks, *, weighted: bool = True) -> Array:
    """(roi, axis), the mean position of each mask, NaN where it is empty."""
    masks = masks.summed()
    weights = masks.weights.astype(np.float64) if weighted else np.ones(len(masks.weights))
    owners, count = masks.owners, len(masks)
    totals = np.bincount(owners, weights, count)
    sums = [np.bincount(owners, weights * positions, count) for positions in masks.coordinates]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.stack(sums, axis=1) / totals[:, None]


def bounding_boxes(masks: FlatMasks) -> Array:
    """(roi, axis, 2), the first position along each axis and the one after the last."""
    masks = masks.summed()
    result = np.zeros((len(masks), masks.ndim, 2), np.int64)
    filled = np.flatnonzero(masks.counts)
    if filled.size:
        starts = masks.bounds[filled]
        for axis, positions in enumerate(masks.coordinates):
            positions = positions.astype(np.int64)
            result[filled, axis, 0] = np.minimum.reduceat(positions, starts)
            result[filled, axis, 1] = np.maximum.reduceat(positions, starts) + 1
    return result


def overlaps(masks: FlatMasks) -> Any:
    """Make a CSR matrix, (roi, roi), of how many pixels two masks have in common."""
    sparse = import_sparse()
    masks = masks.summed()
    shape = masks.extent
    inside = sparse.csr_matrix(
        (np.ones(len(masks.weights), np.int64), masks.raveled(shape), masks.bounds),
        shape=(len(masks), max(1, math.prod(shape))),
    )
    result = (inside @ inside.T).tocsr()
    result.sort_indices()
    return result
