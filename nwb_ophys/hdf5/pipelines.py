"""Compression by name: what is available, and the filters of HDF5 that it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from h5py import h5p, h5z

from nwb_ophys.errors import SchemaError
from nwb_ophys.hdf5.codecs import CODES, LZ4, LZF, ZSTD

__all__ = ["Compressor", "available_compressions", "parse_compression", "set_filters"]

_GZIP_LEVEL: Final = 4
_PLUGINS: Final = {
    "blosc": ("blosclz", "lz4", "lz4hc", "zlib", "zstd"),
    "blosc2": ("blosclz", "lz4", "lz4hc", "zlib", "zstd"),
    "bitshuffle": ("none", "lz4", "zstd"),
    "lz4": (),
    "zstd": (),
}
"""The filters of hdf5plugin, and the codecs that some of them choose from."""


class Compressor(NamedTuple):
    """A compression.

    Parameters
    ----------
    code
        The registered number of its filter.
    settings
        The settings of the filter.
    shuffles
        Whether it is helped by the shuffle of HDF5; others have one of their own.
    """

    code: int
    settings: tuple[int, ...]
    shuffles: bool


def available_compressions() -> list[str]:
    """List the names that a compression can be asked for by."""
    names = ["gzip", "lzf"] if h5z.filter_avail(LZF) else ["gzip"]
    if _plugin() is not None:
        for name, codecs in _PLUGINS.items():
            if h5z.filter_avail(CODES[name]):
                names += [f"{name}:{codec}" for codec in codecs] or [name]
    return names


def parse_compression(compression: Any) -> Compressor | None:
    """Find what a compression asks for; None for none.

    Raises
    ------
    SchemaError
        Where it is not available.
    """
    if compression is None or compression is False:
        return None
    level: Any = None
    name = compression
    if isinstance(compression, Mapping):
        name, level = compression.get("compression"), compression.get("compression_opts")
        if isinstance(name, int) and not isinstance(name, bool):
            return _by_code(name, tuple(level or ()))
    elif isinstance(compression, (tuple, list)) and len(compression) == 2:
        name, level = compression
    elif isinstance(compression, int) and not isinstance(compression, bool):
        name, level = "gzip", compression
    if not isinstance(name, str):
        raise _unknown(compression)
    if level is not None and (isinstance(level, bool) or not hasattr(level, "__index__")):
        if name == "gzip" and isinstance(level, tuple) and len(level) == 1:
            return parse_compression((name, level[0]))
        raise SchemaError(
            f"the level of a compression cannot be {level!r}", hint="it is a whole number"
        )
    return _by_name(name, None if level is None else level.__index__(), compression)


def _by_name(name: str, level: int | None, asked: Any) -> Compressor:
    if name == "gzip":
        level = _GZIP_LEVEL if level is None else level
        if not 0 <= level <= 9:
            raise SchemaError(
                f"there is no level {level} of gzip", hint="its levels are 0 to 9; default is 4"
            )
        return Compressor(h5z.FILTER_DEFLATE, (level,), True)
    if name == "lzf" and h5z.filter_avail(LZF):
        return Compressor(LZF, (), True)
    family, _, codec = name.partition(":")
    plugin = _plugin() if family in _PLUGINS else None
    if plugin is None or not h5z.filter_avail(CODES[family]):
        raise _unknown(asked)
    if codec and codec not in _PLUGINS[family]:
        raise _unknown(asked)
    try:
        options = _options(plugin, family, codec, level)
    except ValueError as error:
        raise SchemaError(f"the compression {asked!r} is not possible: {error}") from error
    return Compressor(CODES[family], tuple(options), family in ("lz4", "zstd"))


def _options(plugin: Any, family: str, codec: str, level: int | None) -> Any:
    extra = {} if level is None else {"clevel": level}
    if family == "zstd":
        made = plugin.Zstd(**extra)
    elif family == "lz4":
        made = plugin.LZ4()
    elif family == "bitshuffle":
        made = plugin.Bitshuffle(cname=codec or "lz4", **(extra if codec == "zstd" else {}))
    else:
        kind = plugin.Blosc if family == "blosc" else plugin.Blosc2
        made = kind(cname=codec or "zstd", **extra)
    return made["compression_opts"]


def _by_code(code: int, settings: tuple[int, ...]) -> Compressor:
    if code == h5z.FILTER_DEFLATE:
        return _by_name("gzip", settings[0] if settings else None, code)
    _plugin()
    if not h5z.filter_avail(code):
        raise SchemaError(
            f"HDF5 has no filter {code} here",
            hint=f"compression is one of {', '.join(available_compressions())}, or None{_more()}",
        )
    return Compressor(code, settings, code in (LZF, LZ4, ZSTD))


def _unknown(asked: Any) -> SchemaError:
    return SchemaError(
        f"the compression {asked!r} is not available",
        hint=f"compression is one of {', '.join(available_compressions())}, a pair of one of "
        f"those and a level, or None{_more()}",
    )


def _more() -> str:
    if _plugin() is not None:
        return ""
    return "; with hdf5plugin (pip install hdf5plugin) there are also zstd, lz4, blosc and others"


def _plugin() -> Any:
    """Give hdf5plugin, whose import makes its filters known to HDF5; None without it."""
    try:
        import hdf5plugin
    except ImportError:
        return None
    return hdf5plugin


def set_filters(plist: h5p.PropDCID, compression: Any, shuffle: bool | str, itemsize: int) -> None:
    """Set the filters of a dataset in chunks."""
    found = parse_compression(compression)
    helped = found is not None and found.shuffles
    if itemsize > 1 and (helped if shuffle == "default" else shuffle):
        plist.set_shuffle()
    if found is None:
        return
    if found.code == h5z.FILTER_DEFLATE:
        plist.set_deflate(*found.settings)
    else:
        plist.set_filter(found.code, h5z.FLAG_OPTIONAL, found.settings)
