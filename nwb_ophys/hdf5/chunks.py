"""Read compressed chunks past HDF5, which decodes one at a time: located, fetched, decoded by many.

HDF5 says where the chunks lie; their bytes are read with positional reads, neighbours at one go,
and decoded by several threads straight into their places. What cannot be done so is left to HDF5.
"""

from __future__ import annotations

import itertools
import math
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from h5py import h5d, h5p
from numpy.typing import NDArray

from .boxes import Block
from .codecs import CodecError, Pipeline
from .raw import RawFile
from .workers import cache_limit, pool, thread_count

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["ChunkError", "Chunks", "has_fill_value"]

Number: TypeAlias = tuple[int, ...]
"""The number of a chunk along each axis."""

_GAP = 1 << 12  # what lies between two chunks that are still fetched at one go
_MOST_REQUEST = 1 << 22
_LEAST_REQUEST = 1 << 16
_ALONE = 1 << 19  # bytes that one thread decodes sooner than others could be asked


class ChunkError(OSError):
    """A chunk is not what its dataset says."""


class _NotForUsError(Exception):
    """Only HDF5 knows how to read this chunk."""


class _Stored(NamedTuple):
    """Where a chunk lies in the file."""

    address: int
    size: int
    mask: int


class _Use(NamedTuple):
    """A part of a chunk, and where it goes."""

    target: NDArray[Any]
    part: tuple[slice, ...]


class _Task(NamedTuple):
    """One chunk to decode."""

    number: Number
    stored: _Stored
    uses: list[_Use]


class Chunks:
    """The chunks of one open dataset.

    Parameters
    ----------
    dataset
        The dataset.
    pipeline
        Its filters, all of which `Pipeline.decode` knows.
    shape, chunk
        The shape of the dataset, and of a chunk.
    dtype
        How elements are stored.
    """

    def __init__(
        self,
        dataset: h5d.DatasetID,
        pipeline: Pipeline,
        shape: tuple[int, ...],
        chunk: tuple[int, ...],
        dtype: np.dtype[Any],
    ) -> None:
        self._dataset = dataset
        self._pipeline = pipeline
        self._shape = shape
        self._chunk = chunk
        self._dtype = dtype
        self._nbytes = math.prod(chunk) * dtype.itemsize
        self._grid = tuple(-(-length // size) for length, size in zip(shape, chunk, strict=True))
        self._places: dict[Number, _Stored | None] = {}
        self._all_known = False
        self._fill: NDArray[Any] | None = None
        weakref.finalize(self, _CACHE.drop, id(self)).atexit = False

    @classmethod
    def of(cls, dataset: h5d.DatasetID, dtype: np.dtype[Any]) -> Chunks | None:
        """Give the chunks of a dataset; None where HDF5 had better read it."""
        plist, shape = dataset.get_create_plist(), dataset.shape
        if plist.get_layout() != h5d.CHUNKED or not plist.get_nfilters() or not shape:
            return None
        pipeline = Pipeline.of(plist)
        if dtype.hasobject or not pipeline.decodable:
            return None
        return cls(dataset, pipeline, shape, plist.get_chunk(), dtype)

    def read(self, raw: RawFile, blocks: Sequence[Block], out: NDArray[Any]) -> bool:
        """Fill an array; tell whether that was possible, else it is for HDF5 to do.

        Raises
        ------
        ChunkError
            Where a chunk does not decode, or the file ends before it does.
        """
        uses: dict[Number, list[_Use]] = {}
        picked: list[tuple[Block, NDArray[Any]]] = []
        for block in blocks:
            if block.pick is None:
                target = out if block.at is None else out[block.at]
            else:
                target = np.empty(block.shape, out.dtype)
                picked.append((block, target))
            for number, use in self._uses(block, target):
                uses.setdefault(number, []).append(use)
        self._from_cache(uses)
        try:
            self._fetch(raw, self._located(uses))
        except _NotForUsError:
            return False
        for block, box in picked:
            out[... if block.at is None else block.at] = box[block.pick]
        return True

    # -- what is needed of which chunk ------------------------------------------------------------

    def _uses(self, block: Block, target: NDArray[Any]) -> Iterator[tuple[Number, _Use]]:
        axes = [
            list(_cut(start, count, step, size))
            for start, count, step, size in zip(
                block.start, block.shape, block.step, self._chunk, strict=True
            )
        ]
        for parts in itertools.product(*axes):
            number = tuple(part[0] for part in parts)
            place = target[tuple(part[2] for part in parts)]
            yield number, _Use(place, tuple(part[1] for part in parts))

    def _from_cache(self, uses: dict[Number, list[_Use]]) -> None:
        """Serve what is kept of chunks that were decoded before."""
        for number in list(uses) if _CACHE.has(id(self)) else ():
            kept = _CACHE.get(id(self), number)
            if kept is not None:
                for use in uses.pop(number):
                    use.target[...] = kept[use.part]

    # -- where chunks lie -------------------------------------------------------------------------

    def _located(self, uses: dict[Number, list[_Use]]) -> list[_Task]:
        self._locate(uses)
        tasks = []
        for number, places in uses.items():
            stored = self._places.get(number)
            if stored is None:
                for use in places:
                    use.target[...] = self._fill_value()
            else:
                tasks.append(_Task(number, stored, places))
        tasks.sort(key=lambda task: task.stored.address)
        return tasks

    def _locate(self, numbers: dict[Number, list[_Use]]) -> None:
        """Ask HDF5 for the places of chunks: for few by coordinate, else for all at once."""
        if self._all_known:
            return
        unknown = [number for number in numbers if number not in self._places]
        # To ask for one takes some times as long as to walk past one.
        if 4 * len(unknown) > math.prod(self._grid) and hasattr(self._dataset, "chunk_iter"):
            found: dict[Number, _Stored | None] = {}

            def enter(info: Any) -> None:
                number = tuple(
                    at // size for at, size in zip(info.chunk_offset, self._chunk, strict=True)
                )
                found[number] = _Stored(info.byte_offset, info.size, info.filter_mask)

            self._dataset.chunk_iter(enter)
            self._places, self._all_known = found, True
            return
        for number in unknown:
            corner = tuple(at * size for at, size in zip(number, self._chunk, strict=True))
            info = self._dataset.get_chunk_info_by_coord(corner)
            self._places[number] = (
                None
                if info.byte_offset is None
                else _Stored(info.byte_offset, info.size, info.filter_mask)
            )

    def _fill_value(self) -> NDArray[Any]:
        if self._fill is None:
            fill = np.zeros((), self._dtype)
            plist = self._dataset.get_create_plist()
            if has_fill_value(plist):
                plist.get_fill_value(fill)
            self._fill = fill
        return self._fill

    # -- bytes ------------------------------------------------------------------------------------

    def _fetch(self, raw: RawFile, tasks: list[_Task]) -> None:
        if not tasks:
            return
        for task in tasks:
            self._check(task)
        threads = thread_count()
        alone = threads == 1 or len(tasks) == 1 or len(tasks) * self._nbytes <= _ALONE
        stored = sum(task.stored.size for task in tasks)
        most = _MOST_REQUEST if alone else min(_MOST_REQUEST, stored // (4 * threads))
        requests = _neighbours(tasks, max(most, _LEAST_REQUEST))
        if alone or len(requests) == 1:
            for request in requests:
                self._decode(raw, request)
            return
        _all_of([pool().submit(self._decode, raw, request) for request in requests])

    def _check(self, task: _Task) -> None:
        """Leave a chunk to HDF5 that may have been stored without the filters.

        They may be left out for chunks over the edge, which h5py does not tell.
        """
        if task.stored.size == self._nbytes and not task.stored.mask:
            ends = zip(task.number, self._chunk, self._shape, strict=True)
            if any((at + 1) * size > length for at, size, length in ends):
                raise _NotForUsError

    def _decode(self, raw: RawFile, tasks: list[_Task]) -> None:
        """Read chunks that lie together, and decode each to where it goes."""
        start = tasks[0].stored.address
        end = max(task.stored.address + task.stored.size for task in tasks)
        data = memoryview(raw.read(start, end - start))
        for task in tasks:
            at = task.stored.address - start
            self._place(task, data[at : at + task.stored.size])

    def _place(self, task: _Task, data: memoryview) -> None:
        if len(data) < task.stored.size:
            raise ChunkError(
                f"{self._name_of(task)} is truncated: the file has {len(data)} of its "
                f"{task.stored.size} bytes"
            )
        whole = None
        if len(task.uses) == 1:
            target = task.uses[0].target
            if target.shape == self._chunk and target.flags.c_contiguous:
                whole = target.reshape(-1).view(np.uint8)
        try:
            plain = self._pipeline.decode(data, self._nbytes, task.stored.mask, whole)
        except CodecError as error:
            raise ChunkError(f"{self._name_of(task)} is corrupt: {error}") from error
        if plain is whole:
            return
        chunk = np.frombuffer(plain, self._dtype).reshape(self._chunk)
        for use in task.uses:
            use.target[...] = chunk[use.part]
        if whole is None and not self._is_used_up(task):
            if len(data) == self._nbytes:
                chunk = chunk.copy()  # it may be a part of what was read together
            _CACHE.put(id(self), task.number, chunk)

    def _is_used_up(self, task: _Task) -> bool:
        """Tell whether all of a chunk that lies in the dataset was asked for."""
        extents = zip(task.number, self._chunk, self._shape, strict=True)
        there = math.prod(min(size, length - at * size) for at, size, length in extents)
        return sum(use.target.size for use in task.uses) >= there

    def _name_of(self, task: _Task) -> str:
        corner = tuple(at * size for at, size in zip(task.number, self._chunk, strict=True))
        return f"the chunk that begins at {list(corner)}, byte {task.stored.address} of the file,"


def has_fill_value(plist: h5p.PropDCID) -> bool:
    """Tell whether HDF5 gives a value to what was never written, and does not just skip it."""
    try:
        undefined = plist.fill_value_defined() == h5d.FILL_VALUE_UNDEFINED
    except (RuntimeError, ValueError):  # damaged
        return False
    return not undefined and plist.get_fill_time() != h5d.FILL_TIME_NEVER


def _cut(start: int, count: int, step: int, size: int) -> Iterator[tuple[int, slice, slice]]:
    """Cut positions along an axis at chunks: the chunk, the part of it, the part of the target."""
    done = 0
    while done < count:
        first = start + done * step
        number, within = divmod(first, size)
        there = min(count - done, -(-(size - within) // step))
        yield (
            number,
            slice(within, within + (there - 1) * step + 1, step),
            slice(done, done + there),
        )
        done += there


def _neighbours(tasks: list[_Task], most: int) -> list[list[_Task]]:
    """Group chunks that lie next to each other in the file."""
    groups: list[list[_Task]] = []
    end = size = -1
    for task in tasks:
        address, length, _ = task.stored
        if groups and 0 <= address - end <= _GAP and size + length <= most:
            groups[-1].append(task)
            size += address - end + length
        else:
            groups.append([task])
            size = length
        end = address + length
    return groups


def _all_of(futures: list[Future[None]]) -> None:
    """Wait for all; what fails first is raised once nothing runs that writes to the result."""
    failure: BaseException | None = None
    for future in futures:
        if failure is not None and future.cancel():
            continue
        try:
            future.result()
        except BaseException as error:
            failure = failure or error
    if failure is not None:
        raise failure


class _Cache:
    """Decoded chunks of which only a part was asked for, the least used forgotten first."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # the collector may drop a dataset within
        self._kept: OrderedDict[tuple[int, Number], NDArray[Any]] = OrderedDict()
        self._of: dict[int, int] = {}
        self._size = 0

    def has(self, owner: int) -> bool:
        return owner in self._of

    def get(self, owner: int, number: Number) -> NDArray[Any] | None:
        with self._lock:
            kept = self._kept.get((owner, number))
            if kept is not None:
                self._kept.move_to_end((owner, number))
            return kept

    def put(self, owner: int, number: Number, chunk: NDArray[Any]) -> None:
        limit = cache_limit()
        if chunk.nbytes > limit:
            return
        with self._lock:
            if (owner, number) in self._kept:
                return
            self._kept[owner, number] = chunk
            self._of[owner] = self._of.get(owner, 0) + 1
            self._size += chunk.nbytes
            while self._size > limit:
                self._forget(next(iter(self._kept)))

    def drop(self, owner: int) -> None:
        """Forget the chunks of a dataset that is no longer read."""
        if owner in self._of:
            with self._lock:
                for key in [key for key in self._kept if key[0] == owner]:
                    self._forget(key)

    def _forget(self, key: tuple[int, Number]) -> None:
        self._size -= self._kept.pop(key).nbytes
        self._of[key[0]] -= 1
        if not self._of[key[0]]:
            del self._of[key[0]]


_CACHE = _Cache()
