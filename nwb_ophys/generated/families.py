"""The classes of the types of a catalog, each built when it is first asked for.

Types of the official namespaces follow the newest release, as hand-written models do, whichever
release a file caches. Types of extensions are as the file, or the extension that was loaded, says;
where two say the same, they share their classes.
"""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

from nwb_ophys import registry
from nwb_ophys.annotations import Later
from nwb_ophys.errors import NWBError, SchemaError
from nwb_ophys.generated.building import Builder
from nwb_ophys.generated.deltas import Deltas
from nwb_ophys.models.dataset import DatasetModel
from nwb_ophys.models.group import GroupModel
from nwb_ophys.specs import Catalog, Namespace

__all__ = ["Family", "Origin", "family_of", "namespaces_of"]

_LOCK = threading.RLock()
_CLASSES: dict[tuple[str, str, str], type[Any]] = {}


class Origin(NamedTuple):
    """Where a class comes from: the family that built it, and the type."""

    family: Family
    namespace: str
    name: str

    def restore(self) -> type[Any]:
        """Give the class."""
        return self.family.class_of(self.namespace, self.name)


class Family:
    """The classes of the types of one catalog.

    Parameters
    ----------
    catalog
        The types.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.deltas = Deltas(catalog)
        self.broken: dict[tuple[str, str], str] = {}
        """Types whose specification cannot be followed, and why."""
        self._classes: dict[tuple[str, str], type[Any]] = {}
        self._digests: dict[str, str] = {}

    def class_of(self, namespace: str, name: str) -> type[Any]:
        """Give the class of a type.

        Where its specification is broken, the class is that of its nearest base that is known,
        and keeps every member; ``broken`` tells why.

        Raises
        ------
        SchemaError
            Where there is no such type.
        """
        key = namespace, name
        found = self._classes.get(key)
        if found is None:
            with _LOCK:
                found = self._classes[key] = self._find(namespace, name)
        return found

    def _find(self, namespace: str, name: str) -> type[Any]:
        entry = self.catalog.get(namespace, name)
        if entry is None:
            raise SchemaError(f"there is no type {name!r} in the namespace {namespace!r}")
        found = registry.hand_written(entry.namespace, name)
        if found is not None:
            return found
        official = Catalog.packed()
        if official is not self.catalog and official.get(entry.namespace, name) is not None:
            return family_of(official).class_of(entry.namespace, name)
        try:
            key = entry.namespace, name, self._digest(entry.namespace)
            found = _CLASSES.get(key)
            if found is None:
                found = _CLASSES[key] = self._build(entry.namespace, name)
        except (NWBError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as e:
            reason = e.message if isinstance(e, NWBError) else f"{type(e).__name__}: {e}"
            self.broken[namespace, name] = reason
            return registry.nearest(entry.namespace, name, self.catalog, _root(entry.kind))
        return found

    def _build(self, namespace: str, name: str) -> type[Any]:
        entry = self.catalog.get(namespace, name)
        assert entry is not None
        *_, last = self.catalog.bases(namespace, name)
        if last.base is not None:
            missing = self.catalog.get(*last.base) is None
            raise SchemaError(
                f"its base {last.base[1]!r} is specified nowhere"
                if missing
                else f"the types that it extends go in a circle, by {last.base[1]!r}"
            )
        base = _root(entry.kind) if entry.base is None else self.class_of(*entry.base)
        if entry.base is not None and entry.base in self.broken:
            raise SchemaError(
                f"its base {entry.base[1]!r} cannot be followed: {self.broken[entry.base]}"
            )
        if not issubclass(base, GroupModel if entry.kind == "group" else DatasetModel):
            raise SchemaError(f"it is a {entry.kind}, but its base {base.__name__} is none")

        def find(type_name: str, fallback: type[Any]) -> Later:
            def classes() -> tuple[type, ...]:
                if self.catalog.get(namespace, type_name) is None:
                    kind = "dataset" if fallback is DatasetModel else "group"
                    return (_root(kind),)
                return (self.class_of(namespace, type_name),)

            return Later(classes, type_name)

        made: Any = Builder(name, base, find, schema=namespace).build(
            self.deltas.own(namespace, name)
        )
        made.neurodata_type = name  # where it is no name that a class can have
        made.__nwb_origin__ = Origin(self, namespace, name)
        built: type[Any] = made
        return built

    def _digest(self, namespace: str, above: tuple[str, ...] = ()) -> str:
        """Give what tells a namespace, with the extensions that it includes, from any other."""
        found = self._digests.get(namespace)
        if found is None:
            texts = self.catalog.namespaces.get(namespace)
            if self.catalog is Catalog.packed() or texts is None:
                return "official"
            if namespace in registry.OFFICIAL:
                # Of these only what the newest release no longer has.
                found = f"{namespace} {texts.version}"
            else:
                included = [
                    self._digest(one, (*above, namespace))
                    for one in self.catalog.includes(namespace)
                    if one not in above and one != namespace and one not in registry.OFFICIAL
                ]
                found = "+".join((self.deltas.digest(namespace), *included))
            if not above:
                self._digests[namespace] = found
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        if self.catalog is Catalog.packed():
            return _official, ()
        texts = [tuple(one.__dict__.values()) for one in _plain(self.catalog.namespaces)]
        return _from_texts, (texts,)


def family_of(catalog: Catalog) -> Family:
    """Give the classes of the types of a catalog."""
    family: Family | None = catalog.family
    if family is None:
        family = catalog.family = Family(catalog)
    return family


def namespaces_of(cls: type[Any]) -> dict[str, Namespace]:
    """Find the specifications, other than the official ones, that a class and its bases need."""
    found: dict[str, Namespace] = {}
    for base in cls.__mro__:
        origin = base.__dict__.get("__nwb_origin__")
        if isinstance(origin, Origin):
            catalog = origin.family.catalog
            queue = [origin.namespace]
            for name in queue:  # grows on the way
                if name in registry.OFFICIAL or name not in catalog.namespaces:
                    continue
                found.setdefault(name, catalog.namespaces[name])
                queue += [one for one in catalog.includes(name) if one not in queue]
    return found


def _plain(namespaces: Any) -> list[Namespace]:
    return [
        Namespace(one.name, one.version, one.namespace_text, dict(one.sources))
        for one in namespaces.values()
    ]


def _root(kind: str) -> type[Any]:
    from nwb_ophys.models.container import NWBContainer, NWBData

    return NWBContainer if kind == "group" else NWBData


def _official() -> Family:
    return family_of(Catalog.packed())


def _from_texts(texts: list[tuple[Any, ...]]) -> Family:
    return family_of(Catalog.from_texts(Namespace(*one) for one in texts))
