"""Lists the methods that search in the space of NAS-Bench-201."""

from __future__ import annotations

from darts_core.configs.methods import METHODS

SEARCHED = [name for name in METHODS if name != "p-darts"]
