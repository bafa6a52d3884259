"""The command line as `python -m infrablocks`."""

import sys

from infrablocks.cli import main

if __name__ == "__main__":
    sys.exit(main())
