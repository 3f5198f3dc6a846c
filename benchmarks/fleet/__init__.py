"""Measures claims, lists, passes, preemptions and shares with many jobs and many workers."""

from benchmarks.fleet.fairness import measure_fairness
from benchmarks.fleet.run import growth, measure
from benchmarks.fleet.urgent import measure_urgent

__all__ = ["growth", "measure", "measure_fairness", "measure_urgent"]
