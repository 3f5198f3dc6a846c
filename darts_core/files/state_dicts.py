"""Infers a DARTS network's sizes from the keys and shapes of its `state_dict`. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from darts_core.errors import CheckpointError, Problem
from darts_core.models.layout import STEM_MULTIPLIER, Stem, reduction_layers

# In their language models, a copy of the encoder's weights.
DECODER: Final = "decoder.weight"
# Entries under which training programs store the weights.
WRAPPERS: Final = ("state_dict", "model_state_dict", "model", "net", "network", "params", "state_dict_ema", "model_ema")
# Buffers that thop registers in every module, and torch's averaged models in the root.
_COUNTERS: Final = frozenset({"total_ops", "total_params", "n_averaged"})
# A prefix, then a key present in every network of the authors.
_NETWORK: Final = re.compile(r"(.*?)(?:cells\.0\.|rnns\.0\.|encoder\.weight$)")
_KEYS_LISTED: Final = 8
_LONGEST_KEY: Final = 80


_THEIRS: Final = {("cifar", 10): "cifar10", ("cifar", 100): "cifar100", ("imagenet", 1000): "imagenet"}


@dataclass(frozen=True)
class Sizes:
    """Sizes inferred from a state_dict."""

    channels: int
    layers: int
    classes: int
    auxiliary: bool
    stem: Stem
    image_channels: int
    reductions: tuple[int, ...] | None = None

    @property
    def dataset(self) -> str | None:
        """The authors' data set for this stem and number of classes; None for any other number."""
        return _THEIRS.get((self.stem, self.classes))


def unwrapped(value: Any, file: str) -> dict[str, Any]:
    """The tensors under the authors' names, without wrapping dictionary and prefixes.

    Drops profilers' buffers. Raises CheckpointError that names the keys of a dictionary without tensors.
    """
    inner = value
    while isinstance(inner, dict) and (key := next((k for k in WRAPPERS if isinstance(inner.get(k), dict)), None)):
        inner = inner[key]
    named = isinstance(inner, dict) and all(isinstance(name, str) for name in inner)
    if not named or not any(hasattr(tensor, "shape") for tensor in inner.values()):
        keys = f"; it has {listed(inner)}" if named and inner else ""
        raise CheckpointError(
            f"{file} is not a state_dict: expected tensors by name, or those under {', '.join(WRAPPERS)}{keys}"
        )
    return _unprefixed({name: tensor for name, tensor in inner.items() if name.rpartition(".")[2] not in _COUNTERS})


def _unprefixed(tensors: dict[str, Any]) -> dict[str, Any]:
    """Strip the prefix that parallel training, compilation or a framework's module puts before the keys."""
    prefix = next((found[1] for name in tensors if (found := _NETWORK.match(name))), "")
    names = {name: name.removeprefix(prefix) for name in tensors}
    if prefix:
        # OpenMMLab's classifiers keep the last layer outside the backbone.
        names = {name: re.sub(r"^head\.fc\.", "classifier.", plain) for name, plain in names.items()}
    if len(set(names.values())) < len(names):
        return tensors  # two networks in one file: the error names the first unexpected key
    return {names[name]: tensor for name, tensor in tensors.items()}


def listed(names: Iterable[str]) -> str:
    """List the first keys, for messages."""
    names = [name[:_LONGEST_KEY] for name in names]
    return ", ".join(names[:_KEYS_LISTED]) + (
        f" and {len(names) - _KEYS_LISTED} more" if len(names) > _KEYS_LISTED else ""
    )


def inferred(shapes: Mapping[str, tuple[int, ...]], file: str) -> Sizes:
    """Infer the network's sizes. Raises CheckpointError that names the missing key."""
    if is_recurrent(shapes):
        raise CheckpointError(f"{file} is a recurrent model's state_dict: a CNN's genotype does not fit it")

    def shape(name: str, dimensions: int) -> tuple[int, ...]:
        if len(shapes.get(name, ())) != dimensions:
            raise CheckpointError(
                f"{file} is not a state_dict of a DARTS evaluation network: {name} is missing, or does not have "
                f"{dimensions} axes"
            )
        return shapes[name]

    numbers = [int(found[1]) for name in shapes if (found := re.match(r"cells\.(\d{1,3})\.", name))]
    if not numbers:
        raise CheckpointError(
            f"{file} is not a state_dict of a DARTS evaluation network: no key cells.0...; it has {listed(shapes)}"
        )
    imagenet = "stem0.0.weight" in shapes
    if imagenet:
        channels, image_channels = shape("stem0.3.weight", 4)[0], shape("stem0.0.weight", 4)[1]
    else:
        outputs, image_channels = shape("stem.0.weight", 4)[:2]
        channels = outputs // STEM_MULTIPLIER
    layers = max(numbers) + 1
    return Sizes(
        channels=channels,
        layers=layers,
        classes=shape("classifier.weight", 2)[0],
        auxiliary=any(name.startswith("auxiliary_head.") for name in shapes),
        stem="imagenet" if imagenet else "cifar",
        image_channels=image_channels,
        reductions=_reductions(shapes, channels, layers),
    )


def _reductions(shapes: Mapping[str, tuple[int, ...]], channels: int, layers: int) -> tuple[int, ...] | None:
    """Cells twice as wide as their predecessor; None for the default positions, or when a width is missing."""
    widths = [shapes.get(f"cells.{layer}.preprocess1.op.1.weight", (0,))[0] for layer in range(layers)]
    if not all(widths):
        return None
    found = tuple(cell for cell, before in enumerate([channels, *widths[:-1]]) if widths[cell] == 2 * before)
    return None if set(found) == reduction_layers(layers) else found


@dataclass(frozen=True)
class RecurrentSizes:
    """Sizes of a language model. words: in its vocabulary."""

    hidden_size: int
    words: int
    nodes: int


def is_recurrent(names: Iterable[str]) -> bool:
    """Whether these are keys of a language model."""
    return any(name.startswith(("encoder.", "rnns.")) for name in names)


def inferred_recurrent(shapes: Mapping[str, tuple[int, ...]], file: str) -> RecurrentSizes:
    """Infer a language model's sizes. Raises CheckpointError that names the mismatch."""
    words, size = shapes.get("encoder.weight", (0, 0))[:2] if len(shapes.get("encoder.weight", ())) == 2 else (0, 0)
    if not words or not size:
        raise CheckpointError(f"{file} is not a state_dict of a DARTS language model: it has no table encoder.weight")
    nodes = sum(name.startswith("rnns.0._Ws.") for name in shapes)
    expected: dict[str, tuple[int, ...]] = {
        "encoder.weight": (words, size),
        "rnns.0._W0": (2 * size, 2 * size),
        **{f"rnns.0._Ws.{node}": (size, 2 * size) for node in range(nodes)},
        "decoder.bias": (words,),
    }
    for name, shape in expected.items():
        if name not in shapes:
            raise CheckpointError(f"{file} is not a state_dict of a DARTS language model: {name} is missing")
        if shapes[name] != shape:
            raise CheckpointError(
                f"{file} is not a state_dict of a DARTS language model: {name} is {list(shapes[name])}, expected "
                f"{list(shape)} with words of {size} numbers; embedding, state and output have to be of one size"
            )
    expected[DECODER] = (words, size)
    unknown = next((name for name in shapes if name not in expected), None)
    if unknown is not None or shapes.get(DECODER, expected[DECODER]) != expected[DECODER]:
        raise CheckpointError(
            f"{file} is not a state_dict of a DARTS language model: no place for {unknown or DECODER}"
        )
    return RecurrentSizes(size, words, nodes)


def recurrent_misfit(sizes: RecurrentSizes, nodes: int, dataset: str, words: int | None) -> Problem | None:
    """Why a language model does not fit a genotype of so many nodes or the text's vocabulary; None if it fits.

    words: in that vocabulary, None when unknown.
    """
    if sizes.nodes != nodes:
        message = f"the weights are of {sizes.nodes} nodes, the genotype has {nodes}"
        return Problem(("genotype",), message)
    if words is not None and sizes.words != words:
        message = f"the weights are of {sizes.words:,} words, the vocabulary of {dataset} has {words:,}"
        return Problem(("dataset",), f"{message}: name the text that it was trained on")
    return None
