"""The spaces in which DARTS fails (RobustDARTS, arXiv:1909.09656). Imports no torch."""

from __future__ import annotations

from typing import Final

from darts_core.spaces.space import Space

_SOURCE: Final = "arXiv:1909.09656"

SPACES: Final = (
    Space(
        "s2",
        "RobustDARTS S2",
        _SOURCE,
        "A skip-connection or a separable convolution of 3x3 on each edge.",
        ("skip_connect", "sep_conv_3x3"),
    ),
    Space(
        "s3",
        "RobustDARTS S3",
        _SOURCE,
        "Nothing, a skip-connection or a separable convolution of 3x3 on each edge.",
        ("none", "skip_connect", "sep_conv_3x3"),
    ),
)
