"""Measures claims, lists and passes with many jobs and many workers."""

from benchmarks.fleet.run import growth, measure

__all__ = ["growth", "measure"]
