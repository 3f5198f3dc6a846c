"""Shows a command's current stage and its duration."""

from __future__ import annotations

import threading
import time
from typing import Final, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

PERIOD: Final = 2.5
"""Seconds between two lines where the output is no terminal."""
# In a long log, after an hour, one line per minute suffices instead of one each 2.5 s.
_LONG, _LATER_PERIOD = 3600.0, 60.0


class Clock:
    """A live line on a terminal, for example `starting the API ... 4s`; otherwise a line each 2.5 s.

    A context manager around the wait. The same console may print other lines meanwhile.
    """

    def __init__(self, console: Console, stage: str = "", *, period: float = PERIOD) -> None:
        self._console, self._period = console, period
        self._stage, self._detail, self._since = stage, "", time.monotonic()
        self._left = threading.Event()
        self._changed = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)
        self._live = Live(
            console=console, get_renderable=self._line, refresh_per_second=4, transient=True, redirect_stdout=False
        )

    def stage(self, name: str, detail: str = "") -> None:
        """Show this stage; another name restarts the clock, another detail does not."""
        with self._changed:
            if name != self._stage:
                self._stage, self._since = name, time.monotonic()
            self._detail = detail

    def __enter__(self) -> Self:
        self._since = time.monotonic()
        if self._console.is_terminal:
            self._live.start()
        else:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        if self._console.is_terminal:
            self._live.stop()
        else:
            self._thread.join()

    def _line(self) -> Text:
        with self._changed:
            shown, seconds = ", ".join(filter(None, (self._stage, self._detail))), time.monotonic() - self._since
        return Text(f"{shown} ... {duration(seconds)}" if shown else "", style="dim")

    def _run(self) -> None:
        began = time.monotonic()
        while not self._left.wait(self._period if time.monotonic() - began < _LONG else _LATER_PERIOD):
            if line := self._line():
                self._console.print(line)


def duration(seconds: float) -> str:
    """Format seconds as `42s`, `1m12s` or `2h05m`."""
    minutes, rest = divmod(int(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60}h{minutes % 60:02d}m"
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"
