"""What a search remembers of its epochs, to see when it has to stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from darts_core.stopping import WATCHED, Conditions, stop_reason, warnings


class Watch:
    """The history of a search's watched metrics. A run that resumes with it stops where an undisturbed one does."""

    def __init__(self, conditions: Mapping[Any, str] | None) -> None:
        self._conditions: Conditions = conditions or {}
        self._history: list[dict[str, float]] = []
        self.stopped: str | None = None

    def look(self, metrics: Mapping[str, float]) -> list[str]:
        """Take note of one more epoch; its warnings. Sets `stopped` to the reason when it was the last one."""
        watched = WATCHED.values()
        self._history.append({name: value for name, value in metrics.items() if name in watched})
        self.stopped = stop_reason(self._conditions, self._history[-1])
        return [] if self.stopped else warnings(self._conditions, self._history)

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"history": [dict(epoch) for epoch in self._history], "stopped": self.stopped}

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """Go on from what was put away with `state`; None in files from before there was anything to watch."""
        if state is not None:
            self._history, self.stopped = [dict(epoch) for epoch in state["history"]], state["stopped"]
