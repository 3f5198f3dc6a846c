"""`python -m api.datasets.check`: check one upload and pack it, in a process of its own.

Images come from anybody and their decoders are large: neither time nor memory of theirs is the API's.
"""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Any, Final

from api.child import serve

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
    """Do the one check that standard input orders."""
    return serve(check, _MOST_MEMORY)


if __name__ == "__main__":
    sys.exit(main())
