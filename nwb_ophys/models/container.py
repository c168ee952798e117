"""The root types of hdmf-common and core: what every typed group and dataset derives from."""

import uuid
from typing import Annotated

from pydantic import Field

from nwb_ophys.children import Children
from nwb_ophys.models.dataset import DatasetModel
from nwb_ophys.models.group import GroupModel
from nwb_ophys.storage import Attr, Internal, Members, NDArray, Value

__all__ = [
    "Container",
    "Data",
    "NWBContainer",
    "NWBData",
    "NWBDataInterface",
    "SimpleMultiContainer",
    "new_id",
]


def new_id() -> str:
    """Make an ``object_id``."""
    return str(uuid.uuid4())


class Container(GroupModel, schema="hdmf-common"):
    """A group with a neurodata type: an object with an identity.

    Parameters
    ----------
    name
        Its name in the group that holds it.
    object_id
        A UUID that tells it from all others, made when it is authored. Files before schema 2.1.0
        have none.
    """

    name: Annotated[str, Internal()]
    object_id: Annotated[str | None, Attr()] = Field(default_factory=new_id)


class Data(DatasetModel, schema="hdmf-common"):
    """A dataset with a neurodata type.

    Parameters
    ----------
    name
        Its name in the group that holds it.
    object_id
        A UUID that tells it from all others, made when it is authored.
    array
        Its data, of any dtype and shape.
    """

    name: Annotated[str, Internal()]
    object_id: Annotated[str | None, Attr()] = Field(default_factory=new_id)
    array: Annotated[NDArray | None, Value("any", None)] = None


class SimpleMultiContainer(Container, schema="hdmf-common"):
    """A container of any containers and data.

    Parameters
    ----------
    children
        Its contents.
    """

    children: Annotated[Children[Container | Data], Members()] = Field(default_factory=Children)


class NWBContainer(Container, schema="core"):
    """A group of the core schema: metadata, or a holder of other objects."""


class NWBData(Data, schema="core"):
    """A dataset of the core schema."""


class NWBDataInterface(NWBContainer, schema="core"):
    """An object that holds data: what may lie in an acquisition or in a processing module."""
