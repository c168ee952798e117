"""A synthetic recording with known answers: every array is a function of seed and time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

__all__ = ["Computed", "Truth"]

Array: TypeAlias = "np.ndarray[Any, Any]"

PIXEL = np.dtype([("x", "u4"), ("y", "u4"), ("weight", "f4")])

_BACKGROUND = 60.0  # photons in a pixel and frame
_RISE, _DECAY, _LAST = 0.05, 0.5, 4.0  # of a transient, in seconds
_EVENTS = 0.2  # transients in a second
_TRIAL = 2.0  # seconds from one trial to the next
_CELLS, _TRANSIENTS, _NOISE, _JITTER, _MOTION, _TRIALS = range(6)  # independent random streams


class Computed:
    """An array that is computed where it is indexed; it takes no memory and no disk.

    Parameters
    ----------
    function
        Gives the rows from a start up to a stop.
    shape, dtype
        Those of the whole array.
    """

    def __init__(
        self, function: Callable[[int, int], Array], shape: tuple[int, ...], dtype: Any
    ) -> None:
        self.function = function
        self.shape = tuple(map(int, shape))
        self.dtype: np.dtype[Any] = np.dtype(dtype)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """The number of bytes that the whole array would take in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        first, *rest = index if isinstance(index, tuple) else (index,)
        if isinstance(first, slice):
            start, stop, step = first.indices(len(self))
            if step == 1:
                return self.function(start, max(start, stop))[(slice(None), *rest)]
        rows = np.arange(len(self))[first]
        if rows.ndim == 0:
            return self.function(int(rows), int(rows) + 1)[(0, *rest)]
        parts = [self.function(row, row + 1) for row in rows.ravel().tolist()]
        block = np.concatenate(parts) if parts else self.function(0, 0)
        return block.reshape(rows.shape + self.shape[1:])[(slice(None), *rest)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError("an array that is computed cannot be had without making it")
        return np.asarray(self.function(0, len(self)), dtype)

    def __repr__(self) -> str:
        return f"<computed {self.dtype} {self.shape}>"


@dataclass(frozen=True)
class Truth:
    """What is true of a synthetic two-photon recording.

    Cells light up, the brain moves, photons are counted, the animal runs about. Whatever varies
    over time is a method that takes the first frame and the frame to stop before, and gives the
    same values however the recording is cut into blocks. Equal parameters give an equal recording.

    Parameters
    ----------
    frames
        The number of frames.
    width, height
        The number of pixels along x and y.
    rois
        The number of cells. Their masks do not overlap.
    rate
        Frames per second.
    seed
        Which of the recordings of that size; 0 or above.

    Examples
    --------
    >>> truth = Truth(frames=90, width=20, height=12, rois=3)
    >>> truth.movie(10, 15).shape
    (5, 20, 12)
    >>> bool((truth.movie()[10:15] == truth.movie(10, 15)).all())
    True
    """

    frames: int = 300
    width: int = 48
    height: int = 32
    rois: int = 12
    rate: float = 30.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("frames", "width", "height", "rois", "rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"expected {name} above 0, found {getattr(self, name)!r}")
        if self.seed < 0:
            raise ValueError(f"expected a seed of 0 or above, found {self.seed}")
        if self.rois > 1 and min(self._pitch) < 1:
            raise ValueError(
                f"{self.rois} cells do not fit into {self.width} x {self.height} pixels: there "
                "must be a pixel for each"
            )

    def _random(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *stream])

    @property
    def duration(self) -> float:
        """How long it lasts, in seconds."""
        return self.frames / self.rate

    def array(self, name: str) -> Computed:
        """Give what one of the methods computes as an array, computed where it is indexed.

        Parameters
        ----------
        name
            The method: "movie", "dff", "image_masks", ...
        """
        function: Callable[[int, int], Array] = getattr(self, name)
        sample = function(0, 0)
        rows = self.rois if name == "image_masks" else self.frames
        return Computed(function, (rows, *sample.shape[1:]), sample.dtype)

    # -- cells -----------------------------------------------------------------------------------

    @property
    def _grid(self) -> tuple[int, int]:
        columns = math.ceil(math.sqrt(self.rois * self.width / self.height))
        columns = max(1, min(columns, self.rois, self.width))
        return columns, math.ceil(self.rois / columns)

    @property
    def _pitch(self) -> tuple[float, float]:
        columns, rows = self._grid
        return self.width / columns, self.height / rows

    @cached_property
    def _cells(self) -> tuple[Array, Array, Array]:
        """Centers (roi, 2) in pixels, radii (roi, 2), and photons at rest (roi,)."""
        random = self._random(_CELLS)
        position = np.stack(np.divmod(np.arange(self.rois), self._grid[1]), axis=1)
        pitch = np.array(self._pitch)
        # Within these a cell stays in its square of the grid, wherever its center falls.
        radii = np.minimum(random.uniform(0.55, 0.95, (self.rois, 2)) * pitch / 2, (6.0, 4.0))
        radii = np.maximum(np.minimum(radii, np.floor(pitch / 2)), 0.5)
        room = np.maximum(pitch / 2 - np.ceil(radii), 0)
        middle = (position + 0.5) * pitch + random.uniform(-1, 1, (self.rois, 2)) * room
        return np.floor(middle).astype(int), radii, random.uniform(80, 160, self.rois)

    @property
    def centers(self) -> Array:
        """(roi, 2), the central pixel of each cell, as x and y."""
        return self._cells[0].copy()

    @cached_property
    def pixel_masks(self) -> list[Array]:
        """One array a cell: (pixel,), compound of ``x``, ``y`` and ``weight``, 1 at its center."""
        masks = []
        for center, radii in zip(*self._cells[:2], strict=True):
            low = np.maximum(center - np.floor(radii), 0).astype(int)
            high = np.minimum(center + np.floor(radii) + 1, (self.width, self.height)).astype(int)
            x, y = np.mgrid[low[0] : high[0], low[1] : high[1]]
            weight = 1 - ((x - center[0]) / radii[0]) ** 2 - ((y - center[1]) / radii[1]) ** 2
            inside = (weight > 0) | ((x == center[0]) & (y == center[1]))
            mask = np.empty(int(inside.sum()), PIXEL)
            mask["x"], mask["y"], mask["weight"] = x[inside], y[inside], weight[inside]
            masks.append(mask)
        return masks

    def image_masks(self, start: int = 0, stop: int | None = None) -> Array:
        """(roi, x, y), the masks of cells from ``start`` up to ``stop`` as images."""
        masks = self.pixel_masks[start : self.rois if stop is None else stop]
        images = np.zeros((len(masks), self.width, self.height), np.float32)
        for image, mask in zip(images, masks, strict=True):
            image[mask["x"], mask["y"]] = mask["weight"]
        return images

    @cached_property
    def _pixels(self) -> tuple[Array, Array, Array, Array]:
        pixels = np.concatenate(self.pixel_masks)
        owner = np.repeat(np.arange(self.rois), [len(mask) for mask in self.pixel_masks])
        return pixels["x"].astype(int), pixels["y"].astype(int), pixels["weight"], owner

    # -- activity --------------------------------------------------------------------------------

    @cached_property
    def transients(self) -> Array:
        """(event,), compound of ``frame``, ``roi`` and ``amplitude`` (in dF/F), by frame."""
        random = self._random(_TRANSIENTS)
        counts = 1 + random.poisson(_EVENTS * self.duration, self.rois)
        total = int(counts.sum())
        events = np.empty(total, [("frame", "i8"), ("roi", "i8"), ("amplitude", "f8")])
        events["frame"] = random.integers(self.frames, size=total)
        events["roi"] = np.repeat(np.arange(self.rois), counts)
        events["amplitude"] = random.uniform(0.5, 2.0, total)
        return np.sort(events, order=("frame", "roi", "amplitude"))

    @cached_property
    def kernel(self) -> Array:
        """(time,), the course of a transient from its frame on, 1 at its peak."""
        seconds = np.arange(1, max(2, math.ceil(_LAST * self.rate)) + 1) / self.rate
        course = (1 - np.exp(-seconds / _RISE)) * np.exp(-seconds / _DECAY)
        peaked: Array = course / course.max()
        return peaked

    def _convolved(self, kernel: Array, start: int, stop: int | None) -> Array:
        stop = self.frames if stop is None else stop
        first, last = np.searchsorted(
            self.transients["frame"], [start - len(kernel) + 1, max(start, stop)]
        )
        events = self.transients[first:last]
        rows = events["frame"][:, None] + np.arange(len(kernel)) - start
        values = events["amplitude"][:, None] * kernel
        places = rows * self.rois + events["roi"][:, None]
        inside = (rows >= 0) & (rows < stop - start)
        size = max(stop - start, 0) * self.rois
        # Each sum runs over its events in their order, whatever the block.
        sums = np.bincount(places[inside], values[inside], minlength=size)[:size]
        return sums.reshape(-1, self.rois).astype(np.float32)

    def dff(self, start: int = 0, stop: int | None = None) -> Array:
        """(time, roi), the relative change of each cell's fluorescence."""
        return self._convolved(self.kernel, start, stop)

    def deconvolved(self, start: int = 0, stop: int | None = None) -> Array:
        """(time, roi), the amplitude of each transient in the frame it begins in."""
        return self._convolved(np.ones(1), start, stop)

    def _haze(self, start: int, stop: int) -> Array:
        phase = 2 * np.pi * np.arange(start, stop) / (11 * self.rate) + self.seed
        return np.asarray(1 + 0.2 * np.sin(phase))

    def _shade(self, x: Array, y: Array) -> tuple[Array, Array]:
        across = 1 + 0.4 * np.sin(2 * np.pi * x / self.width)
        down = 1 + 0.2 * np.cos(2 * np.pi * y / self.height)
        return across, down

    def neuropil(self, start: int = 0, stop: int | None = None) -> Array:
        """(time, roi), the photons of the surroundings in the central pixel of each cell."""
        stop = self.frames if stop is None else stop
        across, down = self._shade(*self._cells[0].T)
        light = _BACKGROUND * self._haze(start, stop)[:, None] * (across * down)
        return np.asarray(light, np.float32)

    def fluorescence(self, start: int = 0, stop: int | None = None) -> Array:
        """(time, roi), the photons in the central pixel of each cell, the surroundings included."""
        signal = self._cells[2] * (1 + self.dff(start, stop)) + self.neuropil(start, stop)
        return np.asarray(signal, np.float32)

    # -- the movie -------------------------------------------------------------------------------

    def translation(self, start: int = 0, stop: int | None = None) -> Array:
        """(time, 2), what brings each frame back into place: pixels along x and y.

        What is at (x, y) at rest is at ``(x, y) - translation`` in the frame.
        """
        frame = np.arange(start, self.frames if stop is None else stop)[:, None]
        reach = np.array([min(2, self.width // 12), min(1, self.height // 12)])
        drift = np.sin(2 * np.pi * frame / (self.rate * np.array([7.0, 5.0])) + self.seed)
        jitter = self._uniform(_MOTION, frame * 2 + np.arange(2)) - 0.5
        steps: Array = np.rint(np.clip(drift + jitter, -1, 1) * reach).astype(np.int16)
        return steps

    def photons(self, start: int = 0, stop: int | None = None) -> Array:
        """(time, x, y), how many photons are expected: the movie without noise."""
        return self._rendered(start, stop, np.float32, lambda frame, expected: expected)

    def movie(self, start: int = 0, stop: int | None = None) -> Array:
        """(time, x, y), the photons counted, with their noise."""

        def counted(frame: int, expected: Array) -> Array:
            return np.asarray(self._random(_NOISE, frame).poisson(expected))

        return self._rendered(start, stop, np.int16, counted)

    def corrected(self, start: int = 0, stop: int | None = None) -> Array:
        """(time, x, y), the movie moved back into place; 0 where nothing was seen."""
        movie = self.movie(start, stop)
        result = np.zeros_like(movie)
        for frame, moved, (x, y) in zip(
            movie, result, self.translation(start, stop).tolist(), strict=True
        ):
            here, there = _overlap(x, self.width), _overlap(y, self.height)
            moved[here[1], there[1]] = frame[here[0], there[0]]
        return result

    def _rendered(
        self, start: int, stop: int | None, dtype: Any, each: Callable[[int, Array], Array]
    ) -> Array:
        stop = self.frames if stop is None else stop
        movie = np.empty((max(stop - start, 0), self.width, self.height), dtype)
        light = self._cells[2] * (1 + self.dff(start, stop))
        haze = _BACKGROUND * self._haze(start, stop)
        shifts = self.translation(start, stop)
        for i in range(len(movie)):
            movie[i] = each(start + i, self._frame(light[i], haze[i], *shifts[i].tolist()))
        return movie

    def _frame(self, light: Array, haze: float, dx: int, dy: int) -> Array:
        across, down = self._shade(np.arange(self.width) + dx, np.arange(self.height) + dy)
        expected = haze * np.outer(across, down)
        x, y, weight, owner = self._pixels
        x, y = x - dx, y - dy
        seen = (x >= 0) & (x < self.width) & (y >= 0) & (y < self.height)
        # Masks do not overlap, so no pixel is added to twice.
        expected[x[seen], y[seen]] += weight[seen] * light[owner[seen]]
        return expected

    def reference(self) -> Array:
        """(x, y), the image at rest: no motion, no activity, no noise."""
        return self._frame(self._cells[2], _BACKGROUND, 0, 0).astype(np.float32)

    # -- behavior --------------------------------------------------------------------------------

    def _uniform(self, stream: int, index: Array) -> Array:
        """Give a random number from 0 to 1 for each index, by itself (splitmix64)."""
        bits = np.asarray(index, np.uint64) + np.uint64(
            ((self.seed * 64 + stream + 1) << 40) % 2**64
        )
        bits = bits * np.uint64(0x9E3779B97F4A7C15)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        uniform: Array = (bits ^ (bits >> np.uint64(31))).astype(np.float64) / 2.0**64
        return uniform

    def times(self, start: int = 0, stop: int | None = None) -> Array:
        """(time,), when the camera took its pictures, in seconds; not quite regular."""
        index = np.arange(start, self.frames if stop is None else stop)
        seconds: Array = (index + 0.2 * self._uniform(_JITTER, index)) / self.rate
        return seconds

    def position(self, start: int = 0, stop: int | None = None) -> Array:
        """(time, 2), where the animal is at `times`: x and y, in meters."""
        seconds = self.times(start, stop)
        x = 0.20 + 0.18 * np.sin(2 * np.pi * seconds / 13)
        y = 0.15 + 0.13 * np.sin(2 * np.pi * seconds / 8 + 1)
        return np.stack([x, y], axis=1)

    def speed(self, start: int = 0, stop: int | None = None) -> Array:
        """(time,), how fast the animal runs at `times`, in meters per second."""
        seconds = self.times(start, stop)
        x = 0.18 * 2 * np.pi / 13 * np.cos(2 * np.pi * seconds / 13)
        y = 0.13 * 2 * np.pi / 8 * np.cos(2 * np.pi * seconds / 8 + 1)
        return np.asarray(np.hypot(x, y))

    @cached_property
    def trials(self) -> dict[str, Array]:
        """Start and stop of each trial in seconds, the stimulus shown, and the answer given."""
        random = self._random(_TRIALS)
        count = max(1, int(self.duration // _TRIAL))
        start = _TRIAL * np.arange(count) + random.uniform(0, 0.5, count)
        return {
            "start_time": start,
            "stop_time": start + 1.25,
            "orientation": random.choice([0.0, 45.0, 90.0, 135.0], count),
            "correct": random.random(count) < 0.7,
        }


def _overlap(shift: int, size: int) -> tuple[slice, slice]:
    """Give the part of an axis that stays within it when moved, before and after."""
    before = slice(max(0, -shift), min(size, size - shift))
    return before, slice(before.start + shift, before.stop + shift)
