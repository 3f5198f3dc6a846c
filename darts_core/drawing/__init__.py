"""Pictures of cells: Graphviz places them, two renderers draw SVG and pixels. Imports no torch, and Pillow only to
draw pixels.
"""

from darts_core.drawing.cells import CellKind, cells_of
from darts_core.drawing.palette import ThemeName
from darts_core.drawing.scene import half_widths, scene_of
from darts_core.drawing.svg import to_svg

__all__ = ["CellKind", "ThemeName", "cells_of", "half_widths", "scene_of", "to_svg"]
