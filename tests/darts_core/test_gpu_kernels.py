"""The GPU's kernels against torch's own operations: on a GPU where there is one, else in Triton's interpreter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from darts_core.errors import KernelError
from darts_core.models.fused.algebra import Folded, Inputs, Moments
from darts_core.models.fused.backend import CellBackend, Convolved, Filters, Mixed, Pooled
from darts_core.models.fused.cell import compute
from darts_core.models.fused.parameters import Statistics
from darts_core.models.fused.pool_algebra import FoldedPools, PoolStatistics
from darts_core.models.fused.torch_backend import TorchBackend
from darts_core.models.supernet import SearchCell
from darts_core.spaces import SPACES
from darts_core.training.matmul_precision import tf32

pytest.importorskip("triton", reason="no Triton, no GPU kernels")

import triton.language as tl

from darts_core.kernels.gpu.backend import Towards, TritonBackend
from darts_core.kernels.gpu.parts import whole
from darts_core.kernels.gpu.self_test import FLOAT32, CellShape, Precision, check_kernels

pytestmark = pytest.mark.gpu

ON_GPU = torch.cuda.is_available()
DEVICE = "cuda" if ON_GPU else "cpu"
# Tensor cores know no float64 here; the interpreter does.
TYPE, TOLERANCE = (torch.float32, 2e-5) if ON_GPU else (torch.float64, 1e-13)
SMALL = CellShape(("sep_conv_3x3", "max_pool_3x3", "skip_connect"), 1, 2, 3, 4, reduction=False)
NAMES = ("max_pool_3x3", "avg_pool_3x3")


@pytest.fixture(autouse=True)
def exact_products() -> Iterator[None]:
    with tf32(wanted=False):
        yield


def kernels(*, in_parts: bool = True) -> CellBackend:
    return TritonBackend(in_parts=in_parts)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=TYPE, device=DEVICE)


class Source:
    """A state, what its convolutions are made of, and the gradient that comes back, with gaps between images."""

    def __init__(
        self, stride: int, size: tuple[int, int], *, channels: int = 3, kernels: tuple[int, ...] = (3, 5)
    ) -> None:
        torch.manual_seed(0)
        n, edges, kinds = 2, 2, len(kernels)
        height, width = (-(-side // stride) for side in size)
        self.stride = stride
        self.s = drawn(n, channels, *size)
        first, outer, dilated = ([drawn(edges, channels, k, k) for k in kernels] for _ in range(3))
        self.filters = Filters(first, outer, dilated, stride)
        self.a, self.b = drawn(edges, kinds, channels, channels), drawn(edges, kinds, channels)
        self.last = folded(drawn(edges, 2 * kinds, channels, channels), drawn(edges, 2 * kinds, channels).double())
        self.g, self.out = (drawn(n, edges + 1, channels, height, width)[:, 1:] for _ in range(2))
        of = folded_pools(drawn(edges, 2, channels), drawn(edges, channels).double())
        self.mixed = Mixed(Pooled(drawn(n, 2, channels, height, width), torch.empty(0)), of)
        self.of_first = Inputs(
            drawn(edges, kinds, channels, channels),
            drawn(edges, kinds, channels, channels),
            drawn(edges, kinds, channels),
        )
        self.of_last = Inputs(
            drawn(edges, 2 * kinds, channels, channels),
            drawn(edges, 2 * kinds, channels, channels),
            drawn(edges, 2 * kinds, channels),
        )


def folded(matrix: Tensor, offset: Tensor) -> Folded:
    """With what the forward pass reads."""
    return Folded(matrix, offset, *[torch.empty(0)] * 6)


def folded_pools(coefficients: Tensor, bias: Tensor) -> FoldedPools:
    """With what the forward pass reads."""
    nothing = torch.empty(0)
    return FoldedPools(nothing, nothing, nothing, nothing, coefficients, bias)


def convolved(backend: CellBackend, of: Source) -> dict[str, object]:
    u, v, of_source = backend.source([of.s], of.filters, moments=True)
    y, of_v = backend.inner(u, of.a, of.b, of.filters, v, moments=True)
    out = of.out.clone()
    backend.gather(Convolved(v, of.last), of.mixed, out, add=True)
    if not backend.adds_biases:
        out += (of.last.offset.sum(1) + of.mixed.of.bias).to(TYPE)[..., None, None]
    assert of_v is not None
    return {"u": u, "v": v, "y": y, "out": out, "moments": [whole_moments(each) for each in (*of_source, of_v)]}


def whole_moments(moments: Moments) -> Moments:
    return Moments(whole(moments.total, 3), whole(moments.products, 4))


def gone_back(backend: CellBackend, of: Source, *, weights: bool) -> dict[str, object]:
    u, v, _ = TorchBackend().source([of.s], of.filters, moments=False)
    y, _ = TorchBackend().inner(u, of.a, of.b, of.filters, v, moments=False)
    towards_y, moments, outer = backend.inner_backward(of.g, v, of.of_last, y, of.b, u, of.filters, weights=weights)
    total, (products, of_pooled) = backend.products(of.g, v, of.mixed.pooled)
    found = towards_y.y.clone() if isinstance(towards_y, Towards) else towards_y
    towards_s, filters = backend.source_backward(
        towards_y, u, of.of_first, of.g, v, of.of_last, [of.s], of.filters, weights=weights
    )
    return {
        "total": of.g.sum((0, 3, 4)) if total is None else whole(total, 2),
        "products": [whole(products, 4), whole(of_pooled, 3)],
        "towards y": found,
        "moments": whole_moments(moments),
        "towards s": towards_s,
        "filters": backend.whole([*(outer or []), *(filters or [])]),
    }


def assert_alike(ours: object, truth: object, name: str = "", tolerance: float = TOLERANCE) -> None:
    if isinstance(truth, dict):
        truth, ours = list(truth.items()), list(ours.items())  # type: ignore[attr-defined]
    if isinstance(truth, (list, tuple)):
        assert isinstance(ours, (list, tuple))
        for place, (one, other) in enumerate(zip(ours, truth, strict=True)):
            assert_alike(one, other, f"{name}.{place}", tolerance)
    elif isinstance(truth, Tensor):
        assert isinstance(ours, Tensor)
        assert ours.shape == truth.shape
        error, scale = (ours - truth).abs().max(), truth.abs().max()
        assert error <= tolerance * scale, f"{name}: {error:.2e} of {scale:.2e}"
    else:
        assert ours == truth


SHORT: dict[str, Callable[[], Source]] = {
    "stride 1": lambda: Source(1, (7, 5)),
    "stride 2": lambda: Source(2, (7, 6)),
}
# Of the presets' cells; 7x7 is ImageNet's smallest map. Above 64 pixels a program has a single plane.
WIDTHS, SIDES = (16, 32, 36, 48, 64, 72, 96, 144, 192), (7, 8, 14, 16, 28, 32)
LONG: dict[str, Callable[[], Source]] = {
    "wide filters": lambda: Source(1, (9, 4), channels=1, kernels=(7,)),
    **{f"{width} channels": partial(Source, 1, (2, 1), channels=width, kernels=(3,)) for width in WIDTHS},
    **{f"{side}x{side} maps": partial(Source, 1, (side, side), channels=2) for side in SIDES},
    **{f"{side}x{side} maps, stride 2": partial(Source, 2, (side, side), channels=2) for side in SIDES},
}
SOURCES = SHORT | LONG
EACH_SOURCE = [*SHORT, *(pytest.param(name, marks=pytest.mark.slow) for name in LONG)]


@pytest.mark.parametrize("source", EACH_SOURCE)
def test_kernels_convolve_as_torch_does(source: str) -> None:
    of = SOURCES[source]()
    assert_alike(convolved(kernels(), of), convolved(TorchBackend(), of))


@pytest.mark.parametrize("source", EACH_SOURCE)
def test_kernels_go_back_as_torch_does(source: str) -> None:
    of = SOURCES[source]()
    assert_alike(gone_back(kernels(), of, weights=True), gone_back(TorchBackend(), of, weights=True))


def test_kernels_without_gradients_of_weights_give_the_maps_ones_alone() -> None:
    of = Source(1, (4, 4))
    assert_alike(gone_back(kernels(), of, weights=False), gone_back(TorchBackend(), of, weights=False))


def test_kernels_whose_sums_ranks_exchange_add_their_parts() -> None:
    of, truth = Source(1, (4, 4)), TorchBackend()
    backend = kernels(in_parts=False)
    assert_alike(convolved(backend, of), convolved(truth, of))
    assert_alike(gone_back(backend, of, weights=False), gone_back(truth, of, weights=False))
    _, _, moments = backend.source([of.s], of.filters, moments=True)
    assert [(each.total.dim(), each.total.dtype) for each in moments] == [(3, torch.float64)] * 2
    _, found = backend.pool([of.s], NAMES, 1, identity=False)
    assert_alike(tuple(found), tuple(truth.pool([of.s], NAMES, 1, identity=False)[1]))


POOLINGS = {
    "stride 1": (NAMES, 1, (7, 5)),
    "stride 2, even": (NAMES, 2, (6, 4)),
    "stride 2, odd": (NAMES[::-1], 2, (7, 5)),
    "one": (NAMES[1:], 2, (4, 5)),
    "identity": ((), 1, (4, 5)),
    **{f"stride {stride}, {side}x{side}": (NAMES, stride, (side, side)) for side in SIDES for stride in (1, 2)},
}


@pytest.mark.parametrize(
    "poolings", [pytest.param(name, marks=pytest.mark.slow) if "x" in name else name for name in POOLINGS]
)
def test_kernels_pool_as_torch_does(poolings: str) -> None:
    names, stride, size = POOLINGS[poolings]
    torch.manual_seed(0)
    identity = stride == 1
    # Whole numbers, among which there are equal ones: the first of them is the maximum.
    s = drawn(3, 2, 6, *size).round()[:, 1]
    count, height, width = len(names) + identity, *(-(-side // stride) for side in size)
    g, out = (drawn(3, 3, 6, height, width)[:, 1:] for _ in range(2))
    feedback, constant = drawn(count, 6), drawn(count, 6)
    of = folded_pools(drawn(2, count, 6), drawn(2, 6).double())
    before, factor = drawn(*s.shape), drawn(2, count).double()
    if identity:
        feedback[-1] = constant[-1] = 0

    def seen(backend: CellBackend) -> list[Tensor]:
        pooled, found = backend.pool([s], names, stride, identity=identity)
        maps = backend.folded_pools(factor, found, identities=int(identity), eps=1e-5, dtype=TYPE)
        mixed = out.clone()
        backend.gather(None, Mixed(pooled, of), mixed, add=identity)
        if not backend.adds_biases:
            mixed += of.bias.to(TYPE)[..., None, None]
        back = [
            backend.pool_backward(g, pooled, of.coefficients, feedback, constant, [s], names, stride, [into])
            for into in (None, before.clone())
        ]
        statistics = [maps.mean[:, : len(names)], maps.variance[:, : len(names)]] if names else []
        return [
            pooled.maps,
            mixed,
            *(whole(each, 3) for each in backend.products(g, None, pooled)[1]),
            *back,
            *statistics,
        ]

    assert_alike(seen(kernels()), seen(TorchBackend()))


@pytest.mark.parametrize("size", [(6, 4), (7, 5)])
@pytest.mark.parametrize("channels", [4, pytest.param(72, marks=pytest.mark.slow)])
def test_kernels_compute_factorized_reduces_as_torch_does(size: tuple[int, int], channels: int) -> None:
    torch.manual_seed(0)
    n, edges, half, halved = 2, 3, channels // 2, [-(-side // 2) for side in size]
    s, before = drawn(n, 2, channels, *size)[:, 1], drawn(n, channels, *size)
    g, out = (drawn(n, edges + 1, channels, *halved)[:, 1:] for _ in range(2))
    of = folded(drawn(edges, 2, half, channels), drawn(edges, 2, half).double())
    inputs = Inputs(drawn(edges, 2, channels, half), drawn(edges, 2, channels, channels), drawn(edges, 2, channels))
    with_running_statistics = Inputs(inputs.direct.mT.contiguous().mT, None, None)

    def seen(backend: CellBackend) -> list[object]:
        x, moments = backend.grids(s, moments=True)
        assert moments is not None
        added = out.clone()
        backend.grids_add(x, of, added)
        if not backend.adds_biases:
            added += of.offset.flatten(1).to(TYPE)[..., None, None]
        back = [
            backend.grids_backward(g, x, inputs, s, None),
            backend.grids_backward(g, x, with_running_statistics, s, before.clone()),
        ]
        return [x, whole_moments(moments), added, whole(backend.grids_products(g, x), 4), *back]

    assert_alike(seen(kernels()), seen(TorchBackend()))


@pytest.mark.parametrize(("rows", "channels"), [(6, 6), (3, 6), *((c // h, c) for c in (20, *WIDTHS) for h in (1, 2))])
@pytest.mark.parametrize("weighted", [True, False])
def test_kernels_fold_batchnorm_into_matrices_as_torch_does(rows: int, channels: int, weighted: bool) -> None:
    torch.manual_seed(0)
    weight = drawn(2, 3, rows, channels)
    maps = drawn(2, 3, channels, 50).double()
    # The sums over the pixels in parts, of which more and fewer are read at once.
    of_parts = torch.stack(torch.split(maps, 5, -1))
    moments = Moments(of_parts.sum(-1), of_parts @ of_parts.mT)
    outer = Moments(drawn(70, 2, 1, rows).double(), drawn(70, 2, 3, rows, channels + 1).double()[..., 1:])
    factor = drawn(2, 4).double()[:, 1:] if weighted else None

    def seen(backend: CellBackend, moments: Moments, outer: Moments) -> list[object]:
        of = backend.folded(weight, factor, [moments], pixels=50, eps=1e-5, dtype=TYPE)
        back = [backend.gradient_of(of, factor, outer, pixels=50, weights=kind) for kind in (TYPE, None)]
        return [*(part.to(TYPE) for part in of), *((b.factor.to(TYPE), b.weight, b.inputs) for b in back)]

    truth = seen(TorchBackend(), whole_moments(moments), whole_moments(outer))
    assert_alike(seen(kernels(), moments, outer), truth)
    assert_alike(seen(kernels(), whole_moments(moments), whole_moments(outer)), truth)


@pytest.mark.parametrize(("poolings", "identity"), [(2, True), (1, False), (0, True)])
@pytest.mark.parametrize("batch_statistics", [True, False])
@pytest.mark.parametrize("channels", [6, 144])
def test_kernels_fold_the_batchnorms_of_poolings_as_torch_does(
    poolings: int, identity: bool, batch_statistics: bool, channels: int
) -> None:
    torch.manual_seed(0)
    maps, edges = poolings + identity, 3
    mean, variance = drawn(poolings, channels).double(), drawn(poolings, channels).double().square()
    factor, total = drawn(edges, maps + 1).double()[:, 1:], drawn(70, edges, channels).double()
    products = drawn(30, edges, maps, channels).double()

    def seen(backend: CellBackend, total: Tensor, products: Tensor) -> list[Tensor]:
        found = PoolStatistics(mean, variance)
        of = backend.folded_pools(factor, found, identities=int(identity), eps=1e-5, dtype=TYPE)
        normed = poolings if batch_statistics else 0
        back = backend.gradient_of_pools(of, total, products, pixels=50, normed=normed)
        parts = (*of._replace(variance=of.variance[:, :poolings]), *back)
        return [part.to(TYPE) for part in parts if part.numel()]

    truth = seen(TorchBackend(), total.sum(0), products.sum(0))
    assert_alike(seen(kernels(), total, products), truth)
    assert_alike(seen(kernels(), total.sum(0), products.sum(0)), truth)


def test_kernels_track_statistics_as_batchnorm_does() -> None:
    from darts_core.kernels.gpu.statistics import track

    torch.manual_seed(0)
    means, variances, counts = drawn(300, 3), drawn(300, 3), torch.full((300, 1), 4, device=DEVICE)
    mean, variance = drawn(300, 4)[:, 1:], drawn(300, 3)
    truth = [means.lerp(mean, 0.125), variances.lerp(1.25 * variance, 0.125), counts + 1]
    track((means, variances, counts), mean, variance, 0.125, 1.25)
    assert_alike([means, variances, counts], truth)


DARTS = SPACES["darts"].primitives
CELLS: dict[str, dict[str, Any]] = {
    "normal": {},
    "reduction": {"reduction": True},
    "partial channels": {"partial": 2, "reduction": True},
    "poolings": {"primitives": ("max_pool_3x3", "none", "avg_pool_3x3")},
    "dilated": {"primitives": ("dil_conv_3x3", "skip_connect"), "reduction": True},
    "own lists": {"lists": [DARTS[:5], DARTS[1:], DARTS[:5], DARTS[3:], DARTS[2:7]]},
}
WHOLE = {"normal", "reduction", "partial channels", "own lists"}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "cell", [pytest.param(name, marks=pytest.mark.slow) if name in WHOLE else name for name in CELLS]
)
def test_kernels_compute_cells_as_torch_does(cell: str, training: bool) -> None:
    options = {"primitives": DARTS, "reduction": False, **CELLS[cell]}
    torch.manual_seed(0)
    of = SearchCell(nodes=2, older=4, newer=4, channels=4, after_reduction=False, fused=True, **options)
    of.to(DEVICE, TYPE).train(training)
    states, w = drawn(2, 2, 4, 4, 3), torch.rand(5, len(options["primitives"]), dtype=TYPE, device=DEVICE)
    edge_weights = torch.rand(5, dtype=TYPE, device=DEVICE)
    fused = of.fused
    assert fused is not None
    parameters = list(fused.parameters(of))

    def seen(backend: CellBackend) -> list[object]:
        older, newer, *tables = (each.detach().requires_grad_() for each in (*states, w, edge_weights))
        plan = fused.plan(of, older, backend)
        out = compute(plan, older, newer, *tables, track=False)
        inputs = [older, newer, tables[0], *parameters, *(tables[1:] if of.partial > 1 else [])]
        gradients = torch.autograd.grad(
            out, inputs, torch.linspace(-1, 1, out.numel(), dtype=TYPE).view_as(out).to(DEVICE)
        )
        # Together: the mean of a normalised map is nothing but rounding.
        found = {id(norm): torch.stack(pair) for each in plan.found for norm, *pair in by_norm(each)}
        return [out, *gradients, *(found[id(norm)] for norm in of.modules() if id(norm) in found)]

    joined = len(fused.plan(of, states[0], kernels()).settings)
    assert joined == len(fused.plan(of, states[0], TorchBackend()).settings) - (cell != "own lists")
    # BatchNorms over eight numbers make much of the last bit.
    assert_alike(seen(kernels()), seen(TorchBackend()), tolerance=5e-3 if ON_GPU else 1e-9)


def by_norm(of: Statistics) -> Iterator[tuple[torch.nn.Module, Tensor, Tensor]]:
    return zip(of.norms, of.mean.flatten(0, 1), of.variance.flatten(0, 1), strict=True)


BF16 = Precision(torch.bfloat16, tf32=True)


@pytest.fixture
def bf16_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Triton's interpreter multiply bf16 numbers, whose bits it takes for integers."""
    if ON_GPU:
        return
    from triton.runtime import interpreter

    dot = interpreter.InterpreterBuilder.create_dot

    def number(x: Any) -> Any:
        if x.dtype.scalar != tl.bfloat16:
            return x
        data = interpreter._convert_float(x.data, tl.bfloat16, tl.float32, None).view(np.float32)
        return interpreter.TensorHandle(data, tl.float32)

    monkeypatch.setattr(
        interpreter.InterpreterBuilder, "create_dot", lambda self, a, b, *rest: dot(self, number(a), number(b), *rest)
    )


@pytest.mark.slow
@pytest.mark.usefixtures("bf16_products")
@pytest.mark.parametrize("reduction", [False, True])
def test_kernels_pass_the_self_test_that_decides_whether_they_are_used(reduction: bool) -> None:
    shape = replace(SMALL, nodes=2, channels=6, height=8, width=7, reduction=reduction)
    check_kernels(torch.device(DEVICE), [shape], [FLOAT32, BF16])


class Wrong(TritonBackend):
    """A node of the last edge is two per cent too large."""

    def gather(self, convolved: Convolved | None, mixed: Mixed | None, out: Tensor, *, add: bool) -> None:
        """See `CellBackend`."""
        assert convolved is not None
        of = convolved.of
        by_edge = torch.linspace(1, 1.02, len(of.matrix), device=out.device)[:, None, None, None]
        wrong = convolved._replace(of=of._replace(matrix=of.matrix * by_edge))
        super().gather(wrong, mixed, out, add=add)


@pytest.mark.slow
def test_a_wrong_kernel_fails_the_self_test() -> None:
    with pytest.raises(KernelError, match=r"normal cell of 2 channels on 3x4 maps, float32, training, number 0"):
        check_kernels(torch.device(DEVICE), [replace(SMALL, nodes=2)], [FLOAT32], Wrong())
