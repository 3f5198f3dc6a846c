"""Two ranks take the steps of one: gloo, two processes, float64."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from darts_core.configs.common import check_shares
from darts_core.distributed.group import Group
from darts_core.errors import ConfigError
from tests.support import two_ranks

pytestmark = pytest.mark.slow

Seen = dict[str, Any]
KINDS = ("order 1", "order 2", "evaluation")


@pytest.fixture(scope="module")
def ranks(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Seen, Seen]:
    """What each of two ranks saw."""
    folder = tmp_path_factory.mktemp("ranks")
    program = [sys.executable, "-m", two_ranks.__name__]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    both = [subprocess.Popen([*program, str(rank), str(folder), str(data_root)], env=environment) for rank in (0, 1)]
    try:
        assert [process.wait(280) for process in both] == [0, 0]
    finally:
        for process in both:
            process.kill()
    return torch.load(folder / "0.pt", weights_only=True), torch.load(folder / "1.pt", weights_only=True)


@pytest.fixture(scope="module")
def alone(data_root: Path) -> Seen:
    """What one process saw on the whole batches."""
    return two_ranks.everything(data_root)


def assert_close(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", [*KINDS, *(f"frozen/{kind}" for kind in KINDS)])
def test_ranks_are_equal_bit_for_bit_after_every_step(kind: str, ranks: tuple[Seen, Seen]) -> None:
    """Alphas, weights and BatchNorm's running statistics, though each rank saw other images."""
    first, second = (seen[kind]["steps"] for seen in ranks)
    assert len(first) == two_ranks.STEPS
    for mine, other in zip(first, second, strict=True):
        assert mine.keys() == other.keys()
        assert [name for name in mine if not torch.equal(mine[name], other[name])] == []


@pytest.mark.parametrize("order", [1, 2])
def test_alphas_move_in_every_step(order: int, ranks: tuple[Seen, Seen]) -> None:
    """Or their being equal would show nothing."""
    steps = ranks[0][f"order {order}"]["steps"]
    for before, after in itertools.pairwise(steps):
        assert ((before["normal"] - after["normal"]).abs().amax(dim=1) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_two_ranks_take_the_steps_of_one_process_on_the_same_batches(
    kind: str, ranks: tuple[Seen, Seen], alone: Seen
) -> None:
    """BatchNorm in evaluation mode: in training mode each rank on a CPU has the statistics of its own images."""
    for together, by_itself in zip(ranks[0][f"frozen/{kind}"]["steps"], alone[f"frozen/{kind}"]["steps"], strict=True):
        assert_close(together, by_itself)


def test_first_order_alpha_gradient_is_the_mean_of_the_ranks_own(ranks: tuple[Seen, Seen]) -> None:
    own = [seen["order 1"]["own_gradient"] for seen in ranks]
    for mean, first, second in zip(ranks[0]["order 1"]["gradient"], *own, strict=True):
        assert not torch.allclose(first, second)
        torch.testing.assert_close(mean, (first + second) / 2, rtol=1e-12, atol=0)


def test_second_order_differs_from_the_mean_of_the_ranks_own(ranks: tuple[Seen, Seen]) -> None:
    """It isn't linear in the batch: averaging at its end alone would be another gradient."""
    own = [seen["frozen/order 2"]["own_gradient"] for seen in ranks]
    mean, first, second = ranks[0]["frozen/order 2"]["gradient"][0], own[0][0], own[1][0]
    assert not torch.allclose(mean, (first + second) / 2, rtol=1e-6)


@pytest.mark.parametrize("order", [1, 2])
def test_alpha_gradient_is_that_of_one_process(order: int, ranks: tuple[Seen, Seen], alone: Seen) -> None:
    kind = f"frozen/order {order}"
    for together, by_itself in zip(ranks[1][kind]["gradient"], alone[kind]["gradient"], strict=True):
        torch.testing.assert_close(together, by_itself, rtol=1e-9, atol=1e-12)


def test_shares_are_disjoint_equal_and_cover_the_batch_but_for_a_remainder() -> None:
    batch = torch.arange(11)
    shares = [Group(rank, 3).share(batch).tolist() for rank in range(3)]
    assert shares == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


@pytest.mark.parametrize(("batch_size", "gpus"), [(7, 2), (2, 2), (9, 4)])
def test_batch_that_cannot_be_shared_evenly_is_refused(batch_size: int, gpus: int) -> None:
    with pytest.raises(ConfigError, match=f"batch_size: {batch_size} images cannot be shared by {gpus} GPUs"):
        check_shares(batch_size, gpus)
