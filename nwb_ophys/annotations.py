"""What the annotations of fields say: whether there may be none, several, and of which models."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, ForwardRef, Union, get_args, get_origin

from nwb_ophys.children import Children

__all__ = [
    "Later",
    "alternatives",
    "is_list",
    "is_optional",
    "model_types",
    "named_types",
    "unbuilt_types",
]


def is_optional(annotation: Any) -> bool:
    """Tell whether an annotation admits None."""
    return type(None) in get_args(annotation)


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """Split a union into its members, None left out."""
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(arg for arg in get_args(annotation) if arg is not type(None))
    return (annotation,)


def is_list(annotation: Any) -> bool:
    """Tell whether a field holds its values as a list rather than as an array."""
    return any(get_origin(arg) is list for arg in alternatives(annotation))


class Later:
    """Model classes that an annotation stands for, made when they are first asked for.

    Parameters
    ----------
    find
        Gives the classes.
    shown
        What they are, for people.
    """

    __slots__ = ("_find", "_found", "shown")

    def __init__(self, find: Callable[[], tuple[type, ...]], shown: str) -> None:
        self._find = find
        self._found: tuple[type, ...] | None = None
        self.shown = shown

    def __call__(self) -> tuple[type, ...]:
        """Give the classes."""
        if self._found is None:
            self._found = self._find()
        return self._found

    def __or__(self, other: Any) -> Any:
        return Union[self, other]  # noqa: UP007

    def __repr__(self) -> str:
        return self.shown

    def __reduce__(self) -> tuple[Any, ...]:
        return _found_later, (self(), self.shown)


def _found_later(found: tuple[type, ...], shown: str) -> Later:
    return Later(lambda: found, shown)


@cache
def model_types(annotation: Any) -> tuple[type, ...]:
    """Find the model classes that an annotation names, those in ``Children[...]`` included."""
    return _model_types(annotation, None)


@cache
def unbuilt_types(annotation: Any) -> tuple[Any, ...]:
    """Find the model classes that an annotation names, and the `Later` that stand for some."""
    return _model_types(annotation, None, build=False)


def named_types(
    annotation: Any, names: Mapping[str, Any], *, build: bool = True
) -> tuple[type, ...]:
    """Find the model classes of an annotation that may name them by text, given what they mean."""
    return _model_types(annotation, names, build=build)


def _model_types(
    annotation: Any, names: Mapping[str, Any] | None, *, build: bool = True
) -> tuple[Any, ...]:
    found: list[Any] = []
    for arg in alternatives(annotation):
        if get_origin(arg) is Children:
            found.extend(_model_types(get_args(arg)[0], names, build=build))
        elif isinstance(arg, Later):
            found.extend(arg() if build else (arg,))
        elif isinstance(arg, (ForwardRef, str)):
            if names is None:
                raise TypeError(f"the annotation {arg!r} is not resolved yet")
            text = arg if isinstance(arg, str) else arg.__forward_arg__
            found.extend(_model_types(eval(text, {}, names), names, build=build))
        elif isinstance(arg, type) and arg is not object and arg is not Any:
            found.append(arg)
    return tuple(found)
