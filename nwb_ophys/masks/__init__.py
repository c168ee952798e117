"""Masks of regions of interest: one view of all the ways to give and to store them.

The arithmetic (`flat`, `parsing`, `measures`, `outlines`) knows arrays only; `view` is what users
see, `stored` reads what a table has.
"""

from nwb_ophys.masks.flat import FlatMasks
from nwb_ophys.masks.parsing import parse_masks
from nwb_ophys.masks.view import Masks

__all__ = ["FlatMasks", "Masks", "parse_masks"]
