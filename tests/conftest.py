"""What all tests stand on."""

import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from small import small_file

# What shells start in the background, and nohup, ignores interrupts, and so do all its children:
# writers that tests interrupt would go on, for gigabytes.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How fast a machine is, or what else it does, decides no test. Whole sessions are large to draw,
# and examples share a folder, in which each writes its files anew.
settings.register_profile(
    "ours",
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
settings.load_profile("ours")


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the file of the small session, which is not to be changed."""
    return small_file(tmp_path_factory.mktemp("pristine") / "small.nwb")


@pytest.fixture
def path(pristine: Path, tmp_path: Path) -> Path:
    """Give a copy of the file of the small session."""
    return Path(shutil.copy(pristine, tmp_path / "small.nwb"))
