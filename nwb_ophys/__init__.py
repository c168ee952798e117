"""NWB files of optical physiology as typed, lazy Python objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nwb_ophys.authored import Storage as Storage
    from nwb_ophys.children import Children as Children
    from nwb_ophys.compare import Difference as Difference
    from nwb_ophys.compare import diff as diff
    from nwb_ophys.errors import *  # noqa: F403
    from nwb_ophys.generated.extensions import Extension as Extension
    from nwb_ophys.generated.extensions import load_extension as load_extension
    from nwb_ophys.hdf5.arrays import LazyArray as LazyArray
    from nwb_ophys.hdf5.workers import configure as configure
    from nwb_ophys.masks import Masks as Masks
    from nwb_ophys.mending import upgrade as upgrade
    from nwb_ophys.models import *  # noqa: F403
    from nwb_ophys.problems import Problem as Problem
    from nwb_ophys.ragged import RaggedColumn as RaggedColumn
    from nwb_ophys.reading import open as open
    from nwb_ophys.reading import read as read
    from nwb_ophys.registry import get_type as get_type
    from nwb_ophys.segmentation.adding import add_segmentation as add_segmentation
    from nwb_ophys.segmentation.reading import read_segmentation as read_segmentation
    from nwb_ophys.segmentation.result import Segmentation as Segmentation
    from nwb_ophys.segmentation.writing import write_segmentation as write_segmentation
    from nwb_ophys.upkeep import recover as recover
    from nwb_ophys.upkeep import repack as repack
    from nwb_ophys.validation import validate as validate
    from nwb_ophys.writing import link as link
    from nwb_ophys.writing import write as write

__version__ = "0.1.0"

_HOMES = {
    "Children": "nwb_ophys.children",
    "Difference": "nwb_ophys.compare",
    "Extension": "nwb_ophys.generated.extensions",
    "LazyArray": "nwb_ophys.hdf5.arrays",
    "Masks": "nwb_ophys.masks",
    "Problem": "nwb_ophys.problems",
    "RaggedColumn": "nwb_ophys.ragged",
    "Segmentation": "nwb_ophys.segmentation.result",
    "Storage": "nwb_ophys.authored",
    "add_segmentation": "nwb_ophys.segmentation.adding",
    "configure": "nwb_ophys.hdf5.workers",
    "diff": "nwb_ophys.compare",
    "get_type": "nwb_ophys.registry",
    "load_extension": "nwb_ophys.generated.extensions",
    "link": "nwb_ophys.writing",
    "open": "nwb_ophys.reading",
    "read": "nwb_ophys.reading",
    "recover": "nwb_ophys.upkeep",
    "repack": "nwb_ophys.upkeep",
    "read_segmentation": "nwb_ophys.segmentation.reading",
    "upgrade": "nwb_ophys.mending",
    "validate": "nwb_ophys.validation",
    "write": "nwb_ophys.writing",
    "write_segmentation": "nwb_ophys.segmentation.writing",
}


def __getattr__(name: str) -> Any:
    # Importing the package only defines: each part loads when it is first named.
    import gc
    import importlib

    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES.get(name)
    if home is None:
        for candidate in ("nwb_ophys.errors", "nwb_ophys.models"):
            if name in importlib.import_module(candidate).__all__:
                home = candidate
                break
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}{_found_in(name)}")
    # What is loaded stays, and to walk over it again and again in search of garbage takes a tenth
    # of the time.
    collects = gc.isenabled()
    gc.disable()
    try:
        value = getattr(importlib.import_module(home), name)
    finally:
        if collects:
            gc.enable()
    globals()[name] = value
    return value


def _found_in(name: str) -> str:
    """Say where a type is that has no model of its own."""
    if not name[0].isupper():  # such as a module, which is looked for here before it is imported
        return ""
    from nwb_ophys.registry import OFFICIAL
    from nwb_ophys.specs import Catalog

    for namespace in OFFICIAL:
        if Catalog.packed().get(namespace, name) is not None:
            return f"; nwb_ophys.get_type({namespace!r}, {name!r}) gives that class"
    return ""


def __dir__() -> list[str]:
    from nwb_ophys import errors, models

    hidden = {"Any", "TYPE_CHECKING", "annotations"}
    return sorted({*globals(), *_HOMES, *errors.__all__, *models.__all__} - hidden)
