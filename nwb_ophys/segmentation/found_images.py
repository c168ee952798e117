"""Find the summary images that belong to a table."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from nwb_ophys.errors import NWBError
from nwb_ophys.models.images import Image, Images
from nwb_ophys.segmentation.adding import DEFAULT_NAME
from nwb_ophys.segmentation.result import IMAGE_NAMES
from nwb_ophys.segmentation.writers import Writer

__all__ = ["gather"]

_NAMES: Final = {
    **IMAGE_NAMES,
    "mean_image": "mean",
    "correlation_image": "correlation",
    "MeanImage": "mean",
    "CorrelationImage": "correlation",
    "average_image": "mean",
    "max_projection": "max",
    "local_correlations": "correlation",
}
"""What other writers call their summary images, and what we do."""


def gather(table: Any, session: Any, writer: Writer, ndim: int, notes: list[str]) -> dict[str, Any]:
    """Read the images of the module that a table is in, x first.

    Those of the planes of a volume, ``Backgrounds_0`` and so on, become images of the volume.
    """
    module = _module_of(table, session)
    if module is None:
        return {}
    found: dict[str, Any] = {}
    planes: dict[str, dict[int, Any]] = {}
    for container in module.children.values():
        if not isinstance(container, Images) or not _is_of(container.name, table.name, writer):
            continue
        plane = _plane_of(container.name)
        for name, image in container.children.items():
            if not isinstance(image, Image):
                continue
            try:
                array = np.asarray(image)
            except NWBError as error:
                notes.append(f"image {container.name}/{name} left out: {error.message}")
                continue
            if array.ndim < 2:
                continue
            if writer.images == "yx":
                array = array.swapaxes(0, 1)
            called = _NAMES.get(name, name)
            if ndim == 3 and plane is not None and array.ndim == 2:
                planes.setdefault(called, {})[plane] = array
            else:
                found[called if called not in found else f"{container.name}/{name}"] = array
    for called, stack in planes.items():
        if len({one.shape for one in stack.values()}) == 1:
            whole = _stacked(stack)
            found[called] = whole if max(stack) or writer.name == "suite2p" else whole[..., 0]
        else:
            found.update({f"Backgrounds_{plane}/{called}": one for plane, one in stack.items()})
    return found


def _stacked(planes: dict[int, Any]) -> Any:
    """Put images of one shape together, zeros where a plane has none."""
    some = next(iter(planes.values()))
    whole = np.zeros((*some.shape, max(planes) + 1), some.dtype)
    for plane, one in planes.items():
        whole[..., plane] = one
    return whole


def _module_of(table: Any, session: Any) -> Any:
    path = table.hdf5_path or ""
    parts = path.split("/")
    if len(parts) > 2 and parts[1] == "processing":
        return session.processing.get(parts[2])
    return None


def _plane_of(name: str) -> int | None:
    beginning, _, number = name.rpartition("_")
    if beginning.startswith("Backgrounds") and number.isdecimal():
        return int(number)
    return 0 if name.startswith("Backgrounds_") else None


def _is_of(container: str, table: str, writer: Writer) -> bool:
    """Tell whether a collection of images may be that of a table: ours are named after it."""
    if writer.name != "nwb-ophys":
        return True
    if table == DEFAULT_NAME:
        beginning, _, number = container.rpartition("_")
        return beginning == "Backgrounds" and number.isdecimal()
    named = f"Backgrounds_{table}"
    rest = container.removeprefix(f"{named}_")
    return container == named or (rest != container and rest.isdecimal())
