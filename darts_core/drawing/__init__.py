"""Draws cells: Graphviz computes the layout, two renderers produce SVG and pixels. Imports no torch.

Only `darts_core.drawing.raster` and `darts_core.drawing.animation` need Pillow.
"""

from darts_core.drawing.cells import CellKind, cells_of
from darts_core.drawing.frames import Frame, epoch_title
from darts_core.drawing.palette import ThemeName
from darts_core.drawing.scene import scene_of
from darts_core.drawing.svg import to_svg

__all__ = ["CellKind", "Frame", "ThemeName", "cells_of", "epoch_title", "scene_of", "to_svg"]
