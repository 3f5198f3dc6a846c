"""Injects faults into a running service while it searches, and counts losses.

`tests/chaos` and `dartboard bench chaos` are this one thing, short and long.
"""

from benchmarks.chaos.injector import end_as_ctrl_c_does
from benchmarks.chaos.run import Outcome, run

__all__ = ["Outcome", "end_as_ctrl_c_does", "run"]
