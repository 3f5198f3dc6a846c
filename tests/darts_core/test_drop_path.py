from __future__ import annotations

import pytest
import torch
from torch import Tensor

from darts_core.distributed.group import Group
from darts_core.models.drop_path import Paths, draw_paths

CPU = torch.device("cpu")


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def dropped(x: Tensor, probability: float) -> Tensor:
    keep = torch.tensor(1 - probability, dtype=torch.float64)
    return Paths(draw_paths(1, len(x), CPU, seeded()), keep).drop(x)


def test_drop_path_drops_whole_samples_and_scales_the_others() -> None:
    values = dropped(torch.ones(1000, 3, 2, 2), 0.25).flatten(1)
    assert torch.equal(values.amin(dim=1), values.amax(dim=1))
    assert set(values[:, 0].tolist()) == {0.0, torch.tensor(1 / 0.75).item()}


def test_drop_path_keeps_the_expectation() -> None:
    out = dropped(torch.ones(100_000, 1, 1, 1), 0.3)
    assert abs(out.mean().item() - 1) < 0.01  # five standard errors are 0.0104


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("probability", [0.1, 0.2, 1 / 3])
def test_paths_have_the_bits_of_a_draw_and_a_division_for_each(dtype: torch.dtype, probability: float) -> None:
    maps = torch.randn(5, 7, 3, 2, 2).to(dtype)
    keep = torch.tensor(1 - probability, dtype=torch.float64)
    paths, source = Paths(draw_paths(5, 7, CPU, seeded()), keep), seeded()
    for x in maps:
        kept = torch.empty((7, 1, 1, 1)).uniform_(generator=source) < 1 - probability
        assert torch.equal(paths.drop(x), x * (kept.to(dtype) / (1 - probability)))


def test_ranks_share_the_draws_of_the_whole_batch() -> None:
    whole = draw_paths(3, 8, CPU, seeded())
    parts = [draw_paths(3, 4, CPU, seeded(), Group(rank, 2)) for rank in range(2)]
    assert torch.equal(torch.cat(parts, 1), whole)


def test_paths_are_drawn_from_their_generator_alone() -> None:
    state = torch.get_rng_state()
    draw_paths(2, 10, CPU, seeded())
    assert torch.equal(torch.get_rng_state(), state)
