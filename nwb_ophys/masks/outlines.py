"""Outlines of masks, along the edges of their pixels."""

from __future__ import annotations

import numpy as np

from nwb_ophys.errors import SchemaError
from nwb_ophys.masks.basics import Array
from nwb_ophys.masks.flat import FlatMasks

__all__ = ["contours"]

_STEPS = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)])
"""The four directions along pixel edges; each is the one before turned to the left."""


def contours(masks: FlatMasks, threshold: float = 0.0) -> list[list[Array]]:
    """Give the closed outlines of each mask, those of its holes too.

    Parameters
    ----------
    masks
        Masks of two axes; those of volumes are projected along z, by their largest weights.
    threshold
        Which pixels are inside: those whose weight is above this part of the largest one.

    Returns
    -------
    list of list of numpy.ndarray
        For each ROI its outlines, (corner, axis), the first corner once more at the end. The
        center of pixel 0 is at 0, its edges are at -0.5 and 0.5. The mask lies to the left of an
        outline as it is walked, the first axis to the right and the second one up.
    """
    if not 0 <= threshold < 1:
        raise SchemaError(f"expected a threshold from 0 up to 1, found {threshold}")
    masks = masks.summed()
    planar = [place for place, axis in enumerate(masks.axes) if axis != "z"]
    bounds = masks.bounds
    result = []
    for row in range(len(masks)):
        part = slice(bounds[row], bounds[row + 1])
        weights = masks.weights[part]
        inside = weights > threshold * weights.max() if len(weights) else np.zeros(0, bool)
        x, y = (masks.coordinates[place][part][inside].astype(np.int64) for place in planar)
        result.append(_outlines(x, y))
    return result


def _outlines(x: Array, y: Array) -> list[Array]:
    """Walk along the edges between pixels that are inside and others."""
    if not len(x):
        return []
    image = np.zeros((int(np.ptp(x)) + 3, int(np.ptp(y)) + 3), bool)
    left, low = int(x.min()) - 1, int(y.min()) - 1
    image[x - left, y - low] = True
    # Corner (i, j) is the lower left one of pixel (i, j). Below, right, above and left of a pixel
    # run the edges, each so that the pixel is to its left.
    edges: dict[tuple[int, int], list[int]] = {}
    starts = ((0, 0), (1, 0), (1, 1), (0, 1))
    outside = ((0, -1), (1, 0), (0, 1), (-1, 0))
    for direction, (corner, beyond) in enumerate(zip(starts, outside, strict=True)):
        neighbor = np.roll(image, (-beyond[0], -beyond[1]), (0, 1))
        for i, j in np.argwhere(image & ~neighbor).tolist():
            edges.setdefault((i + corner[0], j + corner[1]), []).append(direction)
    found = []
    while edges:
        found.append(_walk(edges) + np.array([left, low]) - 0.5)
    return found


def _walk(edges: dict[tuple[int, int], list[int]]) -> Array:
    """Take one closed walk out of the edges; corners where it goes straight on are left out."""
    start = min(edges)
    corner, heading = start, -1
    corners: list[tuple[int, int]] = []
    while True:
        there = edges.get(corner)
        if there is None or (corner == start and corners and (heading + 1) % 4 not in there):
            break
        # Where two pixels touch at a corner only, turn left: they are parts of their own.
        turns = ((heading + 1) % 4, heading, (heading - 1) % 4)
        direction = there[0] if heading < 0 else next(one for one in turns if one in there)
        there.remove(direction)
        if not there:
            del edges[corner]
        if direction != heading:
            corners.append(corner)
        corner = (corner[0] + int(_STEPS[direction, 0]), corner[1] + int(_STEPS[direction, 1]))
        heading = direction
    return np.array([*corners, corners[0]], float)
