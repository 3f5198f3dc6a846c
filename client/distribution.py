"""Advises how to install missing extras, for Dartboard and for the SDK alone."""

from __future__ import annotations

from typing import Final

IS_SDK: Final = __name__.startswith("dartboard.")
COMMAND: Final = "dartboard" if IS_SDK else "./dartboard"
"""How a user calls the command."""
NAME: Final = "dartboard-sdk" if IS_SDK else "dartboard"
# Extras that the SDK provides under names of its own; the others belong to the service.
_SDK_EXTRAS: Final = {"worker": "torch", **{name: name for name in ("onnx", "tensorboard", "mlflow", "wandb")}}


def advice(extra: str) -> str:
    """How to install an extra of Dartboard, which is on no package index; that name there is another project's."""
    checkout = "in a copy of Dartboard's repository"
    if not IS_SDK:
        return f"pip install '.[{extra}]' {checkout}"
    if extra in _SDK_EXTRAS:
        return f"pip install './sdk[{_SDK_EXTRAS[extra]}]' {checkout}, or the SDK's wheel with [{_SDK_EXTRAS[extra]}]"
    return "it is of the service, and the SDK alone is installed: call ./dartboard in a copy of Dartboard's repository"
