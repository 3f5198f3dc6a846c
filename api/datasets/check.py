"""`python -m api.datasets.check`: check one upload and pack it, in a process of its own.

Images come from anybody and their decoders are large: neither time nor memory of theirs is the API's. The order comes
as one line of JSON on standard input, the result goes as one line to standard output.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import sys
import threading
from pathlib import Path
from typing import Any, Final

_MOST_MEMORY: Final = 4 * 2**30


def check(order: dict[str, Any]) -> dict[str, Any]:
    """order: `source`, `folder` (whether it is one), `work` (a directory for the result), `size`, `limits`.

    The result has the `report`, and either the `error` or what `packing.pack` says of the file `work`/packed.
    """
    from api.datasets.archives import entries, folder_entries
    from api.datasets.limits import Limits, UnusableError
    from api.datasets.packing import pack
    from api.datasets.report import Report

    limits, report, work = Limits(**order["limits"]), Report(), Path(order["work"])
    source = Path(order["source"])
    found = folder_entries(source, limits) if order["folder"] else entries(source, limits)
    try:
        with (work / "spool").open("w+b") as spool:
            packed = pack(found, spool, work / "packed", size=order["size"], limits=limits, report=report)
    except UnusableError as error:
        return {"error": str(error), "report": report.to_json()}
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return {"error": f"the artifact store has no room left ({error.strerror}): free some space and upload again"}
    except MemoryError:
        return {"error": "checking it needs too much memory: scale the images down", "report": report.to_json()}
    return {**packed, "report": report.to_json()}


def main() -> int:
    """Limit this process, do the one check, say what came of it."""
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_leave_with_the_parent, daemon=True).start()
    os.nice(5)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = _MOST_MEMORY if hard == resource.RLIM_INFINITY else min(_MOST_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    sys.stdout.write(json.dumps(check(order)) + "\n")
    sys.stdout.flush()
    return 0


def _leave_with_the_parent() -> None:
    """Its end of the pipe closes when it dies, however it dies."""
    # Not through sys.stdin, whose lock the interpreter wants at its end.
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
