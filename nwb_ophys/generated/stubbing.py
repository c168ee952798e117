"""Type stubs of an extension: what editors and type checkers can know of classes made at run time.

A stub is a module of its own, with a class for each type of the extension and whatever it is built
on that has no hand-written model, and ``Types``, which is what `nwb_ophys.load_extension` gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nwb_ophys.annotations import is_optional
from nwb_ophys.generated.extensions import Extension
from nwb_ophys.layout import FieldLayout, layout_of
from nwb_ophys.registry import is_generated
from nwb_ophys.storage import Child, Link, Members
from nwb_ophys.stubs import NARROWING, constructor_of, field_of, scalar_of

__all__ = ["extension_stub"]

_HEADER = '''"""The types of {name} {version}, for type checkers; written by nwb-ophys stubs.

    if TYPE_CHECKING:
        from {module} import Types
    extension: "Types" = cast("Types", nwb_ophys.load_extension("{name}"))
"""

{narrowing}
from nwb_ophys import Children, Extension
from nwb_ophys.storage import NDArray
from nwb_ophys.stub_types import *
'''


def extension_stub(extension: Extension) -> str:
    """Make the stub of an extension: the text of a ``.pyi``.

    Parameters
    ----------
    extension
        What `nwb_ophys.load_extension` gave.
    """
    types = {name: getattr(extension, name) for name in extension.types}
    classes: dict[type[Any], str] = {}
    for cls in types.values():
        _gather(cls, classes)
    written = [cls for cls in classes if is_generated(cls)]
    module = f"{extension.name.replace('-', '_')}_types"
    lines = [
        _HEADER.format(
            name=extension.name, version=extension.version, module=module, narrowing=NARROWING
        )
    ]
    lines += sorted(
        f"from {cls.__module__} import {cls.__name__} as {shown}"
        for cls, shown in classes.items()
        if not is_generated(cls)
    )
    for cls in written:
        lines += ["", *_class(cls, classes)]
    lines += ["", "class Types(Extension):"]
    lines += [f"    {name}: type[{classes[cls]}]" for name, cls in types.items() if _named(name)]
    return "\n".join((*lines, ""))


def _named(name: str) -> bool:
    return name.isidentifier()


def _gather(cls: type[Any], classes: dict[type[Any], str]) -> None:
    """Enter a class and those it is built on, bases first, each under a name of its own."""
    if cls in classes:
        return
    if is_generated(cls):
        for base in cls.__bases__:
            _gather(base, classes)
    name = cls.__name__ if _named(cls.__name__) else "Unnamed"
    if name in classes.values():  # an extension may have a type of the name of another
        name = f"{str(cls.namespace or 'part').replace('-', '_')}_{name}"
    while name in classes.values():
        name += "_"
    classes[cls] = name
    if is_generated(cls):
        for field in layout_of(cls).fields.values():
            for kind in field.types:
                _gather(kind, classes)


def _class(cls: type[Any], classes: dict[type[Any], str]) -> Iterator[str]:
    bases = ", ".join(classes[base] for base in cls.__bases__)
    yield f"class {classes[cls]}({bases}):"
    inherited = {name for base in cls.__bases__ for name in layout_of(base).fields}
    for name, field in layout_of(cls).fields.items():
        if name in cls.__annotations__ or name not in inherited:
            yield f"    {field_of(cls, field, _held(field, classes), classes)}"
    for name in cls.__dict__.get("singles", ()):
        yield f"    {name}: Any"
    yield from (f"    {line}" for line in constructor_of(cls, classes))


def _held(field: FieldLayout, classes: dict[type[Any], str]) -> str:
    """Say what a field holds."""
    marker = field.marker
    if isinstance(marker, (Child, Link, Members)):
        kinds = " | ".join(classes.get(kind, "Any") for kind in field.types) or "Any"
        held = f"Children[{kinds}]" if isinstance(marker, Members) else kinds
    elif field.is_list:
        held = f"list[{scalar_of(marker.dtype).split(' | ')[0]}]"  # type: ignore[attr-defined]
    elif marker.shape == ():  # type: ignore[attr-defined]
        held = scalar_of(marker.dtype).split(" | ")[0]  # type: ignore[attr-defined]
    else:
        held = "NDArray"
    return f"{held} | None" if is_optional(field.annotation) else held
