"""The command line, as ``python -m nwb_ophys``."""

import sys

from nwb_ophys.cli import main

if __name__ == "__main__":
    sys.exit(main())
