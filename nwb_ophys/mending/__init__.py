"""Mend what departs from the schema and can be mended safely, and bring old files to the newest.

A session is changed through its models, as a user would change it, and written like any other. What
a mend cannot be certain of is left as it is, and listed.
"""

from nwb_ophys.mending.ledger import RULES, Mend
from nwb_ophys.mending.upgrading import Mending, upgrade

__all__ = ["RULES", "Mend", "Mending", "upgrade"]
