"""Builds the report of a check: skipped files, changes to images and warnings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from darts_core.printable import printable

_LISTED: Final = 200
_WARNINGS: Final = 50


class Report:
    """Counts skipped files by cause and lists the first by name; counts changes; collects warnings."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._files: list[dict[str, str]] = []
        self._examples: dict[str, dict[str, str]] = {}
        self._changes: Counter[str] = Counter()
        self._warnings: list[str] = []

    def skip(self, parts: tuple[str, ...], cause: str, detail: str) -> None:
        """Count a skipped file. cause: a short phrase shared by such files. detail: about this file."""
        self._counts[cause] += 1
        if len(self._files) < _LISTED or cause not in self._examples:
            file = {"file": printable("/".join(parts)), "reason": printable(detail)}
            self._examples.setdefault(cause, file)
            if len(self._files) < _LISTED:
                self._files.append(file)

    def change(self, changes: Iterable[str]) -> None:
        """Count the changes made to one image."""
        self._changes.update(changes)

    def warn(self, warning: str) -> None:
        """Add a warning about an unexpected property of the set."""
        if len(self._warnings) < _WARNINGS:
            self._warnings.append(printable(warning))

    @property
    def most_common(self) -> str:
        """The most common cause with an example; empty without skipped files."""
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
