"""BatchNorm over the batch of several ranks: its numbers, the exchanges of sums, and questions to the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from darts_core.bilevel.architect import Architect
from darts_core.bilevel.flat import FlatSGD, FlatWeights
from darts_core.bilevel.step import search_step, weight_gradient
from darts_core.data.batches import Batch
from darts_core.distributed.batch_norm import WholeBatchNorm2d, synchronise
from darts_core.kernels import loader
from darts_core.models.supernet import SearchNetwork
from darts_core.spaces import SPACES
from tests.support.twins import Twins

SHAPE = (3, 4, 5, 6)


def norms(*, affine: bool, dtype: torch.dtype, group: Twins | None = None) -> tuple[nn.BatchNorm2d, WholeBatchNorm2d]:
    """torch's own and ours, with equal parameters and statistics."""
    torch.manual_seed(0)
    own = nn.BatchNorm2d(SHAPE[1], affine=affine).to(dtype)
    other = nn.BatchNorm2d(SHAPE[1], affine=affine).to(dtype)
    if affine:
        nn.init.normal_(own.weight)
        nn.init.normal_(own.bias)
    other.load_state_dict(own.state_dict())
    return own, WholeBatchNorm2d(other, group or Twins())


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 2e-5)])
def test_it_gives_the_numbers_of_batch_norm_on_the_images_of_both(
    affine: bool, layout: torch.memory_format, dtype: torch.dtype, tolerance: float
) -> None:
    own, ours = norms(affine=affine, dtype=dtype)
    x = (3 + torch.randn(SHAPE, dtype=dtype)).contiguous(memory_format=layout)
    g = torch.randn(SHAPE, dtype=dtype)
    both, mine = torch.cat([x, x]).requires_grad_(), x.clone().requires_grad_()
    truth, out = own(both), ours(mine)
    truth.backward(torch.cat([g, g]))
    out.backward(g)
    assert out.is_contiguous(memory_format=layout)
    torch.testing.assert_close(out, truth[: len(x)], rtol=tolerance, atol=tolerance)
    assert both.grad is not None
    torch.testing.assert_close(mine.grad, both.grad[: len(x)], rtol=tolerance, atol=tolerance)
    for parameter, weight in zip(ours.parameters(), own.parameters(), strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(2 * parameter.grad, weight.grad, rtol=tolerance, atol=tolerance)
    for buffer, theirs in zip(ours.buffers(), own.buffers(), strict=True):
        torch.testing.assert_close(buffer, theirs, rtol=tolerance, atol=tolerance)


def test_bf16_maps_keep_their_type_and_their_statistics_do_not_round() -> None:
    own, ours = norms(affine=True, dtype=torch.float32)
    x = (3 + torch.randn(SHAPE)).bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        out = ours(x)
    out.backward(torch.randn(SHAPE).bfloat16())
    assert out.dtype == torch.bfloat16
    assert x.grad is not None
    assert x.grad.dtype == torch.bfloat16
    own(torch.cat([x, x]).detach().float())
    for buffer, theirs in zip(ours.buffers(), own.buffers(), strict=True):
        torch.testing.assert_close(buffer, theirs, rtol=1e-5, atol=1e-6)


def test_in_evaluation_mode_it_is_batch_norm() -> None:
    group = Twins()
    own, ours = (norm.eval() for norm in norms(affine=True, dtype=torch.float32, group=group))
    x = torch.randn(SHAPE)
    assert torch.equal(own(x), ours(x))
    assert group.exchanged == []


def test_statistics_that_are_not_tracked_stay() -> None:
    _, ours = norms(affine=False, dtype=torch.float32)
    ours.track_running_stats = False
    before = {name: buffer.clone() for name, buffer in ours.named_buffers()}
    ours(torch.randn(SHAPE))
    assert all(torch.equal(buffer, before[name]) for name, buffer in ours.named_buffers())


def network_of(group: Twins, primitives: Sequence[str], *, fused: bool = True) -> SearchNetwork:
    torch.manual_seed(0)
    network = SearchNetwork(
        primitives, channels=4, layers=3, reductions=[1], nodes=2, classes=3, image_channels=2, fused=fused
    ).double()
    synchronise(network, group)
    return network


def batch_of(count: int = 4) -> Batch:
    source = torch.Generator().manual_seed(1)
    images = torch.randn(count, 2, 8, 8, generator=source, dtype=torch.float64)
    return Batch(images, torch.randint(3, (count,), generator=source))


def test_keys_and_values_of_the_state_stay_the_same() -> None:
    plain = network_of(Twins(size=1), SPACES["darts"].primitives)
    shared = network_of(Twins(), SPACES["darts"].primitives)
    assert not any(isinstance(module, WholeBatchNorm2d) for module in plain.modules())
    assert not any(type(module) is nn.BatchNorm2d for module in shared.modules())
    before, after = plain.state_dict(), shared.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("primitives", "most"),
    [(SPACES["darts"].primitives, 2), (["dil_conv_3x3", "max_pool_3x3", "skip_connect"], 1), (["skip_connect"], 0)],
)
def test_a_source_exchanges_its_sums_twice_each_way_at_most(
    primitives: Sequence[str], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cells 0 and 2 of 3 have 3 sources of stride 1; both inputs of the reduction cell have a BatchNorm in any case."""
    monkeypatch.setattr(loader, "available", lambda *_: False)
    group = Twins()
    network, batch = network_of(group, primitives), batch_of()
    loss = F.cross_entropy(network(batch.images), batch.labels)
    # The stem and two input layers a cell have BatchNorms of their own.
    others = 1 + 2 * 3
    reducing = 2 * max(most, 1) + most
    assert len(group.exchanged) - others == 2 * 3 * most + reducing
    group.exchanged.clear()
    torch.autograd.grad(loss, network.weights(), allow_unused=True)
    assert len(group.exchanged) - others == 2 * 3 * most + reducing


class Questions(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Raises for operations that make the CPU wait for a GPU's numbers."""

    WAITING = (
        torch.ops.aten._local_scalar_dense.default,
        torch.ops.aten.nonzero.default,
        torch.ops.aten.masked_select.default,
        torch.ops.aten.equal.default,
    )

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        assert func not in self.WAITING, func
        if func is torch.ops.aten.index.Tensor:
            assert all(place is None or place.dtype != torch.bool for place in args[1]), func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("order", [1, 2])
def test_gradients_of_several_ranks_ask_nothing_of_the_device(
    order: int, fused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CUDA graph could not hold a question."""
    monkeypatch.setattr(loader, "available", lambda *_: False)
    group = Twins()
    network, batch = network_of(group, SPACES["darts"].primitives, fused=fused), batch_of()
    optimizer = FlatSGD(FlatWeights(network), lr=0.025, momentum=0.9, weight_decay=3e-4)
    architect = Architect(network, optimizer, order=order, lr=3e-3, weight_decay=1e-3, group=group)  # type: ignore[arg-type]
    search_step(network, architect, optimizer, batch, batch, 5.0, group)
    with Questions():  # type: ignore[no-untyped-call]
        architect.gradient(batch, batch)
        weight_gradient(network, optimizer, batch, 5.0, group)


def test_means_are_views_of_one_buffer_in_the_layout_of_what_was_given() -> None:
    torch.manual_seed(0)
    given = [
        torch.randn(4, 3, 3, 2).to(memory_format=torch.channels_last),
        torch.randn(4, 1, 3, 3).to(memory_format=torch.channels_last),
        torch.randn(5, 2),
        torch.randn(()),
        torch.randn(4, 6)[:, ::2],
    ]
    group = Twins()
    means = group.mean(given)
    assert group.exchanged == [sum(tensor.numel() for tensor in given)]
    for mean, tensor in zip(means, given, strict=True):
        assert torch.equal(mean, tensor)
    assert [mean.stride() for mean in means[:4]] == [tensor.stride() for tensor in given[:4]]
    assert len({mean.untyped_storage().data_ptr() for mean in means}) == 1
    assert {tensor.untyped_storage().data_ptr() for tensor in given}.isdisjoint(
        mean.untyped_storage().data_ptr() for mean in means
    )


def test_means_of_several_types_keep_them() -> None:
    given = [torch.ones(2), torch.ones(3, dtype=torch.float64), torch.full((1,), 2.0)]
    means = Twins().mean(given)
    assert [mean.dtype for mean in means] == [tensor.dtype for tensor in given]
    assert [mean.tolist() for mean in means] == [[1, 1], [1, 1, 1], [2]]
