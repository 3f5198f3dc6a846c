"""Two and four ranks take the steps of one, with BatchNorm over the whole batch: gloo, float64."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from torch import Tensor

from darts_core.configs.common import check_shares
from darts_core.distributed.group import Group
from darts_core.errors import ConfigError
from tests.support import ranks as program
from tests.support.ranks import Seen

pytestmark = pytest.mark.slow

STEPPING = ("order 1", "order 2", "evaluation")


@pytest.fixture(scope="module", params=[2, 4])
def ranks(request: pytest.FixtureRequest, data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Seen]:
    """What each of so many ranks saw."""
    return program.on_ranks(request.param, tmp_path_factory.mktemp("ranks"), data_root)


@pytest.fixture(scope="module")
def alone(data_root: Path) -> Seen:
    """What one process saw on the whole batches."""
    return program.everything(data_root)


def assert_close(ours: dict[str, Tensor], truth: dict[str, Tensor], tolerance: float) -> None:
    """Relative to each tensor's largest magnitude; the mean of a normalised map is nothing but rounding."""
    assert ours.keys() == truth.keys()
    for name, value in truth.items():
        scale = value.abs().max()
        if name.endswith("running_mean"):
            scale = scale.maximum(truth[name.replace("running_mean", "running_var")].max().sqrt())
        assert (ours[name] - value).abs().max() <= tolerance * scale, name


@pytest.mark.parametrize("kind", STEPPING)
def test_ranks_are_equal_bit_for_bit_after_every_step(kind: str, ranks: list[Seen]) -> None:
    """Alphas, weights and BatchNorm's running statistics, though each rank saw other images."""
    first, *others = (seen[kind]["steps"] for seen in ranks)
    assert len(first) == program.STEPS
    for other in others:
        for mine, its in zip(first, other, strict=True):
            assert mine.keys() == its.keys()
            assert [name for name in mine if not torch.equal(mine[name], its[name])] == []


@pytest.mark.parametrize("order", [1, 2])
def test_alphas_move_in_every_step(order: int, ranks: list[Seen]) -> None:
    """Or their being equal would show nothing."""
    steps = ranks[0][f"order {order}"]["steps"]
    for before, after in itertools.pairwise(steps):
        assert ((before["normal"] - after["normal"]).abs().amax(dim=1) > 0).all()


@pytest.mark.parametrize("kind", STEPPING)
def test_ranks_take_the_steps_of_one_process_on_the_same_batches(kind: str, ranks: list[Seen], alone: Seen) -> None:
    """Full ones and a smaller one at a pass's end."""
    for together, by_itself in zip(ranks[0][kind]["steps"], alone[kind]["steps"], strict=True):
        assert_close(together, by_itself, 1e-10)


def test_gradients_and_statistics_are_those_of_one_process(ranks: list[Seen], alone: Seen) -> None:
    """Loss, gradients of alphas and weights, and running statistics, in each arrangement."""
    kinds = [kind for kind in program.kinds(len(ranks)) if not kind.startswith("unequal")]
    assert "darts, torch" in kinds
    for kind, seen in itertools.product(kinds, ranks):
        assert_close(seen[kind], alone[kind], 1e-12)


def test_fused_ranks_give_the_numbers_of_plain_ones(ranks: list[Seen]) -> None:
    seen = ranks[0]
    pairs = [(kind, f"{kind.split(', ')[0]}, plain") for kind in program.kinds(len(ranks))]
    assert ("darts, torch", "darts, plain") in pairs
    for ours, plain in pairs:
        if plain in seen:
            assert_close(seen[ours], seen[plain], 1e-12)


def test_ranks_with_different_numbers_of_images_give_the_numbers_of_one_process(ranks: list[Seen], alone: Seen) -> None:
    for seen in ranks:
        assert_close(seen["unequal, channels-last"], alone["darts, channels-last"], 1e-12)


def test_shares_are_disjoint_equal_and_cover_the_batch_but_for_a_remainder() -> None:
    batch = torch.arange(11)
    shares = [Group(rank, 3).share(batch).tolist() for rank in range(3)]
    assert shares == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


@pytest.mark.parametrize(("batch_size", "gpus"), [(7, 2), (2, 2), (9, 4)])
def test_batch_that_cannot_be_shared_evenly_is_refused(batch_size: int, gpus: int) -> None:
    with pytest.raises(ConfigError, match=f"batch_size: {batch_size} images cannot be shared by {gpus} GPUs"):
        check_shares(batch_size, gpus)
