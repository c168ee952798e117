"""Chunks as they are stored: which there are, and their encoded bytes, by way of HDF5."""

from __future__ import annotations

from typing import Any

from h5py._objects import phil

__all__ = ["read_stored", "stored_chunks", "write_stored"]


def stored_chunks(dataset: Any) -> list[tuple[int, ...]]:
    """Offsets of the chunks that a dataset has in the file."""
    if not hasattr(dataset, "chunk_iter"):  # built with an HDF5 before 1.10.10
        return [dataset.get_chunk_info(i).chunk_offset for i in range(dataset.get_num_chunks())]
    offsets: list[tuple[int, ...]] = []
    dataset.chunk_iter(lambda chunk: offsets.append(chunk.chunk_offset))
    return offsets


def read_stored(dataset: Any, offset: tuple[int, ...]) -> tuple[int, bytes]:
    """Read a chunk as it is stored: the mask of the filters that were left out, and the bytes."""
    with phil:  # h5py takes its lock itself, but for these two, on which threads then crash HDF5
        mask, data = dataset.read_direct_chunk(offset)
    return mask, data


def write_stored(dataset: Any, offset: tuple[int, ...], data: Any, mask: int = 0) -> None:
    """Store an encoded chunk."""
    with phil:
        dataset.write_direct_chunk(offset, data, mask)
