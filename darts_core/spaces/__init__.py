"""The search spaces: candidate operations, edge by edge, and sizes. Imports no torch."""

from darts_core.spaces.registry import RECURRENT_SPACES, SPACES, space_of
from darts_core.spaces.space import CnnSpace, Space

__all__ = ["RECURRENT_SPACES", "SPACES", "CnnSpace", "Space", "space_of"]
