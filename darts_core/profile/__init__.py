"""What a genotype's evaluation network costs, by arithmetic on its shapes. Imports no torch."""

from darts_core.profile.costs import Cost
from darts_core.profile.network import CellProfile, Profile, profile
from darts_core.profile.shapes import PROFILE_PRESETS, Shape, shape_for, shape_of

__all__ = ["PROFILE_PRESETS", "CellProfile", "Cost", "Profile", "Shape", "profile", "shape_for", "shape_of"]
