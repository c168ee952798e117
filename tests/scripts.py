"""Code that runs in an interpreter of its own, which may be killed, or lose its rights or room."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any


def start(code: str, *arguments: Any, **options: Any) -> subprocess.Popen[str]:
    """Start code that may import what these tests do."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
        **options,
    )


def run(code: str, *arguments: Any, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run code to its end, or for ten minutes: what hangs is not to hang the tests."""
    with start(code, *arguments, **options) as process:
        try:
            out, errors = process.communicate(timeout=600)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


def printed(code: str, *arguments: Any) -> str:
    """Run code that is to end well; give what it printed."""
    done = run(code, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout
