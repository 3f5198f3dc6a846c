"""Fetches and verifies the files that an attempt needs, or an older checkpoint in place of a damaged one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from api.schemas.worker import Input, Resume
from darts_core.errors import Stopped
from worker.api_client import AttemptApi, DamagedError, UnreachableError
from worker.control import AttemptControl
from worker.retry import until_answered

_log = logging.getLogger("dartboard.worker")
DOWNLOADS: Final = 3  # of a file that keeps arriving damaged
_R = TypeVar("_R")


class Fetcher:
    """Waits while the API is away. Every method raises Stopped when the attempt is stopped, and WorkerApiError."""

    def __init__(self, api: AttemptApi, control: AttemptControl) -> None:
        self._api, self._control = api, control

    def file(self, wanted: Resume | Input, to: Path) -> Path:
        """Save the file as `to`. Raises DamagedError when it is damaged in the store or in every download."""
        for tries in range(DOWNLOADS):
            try:
                self.patiently(lambda: self._api.download(wanted, to), to.name)
                return to
            except DamagedError as error:
                if tries + 1 == DOWNLOADS:
                    raise
                _log.warning("%s; trying again", error)
        raise AssertionError("unreachable")

    def checkpoint(self, offered: Resume | None, to: Path) -> Resume | None:
        """Save the checkpoint to resume from as `to`: the offered one or, if it is damaged, the newest intact one.

        Returns the saved one, None for a job that begins anew. Raises DamagedError when a file that is intact in the
        store arrives damaged in every download.
        """
        while offered is not None:
            try:
                self.file(offered, to)
                return offered
            except DamagedError as error:
                damaged = offered.file
                offered = self.patiently(lambda: self._api.report_damaged(damaged), to.name)  # noqa: B023 - called now
                if offered is not None and offered.file == damaged:
                    raise
                _log.warning("%s; an older one takes its place", error)
        return None

    def patiently(self, call: Callable[[], _R], what: str) -> _R:
        """Call until the API answers."""
        try:
            return until_answered(
                call,
                wait=self._control.stopping.wait,
                tell=lambda error: _log.warning("%s cannot be fetched yet: %s", what, error),
            )
        except UnreachableError as error:
            raise Stopped from error
