"""Presets of single methods: chosen for built-in data sets, named for others, overridden by the spec."""

from __future__ import annotations

import pytest

from darts_core.configs import SearchConfig
from darts_core.configs.methods import METHODS
from darts_core.presets.cnn import SEARCH_PRESETS


def test_a_method_starts_from_its_own_preset_on_cifar10() -> None:
    spec = SearchConfig(dataset="cifar10", method="pc-darts").resolved()
    assert spec.preset == "cifar10@pc-darts"
    assert (spec.batch_size, spec.weight_lr, spec.weight_lr_min, spec.alpha_lr) == (256, 0.1, 0.0, 6e-4)
    assert (spec.epochs, spec.weights_only_epochs, spec.partial_channels) == (50, 15, 4)


def test_the_spec_overrides_it_and_can_name_another() -> None:
    assert SearchConfig(dataset="cifar10", method="gdas", epochs=3).resolved().epochs == 3
    plain = SearchConfig(dataset="cifar10", method="gdas", preset="cifar10").resolved()
    assert (plain.method, plain.epochs, plain.batch_size) == ("gdas", 50, 64)


def test_a_methods_preset_names_its_method() -> None:
    spec = SearchConfig(dataset="cifar10", preset="cifar10@snas").resolved()
    assert (spec.method, spec.epochs, spec.temperature_end) == ("snas", 150, 0.03)


@pytest.mark.parametrize("method", [name for name in METHODS if name != "darts"])
def test_other_sets_keep_their_preset(method: str) -> None:
    assert SearchConfig(dataset="digits", method=method).resolved().preset == "digits"
    assert SearchConfig(dataset="folder:own", method=method).resolved().preset == "cifar10"


@pytest.mark.parametrize("name", [name for name in SEARCH_PRESETS if "@" in name])
def test_every_preset_of_a_method_resolves_to_itself(name: str) -> None:
    spec = SearchConfig(dataset="cifar10", preset=name).resolved()
    assert spec.resolved() == spec
    method = [] if spec.method == "darts" else [spec.method]
    space = ["nasbench201"] if spec.space == "nasbench201" else []
    assert name == "@".join(["cifar10", *method, *space])


@pytest.mark.parametrize(
    ("method", "preset", "values"),
    [
        ("darts", "cifar10@nasbench201", (50, 64, 0.025, 0.001, 5e-4)),
        ("sdarts-rs", "cifar10@nasbench201", (50, 64, 0.025, 0.001, 5e-4)),
        ("gdas", "cifar10@gdas@nasbench201", (250, 64, 0.025, 0.001, 5e-4)),
        ("rsps", "cifar10@rsps@nasbench201", (250, 64, 0.025, 0.001, 5e-4)),
        ("beta-darts", "cifar10@beta-darts@nasbench201", (100, 64, 0.025, 0.001, 3e-4)),
        ("drnas", "cifar10@drnas@nasbench201", (100, 64, 0.025, 0.001, 3e-4)),
        ("drnas-progressive", "cifar10@drnas-progressive@nasbench201", (100, 64, 0.025, 0.001, 3e-4)),
        ("snas", "cifar10@snas@nasbench201", (100, 64, 0.025, 0.001, 3e-4)),
        ("pc-darts", "cifar10@pc-darts", (50, 256, 0.1, 0.0, 3e-4)),
    ],
)
def test_in_nasbench201_a_method_starts_from_its_preset_there(
    method: str, preset: str, values: tuple[float, ...]
) -> None:
    spec = SearchConfig(dataset="cifar10", space="nasbench201", method=method).resolved()
    assert (spec.preset, spec.channels, spec.layers, spec.nodes) == (preset, 16, 15, 3)
    assert (spec.epochs, spec.batch_size, spec.weight_lr, spec.weight_lr_min, spec.weight_decay) == values
    assert (spec.grad_clip, spec.alpha_weight_decay) == (5, 1e-3)


def test_a_preset_of_the_space_names_it_and_the_spec_wins() -> None:
    spec = SearchConfig(dataset="cifar10", preset="cifar10@beta-darts@nasbench201", epochs=10).resolved()
    assert (spec.space, spec.method, spec.epochs, spec.beta_regularisation) == ("nasbench201", "beta-darts", 10, 5)
    assert SearchConfig(dataset="cifar10", space="nasbench201", preset="cifar10").resolved().epochs == 50
    assert SearchConfig(dataset="digits", space="nasbench201", method="gdas").resolved().preset == "digits"
