"""Stores a ledger's runs in a file of JSON lines, by the checksum of spec and images, so that none is done twice."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from client.errors import DartboardError
from darts_core.data.text.catalogue import PYTHON_DOCS, TEXT_SETS

RUNS: Final = Path(__file__).parents[1] / "results" / "runs.jsonl"


class StoreError(DartboardError):
    """The file of results holds a line that is no run."""


class Run(BaseModel):
    """One search or training.

    spec: by spec_of. images: checksum of the data set, images or a text. genotype: of a search. metrics: of its last
    epoch; empty where a language model diverged. seconds: processor seconds of the epochs by all threads. commit, date,
    processor, torch: of the run.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    spec: dict[str, Any]
    images: str
    genotype: dict[str, Any] | None = None
    metrics: dict[str, float]
    seconds: float
    commit: str
    date: str
    processor: str
    torch: str


def spec_of(config: BaseModel) -> dict[str, Any]:
    """A resolved config without the fields at their defaults: a field that is new later leaves old keys alone."""
    return config.model_dump(mode="json", exclude_defaults=True)


def key_of(spec: Mapping[str, Any], images: str) -> str:
    """SHA-256 of a run's spec and the checksum of its images."""
    return hashlib.sha256(json.dumps([spec, images], sort_keys=True).encode()).hexdigest()


class Store:
    """The runs of a file, which one process at a time opens."""

    def __init__(self, path: Path) -> None:
        """Open the file, and remove a line that a crash cut off at its end. Raises StoreError."""
        self.path = path
        self._runs = {run.key: run for run in _read(path)}

    def get(self, key: str) -> Run | None:
        """The run with this key."""
        return self._runs.get(key)

    def runs(self) -> list[Run]:
        """All runs, in the order in which they ended."""
        return [*self._runs.values()]

    def images(self) -> set[tuple[str, str]]:
        """The data sets of all runs on images, each with the checksum."""
        texts = {PYTHON_DOCS, *TEXT_SETS}
        return {(run.spec["dataset"], run.images) for run in self.runs() if run.spec["dataset"] not in texts}

    def add(self, run: Run) -> None:
        """Append the run to the file."""
        self.path.parent.mkdir(exist_ok=True)
        with self.path.open("a") as file:
            file.write(run.model_dump_json() + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._runs[run.key] = run


def _read(path: Path) -> Iterator[Run]:
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        os.truncate(path, len(whole))
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            yield Run.model_validate_json(line)
        except ValidationError as error:
            raise StoreError(f"{path}, line {number}, is no run of a ledger: {error}") from error
