"""Many jobs and many workers: do claims, lists and passes take longer the more jobs there are?"""

from benchmarks.fleet.run import growth, measure

__all__ = ["growth", "measure"]
