"""Lists the methods that search in the space of NAS-Bench-201."""

from __future__ import annotations

from darts_core.configs.methods import METHODS

# P-DARTS searches in stages of other depths.
SEARCHED = [name for name, method in METHODS.items() if "cnn" in method.families and name != "p-darts"]
