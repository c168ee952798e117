"""Write type stubs for modules of models: what constructors and assignments take, and fields hold.

A model's constructor follows from its declarations: its fields, in what they accept rather than
in what they hold, and the flat names of its parts. An assignment takes what the constructor takes,
and reading gives what the field holds. Type checkers and editors cannot see that, so the wheel
carries stubs beside the models, made from the declarations when it is built.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, get_args

from nwb_ophys.annotations import is_optional
from nwb_ophys.dtypes import DTypeSpec
from nwb_ophys.layout import FieldLayout, layout_of
from nwb_ophys.models.base import ConfiguredBaseModel
from nwb_ophys.models.dataset import DatasetModel
from nwb_ophys.registry import is_generated
from nwb_ophys.storage import Child, Link, Members

__all__ = ["NARROWING", "constructor_of", "field_of", "model_stubs", "scalar_of", "stub_of"]

NARROWING = """\
# Types narrow what they inherit, as the schema language allows.
# mypy: disable-error-code="assignment,override,misc"
# pyright: reportIncompatibleVariableOverride=false, reportIncompatibleMethodOverride=false
"""
"""What a stub says of rules that the schema language does not know."""

_HEADER = "from nwb_ophys.stub_types import *"
_SCALARS = {"text": "str", "ascii": "str", "isodatetime": "datetime | date | str", "bool": "bool"}
_NO_NAMES: Mapping[type[Any], str] = {}
_HIDDEN = frozenset({"__init__", "__getattr__", "__setattr__", "__new__", "__init_subclass__"})


def model_stubs() -> Iterator[tuple[str, str]]:
    """Iterate over the modules of `nwb_ophys.models` and the texts of their stubs."""
    package = importlib.import_module("nwb_ophys.models")
    for info in pkgutil.iter_modules(package.__path__):
        yield info.name, stub_of(importlib.import_module(f"{package.__name__}.{info.name}"))


def stub_of(module: ModuleType) -> str:
    """Make the stub of a module: its source without bodies, its models with constructors."""
    tree = ast.parse(inspect.getsource(module))
    body = [node for each in tree.body for node in _statement(each, module)]
    text = ast.unparse(ast.Module(_needed(body), []))
    first, rest = text.split("\n", 1) if text.startswith("from __future__") else ("", text)
    return "\n".join((NARROWING, first, _HEADER, *_imports(module), rest, ""))


def _needed(body: list[ast.stmt]) -> list[ast.stmt]:
    """Leave out private values that nothing in the stub names, as those of markers."""
    kept: list[ast.stmt] = []
    used: set[str] = set()
    for node in reversed(body):
        targets = node.targets if isinstance(node, ast.Assign) else ()
        private = [one.id for one in targets if isinstance(one, ast.Name) and one.id[0] == "_"]
        if private and private[0] not in {"__all__", *used}:
            continue
        used.update(one.id for one in ast.walk(node) if isinstance(one, ast.Name))
        kept.insert(0, node)
    return kept


def _imports(module: ModuleType) -> list[str]:
    """Import the models of other modules that constructors inherit."""
    kinds = {
        kind
        for cls in vars(module).values()
        if isinstance(cls, type) and issubclass(cls, ConfiguredBaseModel)
        for field in layout_of(cls).fields.values()
        for kind in field.types
    }
    return sorted(
        f"from {kind.__module__} import {kind.__name__} as {kind.__name__}"
        for kind in kinds
        # Those that are made at run time are told by the module that the source takes them from.
        if kind.__module__ != module.__name__ and not is_generated(kind)
    )


def _statement(node: ast.stmt, module: ModuleType) -> Iterator[ast.stmt]:
    if isinstance(node, ast.ClassDef):
        yield _class(node, getattr(module, node.name))
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        yield _bodiless(node)
    elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        for each in node.body:
            yield from _statement(each, module)
    elif not isinstance(node, ast.Expr):
        yield node


def _class(node: ast.ClassDef, cls: type[Any]) -> ast.ClassDef:
    body: list[ast.stmt] = []
    is_model = issubclass(cls, ConfiguredBaseModel)
    for each in _flattened(node.body):
        if isinstance(each, ast.FunctionDef):
            if not (is_model and each.name in _HIDDEN):
                body.append(_bodiless(each))
        elif isinstance(each, ast.AnnAssign):
            name = ast.unparse(each.target)
            field = layout_of(cls).fields.get(name) if is_model else None
            if field is not None:
                body.append(_statement_of(field_of(cls, field, _held(each.annotation))))
            elif not name.startswith("_"):
                each.value = ast.Name("DEFAULT") if each.value is not None else None
                body.append(each)
        elif isinstance(each, ast.Assign) and not is_model:
            body.append(each)
    if is_model:
        body.extend(map(_statement_of, constructor_of(cls)))
    node.body = body or [ast.Expr(ast.Constant(...))]
    # The class keywords are for pydantic's hook at run time.
    node.keywords = []
    return node


def _statement_of(line: str) -> ast.stmt:
    return ast.parse(line).body[0]


def _held(annotation: ast.expr) -> str:
    """Give what a field holds: its annotation, without the marker."""
    if isinstance(annotation, ast.Subscript) and isinstance(annotation.slice, ast.Tuple):
        return ast.unparse(annotation.slice.elts[0])
    raise TypeError(f"expected Annotated[type, marker], found {ast.unparse(annotation)}")


def _flattened(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for each in body:
        if isinstance(each, ast.If) and ast.unparse(each.test) == "TYPE_CHECKING":
            yield from each.body
        else:
            yield each


def _bodiless(node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.stmt:
    node.body = [ast.Expr(ast.Constant(...))]
    return node


def constructor_of(
    cls: type[ConfiguredBaseModel], names: Mapping[type[Any], str] = _NO_NAMES
) -> Iterator[str]:
    """Iterate over the constructor of a model, and the fields of its parts that it shows.

    Parameters
    ----------
    cls
        The model.
    names
        Names of classes in the stub, where they are not their own.
    """
    layout = layout_of(cls)
    parameters = []
    for name, info in cls.model_fields.items():
        if name == "hdf5_path":
            continue
        field = layout.fields.get(name)
        accepted = _accepted(field, names) if field is not None else _named(info.annotation)
        required = info.is_required() and name not in cls.completed
        optional = " | None" if is_optional(info.annotation) or name in cls.completed else ""
        parameters.append(f"{name}: {accepted}{optional}{'' if required else ' = ...'}")
    for flat, owner in layout.flat.items():
        part = layout_of(layout.fields[owner].types[0]).fields[flat]
        parameters.append(f"{flat}: {_accepted(part, names)} | None = ...")
    for single in getattr(cls, "singles", ()):
        parameters.append(f"{single}: Any = ...")
    taken = f", *, {', '.join(parameters)}" if parameters else ""
    yield f"def __init__(self{taken}) -> None: ..."
    for flat, owner in layout.flat.items():
        part = layout_of(layout.fields[owner].types[0]).fields[flat]
        yield f"{flat}: {_accepted(part, names)} | None = DEFAULT"


def field_of(
    cls: type[ConfiguredBaseModel],
    field: FieldLayout,
    held: str,
    names: Mapping[type[Any], str] = _NO_NAMES,
) -> str:
    """Give the annotation of a field, which takes what the constructor takes for it.

    Parameters
    ----------
    cls
        The model.
    field
        The field.
    held
        The type that reading gives.
    names
        Names of classes in the stub, where they are not their own.
    """
    optional = " | None" if is_optional(field.annotation) else ""
    taken = f"{_accepted(field, names)}{optional}"
    shown = held if held == taken else f"Stored[{held}, {taken}]"
    required = field.info.is_required() and field.name not in cls.completed
    return f"{field.name}: {shown}{'' if required else ' = DEFAULT'}"


def _named(annotation: Any) -> str:
    literals = [repr(value) for value in get_args(annotation) if isinstance(value, str)]
    return f"Literal[{', '.join(literals)}]" if literals else "str"


def _accepted(field: FieldLayout, names: Mapping[type[Any], str]) -> str:
    """Say which values a field accepts."""
    marker = field.marker
    kinds = " | ".join(names.get(kind, kind.__name__) for kind in field.types) or "Any"
    if isinstance(marker, Members):
        return f"Mapping[str, {kinds}] | Iterable[{kinds}]"
    if isinstance(marker, Link):
        return kinds
    if isinstance(marker, Child):
        is_dataset = issubclass(field.types[0], DatasetModel)
        return f"{kinds} | ArrayInput" if is_dataset else f"{kinds} | dict[str, Any]"
    if field.is_list:
        scalar = scalar_of(marker.dtype)  # type: ignore[attr-defined]
        return f"{scalar} | Sequence[{scalar}]"
    if marker.shape == ():  # type: ignore[attr-defined]
        return scalar_of(marker.dtype)  # type: ignore[attr-defined]
    return "ArrayInput"


def scalar_of(dtype: DTypeSpec) -> str:
    """Say which scalars a dtype accepts."""
    if not isinstance(dtype, str):
        return "Any"
    if dtype.lstrip("u").startswith("int"):
        return "int"
    if dtype.startswith("float") or dtype == "numeric":
        return "float"
    return _SCALARS.get(dtype, "Any")
