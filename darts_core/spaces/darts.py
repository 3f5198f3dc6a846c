"""DARTS' space (arXiv:1806.09055), section 3.1.1, and the three of CoNAS' committees. Imports no torch."""

from __future__ import annotations

from typing import Final

from darts_core.primitives import CNN_PRIMITIVES
from darts_core.spaces.space import Space


def without(*left_out: str) -> tuple[str, ...]:
    """DARTS' primitives but these."""
    return tuple(name for name in CNN_PRIMITIVES if name not in left_out)


SPACES: Final = (
    Space("darts", "DARTS", "arXiv:1806.09055", "All eight operations of DARTS on each edge.", CNN_PRIMITIVES),
    Space(
        "darts-no-none",
        "DARTS without none",
        "arXiv:1911.12126",
        "The seven operations of DARTS besides `none` on each edge.",
        without("none"),
    ),
    Space("space1", "CoNAS 1", "CoNAS", "The space of DARTS, as the first of three of a committee.", CNN_PRIMITIVES),
    Space(
        "space2",
        "CoNAS 2",
        "CoNAS",
        "The space of DARTS without convolutions of 5x5.",
        without("sep_conv_5x5", "dil_conv_5x5"),
    ),
    Space(
        "space3",
        "CoNAS 3",
        "CoNAS",
        "The space of DARTS without convolutions of 3x3.",
        without("sep_conv_3x3", "dil_conv_3x3"),
    ),
)
