"""The search spaces of convolutional cells: candidate operations, edge by edge, and sizes. Imports no torch."""

from darts_core.spaces.registry import SPACES
from darts_core.spaces.space import CnnSpace, Space

__all__ = ["SPACES", "CnnSpace", "Space"]
