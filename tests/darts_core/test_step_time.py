"""Where the time of a training step goes: sums of a recording, and the figures of a small step."""

from __future__ import annotations

import pytest
import torch

from darts_core.errors import DataError
from darts_core.genotypes import KNOWN
from darts_core.profile import shape_of
from darts_core.profile.step_time import StepTime, profiled_config, step_time
from darts_core.profile.timeline import Event, Operation, timeline

MS = 1_000_000


def test_an_operation_has_its_time_without_those_inside_it() -> None:
    found = timeline([Event("b", 2 * MS, 3 * MS), Event("a", 0, 10 * MS), Event("b", 5 * MS, 9 * MS)])
    assert found.operations == (Operation("a", 1, 5.0), Operation("b", 2, 5.0))
    assert (found.busy, found.calls) == (10.0, 3)


def test_time_is_busy_once_however_many_kernels_overlap() -> None:
    found = timeline([Event("a", 0, 4 * MS), Event("b", 2 * MS, 6 * MS), Event("c", 3 * MS, 5 * MS)])
    assert found.busy == 6.0
    assert sum(operation.milliseconds for operation in found.operations) == 6.0


def test_gaps_belong_to_no_operation() -> None:
    found = timeline([Event("a", MS, 2 * MS), Event("a", 5 * MS, 7 * MS), Event("empty", 6 * MS, 6 * MS)])
    assert found.busy == 3.0
    assert found.operations[0] == Operation("a", 2, 3.0)


def test_no_recording_has_no_time() -> None:
    assert timeline([]).operations == ()


@pytest.fixture(scope="module")
def small() -> StepTime:
    shape = shape_of("cifar10", channels=2, layers=1, image=8)
    config = profiled_config(KNOWN["DARTS_V2"], "cifar10", shape, batch_size=2)
    return step_time(config, shape, torch.device("cpu"))


def test_operations_and_gaps_add_up_to_the_recorded_step(small: StepTime) -> None:
    assert sum(operation.milliseconds for operation in small.operations) == pytest.approx(small.busy)
    assert sum(operation.calls for operation in small.operations) == small.calls
    assert small.busy + small.gaps == pytest.approx(small.recorded)


def test_the_step_holds_both_passes_and_sgd(small: StepTime) -> None:
    calls = {operation.name: operation.calls for operation in small.operations}
    assert calls["aten::_fused_sgd_"] == 1
    assert calls["aten::native_batch_norm"] == calls["aten::native_batch_norm_backward"] > 0


def test_the_bound_is_a_share_of_the_step(small: StepTime) -> None:
    assert 0 < small.bound_share < 1
    assert (small.device, small.batch, small.precision, small.graph) == ("cpu", 2, "float32", False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there_is_refused_with_the_way_out() -> None:
    shape = shape_of("cifar10")
    config = profiled_config(KNOWN["DARTS_V2"], "cifar10", shape)
    with pytest.raises(DataError, match="--device cpu"):
        step_time(config, shape, torch.device("cuda"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_on_a_gpu_kernels_of_the_graph_are_counted() -> None:
    shape = shape_of("cifar10", channels=4, layers=3)
    config = profiled_config(KNOWN["DARTS_V2"], "cifar10", shape, batch_size=8)
    found = step_time(config, shape, torch.device("cuda"))
    assert found.graph
    assert found.calls > 100
    assert found.busy <= found.recorded
