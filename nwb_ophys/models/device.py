"""Devices and their models."""

from typing import Annotated

from pydantic import ConfigDict

from nwb_ophys.models.container import NWBContainer
from nwb_ophys.storage import Attr, Link

__all__ = ["Device", "DeviceModel"]


class DeviceModel(NWBContainer, schema="core"):
    """A product that devices are specimens of, named as people call it: "Neuropixels 1.0".

    Parameters
    ----------
    manufacturer
        Who makes it.
    model_number
        Its part or product number.
    description
        What there is to say about it.
    """

    # Older pydantic keeps names that begin with "model_" for itself.
    model_config = ConfigDict(protected_namespaces=())

    manufacturer: Annotated[str, Attr()]
    model_number: Annotated[str | None, Attr()] = None
    description: Annotated[str | None, Attr()] = None


class Device(NWBContainer, schema="core"):
    """One instrument that took part in the recording: a microscope, a camera, a monitor.

    Parameters
    ----------
    description
        What it is, and how it was set up.
    manufacturer, model_number, model_name
        What its `DeviceModel` tells since schema 2.9; for files that have them here.
    serial_number
        The number of this very specimen.
    model
        The product it is a specimen of.
    """

    model_config = ConfigDict(protected_namespaces=())

    description: Annotated[str | None, Attr()] = None
    manufacturer: Annotated[str | None, Attr()] = None
    model_number: Annotated[str | None, Attr()] = None
    model_name: Annotated[str | None, Attr()] = None
    serial_number: Annotated[str | None, Attr()] = None
    model: Annotated[DeviceModel | None, Link()] = None
