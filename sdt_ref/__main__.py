"""`python -m sdt_ref COMMAND`: the same as `sdt-ref COMMAND`."""

import sys

from .terminal.cli import main

if __name__ == "__main__":
    sys.exit(main())
