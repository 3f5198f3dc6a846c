"""Checks and packs one upload in a process of its own: `python -m api.datasets.check_upload`.

Images are untrusted and their decoders are large, so the API spends neither time nor memory on them.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from api.sandbox import serve

_MOST_MEMORY: Final = 4 * 2**30


def check(order: dict[str, Any]) -> dict[str, Any]:
    """Check one upload.

    order: `source`, `folder` (whether the source is one), `work` (a directory for the result), `size`, `kind`,
    `limits`. Returns the `report` and either an `error` or the `kind` and the result of `packing.pack` or
    `texts.pack_text`, which describe the file `work`/packed. Without a kind, an upload without images but with files
    named like a text's is a text.
    """
    from api.datasets.archive_limits import Limits, OnlyTextError, UnusableError
    from api.datasets.archives import Entry, entries, folder_entries
    from api.datasets.packing import pack
    from api.datasets.report import Report
    from api.datasets.texts import pack_text

    limits, report, work = Limits(**order["limits"]), Report(), Path(order["work"])
    source, kind = Path(order["source"]), order.get("kind")

    def found() -> Iterator[Entry]:
        return folder_entries(source, limits) if order["folder"] else entries(source, limits)

    try:
        packed: dict[str, Any] = {}
        if kind != "text":
            try:
                with (work / "spool").open("w+b") as spool:
                    packed = pack(
                        found(),
                        spool,
                        work / "packed",
                        source_bytes=_bytes_of(source),
                        size=order["size"],
                        limits=limits,
                        report=report,
                    )
            except OnlyTextError:
                if kind is not None or order["size"] is not None:
                    raise
                report = Report()
        if not packed:
            packed = pack_text(found(), work / "packed", report=report)
    except UnusableError as error:
        return {"error": str(error), "report": report.to_json()}
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        way_out = "free some space (`dartboard storage` names the largest) and upload again"
        return {"error": f"the artifact store is full ({error.strerror}): {way_out}"}
    except MemoryError:
        return {
            "error": "checking the upload needs too much memory: split the set, or scale the images down",
            "report": report.to_json(),
        }
    return {**packed, "report": report.to_json()}


def _bytes_of(source: Path) -> int:
    """The size of an archive, or of all files in a folder."""
    files = source.rglob("*") if source.is_dir() else [source]
    return sum(file.lstat().st_size for file in files)


def main() -> int:
    """Run the check ordered on standard input."""
    return serve(check, _MOST_MEMORY)


if __name__ == "__main__":
    sys.exit(main())
