"""``python -m benchmarks [--small | --full] [names...]``."""

import sys

from benchmarks.cli import main

sys.exit(main())
