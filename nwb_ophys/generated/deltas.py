"""What a type says of its own: its spec, less what it repeats of its base and of included types.

Files cache specifications in which inherited members are repeated, the YAML of an extension does
not. Both come down to the same here, so that they give the same class.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from nwb_ophys.specs import Catalog, type_def_inc

__all__ = ["Deltas", "Spec", "bounds_of", "is_required", "members_of", "type_of"]

Spec = dict[str, Any]

_LISTS = ("attributes", "datasets", "groups", "links")
_IDENTITY = frozenset(
    {
        "name",
        "doc",
        "quantity",
        "neurodata_type_def",
        "data_type_def",
        "neurodata_type_inc",
        "data_type_inc",
    }
)
_SAID_ANEW = frozenset({"required", "default_value", "quantity"})
_OF_THE_TYPE = frozenset({"name", "default_name", "value", "default_value"})
_QUANTITIES = {"zero_or_one": "?", "zero_or_many": "*", "one_or_many": "+", "one": 1}


def type_of(spec: Spec) -> str | None:
    """Name the type that a member is of: the one it includes, or the one it defines in place."""
    name, base = type_def_inc(spec)
    return name or base


def members_of(spec: Spec, kind: str) -> Iterator[Spec]:
    """Iterate over the members of one kind: attributes, datasets, groups or links."""
    found = spec.get(kind)
    for each in found if isinstance(found, list) else ():
        if isinstance(each, dict):
            yield each


def is_required(spec: Spec) -> bool:
    """Tell whether an object must have a member."""
    return bool(spec.get("required", True)) and _quantity(spec) in (1, "+")


def bounds_of(spec: Spec) -> tuple[int, int | None]:
    """Tell how many of a member there must be, and may be; None is without end."""
    quantity = _quantity(spec)
    if isinstance(quantity, int):
        return quantity, quantity
    return (1 if quantity == "+" else 0), (1 if quantity == "?" else None)


def _quantity(spec: Spec) -> Any:
    quantity = spec.get("quantity", 1)
    return _QUANTITIES.get(quantity, quantity) if isinstance(quantity, str) else quantity


def _key(spec: Spec) -> str:
    """Tell a member from the others of its kind: by its name, else by its type."""
    return str(spec.get("name") or f"<{type_of(spec) or spec.get('target_type')}>")


def _meaning(value: Any) -> Any:
    """Give what two specs are compared by: without words for people, written in one way."""
    if isinstance(value, list):
        return [_meaning(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _meaning(each) for key, each in value.items() if key != "doc" and each is not None}
    for key in ("def", "inc"):
        if f"neurodata_type_{key}" in kept:
            kept[f"data_type_{key}"] = kept.pop(f"neurodata_type_{key}")
    for key, usual in (("quantity", 1), ("required", True), ("linkable", True)):
        if key == "quantity" and key in kept:
            kept[key] = _quantity(kept)
        if kept.get(key) == usual:
            del kept[key]
    for kind in _LISTS:
        if not kept.get(kind, True):
            del kept[kind]
    dims = kept.pop("dims", None)  # words for people, of which files have some that others lack
    if isinstance(dims, list) and "shape" not in kept:
        kept["shape"] = [[None] * len(each) if isinstance(each, list) else None for each in dims]
    return kept


def _laid_over(base: Spec, spec: Spec) -> Spec:
    """Lay a spec over the one it extends."""
    result = {**base, **spec}
    for kind in _LISTS:
        found = {_key(each): each for each in members_of(base, kind)}
        for each in members_of(spec, kind):
            key = _key(each)
            nested = kind in ("datasets", "groups") and key in found
            found[key] = _laid_over(found[key], each) if nested else each
        if found:
            result[kind] = list(found.values())
    return result


def _difference(spec: Spec, base: Spec) -> Spec:
    """Keep of a spec what its base does not say."""
    result: Spec = {}
    for key, value in spec.items():
        if key in _LISTS:
            continue
        if key in _IDENTITY or _meaning(value) != _meaning(base.get(key)):
            result[key] = value
    for kind in _LISTS:
        before = {_key(each): each for each in members_of(base, kind)}
        kept = []
        for each in members_of(spec, kind):
            known = before.get(_key(each))
            if known is None:
                kept.append(each)
                continue
            if _meaning(each) == _meaning(known):
                continue
            if kind in ("attributes", "links"):
                # One that is declared again is required unless that says otherwise.
                before_it = {k: v for k, v in known.items() if k not in _SAID_ANEW}
                kept.append({**before_it, **each})
                continue
            changed = _difference(each, known)
            if (
                changed.keys() - _IDENTITY
                or type_of(each) != type_of(known)
                or _quantity(each) != _quantity(known)
            ):
                kept.append(changed)
        if kept:
            result[kind] = kept
    return result


class Deltas:
    """What each type of a catalog says of its own.

    Parameters
    ----------
    catalog
        The types.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._whole: dict[tuple[str, str], Spec] = {}
        self._own: dict[tuple[str, str], Spec] = {}

    def whole(self, namespace: str, name: str) -> Spec:
        """Give the spec of a type with all that it inherits; nothing for one that is unknown."""
        entries = list(self.catalog.bases(namespace, name))
        if not entries:
            return {}
        key = entries[0].namespace, entries[0].name
        if key not in self._whole:
            result: Spec = {}
            for entry in reversed(entries):
                spec = self.catalog.spec(entry.namespace, entry.name)
                result = {k: v for k, v in result.items() if k not in _OF_THE_TYPE}
                result = _laid_over(result, spec)
            self._whole[key] = result
        return self._whole[key]

    def own(self, namespace: str, name: str) -> Spec:
        """Give what a type adds to its base, or changes of it."""
        key = namespace, name
        if key not in self._own:
            entry = self.catalog.get(namespace, name)
            spec = self.catalog.spec(namespace, name)
            base: Spec = {}
            if entry is not None and entry.base is not None and entry.base != key:
                whole = self.whole(*entry.base)
                base = {k: v for k, v in whole.items() if k not in _OF_THE_TYPE}
            self._own[key] = self._reduced(namespace, _difference(spec, base))
        return self._own[key]

    def _reduced(self, namespace: str, spec: Spec) -> Spec:
        """Take from the members of a spec what the types that they are of say already."""
        for kind in ("datasets", "groups"):
            below = [self._use(namespace, each) for each in members_of(spec, kind)]
            if below:
                spec = {**spec, kind: below}
        return spec

    def _use(self, namespace: str, spec: Spec) -> Spec:
        name, base = type_def_inc(spec)
        if name is not None:  # defined in place: the type says it all
            return {k: v for k, v in spec.items() if k in _IDENTITY}
        if base is not None:
            whole = self.whole(namespace, base)
            spec = _difference(spec, {k: v for k, v in whole.items() if k != "name"})
        return self._reduced(namespace, spec)

    def digest(self, namespace: str) -> str:
        """Give what tells the content of a namespace from any other's."""
        from nwb_ophys.spec_index import defined_types

        own = {}
        texts = self.catalog.namespaces[namespace]
        for source in texts.sources:
            try:
                document = self.catalog.document(namespace, source)
            except ValueError:
                continue
            for name, _, _ in defined_types(document):
                own[name] = _sorted(_meaning(self.own(namespace, name)))
        text = json.dumps([namespace, texts.version, own], sort_keys=True, default=str)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _sorted(value: Any) -> Any:
    """Bring members to one order, whatever order they are written in."""
    if isinstance(value, dict):
        return {
            key: sorted((_sorted(one) for one in each), key=_key)
            if key in _LISTS and isinstance(each, list)
            else each
            for key, each in value.items()
        }
    return value
