"""Renders a search's epochs as an animated GIF, one frame per epoch, with a fixed layout."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageColor

from darts_core.drawing.frames import MOST_FRAMES, Frame, evenly
from darts_core.drawing.palette import THEMES, ThemeName
from darts_core.drawing.raster import to_image
from darts_core.drawing.scene import half_widths, scene_of

_WHOLE_MS, _SHORTEST_MS, _LONGEST_MS, _LAST_MS = 12_000, 120, 800, 2_500


def to_gif(frames: Sequence[Frame], theme: ThemeName = "light") -> bytes:
    """Encode the frames as a loop that pauses on the last one. Drops frames evenly beyond `MOST_FRAMES`.

    frames: at least one, all cells of one family. Raises DrawingError.
    """
    frames = evenly(frames, MOST_FRAMES)
    # The widest frame's width for all, so that only lines move.
    reach = [max(widths) for widths in zip(*(half_widths(frame.cells) for frame in frames), strict=True)]
    colours = _palette(theme)
    images = [
        to_image(scene_of(frame.cells, frame.title, reach), theme).quantize(palette=colours, dither=Image.Dither.NONE)
        for frame in frames
    ]
    each = min(max(_WHOLE_MS // len(frames), _SHORTEST_MS), _LONGEST_MS)
    file = io.BytesIO()
    images[0].save(
        file,
        "GIF",
        save_all=True,
        append_images=images[1:],
        duration=[each] * (len(images) - 1) + [_LAST_MS],
        loop=0,
        disposal=1,
    )
    return file.getvalue()


def _palette(theme: ThemeName) -> Image.Image:
    """One palette for all frames: the colour of every role and the blends on antialiased edges."""
    page = THEMES[theme].page
    colours = [page]
    for role in THEMES[theme].roles.values():
        ground = page if role.fill == "none" else role.fill
        line = page if role.line == "none" else role.line
        for a, b in ((page, line), (ground, line), (ground, role.text)):
            colours += [_between(a, b, share) for share in (0.25, 0.5, 0.75, 1.0)]
        colours.append(ground)
    unique = list(dict.fromkeys(colours))
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for colour in unique for part in ImageColor.getrgb(colour)])
    return palette


def _between(a: str, b: str, share: float) -> str:
    mixed = (round(x + (y - x) * share) for x, y in zip(ImageColor.getrgb(a), ImageColor.getrgb(b), strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)
