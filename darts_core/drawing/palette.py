"""Colours by operation kind, for light and dark pages. Text on fills and lines on the page meet contrast level AA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

ThemeName = Literal["light", "dark"]


@dataclass(frozen=True)
class Colours:
    """Fill, line and text colour of one role."""

    fill: str
    line: str
    text: str


@dataclass(frozen=True)
class Theme:
    """Page colour and roles of one theme."""

    page: str
    roles: dict[str, Colours]


# Role by operation; the legend uses the same names.
PARAMETER_FREE, SEPARABLE, DILATED, FACTORISED = "parameter-free", "separable", "dilated", "factorised"
CONVOLUTION, NONE = "convolution", "none"
_BY_PREFIX: Final = {
    "max_pool_": PARAMETER_FREE,
    "avg_pool_": PARAMETER_FREE,
    "skip_connect": PARAMETER_FREE,
    "sep_conv_": SEPARABLE,
    "dil_conv_": DILATED,
    "conv_": FACTORISED,
    "nor_conv_": CONVOLUTION,
    "none": NONE,
}
ACTIVATIONS: Final = ("tanh", "relu", "sigmoid", "identity")
# Operations that any search may choose; only published cells have the factorised convolution.
LEGEND: Final = (PARAMETER_FREE, SEPARABLE, DILATED)
NASBENCH201_LEGEND: Final = (PARAMETER_FREE, CONVOLUTION, NONE)

_AMBER = Colours("#ffe6bf", "#a86200", "#3d2600"), Colours("#4d3408", "#e3a33c", "#ffe9c7")
_BLUE = Colours("#d8e7ff", "#2b68c8", "#0b2a5b"), Colours("#163a70", "#74a9f7", "#deebff")
_PURPLE = Colours("#e9deff", "#7446c6", "#321468"), Colours("#43277d", "#b797f5", "#efe6ff")
_TEAL = Colours("#d0f1e8", "#0b7763", "#04382e"), Colours("#0c4a3e", "#4fc3aa", "#d3f7ee")
_GREY = Colours("#f3f5f8", "#76869a", "#3d4a59"), Colours("#1d2733", "#8394a8", "#c3cfdc")
_COLOURS: Final = {
    PARAMETER_FREE: _AMBER,
    SEPARABLE: _BLUE,
    DILATED: _PURPLE,
    FACTORISED: _TEAL,
    CONVOLUTION: _BLUE,
    NONE: _GREY,
    "tanh": _BLUE,
    "relu": _AMBER,
    "sigmoid": _PURPLE,
    "identity": _TEAL,
    # Roles other than operations: inputs and output, nodes, lines to the output, text on the page.
    "end": (Colours("#e8edf3", "#5b6b7e", "#1b2530"), Colours("#273444", "#8fa1b5", "#e8eef5")),
    "node": (Colours("#3c4a5a", "#3c4a5a", "#ffffff"), Colours("#c3cfdc", "#c3cfdc", "#101820")),
    "concat": (Colours("none", "#76869a", "#76869a"), Colours("none", "#8394a8", "#8394a8")),
    "heading": (Colours("none", "none", "#1b2530"), Colours("none", "none", "#e8eef5")),
    "remark": (Colours("none", "none", "#4c5b6c"), Colours("none", "none", "#a9b8c8")),
}

THEMES: Final[dict[ThemeName, Theme]] = {
    "light": Theme("#ffffff", {role: light for role, (light, _) in _COLOURS.items()}),
    "dark": Theme("#121a24", {role: dark for role, (_, dark) in _COLOURS.items()}),
}


def role_of(operation: str) -> str:
    """The role of an operation, by its full name; one that another package adds has that of factorised ones."""
    if operation in ACTIVATIONS:
        return operation
    return next((role for prefix, role in _BY_PREFIX.items() if operation.startswith(prefix)), FACTORISED)
