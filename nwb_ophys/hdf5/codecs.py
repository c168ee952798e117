"""The filters of HDF5 outside of HDF5: what its chunks are encoded with, decoded by any thread.

A `Pipeline` is what a dataset says of its filters. Its results are those of HDF5, byte for byte.
Filters that it does not know, or whose codec is not installed, are left to HDF5.
"""

from __future__ import annotations

import importlib.util
import re
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from h5py import h5p, h5z
from numpy.typing import NDArray

__all__ = [
    "BLOSC",
    "CODES",
    "FILTERS",
    "LZ4",
    "LZF",
    "ZSTD",
    "CodecError",
    "Filter",
    "Pipeline",
    "available",
]

Bytes: TypeAlias = Any
"""Anything that holds bytes and has a length: ``bytes``, a ``memoryview``, an array of them."""
Settings: TypeAlias = tuple[int, ...]
Decoder: TypeAlias = Callable[[Bytes, Settings, int | None], Bytes]
"""Takes what is stored, the settings of the filter, and the size of the result if it is known."""
Encoder: TypeAlias = Callable[[Bytes, Settings], Bytes]

FILTERS: Final = {
    h5z.FILTER_DEFLATE: "gzip",
    h5z.FILTER_SZIP: "szip",
    307: "bzip2",
    32000: "lzf",
    32001: "blosc",
    32004: "lz4",
    32008: "bitshuffle",
    32013: "zfp",
    32015: "zstd",
    32017: "sz",
    32018: "fcidecomp",
    32024: "sz3",
    32026: "blosc2",
    32028: "sperr",
}
"""The filters that change how many bytes a chunk takes, by registered number."""
CODES: Final = {name: code for code, name in FILTERS.items()}
"""Their numbers, by name."""

_NAMES: Final = FILTERS | {h5z.FILTER_SHUFFLE: "shuffle", h5z.FILTER_FLETCHER32: "fletcher32"}

LZF: Final = CODES["lzf"]
BLOSC: Final = CODES["blosc"]
LZ4: Final = CODES["lz4"]
BITSHUFFLE: Final = CODES["bitshuffle"]
ZSTD: Final = CODES["zstd"]
BLOSC2: Final = CODES["blosc2"]


class CodecError(OSError):
    """Stored bytes are not what the filter makes."""


class Filter(NamedTuple):
    """One step of a pipeline.

    Parameters
    ----------
    code
        The registered number of the filter.
    settings
        Its settings (HDF5's ``cd_values``).
    """

    code: int
    settings: Settings


class Pipeline(NamedTuple):
    """The filters of a dataset, in the order in which they are applied on writing.

    Parameters
    ----------
    filters
        The steps.
    """

    filters: tuple[Filter, ...]

    @classmethod
    def of(cls, plist: h5p.PropDCID) -> Pipeline:
        """Take the pipeline from the creation properties of a dataset."""
        found = (plist.get_filter(number) for number in range(plist.get_nfilters()))
        return cls(tuple(Filter(code, tuple(settings)) for code, _, settings, _ in found))

    @property
    def decodable(self) -> bool:
        """Whether `decode` knows all the filters, and has the codecs."""
        return all(_decoder(one.code) is not None for one in self.filters)

    @property
    def encodable(self) -> bool:
        """Whether `encode` knows all the filters, and has the codecs."""
        return all(_encoder(one.code) is not None for one in self.filters)

    def decode(
        self, raw: Bytes, nbytes: int, mask: int = 0, out: NDArray[np.uint8] | None = None
    ) -> Bytes:
        """Decode a chunk.

        Parameters
        ----------
        raw
            The chunk as it is stored.
        nbytes
            The bytes that it holds.
        mask
            A bit for each filter that was left out when it was written, the first lowest.
        out
            Where the result may go, to spare a copy; it is returned then. Where something else
            is returned, it is the result, and ``out`` was not written to.

        Raises
        ------
        CodecError
            Where the bytes are not what the filters make.
        """
        steps: list[tuple[Filter, int | None]] = []
        size: int | None = nbytes
        for number, one in enumerate(self.filters):
            if mask >> number & 1:
                continue
            steps.append((one, size))
            if one.code == h5z.FILTER_FLETCHER32:
                size = None if size is None else size + 4
            elif one.code != h5z.FILTER_SHUFFLE:
                size = None
        for place, (one, size) in enumerate(reversed(steps)):
            if one.code == h5z.FILTER_SHUFFLE and out is not None and place == len(steps) - 1:
                if len(raw) != nbytes:
                    raise CodecError(f"a chunk of {nbytes} bytes decodes to {len(raw)}")
                return _unshuffle_into(raw, one.settings, out)
            decode = _decoder(one.code)
            if decode is None:
                raise CodecError(f"there is no codec for the filter {one.code}")
            try:
                raw = decode(raw, one.settings, size)
            except CodecError:
                raise
            except Exception as error:  # each codec has errors of its own
                raise CodecError(
                    f"filter {_NAMES.get(one.code, one.code)} cannot decode it: {error}"
                ) from error
        if len(raw) != nbytes:
            raise CodecError(f"a chunk of {nbytes} bytes decodes to {len(raw)}")
        return raw

    def encode(self, data: Bytes) -> Bytes:
        """Encode a chunk with all filters."""
        for one in self.filters:
            encode = _encoder(one.code)
            if encode is None:
                raise CodecError(f"there is no codec for the filter {one.code}")
            data = encode(data, one.settings)
        return data


def available(code: int) -> bool:
    """Tell whether a filter can be both encoded and decoded here."""
    return _encoder(code) is not None and _decoder(code) is not None


# -- gzip: libdeflate reads it fastest, and ISA-L writes it fastest -----------------------------


def _inflate(raw: Bytes, settings: Settings, size: int | None) -> Bytes:
    if size is None:
        return zlib.decompress(raw)
    import deflate

    decoded: bytearray = deflate.zlib_decompress(raw, size)
    return decoded


def _deflate(data: Bytes, settings: Settings) -> Bytes:
    from isal import isal_zlib

    # Levels of ISA-L end at 3; beyond 1 they take longer and, on shuffled data, gain nothing.
    level = settings[0] if settings else 1
    encoded: bytes = isal_zlib.compress(data, 0 if level == 0 else 1 if level < 9 else 3)
    return encoded


# -- shuffle: the first bytes of all elements, then their second bytes, and so on ---------------


def _width(settings: Settings, size: int) -> int:
    """Give the size of the elements; 1 where there is nothing to shuffle."""
    width = settings[0] if settings else 1
    return width if 1 < width < size else 1


def _unshuffle(raw: Bytes, settings: Settings, size: int | None) -> Bytes:
    return _unshuffle_into(raw, settings, np.empty(len(raw), np.uint8))


def _unshuffle_into(raw: Bytes, settings: Settings, out: NDArray[np.uint8]) -> NDArray[np.uint8]:
    stored = np.frombuffer(raw, np.uint8)
    width = _width(settings, stored.size)
    whole = stored.size // width * width
    planes = stored[:whole].reshape(width, -1)
    elements = out[:whole].reshape(-1, width)
    for place in range(width):
        elements[:, place] = planes[place]
    out[whole:] = stored[whole:]  # what is left over stays as it is
    return out


def _shuffle(data: Bytes, settings: Settings) -> Bytes:
    plain = np.frombuffer(data, np.uint8)
    width = _width(settings, plain.size)
    whole = plain.size // width * width
    out = np.empty_like(plain)
    planes = out[:whole].reshape(width, -1)
    if width == 2:  # what movies have: several times faster as numbers than as bytes
        words = plain[:whole].view("<u2")
        np.copyto(planes[0], words, casting="unsafe")
        np.right_shift(words, 8, out=planes[1], casting="unsafe")
    else:
        elements = plain[:whole].reshape(-1, width)
        for place in range(width):
            planes[place] = elements[:, place]
    out[whole:] = plain[whole:]
    return out


# -- Fletcher-32, as HDF5 computes it -----------------------------------------------------------


def _fletcher32(data: NDArray[np.uint8]) -> int:
    """Sum 16-bit words, and the sums; HDF5 folds both into 1 ... 65535, and nothing into 0."""
    even = data.size // 2 * 2
    words = data[:even].view(">u2").astype(np.uint64)
    if even < data.size:
        words = np.append(words, np.uint64(int(data[-1]) << 8))
    first = second = 0
    step = 1 << 20  # so that the sums stay within 64 bits
    for start in range(0, words.size, step):
        part = words[start : start + step]
        weights = np.arange(part.size, 0, -1, dtype=np.uint64)
        second += first * part.size + int((part * weights).sum())
        first += int(part.sum())
    return _folded(second) << 16 | _folded(first)


def _folded(total: int) -> int:
    return (total - 1) % 0xFFFF + 1 if total else 0


def _verify(raw: Bytes, settings: Settings, size: int | None) -> Bytes:
    stored = np.frombuffer(raw, np.uint8)
    if stored.size < 4:
        raise CodecError("the checksum of the chunk is missing")
    data = stored[:-4]
    found = int.from_bytes(stored[-4:].tobytes(), "little")
    computed = _fletcher32(data)
    # HDF5 1.6.2 wrote the bytes of each half the other way round, and is still understood.
    swapped = struct.unpack("<I", struct.pack(">I", computed))[0]
    if found not in (computed, (swapped >> 16 | swapped << 16) & 0xFFFFFFFF):
        raise CodecError(
            f"its Fletcher-32 checksum is {computed:#010x}, and {found:#010x} was stored with it"
        )
    return data


def _sign(data: Bytes, settings: Settings) -> Bytes:
    plain = np.frombuffer(data, np.uint8)
    return plain.tobytes() + _fletcher32(plain).to_bytes(4, "little")


# -- those of imagecodecs -----------------------------------------------------------------------


def _bitunshuffle(raw: Bytes, settings: Settings, size: int | None) -> Bytes:
    """Undo bitshuffle, which compresses each of its blocks where it is told to."""
    import imagecodecs

    width, block, codec = settings[2], settings[3] if len(settings) > 3 else 0, 0
    if len(settings) > 4:
        codec = settings[4]
    if codec == 0:
        if size is not None and len(raw) != size:
            raise CodecError(f"{len(raw)} bytes are stored, and {size} expected")
        return bytes(imagecodecs.bitshuffle_decode(bytes(raw), itemsize=width, blocksize=block))
    total, block = struct.unpack(">QI", bytes(raw[:12]))
    if size is not None and total != size:
        raise CodecError(f"it says that it holds {total} bytes, and {size} are expected")
    view, at, done = memoryview(raw), 12, 0
    parts: list[bytes] = []
    decompress = imagecodecs.lz4_decode if codec == 2 else imagecodecs.zstd_decode
    tail = total % (8 * width)
    while done < total - tail:
        length = min(block, (total - tail) - done)
        (stored,) = struct.unpack(">I", view[at : at + 4])
        at += 4
        plain = decompress(bytes(view[at : at + stored]), out=length)
        at += stored
        parts.append(bytes(imagecodecs.bitshuffle_decode(plain, itemsize=width)))
        done += length
    parts.append(bytes(view[at : at + tail]))
    return b"".join(parts)


_AXES_AT: Final = 8
"""From this place on, the settings of Blosc2 give the shape of chunks that are cut in blocks."""


def _blosc2(raw: Bytes, settings: Settings, size: int | None) -> Bytes:
    import blosc2

    frame = bytes(raw)
    if len(settings) > _AXES_AT:
        return np.ascontiguousarray(blosc2.ndarray_from_cframe(frame)[:]).tobytes()
    plain: bytes = blosc2.schunk_from_cframe(frame)[:]
    return plain


@cache
def _has_blosc2() -> bool:
    return importlib.util.find_spec("blosc2") is not None


_IMAGECODECS_LEAST: Final = 2025, 11, 11
"""Before it, not all that HDF5's filters for LZ4 and bitshuffle write is decoded."""


@cache
def _imagecodecs() -> Any:
    """Give the library of further codecs; None where it is not installed, or too old."""
    try:
        import imagecodecs
    except ImportError:
        return None
    release = tuple(map(int, re.findall(r"\d+", imagecodecs.__version__)[:3]))
    return imagecodecs if release >= _IMAGECODECS_LEAST else None


_DECODERS: Final[dict[int, Decoder]] = {
    h5z.FILTER_DEFLATE: _inflate,
    h5z.FILTER_SHUFFLE: _unshuffle,
    h5z.FILTER_FLETCHER32: _verify,
}
_ENCODERS: Final[dict[int, Encoder]] = {
    h5z.FILTER_DEFLATE: _deflate,
    h5z.FILTER_SHUFFLE: _shuffle,
    h5z.FILTER_FLETCHER32: _sign,
}
_OPTIONAL_DECODERS: Final[dict[int, Decoder]] = {
    LZF: lambda raw, _, size: _imagecodecs().lzf_decode(raw, out=size),
    BLOSC: lambda raw, _, size: _imagecodecs().blosc_decode(raw, numthreads=1),
    LZ4: lambda raw, _, size: _imagecodecs().lz4h5_decode(raw),
    ZSTD: lambda raw, _, size: _imagecodecs().zstd_decode(raw, out=size),
    BITSHUFFLE: _bitunshuffle,
}
_BLOSC_CODECS: Final = ("blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd")
_OPTIONAL_ENCODERS: Final[dict[int, Encoder]] = {
    BLOSC: lambda data, settings: _imagecodecs().blosc_encode(
        data,
        level=settings[4],
        compressor=_BLOSC_CODECS[settings[6]],
        shuffle=settings[5],
        typesize=settings[2],
        numthreads=1,
    ),
    LZ4: lambda data, settings: _imagecodecs().lz4h5_encode(data),
    ZSTD: lambda data, settings: _imagecodecs().zstd_encode(data, level=(*settings, 3)[0]),
}


@cache
def _decoder(code: int) -> Decoder | None:
    if code == BLOSC2:
        return _blosc2 if _has_blosc2() else None
    optional = _OPTIONAL_DECODERS.get(code)
    return optional if optional and _imagecodecs() is not None else _DECODERS.get(code)


@cache
def _encoder(code: int) -> Encoder | None:
    optional = _OPTIONAL_ENCODERS.get(code)
    return optional if optional and _imagecodecs() is not None else _ENCODERS.get(code)
