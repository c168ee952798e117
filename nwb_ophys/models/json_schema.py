"""JSON schemas of models: what ``model_dump(mode="json")`` gives, told from their declarations."""

import inspect
import re
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, get_args

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from nwb_ophys.annotations import is_optional
from nwb_ophys.dtypes import Dims, DTypeSpec, describe
from nwb_ophys.layout import FieldLayout, complete, layout_of
from nwb_ophys.models.base import ConfiguredBaseModel
from nwb_ophys.storage import Child, Link, Members

__all__ = ["json_schema_of"]

_Schema = dict[str, Any]
_TEXTS = {"text", "ascii", "isodatetime"}
_PLAIN = (str, int, float, type(None))

_under_way: ContextVar[frozenset[type[Any]]] = ContextVar("_under_way", default=frozenset())
"""The classes whose schemas are being made: what refers back to them does so by name."""


def json_schema_of(cls: Any, core: CoreSchema, handler: GetJsonSchemaHandler) -> _Schema:
    """Make the JSON schema of a model, as `ConfiguredBaseModel.model_json_schema` says.

    Parameters
    ----------
    cls
        The model.
    core
        Pydantic's schema of it.
    handler
        Pydantic's, which numbers and gathers the schemas of other models.
    """
    # What has no name in the schema being made is in the place where it is used, each time.
    named = {cls} if "ref" in core else set()
    token = _under_way.set(_under_way.get() | named)
    try:
        references = _references(cls, handler)
    finally:
        _under_way.reset(token)
    fields, docs = layout_of(cls).fields, dict(_docs(cls))
    properties: dict[str, _Schema] = {}
    required = []
    for name, info in cls.model_fields.items():
        one = fields.get(name)
        made = _internal(info.annotation) if one is None else _stored(one, references)
        if is_optional(info.annotation):
            made = _nullable(made)
        told = [docs.get(name, ""), made.get("description", "")]
        if any(told):
            made["description"] = " ".join(filter(None, told))
        if handler.mode == "serialization" or (info.is_required() and name not in cls.completed):
            required.append(name)
        elif not info.is_required() and isinstance(info.default, _PLAIN):
            made["default"] = info.default
        properties[name] = made
    text = inspect.cleandoc(cls.__doc__ or "").partition("\nParameters\n---")[0]
    made = {"type": "object", "title": cls.__name__, "description": text.strip()}
    return made | {"properties": properties} | ({"required": required} if required else {})


def _references(cls: type[Any], handler: GetJsonSchemaHandler) -> dict[type[Any], _Schema]:
    """Let pydantic make the schemas of the models that a model holds, and give what leads there."""
    kinds = dict.fromkeys(
        kind
        for field in layout_of(cls).fields.values()
        if isinstance(field.marker, (Child, Members))
        for kind in field.types
        if issubclass(kind, ConfiguredBaseModel)
    )
    if not kinds:
        return {}
    made: list[Any] = []
    leading: list[CoreSchema] = []
    for kind in kinds:
        complete(kind)
        core = kind.__pydantic_core_schema__
        ref = core.get("ref") or f"{kind.__module__}.{kind.__qualname__}:{id(kind)}"
        if kind not in _under_way.get():
            made.append({**core, "ref": ref})
        leading.append(core_schema.definition_reference_schema(ref))
    together = core_schema.tuple_schema(leading)
    found = handler(core_schema.definitions_schema(together, made))["prefixItems"]
    return {kind: {"$ref": one["$ref"]} for kind, one in zip(kinds, found, strict=True)}


def _stored(field: FieldLayout, references: dict[type[Any], _Schema]) -> _Schema:
    """Describe what is stored of a field."""
    marker: Any = field.marker
    names = " or ".join(kind.__name__ for kind in field.types) or "object"
    if isinstance(marker, Link):
        told = f"A link: the path of the {names}, or its name before it is written."
        return {"type": "string", "description": told}
    if isinstance(marker, (Child, Members)):
        schemas = [references[kind] for kind in field.types if kind in references]
        held = _either(schemas or [{"type": "object"}])
        if isinstance(marker, Child):
            return held
        return {"type": "object", "additionalProperties": held, "description": "Objects by name."}
    if marker.shape == ():
        return _fixed(_scalar(marker.dtype), marker.fixed)
    if field.is_list and marker.shape is None:
        return {"type": "array", "items": _scalar(marker.dtype)}
    return _array(marker.dtype, marker.shape)


def _internal(annotation: Any) -> _Schema:
    texts = [one for one in get_args(annotation) if isinstance(one, str)]
    return _fixed({"type": "string"}, texts[0]) if len(texts) == 1 else {"type": "string"}


def _fixed(schema: _Schema, fixed: Any) -> _Schema:
    return {**schema, "const": fixed} if isinstance(fixed, _PLAIN) and fixed is not None else schema


def _scalar(dtype: DTypeSpec) -> _Schema:
    if isinstance(dtype, tuple):
        count = len(dtype)
        members = [_scalar(member) | {"title": name} for name, member in dtype]
        return {"type": "array", "prefixItems": members, "minItems": count, "maxItems": count}
    if dtype == "isodatetime":
        return {"type": "string", "format": "date-time"}
    if dtype in _TEXTS:
        return {"type": "string"}
    if dtype == "bool":
        return {"type": "boolean"}
    if dtype == "reference":
        return {"type": ["string", "null"], "description": "The path of an object."}
    if dtype.startswith("uint"):
        return {"type": "integer", "minimum": 0}
    if dtype.startswith("int"):
        return {"type": "integer"}
    return {} if dtype == "any" else {"type": "number"}


def _array(dtype: DTypeSpec, dims: Dims) -> _Schema:
    """Describe an array as lists within lists."""
    if dims is None:
        return {"description": f"An array of any shape, dtype {describe(dtype)}."}
    choices: Any = dims if isinstance(dims[0], tuple) else (dims,)
    shown = " or ".join(
        f"({', '.join(map(str, axes))}{',' * (len(axes) == 1)})" for axes in choices
    )
    schemas = []
    for axes in choices:
        schema = _scalar(dtype)
        for axis in reversed(axes):
            exact = {"minItems": axis, "maxItems": axis} if isinstance(axis, int) else {}
            schema = {"type": "array", "items": schema, **exact}
        schemas.append(schema)
    return {**_either(schemas), "description": f"An array {shown}, dtype {describe(dtype)}."}


def _either(schemas: list[_Schema]) -> _Schema:
    return dict(schemas[0]) if len(schemas) == 1 else {"anyOf": schemas}


def _nullable(schema: _Schema) -> _Schema:
    described = {"description": schema["description"]} if "description" in schema else {}
    bare = {key: value for key, value in schema.items() if key != "description"}
    if not bare:  # anything at all
        return schema
    choices = bare["anyOf"] if set(bare) == {"anyOf"} else [bare]
    return {"anyOf": [*choices, {"type": "null"}], **described}


def _docs(cls: type[Any]) -> Iterator[tuple[str, str]]:
    """Iterate over what the docstrings of a class, and of those that it extends, say of fields."""
    for base in reversed(cls.__mro__):
        text = inspect.cleandoc(vars(base).get("__doc__") or "")
        _, _, after = text.partition("\nParameters\n----------\n")
        section = re.split(r"\n\n\S+\n---", after)[0]
        for names, told in re.findall(r"^(\S.*)\n((?:[ \t]+.*\n?|\n)+)", section, re.MULTILINE):
            for name in names.split(","):
                yield name.strip(), " ".join(told.split())
