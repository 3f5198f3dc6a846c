"""The GPU's kernels of recurrent cells, in Triton's interpreter where there is no GPU; and when a search uses them.

`test_recurrent_kernels` compares whole networks in float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from darts_core.configs import RnnSearchConfig
from darts_core.errors import KernelError
from darts_core.kernels import gpu
from darts_core.kernels.gpu import recurrent
from darts_core.kernels.gpu.recurrent.start import cell_of, enable_recurrent_kernels
from darts_core.kernels.library import SWITCH
from darts_core.models.recurrent.gpu_sequence import Plan, run_on_gpu
from darts_core.models.recurrent.mixture import Mixture
from darts_core.primitives import RNN_PRIMITIVES
from tests.support.rounding import sum_tolerance
from tests.support.self_test_checks import Checks

self_test = pytest.importorskip("darts_core.kernels.gpu.recurrent.self_test", reason="no Triton, no GPU kernels")
steps = pytest.importorskip("darts_core.kernels.gpu.recurrent.steps", reason="no Triton, no GPU kernels")

ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")
TYPE = torch.float32 if ON_GPU else torch.float64  # as the interpreter computes it, too
GPU = torch.device("cuda")  # of which the start asks nothing
SMALL = self_test.CellShape(RNN_PRIMITIVES, 3, 2, (5, 1))


@pytest.fixture(autouse=True)
def afterwards_none(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(SWITCH, raising=False)  # these tests may run with the kernels switched off
    yield
    recurrent.disable()


@pytest.mark.gpu
def test_kernels_pass_the_self_test_that_decides_whether_they_are_used() -> None:
    self_test.check_recurrent_kernels(DEVICE, SMALL)


@pytest.mark.gpu
@pytest.mark.parametrize("edge", [0, 1, 2])
def test_a_wrong_kernel_fails_the_self_test(edge: int) -> None:
    def wrong(plan: Plan, x: Tensor, hidden: Tensor, shares: Tensor, w0: Tensor, ws: tuple[Tensor, ...]) -> Tensor:
        factors = shares.new_ones(len(shares), 1)
        factors[edge] = 1.3
        return run_on_gpu(plan, x, hidden, factors * shares, w0, ws)

    with pytest.raises(KernelError, match="recurrent cell of 3 units, 5 columns, training, number "):
        self_test.check_recurrent_kernels(DEVICE, SMALL, wrong)


@pytest.mark.gpu
@pytest.mark.skipif(not ON_GPU, reason="no CUDA device here")
@pytest.mark.parametrize("batches", [(256, 10), (1024, 1), (100, 33)])
def test_kernels_pass_it_in_the_presets_shapes(batches: tuple[int, int]) -> None:
    self_test.check_recurrent_kernels(DEVICE, self_test.CellShape(RNN_PRIMITIVES, 300, 8, batches))


@pytest.mark.gpu
def test_kernels_compute_large_small_and_odd_numbers_as_torch_does() -> None:
    odd = [0, 1e-30, -1e-7, 1e-4, -0.3, 17, -17, 44, -44, 80, -80, 400, -400, 1e4, -1e4, torch.nan]
    numbers = torch.tensor(odd, dtype=TYPE, device=DEVICE)
    gates = numbers[:-1].expand(16, 15).contiguous()
    candidates = numbers[:, None].expand(16, 15).contiguous()
    state = torch.linspace(-2, 2, gates.numel(), dtype=TYPE, device=DEVICE).view_as(gates)
    shares = torch.tensor([[0.1, 0.2, 0.3, 0.15, 0.25]], dtype=TYPE, device=DEVICE)

    product, sums = torch.stack([gates, candidates])[None], torch.zeros_like(state)[None]
    mixture = Mixture(RNN_PRIMITIVES, shares)
    mixture.forward(state, product, sums)
    truth = [sums[0], mixture.backward(torch.ones_like(sums), state, product, None), product]

    table = torch.cat([shares[:, 1:], shares[:, 1:].sum(1, keepdim=True)], 1)
    product = torch.stack([gates, candidates])[None]
    out, following, masked, of_output = torch.zeros(4, 16, 15, dtype=TYPE, device=DEVICE)
    sums = torch.zeros_like(out)[None]
    none, one = torch.zeros(16, 1, dtype=TYPE, device=DEVICE), torch.ones(16, 1, dtype=TYPE, device=DEVICE)
    norm = steps.Norm(none, none, one, eps=1e-5, training=False)
    steps.mix(0, product, state, table, sums, None, norm, following, masked, out)
    carried = steps.Carried(torch.zeros_like(out), torch.zeros_like(out))
    ones = torch.ones_like(out)
    steps.mix_backward(0, product, state, table, sums, None, norm, following, carried, ones, of_output, None)

    # A candidate is a share times a gate times an activation's distance from the state: at most eight roundings.
    tolerance = sum_tolerance(8 * len(RNN_PRIMITIVES), TYPE)
    torch.testing.assert_close(
        [following, carried.past, product], truth, rtol=tolerance, atol=tolerance, equal_nan=True
    )


def spec(**values: Any) -> RnnSearchConfig:
    return RnnSearchConfig(**{"dataset": "ptb", **values}).resolved()


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Checks:
    found = Checks()
    monkeypatch.setattr(self_test, "check_recurrent_kernels", found)
    monkeypatch.setattr("darts_core.kernels.gpu.recurrent.start._passed", set())
    return found


def enable(config: RnnSearchConfig) -> bool:
    enable_recurrent_kernels(config, GPU)
    return recurrent.available()


def test_the_self_test_has_the_cell_and_both_numbers_of_columns_of_the_search() -> None:
    assert cell_of(spec(nodes=4, hidden_size=30)) == (RNN_PRIMITIVES, 30, 4, (256, 10))


def test_a_failure_is_tried_again_by_the_next_run(checks: Checks) -> None:
    (triton_error,) = gpu.compile_errors()
    checks.error = triton_error("disk full\na listing")
    assert not enable(spec())
    assert recurrent.failure() == "the GPU kernels failed their self-test: TritonError: disk full"
    checks.error = None
    assert enable(spec())
    assert recurrent.failure() is None


def test_what_passed_is_not_tested_again_but_other_shapes_are(checks: Checks) -> None:
    for config in (spec(), spec(seed=1), spec(hidden_size=200)):
        assert enable(config)
    assert checks.count == 2


def test_kernels_that_are_not_wanted_are_no_failure(checks: Checks, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not enable(spec(batch_size=1025))
    monkeypatch.setenv(SWITCH, "off")
    assert not enable(spec())
    assert (checks.count, recurrent.failure()) == (0, None)


class OnGpu:
    """As much of a window on a GPU as its device and shape."""

    is_cuda = True

    def __init__(self, *shape: int, itemsize: int = 4) -> None:
        self.shape, self.itemsize = shape, itemsize


def test_kernels_serve_the_windows_that_were_tested_alone(checks: Checks) -> None:
    enable(spec(validation_batch_size=2000))
    assert recurrent.serves(OnGpu(35, 256, 300))  # type: ignore[arg-type]
    others = [
        torch.zeros(35, 256, 300),
        OnGpu(35, 256, 300, itemsize=8),
        OnGpu(35, 128, 300),
        OnGpu(35, 256, 200),
        OnGpu(35, 2000, 300),
    ]
    assert [window for window in others if recurrent.serves(window)] == []  # type: ignore[arg-type]
