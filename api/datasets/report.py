"""What was skipped, and why."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from darts_core.printable import printable

_LISTED: Final = 200


class Report:
    """Counts every skipped file by its cause, and lists the first ones by name."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._files: list[dict[str, str]] = []

    def skip(self, parts: tuple[str, ...], cause: str, detail: str) -> None:
        """cause: in a few words, the same for all such files. detail: about this one."""
        self._counts[cause] += 1
        if len(self._files) < _LISTED:
            self._files.append({"file": printable("/".join(parts)), "reason": printable(detail)})

    @property
    def most_common(self) -> str:
        """The most common cause with an example, or nothing."""
        if not self._counts:
            return ""
        [(cause, count)] = self._counts.most_common(1)
        first = self._files[0]
        return f" ({count:,} files: {cause}; the first skipped file, {first['file']}, {first['reason']})"

    def to_json(self) -> dict[str, Any]:
        """`skipped`, `causes` {cause: files}, `files` [{file, reason}], the first ones of them."""
        return {"skipped": self._counts.total(), "causes": dict(self._counts.most_common()), "files": self._files}
