"""Rules that span the fields of an object: run before a write, never while a field is assigned.

A rule is a small function that yields the field it is about and what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["broken_rules", "rule"]

Finding = tuple[str, str]
Rule = Callable[[Any], Iterator[Finding]]

_RULES: list[tuple[type[Any], Rule]] = []


def rule(kind: type[Any]) -> Callable[[Rule], Rule]:
    """Enter a rule for the objects of a type and its subtypes."""

    def enter(function: Rule) -> Rule:
        _RULES.append((kind, function))
        return function

    return enter


def broken_rules(model: Any) -> Iterator[Finding]:
    """Iterate over the fields of an object that break a rule, and how."""
    for kind, function in _RULES:
        if isinstance(model, kind):
            yield from function(model)
