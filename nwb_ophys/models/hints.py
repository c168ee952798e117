"""What may have been meant by names that are no fields."""

from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from nwb_ophys.errors import did_you_mean
from nwb_ophys.layout import layout_of

__all__ = ["with_hints"]


def with_hints(cls: type[BaseModel], error: ValidationError) -> ValidationError:
    """Say of names that are no fields what may have been meant."""
    fields = cls.model_fields
    names = [name for name in (*fields, *layout_of(cls).flat) if name != "hdf5_path"]
    details: list[InitErrorDetails] = []
    for one in error.errors():
        kind: Any = one["type"]
        if kind == "extra_forbidden":
            name = str(one["loc"][0])
            hint = did_you_mean(name, names)
            if name == "data" and "array" in fields:  # as PyNWB calls it
                hint = "did you mean 'array'?"
            elif hint is None and "children" in fields and _holds_models(one["input"]):
                hint = "objects that lie in this one are given as children=[...]"
            kind = PydanticCustomError(kind, "; ".join(filter(None, (one["msg"], hint))))
        detail: InitErrorDetails = {"type": kind, "loc": one["loc"], "input": one["input"]}
        if "ctx" in one:
            detail["ctx"] = one["ctx"]
        details.append(detail)
    return ValidationError.from_exception_data(error.title, details)


def _holds_models(value: Any) -> bool:
    """Tell whether a value is a model, or a collection of some."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(isinstance(one, BaseModel) for one in value)
    return isinstance(value, BaseModel)
