"""Models as plain Python: children as dictionaries, links as paths."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
from pydantic import BaseModel

from nwb_ophys.children import Children
from nwb_ophys.layout import layout_of
from nwb_ophys.storage import Link

__all__ = ["dumped"]


def dumped(model: BaseModel, mode: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Give the fields of a model, as `ConfiguredBaseModel.model_dump` says."""
    links = {
        one.name for one in layout_of(type(model)).fields.values() if isinstance(one.marker, Link)
    }
    include, exclude = options.get("include"), options.get("exclude") or ()
    values = {}
    for name in type(model).model_fields:
        if name in exclude or (include is not None and name not in include):
            continue
        value = getattr(model, name)
        if value is None and options.get("exclude_none"):
            continue
        values[name] = _dumped(value, mode, name in links)
    return values


def _dumped(value: Any, mode: str, is_link: bool) -> Any:
    if isinstance(value, BaseModel):
        if is_link:
            return getattr(value, "hdf5_path", None) or getattr(value, "name", None)
        return value.model_dump(mode=mode)
    if isinstance(value, Children):
        return {name: _dumped(item, mode, False) for name, item in value.items()}
    if mode == "json":
        if isinstance(value, datetime):
            return value.isoformat()
        if hasattr(value, "shape"):
            return _dumped(np.asarray(value).tolist(), mode, False)
        if isinstance(value, (list, tuple)):
            return [_dumped(item, mode, True) for item in value]
    return value
