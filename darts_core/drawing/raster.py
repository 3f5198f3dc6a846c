"""Rasterises a scene with Pillow and its own font, as PNG or as frames of an animation."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from darts_core.drawing.curves import Point, dashes, flattened
from darts_core.drawing.palette import THEMES, Theme, ThemeName
from darts_core.drawing.scene import Line, Scene, Shape, Words

# Supersampling: Pillow's lines are not antialiased.
_FINER: Final = 3


def to_png(scene: Scene, theme: ThemeName = "light", scale: int = 2) -> bytes:
    """Encode as PNG. scale: pixels per scene pixel; 2 is sharp on high-density screens."""
    file = io.BytesIO()
    to_image(scene, theme, scale).save(file, "PNG")
    return file.getvalue()


def to_image(scene: Scene, theme: ThemeName = "light", scale: int = 1) -> Image.Image:
    """Render as an RGB image with `scale` pixels per scene pixel."""
    return _Canvas(scene, THEMES[theme], scale * _FINER).drawn().reduce(_FINER)


class _Canvas:
    def __init__(self, scene: Scene, theme: Theme, scale: int) -> None:
        self._scene, self._theme, self._scale = scene, theme, scale
        size = (round(scene.width) * scale, round(scene.height) * scale)
        self._image = Image.new("RGB", size, theme.page)
        self._draw = ImageDraw.Draw(self._image)

    def drawn(self) -> Image.Image:
        for group in self._scene.groups:
            for item in group.items:
                match item:
                    case Words():
                        self._words(item)
                    case Shape():
                        self._shape(item)
                    case Line():
                        self._line(item)
        return self._image

    def _points(self, points: list[Point] | tuple[Point, ...]) -> list[Point]:
        return [(x * self._scale, y * self._scale) for x, y in points]

    def _line(self, line: Line) -> None:
        colour, width = self._theme.roles[line.role].line, round(line.width * self._scale)
        flat = self._points(flattened(line.curve.points))
        parts = dashes(flat, 5 * self._scale, 5 * self._scale) if line.dashed else [flat]
        for part in parts:
            self._draw.line(part, fill=colour, width=width, joint="curve")
        if head := line.arrow_head():
            self._draw.polygon(self._points(head), fill=colour)

    def _shape(self, shape: Shape) -> None:
        box, colours = shape.box, self._theme.roles[shape.role]
        corners = self._points(
            ((box.x - box.width / 2, box.y - box.height / 2), (box.x + box.width / 2, box.y + box.height / 2))
        )
        outline = round(1.25 * self._scale)
        self._draw.rounded_rectangle(
            (*corners[0], *corners[1]), shape.radius * self._scale, colours.fill, colours.line, outline
        )
        if shape.label:
            self._words(shape.words())

    def _words(self, words: Words) -> None:
        parts = [(text, lower, _font(words.size * (0.75 if lower else 1), self._scale)) for text, lower in words.runs()]
        x = words.x * self._scale - sum(font.getlength(text) for text, _, font in parts) / 2
        for text, lower, font in parts:
            y = (words.y + (3 if lower else 0)) * self._scale
            # The font has one weight; an outline in the text's colour makes it bolder.
            rim = round(0.3 * self._scale) if words.bold else 0
            self._draw.text((x, y), text, self._theme.roles[words.role].text, font, anchor="ls", stroke_width=rim)
            x += font.getlength(text)


@lru_cache(maxsize=32)
def _font(size: float, scale: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size * scale)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow's wheels have FreeType
    return font
