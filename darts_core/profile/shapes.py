"""Defines the sizes of an evaluation network. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, get_args

from darts_core.configs.common import channel_problems, reduction_problems
from darts_core.data.catalogue import BUILT_IN, DatasetInfo, preset_of
from darts_core.errors import ConfigError, Problem
from darts_core.genotypes import ConvolutionalGenotype, NasBench201Genotype
from darts_core.models.layout import Stem, stem_for
from darts_core.presets.cnn import EVALUATION_PRESETS, preset_values
from darts_core.spaces import space_of
from darts_core.spaces.nasbench201 import NAME as NASBENCH201

_RANGES: Final = {
    "channels": (2, 1024),
    "layers": (1, 100),
    "classes": (1, 1_000_000),
    "image": (1, 4096),
    "image_channels": (1, 1024),
}


def range_problems(shape: object, ranges: Mapping[str, tuple[int, int]]) -> list[Problem]:
    """A problem for every field out of its range."""
    return [
        Problem((field,), f"must be from {least:,} to {most:,}, not {getattr(shape, field):,}")
        for field, (least, most) in ranges.items()
        if not least <= getattr(shape, field) <= most
    ]


@dataclass(frozen=True)
class Shape:
    """Sizes of an evaluation network. Raises ConfigError on construction for every field out of range.

    channels: of the first cells. layers: cells. image: height in pixels, and width unless `width` is given. reductions:
    indices of the reduction cells; by default at a third and two thirds. edge_skips: a skip-connection on each edge.
    """

    channels: int
    layers: int
    classes: int
    image: int
    image_channels: int = 3
    stem: Stem = "cifar"
    width: int | None = None
    reductions: tuple[int, ...] | None = None
    edge_skips: bool = False

    def __post_init__(self) -> None:
        problems = range_problems(self, _RANGES)
        if self.stem not in get_args(Stem):
            problems.append(Problem(("stem",), f"unknown stem {self.stem!r}; known: {', '.join(get_args(Stem))}"))
        values = vars(self)
        problems += reduction_problems(values)
        problems += channel_problems(values)
        if problems:
            raise ConfigError(problems)


# The evaluation networks of the DARTS paper (arXiv:1806.09055), sections 3.2 and 3.3.
PROFILE_PRESETS: Final[dict[str, Shape]] = {
    "cifar10": Shape(channels=36, layers=20, classes=10, image=32),
    "imagenet": Shape(channels=48, layers=14, classes=1000, image=224, stem="imagenet"),
    # NAS-Bench-201 (arXiv:2001.00326), section 2.1.
    NASBENCH201: Shape(channels=16, layers=15, classes=10, image=32),
}


def shape_of(
    preset: str = "cifar10",
    *,
    channels: int | None = None,
    layers: int | None = None,
    classes: int | None = None,
    image: int | None = None,
    stem: Stem | None = None,
    reductions: Sequence[int] | None = None,
) -> Shape:
    """A preset's shape with overrides; the stem defaults to the one for the image size.

    Raises ConfigError for an unknown preset or stem, or a size out of range.
    """
    if preset not in PROFILE_PRESETS:
        known = ", ".join(PROFILE_PRESETS)
        raise ConfigError([Problem(("preset",), f"unknown preset {preset!r}; known: {known}")])
    base = PROFILE_PRESETS[preset]
    image = base.image if image is None else image
    return replace(
        base,
        image=image,
        stem=stem or (base.stem if preset == NASBENCH201 else stem_for(image)),
        channels=base.channels if channels is None else channels,
        layers=base.layers if layers is None else layers,
        classes=base.classes if classes is None else classes,
        reductions=None if reductions is None else tuple(reductions),
    )


def preset_of_cell(genotype: ConvolutionalGenotype, preset: str | None) -> str:
    """The preset of a genotype's shape, by default its usual one. Raises ConfigError for one that it cannot have."""
    if not isinstance(genotype, NasBench201Genotype):
        return preset or "cifar10"
    if preset not in (None, NASBENCH201):
        raise ConfigError([Problem(("preset",), "a network of NAS-Bench-201 has sizes of its own: leave it out")])
    return NASBENCH201


def shape_for(dataset: str, info: DatasetInfo | None = None, space: str | None = None) -> Shape | None:
    """The evaluation network that the data set's preset trains; None for data whose size only a worker knows.

    info: of an uploaded set, which is not in the catalogue. space: in which the cell was searched, if it has a name.
    """
    info = info or BUILT_IN.get(dataset)
    if info is None:
        return None
    if space == NASBENCH201:
        base = PROFILE_PRESETS[NASBENCH201]
        return replace(base, classes=info.classes, image=info.side, image_channels=info.channels)
    values = preset_values(EVALUATION_PRESETS, preset_of(dataset, EVALUATION_PRESETS))
    named = space_of(space)
    return Shape(
        values["channels"],
        values["layers"],
        info.classes,
        info.side,
        info.channels,
        stem=stem_for(info.side),
        edge_skips=named is not None and named.edge_skips,
    )
