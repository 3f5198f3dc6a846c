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
from darts_core.models.fused.algebra import Inputs, Moments
from darts_core.models.fused.backend import CellBackend, Filters
from darts_core.models.fused.torch_backend import TorchBackend
from darts_core.training.matmul_precision import tf32

pytest.importorskip("triton", reason="no Triton, no GPU kernels")

import triton.language as tl

from darts_core.kernels.gpu.backend import TritonBackend
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


def kernels() -> CellBackend:
    return TritonBackend()


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
        self.last = drawn(edges, 2 * kinds, channels, channels)
        self.g, self.out = (drawn(n, edges + 1, channels, height, width)[:, 1:] for _ in range(2))
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


def convolved(backend: CellBackend, of: Source) -> dict[str, object]:
    u, v, moments = backend.source(of.s, of.filters, moments=True)
    y, of_v = backend.inner(u, of.a, of.b, of.filters, v, moments=True)
    out = of.out.clone()
    backend.gather(v, of.last, out)
    return {"u": u, "v": v, "moments": moments, "y": y, "moments of v": of_v, "out": out}


def gone_back(backend: CellBackend, of: Source, *, weights: bool) -> dict[str, object]:
    u, v, _ = TorchBackend().source(of.s, of.filters, moments=False)
    y, _ = TorchBackend().inner(u, of.a, of.b, of.filters, v, moments=False)
    towards_y, moments, outer = backend.inner_backward(of.g, v, of.of_last, y, of.b, u, of.filters, weights=weights)
    source = backend.source_backward(y, u, of.of_first, of.g, v, of.of_last, of.s, of.filters, weights=weights)
    return {
        "products": backend.products(of.g, v),
        "towards y": towards_y,
        "moments": moments,
        "outer": outer,
        "source": source,
    }


def assert_alike(ours: object, truth: object, name: str = "") -> None:
    if isinstance(truth, dict):
        truth, ours = list(truth.items()), list(ours.items())  # type: ignore[attr-defined]
    if isinstance(truth, (list, tuple)):
        assert isinstance(ours, (list, tuple))
        for place, (one, other) in enumerate(zip(ours, truth, strict=True)):
            assert_alike(one, other, f"{name}.{place}")
    elif isinstance(truth, Tensor):
        assert isinstance(ours, Tensor)
        assert ours.shape == truth.shape
        error, scale = (ours - truth).abs().max(), truth.abs().max()
        assert error <= TOLERANCE * scale, f"{name}: {error:.2e} of {scale:.2e}"
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
    coefficients, feedback, constant = drawn(2, count, 6), drawn(count, 6), drawn(count, 6)
    if identity:
        feedback[-1] = constant[-1] = 0

    def seen(backend: CellBackend) -> list[Tensor]:
        pooled, mean, variance = backend.pool(s, names, stride, identity=identity)
        mixed = out.clone()
        backend.mix(pooled, coefficients, mixed)
        back = backend.pool_backward(g, pooled, coefficients, feedback, constant, s, names, stride)
        found = [pooled.maps, mixed, backend.mix_products(g, pooled), back]
        return found + ([mean, variance] if names else [])

    assert_alike(seen(kernels()), seen(TorchBackend()))


@pytest.mark.parametrize(("rows", "channels"), [(6, 6), (3, 6), *((c // h, c) for c in (20, *WIDTHS) for h in (1, 2))])
@pytest.mark.parametrize("weighted", [True, False])
def test_kernels_fold_batchnorm_into_matrices_as_torch_does(rows: int, channels: int, weighted: bool) -> None:
    torch.manual_seed(0)
    weight = drawn(2, 3, rows, channels)
    maps = drawn(2, 3, channels, 50).double()
    moments = Moments(maps.sum(-1), maps @ maps.mT)
    outer = Moments(drawn(2, 1, rows).double(), drawn(2, 3, rows, channels + 1).double()[..., 1:])
    factor = drawn(2, 4).double()[:, 1:] if weighted else None

    def seen(backend: CellBackend) -> list[object]:
        of = backend.folded(weight, factor, moments, pixels=50, eps=1e-5, dtype=TYPE)
        back = [backend.gradient_of(of, factor, outer, pixels=50, weights=kind) for kind in (TYPE, None)]
        return [*(part.to(TYPE) for part in of), *((b.factor.to(TYPE), b.weight, b.inputs) for b in back)]

    assert_alike(seen(kernels()), seen(TorchBackend()))


@pytest.mark.parametrize(("poolings", "identity"), [(2, True), (1, False), (0, True)])
@pytest.mark.parametrize("batch_statistics", [True, False])
@pytest.mark.parametrize("channels", [6, 144])
def test_kernels_fold_the_batchnorms_of_poolings_as_torch_does(
    poolings: int, identity: bool, batch_statistics: bool, channels: int
) -> None:
    torch.manual_seed(0)
    maps, edges = poolings + identity, 3
    mean, variance = drawn(poolings, channels).double(), drawn(poolings, channels).double().square()
    factor, total = drawn(edges, maps + 1).double()[:, 1:], drawn(edges, channels).double()
    products = drawn(edges, maps, channels).double()

    def seen(backend: CellBackend) -> list[Tensor]:
        of_edges = (x.expand(edges, -1, -1) for x in (mean, variance))
        of = backend.folded_pools(factor, *of_edges, identity=identity, eps=1e-5, dtype=TYPE)
        normed = poolings if batch_statistics else 0
        back = backend.gradient_of_pools(of, total, products, pixels=50, normed=normed)
        return [part.to(TYPE) for part in (*of, *back)]

    assert_alike(seen(kernels()), seen(TorchBackend()))


def test_kernels_track_statistics_as_batchnorm_does() -> None:
    from darts_core.kernels.gpu.statistics import track

    torch.manual_seed(0)
    means, variances, counts = drawn(300, 3), drawn(300, 3), torch.full((300, 1), 4, device=DEVICE)
    mean, variance = drawn(300, 4)[:, 1:], drawn(300, 3)
    truth = [means.lerp(mean, 0.125), variances.lerp(1.25 * variance, 0.125), counts + 1]
    track((means, variances, counts), mean, variance, 0.125, 1.25)
    assert_alike([means, variances, counts], truth)


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

    def gather(self, v: Tensor, a: Tensor, out: Tensor) -> None:
        """See `CellBackend`."""
        super().gather(v, a * torch.linspace(1, 1.02, len(a), device=a.device)[:, None, None, None], out)


@pytest.mark.slow
def test_a_wrong_kernel_fails_the_self_test() -> None:
    with pytest.raises(KernelError, match=r"normal cell of 2 channels on 3x4 maps, float32, training, number 0"):
        check_kernels(torch.device(DEVICE), [replace(SMALL, nodes=2)], [FLOAT32], Wrong())
