"""Named, versioned sets of hyper-parameters. Imports no torch.

`cifar10` follows the DARTS paper (arXiv:1806.09055), appendix A.1, and its authors' code, which wins where the two
differ. `digits` is ours: the same recipe scaled down to 8x8 images and minutes on a CPU. `imagenet` is the paper's for
224x224 images, section A.3. Presets ending in `-short` are for choosing among cells: 100 epochs, and a tenth of the
training images held out for validation. `cifar10@METHOD` are for searches by another method than DARTS,
`cifar10@nasbench201` and `cifar10@METHOD@nasbench201` for searches in that space and the training of its cells. A
published preset never changes; an improvement gets a new version.
"""

from __future__ import annotations

from typing import Any, Final

from darts_core.errors import ConfigError, Problem

Values = dict[str, Any]
Presets = dict[str, dict[int, Values]]
"""By name and version, counted from 1."""

_CIFAR10_SEARCH: Final[Values] = {
    "epochs": 50,
    "batch_size": 64,
    "channels": 16,
    "layers": 8,
    "nodes": 4,
    "weight_lr": 0.025,
    "weight_lr_min": 0.001,
    "momentum": 0.9,
    "weight_decay": 3e-4,
    "grad_clip": 5.0,
    "alpha_lr": 3e-4,
    "alpha_weight_decay": 1e-3,
    "train_portion": 0.5,
    "crop_padding": 4,
    "flip": True,
    "cutout": 0,
}

_DIGITS_SEARCH: Final[Values] = {
    "epochs": 6,
    "batch_size": 96,
    "channels": 8,
    "layers": 3,
    "nodes": 4,
    "weight_lr": 0.05,
    "weight_lr_min": 0.005,
    "momentum": 0.9,
    "weight_decay": 3e-4,
    "grad_clip": 5.0,
    # Some 50 alpha steps in all: the paper's 3e-4, meant for 20,000 steps, would not move the alphas visibly.
    "alpha_lr": 2e-2,
    "alpha_weight_decay": 1e-3,
    "train_portion": 0.5,
    "crop_padding": 1,
    "flip": False,  # a mirrored 3 is not a digit
    "cutout": 0,
    # 8x8 images leave two threads little to share, and each waits whenever the other is held up.
    "threads": 1,
}

_CIFAR10: Final[Values] = {
    "epochs": 600,
    "batch_size": 96,
    "channels": 36,
    "layers": 20,
    "weight_lr": 0.025,
    "weight_lr_min": 0.0,
    "momentum": 0.9,
    "weight_decay": 3e-4,
    "grad_clip": 5.0,
    "auxiliary": True,
    "auxiliary_weight": 0.4,
    "drop_path": 0.2,
    "train_portion": 1.0,
    "crop_padding": 4,
    "flip": True,
    "cutout": 16,
}

_IMAGENET: Final[Values] = {
    "epochs": 250,
    "batch_size": 128,
    "channels": 48,
    "layers": 14,
    "weight_lr": 0.1,
    "weight_lr_min": 0.0,
    "schedule": "step",
    "schedule_factor": 0.97,
    "schedule_every": 1,
    "momentum": 0.9,
    "weight_decay": 3e-5,
    "grad_clip": 5.0,
    "label_smoothing": 0.1,
    "auxiliary": True,
    "auxiliary_weight": 0.4,
    "drop_path": 0.0,
    "train_portion": 1.0,
    "resized_crop": True,
    "colour_jitter": (0.4, 0.4, 0.4, 0.2),
    "crop_padding": 0,
    "flip": True,
    "cutout": 0,
}

_DIGITS: Final[Values] = {
    "epochs": 18,
    "batch_size": 64,
    "channels": 16,
    "layers": 5,
    "weight_lr": 0.05,
    "weight_lr_min": 0.0,
    "momentum": 0.9,
    "weight_decay": 3e-4,
    "grad_clip": 5.0,
    "auxiliary": False,  # the auxiliary tower pools 5x5: more than an 8x8 image leaves at that depth
    "auxiliary_weight": 0.4,
    "drop_path": 0.1,
    "train_portion": 0.9,
    "crop_padding": 1,
    "flip": False,
    "cutout": 0,
    "threads": 1,
}

# NAS-Bench-201 (arXiv:2001.00326), section 2.2: how each cell of its table was trained, on half of the training images.
# The benchmark clips no gradients.
_NASBENCH201: Final[Values] = {
    "epochs": 200,
    "batch_size": 256,
    "channels": 16,
    "layers": 15,
    "weight_lr": 0.1,
    "weight_lr_min": 0.0,
    "momentum": 0.9,
    "nesterov": True,
    "weight_decay": 5e-4,
    "grad_clip": 1000.0,
    "auxiliary": False,
    "drop_path": 0.0,
    "train_portion": 0.5,
    "crop_padding": 4,
    "flip": True,
    "cutout": 0,
}

_SHORT: Final[Values] = {"epochs": 100, "train_portion": 0.9}

# What the methods' authors change for CIFAR-10, in their code; GDAS' Nesterov momentum aside.
_OF_METHODS: Final[dict[str, Values]] = {
    "pc-darts": {
        "batch_size": 256,
        "weight_lr": 0.1,
        "weight_lr_min": 0.0,
        "alpha_lr": 6e-4,
        "partial_channels": 4,
        "weights_only_epochs": 15,
    },
    "drnas-progressive": {
        "channels": 36,
        "layers": 20,
        "weight_lr": 0.1,
        "weight_lr_min": 0.0,
        "alpha_lr": 6e-4,
    },
    "p-darts": {"epochs": 75, "batch_size": 96, "layers": 5, "weight_lr_min": 0.0, "alpha_lr": 6e-4},
    "gdas": {"epochs": 250, "batch_size": 256, "weight_decay": 5e-4},
    "snas": {"epochs": 150, "batch_size": 96},
    "fair-darts": {"batch_size": 128, "weight_lr": 0.005, "alpha_lr": 3e-3},
    "rsps": {"epochs": 100, "grad_clip": 0.25, "sampled_cells": 1000, "finalists": 10},
    "r-darts-dp": {"cutout": 16},
}

# DARTS as in the paper of NAS-Bench-201, by its authors' code, Nesterov momentum aside.
_NASBENCH201_SEARCH: Final[Values] = {
    **_CIFAR10_SEARCH,
    "space": "nasbench201",
    "layers": 15,
    "nodes": 3,
    "weight_decay": 5e-4,
}

# GDAS and random search as there; the others by their own authors' code, where SNAS is DrNAS' baseline.
_IN_NASBENCH201: Final[dict[str, Values]] = {
    "gdas": {"epochs": 250},
    "rsps": {"epochs": 250, "sampled_cells": 100},
    "beta-darts": {"epochs": 100, "weight_decay": 3e-4},
    "drnas": {"epochs": 100, "weight_decay": 3e-4},
    "drnas-progressive": {"epochs": 100, "weight_decay": 3e-4},
    "snas": {"epochs": 100, "weight_decay": 3e-4, "temperature_start": 10.0, "temperature_end": 1.0},
}

SEARCH_PRESETS: Final[Presets] = {
    "cifar10": {1: _CIFAR10_SEARCH},
    "digits": {1: _DIGITS_SEARCH},
    **{
        f"cifar10@{method}": {1: {**_CIFAR10_SEARCH, **values, "method": method}}
        for method, values in _OF_METHODS.items()
    },
    "cifar10@nasbench201": {1: _NASBENCH201_SEARCH},
    **{
        f"cifar10@{method}@nasbench201": {1: {**_NASBENCH201_SEARCH, **values, "method": method}}
        for method, values in _IN_NASBENCH201.items()
    },
}

EVALUATION_PRESETS: Final[Presets] = {
    "cifar10": {1: _CIFAR10},
    "cifar10@nasbench201": {1: _NASBENCH201},
    "cifar10-short": {1: {**_CIFAR10, **_SHORT}},
    "imagenet": {1: _IMAGENET},
    "imagenet-short": {1: {**_IMAGENET, **_SHORT}},
    "digits": {1: _DIGITS},
}


def preset_of_search(name: str, method: str, space: str | None) -> str:
    """The search preset of this name that a method has for itself in a space, or in all, or that the space has for all
    methods, or the common one.
    """
    own = (f"{name}@{method}@{space}", f"{name}@{method}", f"{name}@{space}")
    return next((preset for preset in own if preset in SEARCH_PRESETS), name)


def preset_of_space(presets: Presets, name: str, space: str) -> str:
    """The preset of this name that a space has for itself, or the common one."""
    own = f"{name}@{space}"
    return own if own in presets else name


def preset_values(presets: Presets, name: str, version: int | None = None) -> Values:
    """The values of a preset, by default its latest version, including `preset` and `preset_version`.

    Raises ConfigError for an unknown name or version.
    """
    if name not in presets:
        known = ", ".join(sorted(presets))
        raise ConfigError([Problem(("preset",), f"unknown preset {name!r}; known: {known}")])
    versions = presets[name]
    version = max(versions) if version is None else version
    if version not in versions:
        known = ", ".join(map(str, versions))
        raise ConfigError([Problem(("preset_version",), f"preset {name!r} has no version {version}; known: {known}")])
    return {**versions[version], "preset": name, "preset_version": version}
