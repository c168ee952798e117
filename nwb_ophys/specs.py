"""Specifications of namespaces: the official ones, packed with us, and those cached in files."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from weakref import WeakValueDictionary

from .errors import FileMissingError, MemberNotFoundError
from .spec_index import NamespaceIndex, TypeRecord, defined_types, index_namespace, type_def_inc

if TYPE_CHECKING:
    import h5py

__all__ = [
    "Catalog",
    "Namespace",
    "TypeEntry",
    "cached_namespaces",
    "newest",
    "packed_namespaces",
    "type_def_inc",
]

_PACKED = Path(__file__).with_name("_schema")


@dataclass(frozen=True)
class Namespace:
    """The specification of one namespace, as texts.

    Attributes
    ----------
    name, version
        `/specifications/<name>/<version>` is where files cache it.
    namespace_text
        JSON of the namespace itself.
    sources
        JSON of every source, by its name without suffix, such as `"nwb.ophys"`.
    """

    name: str
    version: str
    namespace_text: str
    sources: Mapping[str, str]


@dataclass(frozen=True)
class TypeEntry:
    """One neurodata type.

    Attributes
    ----------
    namespace, name
        The namespace that defines it, and its name there.
    base
        Namespace and name of the type it extends, if any.
    kind
        What stores it.
    source
        The source whose text holds its spec.
    """

    namespace: str
    name: str
    base: tuple[str, str] | None
    kind: Literal["group", "dataset"]
    source: str


@functools.cache
def packed_namespaces() -> Mapping[str, Namespace]:
    """Return the official namespaces that our models follow, in the order of their includes.

    Returns
    -------
    mapping
        `core`, `hdmf-common` and `hdmf-experimental`, with the very texts that PyNWB caches.

    Raises
    ------
    FileMissingError
        In a checkout that was not installed.
    """
    return MappingProxyType(
        {
            name: Namespace(
                name, packed["version"], packed["namespace"], MappingProxyType(packed["sources"])
            )
            for name, packed in _load_packed("texts.json").items()
        }
    )


def cached_namespaces(specifications: h5py.Group) -> dict[str, Namespace]:
    """Read the specifications that a file caches, of each namespace the newest version.

    Parameters
    ----------
    specifications
        The group that the attribute `.specloc` of the file refers to.
    """
    namespaces = {}
    for name, versions in specifications.items():
        groups = {key: group for key, group in _members(versions) if hasattr(group, "keys")}
        if groups:
            version = newest(groups)
            texts = {key: _decoded(dataset) for key, dataset in _members(groups[version])}
            namespaces[name] = Namespace(name, version, texts.pop("namespace", ""), texts)
    return namespaces


def newest(versions: Iterable[str]) -> str:
    """Return the newest version: 2.10.0 is newer than 2.9.0, and 2.6.0 than 2.6.0-alpha.

    What is no version at all counts as older than any.

    Raises
    ------
    ValueError
        When there are none.
    """
    return max(versions, key=_version_order)


class Catalog:
    """The types that a set of namespaces defines.

    Each namespace is indexed when it is first asked for. Names that a namespace does not define
    are looked for in those it includes, then among the official types of today: files may cache
    an extension without what it stands on.
    """

    def __init__(self, namespaces: Mapping[str, Namespace]) -> None:
        self._namespaces = namespaces
        self._indexes: dict[str, NamespaceIndex | None] = dict.fromkeys(namespaces)
        self._problems: list[str] = []
        self._entries: dict[tuple[str, str], TypeEntry | None] = {}
        self._documents: dict[tuple[str, str], Any] = {}
        self.family: Any = None
        """The classes of its types, where any was asked for (`nwb_ophys.generated.families`)."""

    @classmethod
    def packed(cls) -> Catalog:
        """Return the catalog of the official namespaces, the same one every time.

        Raises
        ------
        FileMissingError
            In a checkout that was not installed.
        """
        return _packed_catalog()

    @classmethod
    def from_texts(cls, namespaces: Iterable[Namespace]) -> Catalog:
        """Return the catalog of namespaces given as texts, the same one for the same texts.

        Texts that cannot be understood are left out; `problems` lists them.
        """
        found = {namespace.name: namespace for namespace in namespaces}
        key = _content(found)
        catalog = _KNOWN.get(key)
        if catalog is None:
            catalog = _KNOWN[key] = cls(found)
        return catalog

    @property
    def namespaces(self) -> Mapping[str, Namespace]:
        """The namespaces of this catalog, as texts."""
        return self._namespaces

    @property
    def problems(self) -> list[str]:
        """What could not be read in the specifications; asking for it reads them all."""
        for name in self._indexes:
            self._index(name)
        return list(self._problems)

    def types(self) -> Iterator[TypeEntry]:
        """Yield every type that the namespaces of this catalog define."""
        for namespace in self._indexes:
            index = self._index(namespace)
            for name in index["types"] if index else ():
                if entry := self.get(namespace, name):
                    yield entry

    def get(self, namespace: str, name: str) -> TypeEntry | None:
        """Return the type that a namespace means by a name.

        The entry may belong to another namespace, which the given one includes.
        """
        key = namespace, name
        if key not in self._entries:
            self._entries[key] = self._entry(namespace, name)
        return self._entries[key]

    def bases(self, namespace: str, name: str) -> Iterator[TypeEntry]:
        """Yield the type itself, then its bases, the nearest first."""
        seen: set[tuple[str, str]] = set()
        entry = self.get(namespace, name)
        while entry is not None and (entry.namespace, entry.name) not in seen:
            yield entry
            seen.add((entry.namespace, entry.name))
            entry = self.get(*entry.base) if entry.base else None

    def spec(self, namespace: str, name: str) -> dict[str, Any]:
        """Return the parsed spec of a type, shared by all callers: do not change it.

        Members inherited from its bases may be repeated in it.

        Raises
        ------
        MemberNotFoundError
            When there is no such type.
        """
        found = self._find(namespace, name)
        if found is None:
            raise MemberNotFoundError(f"the namespace {namespace!r} has no type {name!r}")
        document = found.catalog.document(found.namespace, found.record["source"])
        return next(spec for each, _, spec in defined_types(document) if each == name)

    def includes(self, namespace: str) -> list[str]:
        """Name the namespaces that a namespace includes; none for one that is unknown."""
        index = self._index(namespace)
        return list(index["includes"]) if index is not None else []

    def _entry(self, namespace: str, name: str) -> TypeEntry | None:
        found = self._find(namespace, name)
        if found is None:
            return None
        record, base = found.record, None
        if (inc := record["inc"]) is not None:
            # A type may extend one of the same name, of a namespace that its own includes.
            origin = self._find(found.namespace, inc, skip_own=inc == name)
            base = (origin.namespace if origin else found.namespace, inc)
        return TypeEntry(found.namespace, name, base, record["kind"], record["source"])

    def _find(self, namespace: str, name: str, *, skip_own: bool = False) -> _Found | None:
        """Look a name up in a namespace, then in those it includes, then in the official ones."""
        queue = [namespace]
        for each in queue:  # grows on the way
            index = self._index(each)
            if index is None:
                continue
            record = index["types"].get(name)
            if record is not None and not (skip_own and each == namespace):
                return _Found(self, each, record)
            queue += [included for included in _includes(index, name) if included not in queue]
        return self._find_official(queue, name)

    def _find_official(self, namespaces: list[str], name: str) -> _Found | None:
        packed = Catalog.packed()
        known = namespaces[0] in self._indexes
        for each in [*namespaces, "core"] if known else namespaces[:1]:
            if each in packed._indexes and (found := packed._find(each, name)):
                return found
        return None

    def _index(self, namespace: str) -> NamespaceIndex | None:
        if namespace in self._indexes and self._indexes[namespace] is None:
            texts = self._namespaces[namespace]
            index, problems = index_namespace(namespace, texts.namespace_text, texts.sources)
            self._indexes[namespace] = index
            self._problems += problems
        return self._indexes.get(namespace)

    def document(self, namespace: str, source: str) -> Any:
        """Return a parsed source, shared by all callers: do not change it.

        Raises
        ------
        ValueError
            When its text is no JSON.
        """
        key = namespace, source
        if key not in self._documents:
            self._documents[key] = json.loads(self.namespaces[namespace].sources[source])
        return self._documents[key]


# Files of one writer carry the same texts, which are indexed once.
_KNOWN: WeakValueDictionary[str, Catalog] = WeakValueDictionary()


def _content(namespaces: Mapping[str, Namespace]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name, one in sorted(namespaces.items()):
        for text in (
            name,
            one.version,
            one.namespace_text,
            *map("".join, sorted(one.sources.items())),
        ):
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


class _PackedCatalog(Catalog):
    """The official namespaces, indexed when the package was built; texts load when asked for."""

    def __init__(self) -> None:
        super().__init__({})
        self._indexes = _load_packed("index.json")["namespaces"]

    @property
    def namespaces(self) -> Mapping[str, Namespace]:
        return packed_namespaces()

    def _find_official(self, namespaces: list[str], name: str) -> _Found | None:
        return None  # there is nothing behind these


class _Found(NamedTuple):
    catalog: Catalog
    namespace: str
    record: TypeRecord


@functools.cache
def _packed_catalog() -> Catalog:
    return _PackedCatalog()


def _load_packed(name: str) -> Any:
    path = _PACKED / name
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileMissingError(
            "the official NWB schemas, which are packed when the package is built, are missing",
            file=path,
            hint="install the package, in a checkout with: pip install -e .",
        ) from None


def _includes(index: NamespaceIndex, name: str) -> list[str]:
    """Return the included namespaces, the likeliest to hold a name first.

    An include that names other types counts too, as the last: it brings their bases along.
    """

    def rank(included: str) -> int:
        names = index["includes"][included]
        return 1 if names is None else 0 if name in names else 2

    return sorted(index["includes"], key=rank)


_VERSION = re.compile(r"v?(\d{1,18}(?:\.\d{1,18})*)([^+]*)")
_PART = re.compile(r"\d{1,18}|[a-z]+")


def _version_order(version: str) -> tuple[object, ...]:
    match = _VERSION.match(version.strip().lower())
    if match is None:
        return False, (), False, (), version
    release = [int(part) for part in match[1].split(".")]
    while release and release[-1] == 0:  # 2.0 is 2.0.0
        del release[-1]
    parts = _PART.findall(match[2])
    suffix = tuple((1, int(part)) if part.isdecimal() else (0, part) for part in parts)
    # A suffix marks what came before the release: 2.6.0-alpha, 2.0b.
    return True, tuple(release), not suffix, suffix, version


def _members(group: Any) -> Iterable[tuple[str, Any]]:
    """Return the members of a group, and none of what is no group or a link to nothing."""
    return group.items() if hasattr(group, "items") else ()


def _decoded(dataset: Any) -> str:
    """Return a stored text: a scalar or a single element, `str` or bytes."""
    try:
        value = dataset[()]
    except (OSError, TypeError):  # corrupt, or no dataset at all
        return ""
    if getattr(value, "size", None) == 1:
        value = value.item()
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value if isinstance(value, str) else ""
