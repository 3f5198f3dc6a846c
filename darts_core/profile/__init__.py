"""Computes the cost of networks from their shapes. Imports no torch."""

from darts_core.profile.costs import Cost
from darts_core.profile.evaluation import profile
from darts_core.profile.language_model import (
    LANGUAGE_PRESETS,
    LanguageProfile,
    LanguageShape,
    language_shape_for,
    language_shape_of,
    profile_language_model,
)
from darts_core.profile.nasbench201 import nasbench201_search_cost
from darts_core.profile.network import CellProfile, Profile
from darts_core.profile.search import search_cost
from darts_core.profile.shapes import PROFILE_PRESETS, Shape, preset_of_cell, shape_for, shape_of

__all__ = [
    "LANGUAGE_PRESETS",
    "PROFILE_PRESETS",
    "CellProfile",
    "Cost",
    "LanguageProfile",
    "LanguageShape",
    "Profile",
    "Shape",
    "language_shape_for",
    "language_shape_of",
    "nasbench201_search_cost",
    "preset_of_cell",
    "profile",
    "profile_language_model",
    "search_cost",
    "shape_for",
    "shape_of",
]
