"""`Problem`: one departure of a file from the schema."""

from __future__ import annotations

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
    """

    path: str
    field: str
    rule: str
    message: str
    severity: Severity = "error"

    def __str__(self) -> str:
        field = f", field {self.field!r}" if self.field else ""
        return f"{self.path}{field}: {self.message} [{self.rule}]"
