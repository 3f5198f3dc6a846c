"""Names that other tools give to the operations of DARTS: Katib's and NNI's. Imports no torch."""

from __future__ import annotations

from typing import Final

_KATIB: Final = {
    "skip_connection": "skip_connect",
    "max_pooling_3x3": "max_pool_3x3",
    "avg_pooling_3x3": "avg_pool_3x3",
    "average_pooling_3x3": "avg_pool_3x3",
    "separable_convolution_3x3": "sep_conv_3x3",
    "separable_convolution_5x5": "sep_conv_5x5",
    "separable_convolution_7x7": "sep_conv_7x7",
    "dilated_convolution_3x3": "dil_conv_3x3",
    "dilated_convolution_5x5": "dil_conv_5x5",
}
# In the order of NNI's own list, by whose numbers some of its exports name them.
NNI: Final = {
    "maxpool": "max_pool_3x3",
    "avgpool": "avg_pool_3x3",
    "skipconnect": "skip_connect",
    "sepconv3x3": "sep_conv_3x3",
    "sepconv5x5": "sep_conv_5x5",
    "dilconv3x3": "dil_conv_3x3",
    "dilconv5x5": "dil_conv_5x5",
}
_ALIASES: Final = _KATIB | NNI


def canonical(operation: str) -> str:
    """The operation's name in DARTS; any other name as it is."""
    return _ALIASES.get(operation, operation)
