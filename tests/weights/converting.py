"""Convert each file named, in a process of limited memory: prints what came of it, a line of JSON for each.

`python -m tests.weights.converting FILE...`: the limit is on what the process asks for, as `ulimit -v 4000000` sets it.
"""

import json
import resource
import sys

from sdt_ref.errors import SdtError
from sdt_ref.weights.checkpoint import convert

MOST = 4_000_000 * 1024  # bytes


def main(paths: list[str]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST, MOST))
    for path in paths:
        try:
            found: dict[str, object] = {"tensors": len(convert(path).weights.tensors)}
        except SdtError as error:
            found = {"refused": str(error)}
        except BaseException as error:
            found = {"failed": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps({"path": path, **found}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
