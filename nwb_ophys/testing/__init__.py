"""Make NWB files to test with, and judge what was written: for this package and any other.

`make_session` makes a synthetic two-photon session of any size, whose answers `Truth` knows.
`write_fixture` writes a small file of one of `KINDS`. `make` makes an object of any hand-written
model, and `make_session_with` a session around it. `assert_same` and `assert_roundtrip` judge
files. `nwb_ophys.testing.strategies`, which needs hypothesis, draws arrays, objects and sessions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nwb_ophys.testing.checks import assert_roundtrip, assert_same, touch
from nwb_ophys.testing.factories import hand_written_models, make
from nwb_ophys.testing.h5compare import differences
from nwb_ophys.testing.kinds import KINDS, many_series, write_fixture
from nwb_ophys.testing.placing import make_session_with
from nwb_ophys.testing.sessions import make_session, record, stamp
from nwb_ophys.testing.truth import Computed, Truth

if TYPE_CHECKING:
    from nwb_ophys.testing import strategies as strategies

__all__ = [
    "KINDS",
    "Computed",
    "Truth",
    "assert_roundtrip",
    "assert_same",
    "differences",
    "hand_written_models",
    "make",
    "make_session",
    "make_session_with",
    "many_series",
    "record",
    "stamp",
    "strategies",
    "touch",
    "write_fixture",
]


def __getattr__(name: str) -> Any:
    # Hypothesis is needed for the strategies alone.
    if name == "strategies":
        import importlib

        return importlib.import_module("nwb_ophys.testing.strategies")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
