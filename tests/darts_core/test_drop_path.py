from __future__ import annotations

import torch

from darts_core.models.drop_path import DropPath, drop_path


def test_drop_path_drops_whole_samples_and_scales_the_others() -> None:
    out = drop_path(torch.ones(1000, 3, 2, 2), 0.25, torch.Generator().manual_seed(0))
    values = out.flatten(1)
    assert torch.equal(values.amin(dim=1), values.amax(dim=1))
    assert set(values[:, 0].tolist()) == {0.0, torch.tensor(1 / 0.75).item()}


def test_drop_path_keeps_the_expectation() -> None:
    out = drop_path(torch.ones(100_000, 1, 1, 1), 0.3, torch.Generator().manual_seed(0))
    assert abs(out.mean().item() - 1) < 0.01  # five standard errors are 0.0104


def test_drop_path_is_the_identity_outside_of_training_and_at_zero() -> None:
    x = torch.randn(8, 2, 3, 3)
    assert DropPath(0.9).eval()(x) is x
    assert DropPath(0.0).train()(x) is x


def test_drop_path_draws_from_its_generator_alone() -> None:
    state = torch.get_rng_state()
    drop_path(torch.ones(10, 1, 1, 1), 0.5, torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), state)
