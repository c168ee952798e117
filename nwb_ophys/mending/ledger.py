"""What is mended, by which rules, and what is left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np

from nwb_ophys.errors import NWBError
from nwb_ophys.problems import Problem

__all__ = ["ABSENT", "RULES", "Ledger", "Mend", "short"]

RULES: Final = {
    "columns": "colnames name the columns that are there",
    "dtype": "dates get an offset from UTC; integers, where they are exact, the declared kind",
    "fixed": "units that mean what the schema fixes are spelled as it does",
    "missing": "object_id, units of time, descriptions and cached specifications are added",
    "shape": "a single value becomes a list of one where the schema has a list",
    "type": "types carry the namespace and the name that they have in the newest schema",
    "undeclared": "help, source and ancestry, which the schema no longer has, are dropped",
    "version": "nwb_version and the cached specifications become the newest",
}
"""What is mended, by the rule that was broken, as `NWBFile.problems` names it."""

ABSENT: Final = "nothing"
"""What was there, or is there, where nothing is."""


@dataclass(frozen=True, slots=True)
class Mend:
    """One thing that was mended.

    Parameters
    ----------
    path, field
        The HDF5 path of the object, and the field or attribute of it.
    rule
        What it broke: one of `RULES`.
    was, now
        What was there, and what is there instead, in short.
    """

    path: str
    field: str
    rule: str
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.path}, field {self.field!r}: was {self.was}, now {self.now} [{self.rule}]"


class Ledger:
    """What a mending has done, and what it has left.

    Parameters
    ----------
    only
        Which of `RULES` to follow; all where None.

    Attributes
    ----------
    mends
        What was mended.
    left
        What was not, by path, field and rule.

    Raises
    ------
    NWBError
        Where there is no such rule.
    """

    def __init__(self, only: Iterable[str] | None) -> None:
        self._chosen = _chosen(only)
        self.mends: list[Mend] = []
        self.left: dict[tuple[str, str, str], Problem] = {}

    def takes(self, rule: str, name: str) -> bool:
        """Tell whether what breaks a rule is to be mended in a field."""
        return self._chosen is None or rule in self._chosen or f"{rule}:{name}" in self._chosen

    def done(self, path: str | None, name: str, rule: str, was: Any, now: Any) -> None:
        """Enter what was mended."""
        self.mends.append(Mend(path or "/", name, rule, short(was), short(now)))
        self.left.pop((path or "/", name, rule), None)

    def leave(self, path: str | None, name: str, rule: str, message: str) -> None:
        """Enter what departs from the schema and is left."""
        problem = Problem(path or "/", name, rule, message, "warning")
        self.left.setdefault((problem.path, name, rule), problem)

    def set(self, model: Any, name: str, rule: str, was: Any, now: Any) -> None:
        """Mend a field of a model, and enter that, where it is to be mended."""
        if self.takes(rule, name):
            setattr(model, name, now)
            self.done(model.hdf5_path, name, rule, was, now)


def _chosen(only: Iterable[str] | None) -> frozenset[str] | None:
    if only is None:
        return None
    chosen = frozenset([only] if isinstance(only, str) else only)
    for one in sorted(chosen):
        if one.partition(":")[0] not in RULES:
            raise NWBError(f"nothing is mended by the rule {one!r}; there is {', '.join(RULES)}")
    return chosen


def short(value: Any) -> str:
    """Show a value in one short line."""
    if isinstance(value, np.dtype):
        names = value.names
        return f"({', '.join(f'{n}: {value[n]}' for n in names)})" if names else str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return f"[{', '.join(map(short, value))}]"
    text = value if value is ABSENT else repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
