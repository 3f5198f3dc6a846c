"""Lists the methods that search in the space of NAS-Bench-201."""

from __future__ import annotations

from darts_core.configs.methods import METHODS

# Those that search in stages change the depth or K.
SEARCHED = [
    name for name, method in METHODS.items() if "cnn" in method.families and "stage_operations" not in method.fields
]
