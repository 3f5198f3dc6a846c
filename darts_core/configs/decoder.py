"""The field `decoder`: which program decodes a data set's JPEG files. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from darts_core.errors import ConfigError, Problem

CpuDecoder = Literal["pillow", "torchvision"]
DecoderName = Literal[CpuDecoder, "nvjpeg"]
Decoder = Annotated[
    DecoderName,
    Field(
        description="what decodes and scales the images of `imagenet`: `pillow`, `torchvision` (faster, on the CPU) or "
        "`nvjpeg` (on a GPU); their pixels differ by rounding"
    ),
]
READ_BY_FILE: Final = "imagenet"
"""The data set whose images are decoded batch by batch, not when they are uploaded or loaded."""


def decoder_problems(decoder: str, dataset: str) -> list[Problem]:
    """Check that the data set's images are decoded during the run, where a decoder can be chosen."""
    if decoder == "pillow" or dataset == READ_BY_FILE:
        return []
    message = f"{decoder!r} is for {READ_BY_FILE}, which is read file by file; {dataset} is not: leave it out"
    return [Problem(("decoder",), message)]


def check_decoder(decoder: DecoderName, device: str) -> None:
    """Raise ConfigError where this type of device (cpu, cuda) lacks the decoder."""
    if decoder == "nvjpeg" and device != "cuda":
        message = (
            f"'nvjpeg' decodes on a GPU, and this run computes on {device}: give 'torchvision', or run it on a GPU"
        )
        raise ConfigError([Problem(("decoder",), message)])
