"""Writes a scene as SVG without scripts or external references; colours follow the page's light or dark theme."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from darts_core.drawing.palette import THEMES, ThemeName
from darts_core.drawing.scene import Group, Line, Scene, Shape, Words

_FONTS = "ui-sans-serif, system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def to_svg(scene: Scene) -> str:
    """A standalone document that can also be embedded in a page."""
    width, height = round(scene.width), round(scene.height)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dartboard-cell" role="img" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" font-family="{_FONTS}">',
        f"<title>{_safe(scene.title)}</title>",
        f"<desc>{_safe(scene.description)}</desc>",
        f"<style>{_style()}</style>",
        f'<rect class="page" width="{width}" height="{height}" rx="10"/>',
        *(line for group in scene.groups for line in _group(group)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _style() -> str:
    # Scoped rules: the picture may be embedded in a page with its own styles.
    rules = ".dartboard-cell path{fill:none;stroke-linecap:round} .dartboard-cell text{text-anchor:middle}"
    return rules + _theme("light") + f"@media (prefers-color-scheme:dark){{{_theme('dark')}}}"


def _theme(name: ThemeName) -> str:
    theme, own = THEMES[name], ".dartboard-cell"
    rules = [f"{own} .page{{fill:{theme.page}}}"]
    for role, colours in theme.roles.items():
        rules.append(f"{own} .{role} rect{{fill:{colours.fill};stroke:{colours.line}}}")
        rules.append(f"{own} .{role} path{{stroke:{colours.line}}}")
        rules.append(f"{own} .{role} polygon{{fill:{colours.line}}}")
        rules.append(f"{own} .{role} text{{fill:{colours.text}}}")
    return "".join(rules)


def _group(group: Group) -> Iterator[str]:
    yield "<g>"
    if group.title:
        yield f"<title>{_safe(group.title)}</title>"
    for item in group.items:
        match item:
            case Words():
                yield f'<g class="{item.role}">{_text(item)}</g>'
            case Shape():
                yield f'<g class="{item.role}">{_shape(item)}</g>'
            case Line():
                yield f'<g class="{item.role}">{_line(item)}</g>'
    yield "</g>"


def _shape(shape: Shape) -> str:
    box = shape.box
    rect = (
        f'<rect x="{box.x - box.width / 2:.1f}" y="{box.y - box.height / 2:.1f}" width="{box.width:g}"'
        f' height="{box.height:g}" rx="{shape.radius:g}" stroke-width="1.25"/>'
    )
    return rect + (_text(shape.words()) if shape.label else "")


def _line(line: Line) -> str:
    (x, y), *rest = line.curve.points
    path = f"M{x:.1f},{y:.1f}C" + " ".join(f"{x:.1f},{y:.1f}" for x, y in rest)
    dashes = ' stroke-dasharray="5 5"' if line.dashed else ""
    drawn = f'<path d="{path}" stroke-width="{line.width:g}"{dashes}/>'
    if head := line.arrow_head():
        drawn += f'<polygon points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in head)}"/>'
    return drawn


def _text(words: Words) -> str:
    spans, raised = "", False
    for text, lower in words.runs():
        shift = f' dy="{3 if lower else -3}"' if lower != raised else ""
        size = f' font-size="{words.size * 0.75:g}"' if lower else ""
        spans += f"<tspan{shift}{size}>{_safe(text)}</tspan>" if shift or size else _safe(text)
        raised = lower
    weight = ' font-weight="600"' if words.bold else ""
    return f'<text x="{words.x:.1f}" y="{words.y:.1f}" font-size="{words.size:g}"{weight}>{spans}</text>'


def _safe(text: str) -> str:
    """Escape, dropping control characters that XML forbids."""
    return escape("".join(c if c.isprintable() or c == " " else "\N{REPLACEMENT CHARACTER}" for c in text))
