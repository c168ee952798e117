"""`Problem`: one departure of a file from the schema."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["Problem", "Severity"]

Severity = Literal["error", "warning", "hint"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One departure of a file from the schema.

    Parameters
    ----------
    path
        The HDF5 path of the object.
    field
        The field, attribute or member of it.
    rule
        The short name of the rule, such as ``dtype`` or ``missing``.
    message
        What was expected, and what was found.
    severity
        ``error``, ``warning`` or ``hint``.
    mend
        What to do about it.
    """

    path: str
    field: str
    rule: str
    message: str
    severity: Severity = "error"
    mend: str = ""

    @property
    def expected(self) -> str:
        """What was expected; empty where the message does not put it so."""
        return self._part(r"expected (.*?)(?:, found .*)?$")

    @property
    def found(self) -> str:
        """What was found; empty where the message does not put it so."""
        return self._part(r"found (.*)$")

    def _part(self, pattern: str) -> str:
        found = re.search(pattern, self.message, re.DOTALL)
        return found[1] if found else ""

    def __str__(self) -> str:
        field = f", field {self.field!r}" if self.field else ""
        return f"{self.path}{field}: {self.message} [{self.rule}]"
