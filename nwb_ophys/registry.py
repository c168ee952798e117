"""The registry: which class stands for a neurodata type of a namespace.

Hand-written models enter themselves when they are defined. Any other type is given a class that is
built from its specification when it is first asked for (`nwb_ophys.generated`). Where that cannot
be had or followed, the class derives from the nearest base that is known, so that nothing in a file
is without a class; its members stay reachable through that base.
"""

from __future__ import annotations

import importlib
import types
from typing import TYPE_CHECKING, Any

from nwb_ophys.errors import SchemaError, did_you_mean
from nwb_ophys.models import HOMES

if TYPE_CHECKING:
    from nwb_ophys.specs import Catalog

__all__ = [
    "OFFICIAL",
    "get_type",
    "hand_written",
    "is_generated",
    "nearest",
    "of_the_type",
    "register",
    "resolve",
]

_HAND_WRITTEN: dict[tuple[str, str], type[Any]] = {}
_DERIVED: dict[tuple[str, str, type[Any]], type[Any]] = {}

# Through schema 2.1 the table family belonged to core, so a name is looked up in either.
OFFICIAL = ("core", "hdmf-common", "hdmf-experimental")


def register(cls: type[Any]) -> None:
    """Enter a hand-written model under its namespace and type."""
    if cls.namespace in OFFICIAL and cls.__module__.startswith("nwb_ophys.models."):
        _HAND_WRITTEN[cls.namespace, cls.neurodata_type] = cls


def hand_written(namespace: str, name: str) -> type[Any] | None:
    """Find the hand-written model of a type; its module loads now."""
    if namespace not in OFFICIAL:
        return None
    home = HOMES.get(name)
    if home is not None:
        importlib.import_module(f"nwb_ophys.models.{home}")
    for family in (namespace, *OFFICIAL):
        found = _HAND_WRITTEN.get((family, name))
        if found is not None:
            return found
    return None


def resolve(namespace: str, name: str, catalog: Catalog | None, fallback: type[Any]) -> type[Any]:
    """Give the class of a type: hand-written, else generated from its specification.

    Parameters
    ----------
    namespace, name
        The type.
    catalog
        The types that are specified; asked only for a type that is not hand-written.
    fallback
        The base of a type that is specified nowhere.
    """
    found = hand_written(namespace, name)
    if found is not None:
        return found
    if catalog is not None and catalog.get(namespace, name) is not None:
        from nwb_ophys.generated.families import family_of

        return family_of(catalog).class_of(namespace, name)
    return _derive(namespace, name, fallback)


def nearest(namespace: str, name: str, catalog: Catalog, fallback: type[Any]) -> type[Any]:
    """Derive a class from the nearest base that is hand-written or official."""
    from nwb_ophys.specs import Catalog

    official = Catalog.packed()
    base, kind = fallback, None
    for entry in catalog.bases(namespace, name):
        kind = kind or entry.kind
        if official.get(entry.namespace, entry.name) is not None and entry.kind == kind:
            base = resolve(entry.namespace, entry.name, official, fallback)
            break
    return _derive(namespace, name, base)


def get_type(namespace: str, name: str, version: str | None = None) -> type[Any]:
    """Give the class of a type, for reading and for authoring.

    A type without a hand-written model has a class that is built from its specification.

    Parameters
    ----------
    namespace
        ``core``, ``hdmf-common``, ``hdmf-experimental``; or an extension, such as ``ndx-pose``,
        that was loaded (`nwb_ophys.load_extension`), is installed, or is used in an open file.
    name
        The type, such as ``TwoPhotonSeries``.
    version
        Of the namespace; the newest that is known where None.

    Raises
    ------
    SchemaError
        Where there is no such type, or the namespace is not known in that version.
    """
    from nwb_ophys.generated.extensions import catalog_of, class_in
    from nwb_ophys.specs import Catalog

    if namespace in OFFICIAL:
        catalog = Catalog.packed()
        current = catalog.namespaces[namespace].version if version is not None else None
        if version != current:
            raise SchemaError(
                f"the namespace {namespace!r} is known in version {current}, not in {version}",
                hint="models follow the newest release, and read files of older ones",
            )
    else:
        catalog = catalog_of(namespace, version)
    entry = catalog.get(namespace, name)
    if entry is None:
        raise SchemaError(
            f"there is no type {name!r} in the namespace {namespace!r}",
            hint=did_you_mean(name, sorted({one.name for one in catalog.types()})),
        )
    return hand_written(entry.namespace, name) or class_in(catalog, entry.namespace, name)


def is_generated(cls: type[Any]) -> bool:
    """Tell whether a class, or one that it derives from, was built from a specification."""
    return any("__nwb_origin__" in base.__dict__ for base in cls.__mro__)


def of_the_type(cls: type[Any], declared: tuple[type[Any], ...]) -> bool:
    """Tell whether a class is a subtype of a type that one of the declared parts is of."""
    for kind in declared:
        own: Any = next(base for base in kind.__mro__ if "neurodata_type" in base.__dict__)
        if own.neurodata_type is not None and issubclass(cls, own):
            return True
    return False


def _derive(namespace: str, name: str, base: type[Any]) -> type[Any]:
    key = (namespace, name, base)
    cls = _DERIVED.get(key)
    if cls is None:
        doc = f"The type {name} of namespace {namespace}, known as a {base.__name__}."
        body = {"__doc__": doc, "__module__": __name__}
        # A name from a file may hold what no class name can: bytes that are no UTF-8, zeros.
        shown = name.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
        made: Any = types.new_class(
            shown, (base,), {"schema": namespace}, lambda own: own.update(body)
        )
        made.neurodata_type = name
        cls = _DERIVED.setdefault(key, made)
    return cls
