"""What the keys and shapes of a DARTS evaluation network's `state_dict` say of it. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from darts_core.errors import CheckpointError
from darts_core.layout import STEM_MULTIPLIER, Stem


@dataclass(frozen=True)
class Sizes:
    """What a state_dict's shapes say of its network."""

    channels: int
    layers: int
    classes: int
    auxiliary: bool
    stem: Stem
    image_channels: int

    @property
    def dataset(self) -> str:
        """What the authors trained networks of this kind on."""
        if self.stem == "imagenet":
            return "imagenet"
        return "cifar100" if self.classes == 100 else "cifar10"


def unwrapped(value: Any, file: str) -> dict[str, Any]:
    """The tensors by name: without {"state_dict": ...} around them, and without "module." before each name."""
    inner = value.get("state_dict", value) if isinstance(value, dict) else None
    if not isinstance(inner, dict) or not inner or not all(isinstance(name, str) for name in inner):
        raise CheckpointError(f"{file} is no state_dict: expected tensors by name, or those under 'state_dict'")
    if all(name.startswith("module.") for name in inner):
        return {name.removeprefix("module."): tensor for name, tensor in inner.items()}
    return dict(inner)


def inferred(shapes: Mapping[str, tuple[int, ...]], file: str) -> Sizes:
    """The network's sizes by its keys and their shapes. Raises CheckpointError that names what is missing."""
    if any(name.startswith(("encoder.", "rnns.")) for name in shapes):
        raise CheckpointError(f"{file} is a recurrent model's state_dict: a CNN's genotype does not fit it")

    def shape(name: str, dimensions: int) -> tuple[int, ...]:
        if len(shapes.get(name, ())) != dimensions:
            raise CheckpointError(
                f"{file} is no state_dict of a DARTS evaluation network: {name} is missing, or not of {dimensions} axes"
            )
        return shapes[name]

    numbers = [int(found[1]) for name in shapes if (found := re.match(r"cells\.(\d{1,3})\.", name))]
    if not numbers:
        raise CheckpointError(f"{file} is no state_dict of a DARTS evaluation network: it has no key cells.0...")
    imagenet = "stem0.0.weight" in shapes
    if imagenet:
        channels, image_channels = shape("stem0.3.weight", 4)[0], shape("stem0.0.weight", 4)[1]
    else:
        outputs, image_channels = shape("stem.0.weight", 4)[:2]
        channels = outputs // STEM_MULTIPLIER
    return Sizes(
        channels=channels,
        layers=max(numbers) + 1,
        classes=shape("classifier.weight", 2)[0],
        auxiliary=any(name.startswith("auxiliary_head.") for name in shapes),
        stem="imagenet" if imagenet else "cifar",
        image_channels=image_channels,
    )
