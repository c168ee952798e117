"""Filters outside of HDF5 give what HDF5 gives, both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

from nwb_ophys.hdf5.codecs import CodecError, Pipeline

SHAPE, CHUNKS = (37, 20, 31), (9, 20, 31)
FILTERS: dict[str, dict[str, Any]] = {
    "gzip": {"compression": "gzip"},
    "gzip-9": {"compression": "gzip", "compression_opts": 9, "shuffle": True},
    "fletcher32": {"fletcher32": True},
    "shuffle-gzip-fletcher32": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "shuffle": {"shuffle": True},
    "lzf": {"compression": "lzf", "shuffle": True},
    "blosc": dict(hdf5plugin.Blosc()),
    "blosc-zstd": dict(hdf5plugin.Blosc(cname="zstd", shuffle=2)),
    "blosc2": dict(hdf5plugin.Blosc2()),
    "zstd": dict(hdf5plugin.Zstd()),
    "lz4": dict(hdf5plugin.LZ4()),
    "bitshuffle": dict(hdf5plugin.Bitshuffle(cname="none")),
    "bitshuffle-lz4": dict(hdf5plugin.Bitshuffle()),
    "bitshuffle-zstd": dict(hdf5plugin.Bitshuffle(cname="zstd")),
}


def pad(part: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    chunk = np.zeros(CHUNKS, part.dtype)
    chunk[: len(part)] = part
    return chunk


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("dtype", ["u1", "i2", ">i4", "f8"])
def test_hdf5_and_we_read_each_other(tmp_path: Path, name: str, dtype: str) -> None:
    values = np.random.default_rng(0).poisson(30, SHAPE).astype(dtype)
    with h5py.File(tmp_path / "theirs.h5", "w") as file:
        file.create_dataset("data", data=values, chunks=CHUNKS, **FILTERS[name])
        dataset = file["data"].id
        pipeline = Pipeline.of(dataset.get_create_plist())
        assert pipeline.decodable
        for start in range(0, SHAPE[0], CHUNKS[0]):
            mask, raw = dataset.read_direct_chunk((start, 0, 0))
            expected = pad(values[start : start + CHUNKS[0]])
            out = np.empty(expected.nbytes, np.uint8)
            for place in (None, out):
                plain = pipeline.decode(raw, expected.nbytes, mask, place)
                found = np.frombuffer(plain, dtype).reshape(CHUNKS)
                rows = len(values[start : start + CHUNKS[0]])
                assert found[:rows].tobytes() == expected[:rows].tobytes()
    if not pipeline.encodable:
        assert name in ("lzf", "blosc2", "bitshuffle", "bitshuffle-lz4", "bitshuffle-zstd")
        return
    with h5py.File(tmp_path / "ours.h5", "w") as file:
        dataset = file.create_dataset("data", SHAPE, dtype, chunks=CHUNKS, **FILTERS[name])
        for start in range(0, SHAPE[0], CHUNKS[0]):
            chunk = pad(values[start : start + CHUNKS[0]]).tobytes()
            dataset.id.write_direct_chunk((start, 0, 0), bytes(pipeline.encode(chunk)))
    with h5py.File(tmp_path / "ours.h5") as file:
        assert file["data"][()].tobytes() == values.tobytes()


@pytest.mark.parametrize("size", [0, 1, 3, 4, 719, 720, 721, 1441, 2_100_001])
def test_the_checksum_is_that_of_hdf5(tmp_path: Path, size: int) -> None:
    values = np.random.default_rng(size).integers(0, 256, max(size, 1)).astype("u1")
    values[: size // 3] = 0
    with h5py.File(tmp_path / "file.h5", "w") as file:
        dataset = file.create_dataset("data", data=values, chunks=values.shape, fletcher32=True)
        pipeline = Pipeline.of(dataset.id.get_create_plist())
        _, raw = dataset.id.read_direct_chunk((0,))
    assert bytes(pipeline.encode(values.tobytes())) == raw
    damaged = bytearray(raw)
    damaged[0] ^= 1
    with pytest.raises(CodecError, match=r"Fletcher-32 checksum is 0x.* was stored with it"):
        pipeline.decode(bytes(damaged), values.nbytes)


def test_damage_is_told(tmp_path: Path) -> None:
    values = np.arange(1000, dtype="i4")
    for name, options in FILTERS.items():
        if name == "shuffle":
            continue
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            dataset = file.create_dataset("data", data=values, chunks=(1000,), **options)
            pipeline = Pipeline.of(dataset.id.get_create_plist())
            mask, raw = dataset.id.read_direct_chunk((0,))
        with pytest.raises(CodecError):
            pipeline.decode(raw[: len(raw) // 2], values.nbytes, mask)
        with pytest.raises(CodecError):
            pipeline.decode(raw, values.nbytes + 4, mask)
