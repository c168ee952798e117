"""Which types a namespace defines, found in the texts of its specification.

The build hook uses this file outside of the package, to index the official schemas once and for
all; so it imports the standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypedDict

__all__ = ["NamespaceIndex", "TypeRecord", "defined_types", "index_namespace", "type_def_inc"]

Kind = Literal["group", "dataset"]

# The types that stand on nothing; `neurodata_type_def` without a base means a NWB base otherwise.
_ROOTS = {"Container", "Data", "NWBContainer", "NWBData", "CSRMatrix"}


class TypeRecord(TypedDict):
    """What the index knows of one type; `inc` is the name of its base."""

    inc: str | None
    kind: Kind
    source: str


class NamespaceIndex(TypedDict):
    """The types of one namespace, and the namespaces it includes.

    An include names the types that it wants, or with `None` all of them.
    """

    includes: dict[str, list[str] | None]
    types: dict[str, TypeRecord]


def type_def_inc(spec: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the names of the type that a spec defines and of the type that it includes."""
    name = spec.get("neurodata_type_def", spec.get("data_type_def"))
    base = spec.get("neurodata_type_inc", spec.get("data_type_inc"))
    return (name if isinstance(name, str) else None), (base if isinstance(base, str) else None)


def defined_types(document: Any) -> Iterator[tuple[str, Kind, dict[str, Any]]]:
    """Yield name, kind and spec of every type that a parsed source defines.

    Types may be defined inside others; those at the top come first.
    """
    queue: list[tuple[Kind | None, Any]] = [(None, document)]
    for kind, spec in queue:  # grows on the way: no recursion, however deep the nesting
        if not isinstance(spec, dict):
            continue
        name, _ = type_def_inc(spec)
        if kind is not None and name is not None:
            yield name, kind, spec
        for key, inner in (("datasets", "dataset"), ("groups", "group")):
            children = spec.get(key)
            if isinstance(children, list):
                queue.extend((inner, child) for child in children)  # type: ignore[misc]


def index_namespace(
    name: str, namespace_text: str, sources: Mapping[str, str]
) -> tuple[NamespaceIndex, list[str]]:
    """Index one namespace.

    Parameters
    ----------
    name
        Name of the namespace.
    namespace_text
        JSON of the namespace itself, as it is cached in files.
    sources
        JSON of each source by its name.

    Returns
    -------
    index
        What could be understood.
    problems
        The texts that could not be read, and why.
    """
    problems: list[str] = []
    index = NamespaceIndex(includes={}, types={})
    for document in _parse(namespace_text, f"namespace {name!r}", problems):
        index["includes"] = _includes(name, document)
    for source, text in sources.items():
        for document in _parse(text, f"namespace {name!r}, source {source!r}", problems):
            for type_name, kind, spec in defined_types(document):
                record = TypeRecord(inc=_base(type_name, kind, spec), kind=kind, source=source)
                index["types"].setdefault(type_name, record)
    return index, problems


def _parse(text: str, what: str, problems: list[str]) -> Iterator[Any]:
    """Yield the parsed text, or nothing when it is broken."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        problems.append(f"{what}: the specification is not valid JSON ({error})")
    else:
        if isinstance(document, dict):
            yield document
        else:
            problems.append(f"{what}: expected a JSON object, found {type(document).__name__}")


def _includes(name: str, document: dict[str, Any]) -> dict[str, list[str] | None]:
    found: dict[str, list[str] | None] = {}
    for namespace in _dicts(document.get("namespaces")):
        if namespace.get("name", name) != name:
            continue
        for item in _dicts(namespace.get("schema")):
            included = item.get("namespace")
            if isinstance(included, str):
                wanted = item.get("neurodata_types", item.get("data_types"))
                names = [str(each) for each in wanted if each] if isinstance(wanted, list) else None
                earlier = found.get(included, [])
                found[included] = None if names is None or earlier is None else earlier + names
    return found


def _dicts(items: Any) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _base(name: str, kind: Kind, spec: dict[str, Any]) -> str | None:
    _, base = type_def_inc(spec)
    if base is None and "neurodata_type_def" in spec and name not in _ROOTS:
        return "NWBContainer" if kind == "group" else "NWBData"
    return base
