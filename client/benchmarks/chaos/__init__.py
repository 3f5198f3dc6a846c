"""Injects faults into a running service while it searches, and counts losses.

`tests/chaos` and `dartboard bench chaos` are this one thing, short and long.
"""

from client.benchmarks.chaos.run import Outcome, run

__all__ = ["Outcome", "run"]
