"""What the keys and shapes of a DARTS network's `state_dict` say of it. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from darts_core.errors import CheckpointError, Problem
from darts_core.layout import STEM_MULTIPLIER, Stem

# Of their language models: the encoder's weights once more.
DECODER: Final = "decoder.weight"


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
    if is_recurrent(shapes):
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


@dataclass(frozen=True)
class RecurrentSizes:
    """What a language model's shapes say of it. words: in its vocabulary."""

    hidden_size: int
    words: int
    nodes: int


def is_recurrent(names: Iterable[str]) -> bool:
    """Whether these are keys of a language model."""
    return any(name.startswith(("encoder.", "rnns.")) for name in names)


def inferred_recurrent(shapes: Mapping[str, tuple[int, ...]], file: str) -> RecurrentSizes:
    """A language model's sizes by its keys and their shapes. Raises CheckpointError that names what does not fit."""
    words, size = shapes.get("encoder.weight", (0, 0))[:2] if len(shapes.get("encoder.weight", ())) == 2 else (0, 0)
    if not words or not size:
        raise CheckpointError(f"{file} is no state_dict of a DARTS language model: it has no table encoder.weight")
    nodes = sum(name.startswith("rnns.0._Ws.") for name in shapes)
    expected: dict[str, tuple[int, ...]] = {
        "encoder.weight": (words, size),
        "rnns.0._W0": (2 * size, 2 * size),
        **{f"rnns.0._Ws.{node}": (size, 2 * size) for node in range(nodes)},
        "decoder.bias": (words,),
    }
    for name, shape in expected.items():
        if name not in shapes:
            raise CheckpointError(f"{file} is no state_dict of a DARTS language model: {name} is missing")
        if shapes[name] != shape:
            raise CheckpointError(
                f"{file} is no state_dict of a DARTS language model: {name} is {list(shapes[name])}, expected "
                f"{list(shape)} with words of {size} numbers; embedding, state and output have to be of one size"
            )
    expected[DECODER] = (words, size)
    unknown = next((name for name in shapes if name not in expected), None)
    if unknown is not None or shapes.get(DECODER, expected[DECODER]) != expected[DECODER]:
        raise CheckpointError(f"{file} is no state_dict of a DARTS language model: no place for {unknown or DECODER}")
    return RecurrentSizes(size, words, nodes)


def recurrent_misfit(sizes: RecurrentSizes, nodes: int, dataset: str, words: int | None) -> Problem | None:
    """Why a language model is not of a genotype of so many nodes, or not of the text's vocabulary; None when it is.

    words: in that vocabulary, None where it is not known.
    """
    if sizes.nodes != nodes:
        message = f"the weights are of {sizes.nodes} nodes, the genotype has {nodes}"
        return Problem(("genotype",), message)
    if words is not None and sizes.words != words:
        message = f"the weights are of {sizes.words:,} words, the vocabulary of {dataset} has {words:,}"
        return Problem(("dataset",), f"{message}: name the text that it was trained on")
    return None
