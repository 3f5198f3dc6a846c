"""Measures claims, lists, passes and preemptions with many jobs and many workers."""

from benchmarks.fleet.run import growth, measure
from benchmarks.fleet.urgent import measure_urgent

__all__ = ["growth", "measure", "measure_urgent"]
