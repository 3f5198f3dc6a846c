"""The spaces in which DARTS fails (RobustDARTS, arXiv:1909.09656). Imports no torch."""

from __future__ import annotations

from typing import Final

from darts_core.spaces.space import Space

_SOURCE: Final = "arXiv:1909.09656"

_MAX, _AVERAGE, _SKIP, _SEPARABLE = "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3"
_THREE, _FIVE = "dil_conv_3x3", "dil_conv_5x5"

_NORMAL: Final = (
    (_SKIP, _THREE),
    (_SKIP, _FIVE),
    (_SKIP, _FIVE),
    (_SKIP, _SEPARABLE),
    (_SKIP, _THREE),
    (_MAX, _SKIP),
    (_SKIP, _SEPARABLE),
    (_SKIP, _SEPARABLE),
    (_SKIP, _THREE),
    (_SKIP, _SEPARABLE),
    (_MAX, _SKIP),
    (_SKIP, _THREE),
    (_THREE, _FIVE),
    (_THREE, _FIVE),
)
_REDUCE: Final = (
    (_MAX, _AVERAGE),
    (_MAX, _THREE),
    (_MAX, _AVERAGE),
    (_MAX, _AVERAGE),
    (_SKIP, _FIVE),
    (_MAX, _AVERAGE),
    (_MAX, _SEPARABLE),
    (_SKIP, _THREE),
    (_SKIP, _FIVE),
    (_MAX, _AVERAGE),
    (_MAX, _AVERAGE),
    (_SKIP, _FIVE),
    (_SKIP, _FIVE),
    (_SKIP, _FIVE),
)

SPACES: Final = (
    Space(
        "s1",
        "RobustDARTS S1",
        _SOURCE,
        "Two operations on each edge, other ones on each.",
        (_MAX, _AVERAGE, _SKIP, _SEPARABLE, _THREE, _FIVE),
        {"normal": _NORMAL, "reduce": _REDUCE},
        nodes=4,
    ),
    Space(
        "s2",
        "RobustDARTS S2",
        _SOURCE,
        "A skip-connection or a separable convolution of 3x3 on each edge.",
        (_SKIP, _SEPARABLE),
    ),
    Space(
        "s3",
        "RobustDARTS S3",
        _SOURCE,
        "Nothing, a skip-connection or a separable convolution of 3x3 on each edge.",
        ("none", _SKIP, _SEPARABLE),
    ),
    Space(
        "s4",
        "RobustDARTS S4",
        _SOURCE,
        "Noise, which no training can use, or a separable convolution of 3x3 on each edge.",
        ("noise", _SEPARABLE),
    ),
)
