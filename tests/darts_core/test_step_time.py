"""Where the time of a training step goes: sums of a recording, and the figures of a small step."""

from __future__ import annotations

import pytest
import torch

from darts_core.errors import DataError
from darts_core.genotypes import KNOWN, KNOWN_RECURRENT
from darts_core.profile import LanguageShape, Shape, language_shape_of, profile_language_model, shape_of
from darts_core.profile.image_step import image_config, image_step
from darts_core.profile.step_time import StepTime, step_time
from darts_core.profile.text_step import text_config, text_step
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


def of_images(shape: Shape, device: str, batch_size: int | None = None) -> StepTime:
    config = image_config(KNOWN["DARTS_V2"], "cifar10", shape, batch_size=batch_size)
    there = torch.device(device)
    return step_time(config, lambda: image_step(config, shape, there), there)


def of_text(shape: LanguageShape, device: str) -> StepTime:
    config = text_config(KNOWN_RECURRENT["DARTS_V2"], "ptb", shape, batch_size=2)
    there = torch.device(device)
    return step_time(config, lambda: text_step(config, shape, there), there)


@pytest.fixture(scope="module")
def small() -> StepTime:
    return of_images(shape_of("cifar10", channels=2, layers=1, image=8), "cpu", batch_size=2)


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


def test_a_language_model_s_step_is_timed_alike() -> None:
    found = of_text(language_shape_of(hidden_size=8, words=50), "cpu")
    calls = {operation.name: operation.calls for operation in found.operations}
    assert calls["aten::_fused_sgd_"] == 1
    assert calls["aten::embedding_dense_backward"] == 1  # tied weights, looked up once
    assert found.busy + found.gaps == pytest.approx(found.recorded)
    assert (found.batch, found.precision, found.graph) == (2, "float32", False)
    assert 0 < found.bound_share < 1


def test_a_language_model_s_products_are_those_of_its_profile() -> None:
    shape = language_shape_of(hidden_size=8, words=50)
    config = text_config(KNOWN_RECURRENT["DARTS_V2"], "ptb", shape, batch_size=2)
    cost = profile_language_model(config.cell(), shape).multiply_adds
    assert text_step(config, shape, torch.device("cpu")).multiply_adds == 2 * config.bptt * cost


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there_is_refused_with_the_way_out() -> None:
    with pytest.raises(DataError, match="--device cpu"):
        of_images(shape_of("cifar10"), "cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_on_a_gpu_kernels_of_the_graph_are_counted() -> None:
    found = of_images(shape_of("cifar10", channels=4, layers=3), "cuda", batch_size=8)
    assert found.graph
    assert found.calls > 100
    assert found.busy <= found.recorded
