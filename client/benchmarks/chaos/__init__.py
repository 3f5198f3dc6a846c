"""Everything is killed all the time while searches run; what must not be lost is counted.

`tests/chaos` and `dartboard bench chaos` are this one thing, short and long.
"""

from client.benchmarks.chaos.run import Outcome, run

__all__ = ["Outcome", "run"]
