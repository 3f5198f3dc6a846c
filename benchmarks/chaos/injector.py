"""Injects one fault after the other, in an order that a seed decides."""

from __future__ import annotations

import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from benchmarks.chaos.faults import Fault, Target


def end_as_ctrl_c_does() -> None:
    """From now on SIGTERM and SIGHUP raise KeyboardInterrupt: faults are undone, and the service is stopped."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def rounds(faults: Sequence[Fault], draw: random.Random) -> Iterator[Fault]:
    """Each fault once in a round of all, without end."""
    while True:
        yield from draw.sample(faults, len(faults))


class Injector:
    """Strikes for as long as it is open.

    shortest, longest: seconds between two faults. `struck` and `passed_over` count by name: a fault is passed over
    where nothing was there to strike. An error of a fault's own ends the run, when the block is left.
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
                # A generator of its own: how much a fault draws must not move the others.
                struck = fault.strike(self._target, random.Random(self._draw.random()))  # noqa: S311
                (self.struck if struck else self.passed_over)[fault.name] += 1
                self._say(f"{fault.name}{'' if struck else ': nothing to strike'}")
        except Exception as error:
            self._error = error
            self._say(f"the injector ended: {type(error).__name__}: {error}")
