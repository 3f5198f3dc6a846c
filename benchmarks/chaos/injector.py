"""Injects one fault at a time, in an order drawn from a seed."""

from __future__ import annotations

import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from benchmarks.chaos.faults import Fault, Target


def end_as_ctrl_c_does() -> None:
    """Make SIGTERM and SIGHUP raise KeyboardInterrupt, so that faults are undone and the service is stopped."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def rounds(faults: Sequence[Fault], draw: random.Random) -> Iterator[Fault]:
    """Endless rounds, each with every fault once."""
    while True:
        yield from draw.sample(faults, len(faults))


class Injector:
    """Injects faults while the context is open.

    shortest, longest: seconds between two faults. `struck` and `passed_over` count by name; a fault without a target is
    passed over. An exception in a fault ends the run and is raised on exit.
    """

    def __init__(
        self,
        target: Target,
        faults: Sequence[Fault],
        seed: int,
        *,
        shortest: float,
        longest: float,
        say: Callable[[str], None],
    ) -> None:
        self._target, self._faults, self._say = target, faults, say
        self._draw = random.Random(seed)  # noqa: S311 - no secret is drawn
        self._shortest, self._longest = shortest, longest
        self._thread = threading.Thread(target=self._run, name="injector", daemon=True)
        self._error: Exception | None = None
        self.struck: Counter[str] = Counter()
        self.passed_over: Counter[str] = Counter()

    def __enter__(self) -> Injector:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._target.over.set()
        self._thread.join()
        if self._error is not None and kind is None:
            raise self._error

    def _run(self) -> None:
        try:
            for fault in rounds(self._faults, self._draw):
                if self._target.over.wait(self._draw.uniform(self._shortest, self._longest)):
                    return
                # A separate generator: draws of one fault must not change the others.
                struck = fault.strike(self._target, random.Random(self._draw.random()))  # noqa: S311
                (self.struck if struck else self.passed_over)[fault.name] += 1
                self._say(f"{fault.name}{'' if struck else ': nothing to strike'}")
        except Exception as error:
            self._error = error
            self._say(f"the injector ended: {type(error).__name__}: {error}")
