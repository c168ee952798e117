"""Judge a whole file: every field against the schema, and the rules that span fields.

The reader notes what departs from the schema in a session's problems; here it reads everything that
is no large array. Rules that span fields are those of `nwb_ophys.checks` and `nwb_ophys.practice`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import nwb_ophys.practice  # noqa: F401  (its rules are entered now)
from nwb_ophys.checks import RULES, rules_of
from nwb_ophys.errors import NWBError, SchemaError, did_you_mean
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.hdf5.nodes import Node
from nwb_ophys.hdf5.source import ExternalPolicy
from nwb_ophys.layout import layout_of
from nwb_ophys.models.base import ConfiguredBaseModel
from nwb_ophys.models.dataset import Dataset
from nwb_ophys.models.file import NWBFile
from nwb_ophys.models.group import Group
from nwb_ophys.problems import Problem, Severity
from nwb_ophys.reading import open as open_session
from nwb_ophys.registry import of_the_type
from nwb_ophys.storage import Internal, Members

__all__ = ["explain", "rule_names", "validate"]

_SCHEMA_RULES: Final = {
    "missing": ("What the schema requires is there.", "add it; the message says what"),
    "dtype": ("Values have the dtype of the schema, or a wider one.", "write them as that dtype"),
    "shape": ("Arrays have the axes of the schema.", "transpose or reshape them"),
    "fixed": ("Values that the schema fixes are those.", "write the value that it fixes"),
    "type": ("Objects are of the type that their place asks for.", "put another object there"),
    "kind": ("Groups are groups, and datasets datasets.", "write the object anew"),
    "link": ("Links and references lead to something.", "delete the link, or mend its target"),
    "data": ("Data can be decoded.", "take the file from its origin again"),
    "unknown-type": (
        "Types are specified, in the file or officially.",
        "cache the specification of the extension in the file",
    ),
    "specification": ("Specifications in the file can be understood.", "cache them anew"),
    "columns": ("Names of columns are those of the columns.", "set colnames to the columns"),
    "undeclared": (
        "Members and attributes are declared by a schema.",
        "move it to scratch, or to an extension",
    ),
    "object-id": ("Each object has an object_id of its own.", "give it a new UUID"),
    "file": ("The file can be opened as NWB 2.x.", "the message says how"),
    "own-schema": (
        "What the specifications in the file ask for is there, also where today's do not.",
        "add it; or, where an older release asks for it, bring the file to the newest, with "
        "nwb-ophys fix",
    ),
    "interrupted": (
        "A save was completed, or taken back.",
        "make the file and its folder writable and open it, or run nwb-ophys recover",
    ),
    "unreadable": ("Every object can be read.", "take the file from its origin again"),
}


def rule_names() -> list[str]:
    """Name all rules."""
    return sorted({*_SCHEMA_RULES, *(one.name for one in RULES)})


def explain(name: str) -> str:
    """Say what a rule asks for, and what to do where it is broken.

    Raises
    ------
    SchemaError
        Where there is no such rule.
    """
    if name in _SCHEMA_RULES:
        text, mend = _SCHEMA_RULES[name]
        return f"{name}: {text} Otherwise, {mend}."
    for one in RULES:
        if one.name == name:
            text = (one.check.__doc__ or "").strip()
            mend = f" Otherwise, {one.mend}." if one.mend else ""
            kinds = ", ".join(kind.__name__ for kind in one.kinds)
            return f"{name} ({one.severity}; {kinds}): {text}{mend}"
    raise SchemaError(
        f"there is no rule {name!r}; there are {', '.join(rule_names())}",
        hint=did_you_mean(name, rule_names()),
    )


def validate(
    target: str | os.PathLike[str] | NWBFile,
    *,
    data: bool = False,
    external_links: ExternalPolicy = "folder",
) -> list[Problem]:
    """List what in a file departs from its schema, or is wrong, or could be better.

    A file is judged by the schema that it follows: that of the specifications in it; where it has
    none, the newest, less what the release that it names allowed. No array is read but those that
    rules are about, and these in blocks. What lies in other files, behind external links, is judged
    with those.

    Parameters
    ----------
    target
        The path of a file, or a session: an opened one with its changes, or an authored one.
    data
        Whether to read all data too, to find what does not decode.
    external_links
        Which other files may be opened, as in `open`.

    Returns
    -------
    list of Problem
        Errors first. Nothing is raised because of what the file holds; one that cannot be opened
        is a problem with the rule ``file``.
    """
    if isinstance(target, NWBFile):
        return _sorted(_problems_of(target, data))
    try:
        session = open_session(target, external_links=external_links)
    except (NWBError, OSError) as error:
        hint = getattr(error, "hint", None)
        message = getattr(error, "message", None) or str(error)
        return [Problem("/", "", "file", message + (f" ({hint})" if hint else ""), mend=hint or "")]
    with session:
        return _sorted(_problems_of(session, data))


_CACHED: Final = "/specifications"
_ORDER: Final = {"error": 0, "warning": 1, "hint": 2}


def _sorted(problems: Iterator[Problem]) -> list[Problem]:
    unique = dict.fromkeys(problems)
    return sorted(unique, key=lambda one: (_ORDER[one.severity], one.path, one.field, one.rule))


def _problems_of(session: NWBFile, data: bool) -> Iterator[Problem]:
    wrong: set[str] = set()
    for problem in _by_today(session, data):
        if problem.severity == "error":
            wrong.add(problem.path)
        yield problem
    if session._binding is not None:
        yield from _by_its_own(session, wrong)


def _by_today(session: NWBFile, data: bool) -> Iterator[Problem]:
    ids: dict[Any, str] = {}
    for path, model in session.walk_paths():
        if path == _CACHED or path.startswith(f"{_CACHED}/"):
            continue
        yield from _touched(model, path, data)
        if model._binding is not None:
            yield from _strangers(model, path)
            yield from _members(model, path)
        yield from _identity(model, path, ids)
        yield from _broken(model, path)
    if session._binding is not None:
        for one in session.problems:
            if (
                one.rule == "columns"
            ):  # noted where columns were read; colnames-are-the-columns says it
                continue
            mend = _SCHEMA_RULES.get(one.rule, ("", ""))[1]
            yield replace(one, mend=mend)


def _by_its_own(session: NWBFile, wrong: set[str]) -> Iterator[Problem]:
    """Judge by the specifications in the file, but for what is wrong by the models as well."""
    binding: Any = session._binding
    catalog = binding.session.classes.catalog(binding.node.source)
    if not catalog.namespaces:
        return
    from nwb_ophys.own_schema import OwnSchema

    own = OwnSchema(catalog)
    if not own.versions:
        return
    for model in binding.session.loaded(binding.node.source):
        node = model._binding.node
        if node.path.startswith(_CACHED):
            continue
        try:
            for path, field, message in own.departures(node):
                if path not in wrong:
                    yield _problem(path, field, "own-schema", message)
        except NWBError:
            continue  # what cannot be read is a problem of its own
        except Exception as error:  # on specifications that are not what they should be
            message = f"cannot be judged by the file's own: {type(error).__name__}: {error}"
            yield _problem(node.path, "", "specification", message, "warning")


def _touched(model: Any, path: str, data: bool) -> Iterator[Problem]:
    """Read every field, so that what is wrong with it is noted."""
    for name, field in layout_of(type(model)).fields.items():
        try:
            value = getattr(model, name)
            if isinstance(value, LazyArray) and isinstance(value.handle, Node):
                for file in value.handle.missing_files():
                    message = f"the data lie in another file, {file!r}, which is not there"
                    yield _problem(path, name, "link", message)
            if data and isinstance(value, LazyArray) and value.shape:
                for _ in value.iter_blocks():
                    pass
        except NWBError as error:
            if model._binding is None or data:
                yield _problem(error.path or path, name, "data", error.message)
        except Exception as error:  # a validator that fails says nothing about the rest
            yield _problem(path, name, "unreadable", f"{type(error).__name__}: {error}")
        else:
            if model._binding is None and value is None and field.required:
                message = f"the schema requires a {field.stored!r}, found None"
                yield _problem(path, name, "missing", message)
            if (
                isinstance(value, ConfiguredBaseModel)
                and not isinstance(value, field.types)
                and not of_the_type(type(value), field.types)  # of another part of that type
            ):
                message = f"expected {_typed(field.types)}, found {type(value).__name__}"
                yield _problem(path, name, "type", message)


def _strangers(model: Any, path: str) -> Iterator[Problem]:
    """Look at attributes that no declaration names."""
    try:
        for name in model.attrs:
            yield _problem(path, name, "undeclared", "an attribute of no schema", "hint")
    except NWBError as error:
        yield _problem(path, "", "data", error.message)


def _members(model: Any, path: str) -> Iterator[Problem]:
    """Look at what lies in a group under names that no declaration tells."""
    for field in layout_of(type(model)).fields.values():
        if not isinstance(field.marker, Members):
            continue
        try:
            collection = getattr(model, field.name)
        except NWBError:
            continue  # which is noted
        if field.marker.always and field.groups and model._binding.group(field.groups) is None:
            message = f"the schema requires a group {'/'.join(field.groups)!r}, found none"
            yield _problem(path, field.name, "missing", message)
        for name in collection:
            try:
                member = collection[name]
            except NWBError:
                continue  # which is noted
            place = member.hdf5_path or f"{path.rstrip('/')}/{name}"
            if place != _CACHED:
                yield from _member(member, place, field.types, type(model) is not Group)


def _member(
    member: Any, path: str, types: tuple[type[Any], ...], is_specified: bool
) -> Iterator[Problem]:
    """Look at whether a member is what it should be, in a group whose type specifies that."""
    if type(member) in (Group, Dataset):
        kind = "group" if isinstance(member, Group) else "dataset"
        declared = _typed(types)
        if declared:
            message = f"expected {declared}, found a {kind} without a type"
            yield _problem(path, "neurodata_type", "type", message, "warning")
        elif is_specified:
            yield _problem(path, "", "undeclared", f"a {kind} of no schema", "hint")
    elif types and not isinstance(member, types):
        message = f"expected {_typed(types)}, found {type(member).__name__}"
        yield _problem(path, "", "type", message)


def _typed(types: tuple[type[Any], ...]) -> str:
    return " or ".join(one.__name__ for one in types if getattr(one, "neurodata_type", None))


def _identity(model: Any, path: str, ids: dict[Any, str]) -> Iterator[Problem]:
    field = layout_of(type(model)).fields.get("object_id")
    if field is None or isinstance(field.marker, Internal):
        return
    binding: Any = model._binding
    own = model.object_id if binding is None else binding.node.attributes.get("object_id")
    if own is not None and not isinstance(own, str):
        return  # which is a problem of its dtype
    if own is None:
        yield _problem(path, "object_id", "object-id", "expected a UUID, found none", "warning")
    elif own in ids:
        message = f"expected an id of its own, found that of {ids[own]}"
        yield _problem(path, "object_id", "object-id", message)
    else:
        ids[own] = path


def _broken(model: Any, path: str) -> Iterator[Problem]:
    for one in rules_of(type(model)):
        try:
            for field, message in one.check(model):
                yield Problem(path, field, one.name, message, one.severity, one.mend)
        except NWBError:
            continue  # what cannot be read is a problem of its own
        except Exception as error:  # on values that are not what the rule takes them for
            message = f"cannot be judged by {one.name}: {type(error).__name__}: {error}"
            yield _problem(path, "", "unreadable", message, "warning")


def _problem(
    path: str, field: str, rule: str, message: str, severity: Severity = "error"
) -> Problem:
    return Problem(path, field, rule, message, severity, _SCHEMA_RULES[rule][1])
