"""Injects faults into a running service during searches and counts losses.

`tests/chaos` runs it briefly, `dartboard bench chaos` at length.
"""

from benchmarks.chaos.injector import end_as_ctrl_c_does
from benchmarks.chaos.run import Outcome, run

__all__ = ["Outcome", "end_as_ctrl_c_does", "run"]
