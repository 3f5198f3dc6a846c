"""The report of a check: files that were skipped, changes made to images, and warnings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from darts_core.printable import printable

_LISTED: Final = 200
_WARNINGS: Final = 50


class Report:
    """Counts every skipped file by its cause, and lists the first ones by name; counts changes; collects warnings."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._files: list[dict[str, str]] = []
        self._examples: dict[str, dict[str, str]] = {}
        self._changes: Counter[str] = Counter()
        self._warnings: list[str] = []

    def skip(self, parts: tuple[str, ...], cause: str, detail: str) -> None:
        """cause: in a few words, the same for all such files. detail: about this one."""
        self._counts[cause] += 1
        if len(self._files) < _LISTED or cause not in self._examples:
            file = {"file": printable("/".join(parts)), "reason": printable(detail)}
            self._examples.setdefault(cause, file)
            if len(self._files) < _LISTED:
                self._files.append(file)

    def change(self, changes: Iterable[str]) -> None:
        """Count what was done to one image before it was taken."""
        self._changes.update(changes)

    def warn(self, warning: str) -> None:
        """Tell of something that makes the set other than its owner may expect."""
        if len(self._warnings) < _WARNINGS:
            self._warnings.append(printable(warning))

    @property
    def most_common(self) -> str:
        """The most common cause with an example of it, or nothing."""
        if not self._counts:
            return ""
        [(cause, count)] = self._counts.most_common(1)
        example = self._examples[cause]
        return f" ({count:,} files: {cause}; {example['file']}, for one, {example['reason']})"

    def to_json(self) -> dict[str, Any]:
        """The fields of `CheckReport`."""
        return {
            "skipped": self._counts.total(),
            "causes": dict(self._counts.most_common()),
            "files": self._files,
            "changes": dict(self._changes.most_common()),
            "warnings": self._warnings,
        }
