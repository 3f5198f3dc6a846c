"""DARTS' space of recurrent cells (arXiv:1806.09055), section 3.1.2, and CoNAS' second. Imports no torch."""

from __future__ import annotations

from typing import Final

from darts_core.primitives import RNN_SPACES
from darts_core.spaces.space import Space

_CELLS: Final = ("recurrent",)

SPACES: Final = (
    Space(
        "rnn",
        "DARTS",
        "arXiv:1806.09055",
        "All functions of DARTS on each edge.",
        RNN_SPACES["rnn"],
        cells=_CELLS,
        inputs=1,
    ),
    Space(
        "rnn_space1",
        "CoNAS",
        "CoNAS",
        "The space of DARTS without tanh.",
        RNN_SPACES["rnn_space1"],
        cells=_CELLS,
        inputs=1,
    ),
)
