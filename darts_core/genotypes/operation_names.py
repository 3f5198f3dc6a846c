"""Maps operation names of Katib and NNI to those of DARTS. Imports no torch."""

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
# In the order of NNI's own list; some exports give an operation by its number.
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
    """The DARTS name of an operation; an unknown name is returned unchanged."""
    return _ALIASES.get(operation, operation)
