"""Retraining steps of a language model as graphs: replayed steps have the bits of called ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from darts_core import run_rnn_evaluation
from darts_core.data.text.windows import window
from darts_core.models.recurrent import kernel_passes
from darts_core.training.averaged_sgd import AveragedSGD
from darts_core.training.averaging import OptimizerName
from darts_core.training.control import UNCONTROLLED
from darts_core.training.determinism import deterministic_kernels
from darts_core.training.fused_sgd import FusedSGD
from darts_core.training.graphed_rnn import GraphedRnnStep
from darts_core.training.rnn_evaluation import RnnEvaluation
from darts_core.training.rnn_step import PartResult, TextPart, rnn_step
from darts_core.training.texts import DeviceText, masks_of
from tests.support import recorded_operations
from tests.support.recurrent_runs import MakeEvaluation
from tests.support.same_bits import assert_same_bits

CPU = torch.device("cpu")
Step = Callable[[list[TextPart]], list[PartResult]]
# Lengths of windows, of which two come up often enough to be recorded.
LENGTHS = (5, 7, 5, 5, 7, 6, 7, 5, 7, 5, 7, 5)


@pytest.fixture(autouse=True)
def torch_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our kernels for CPUs are no operations of torch's, which the recording consists of."""
    monkeypatch.setattr(kernel_passes, "available", lambda: False)


@pytest.fixture(params=["sgd", "asgd"])
def optimizer_name(request: pytest.FixtureRequest) -> OptimizerName:
    name: OptimizerName = request.param
    return name


def steps(run: RnnEvaluation, name: OptimizerName, make: Callable[[RnnEvaluation], Step]) -> dict[str, Any]:
    """Take steps on windows of all lengths, and return all that they computed."""
    config = run.config
    run._use_optimizer(name)
    run.epoch = 1
    run.begin_epoch()
    step, losses, start = make(run), [], 0
    for number, length in enumerate(LENGTHS):
        batch = window(run.training_text, start % 20, length)
        start += length
        run.optimizer.param_groups[0]["lr"] = config.weight_lr * length / (number + config.bptt)
        columns = zip(*(torch.split(rows, config.part_size, dim=1) for rows in batch), strict=True)
        parts = [
            TextPart(
                tokens, targets, run.hidden[part], masks_of(config, run.network, config.part_size, 1, number, part)
            )
            for part, (tokens, targets) in enumerate(columns)
        ]
        results = step(parts)
        run.hidden = [result.hidden for result in results]
        losses += [result.loss.clone() for result in results]
    state = run.optimizer.state_dict()["state"]
    return {"weights": dict(run.network.state_dict()), "state": state, "losses": losses, "hidden": run.hidden}


def called(run: RnnEvaluation) -> Step:
    options: dict[str, Any] = {"grad_clip": run.config.grad_clip, "penalties": run.penalties}
    return lambda parts: rnn_step(run.network, run.optimizer, parts, **options)


def replayed(run: RnnEvaluation, **options: Any) -> GraphedRnnStep:
    return GraphedRnnStep(
        run.network, run.optimizer, grad_clip=run.config.grad_clip, penalties=run.penalties, **options
    )


@pytest.fixture
def runs(evaluation_config: MakeEvaluation, data_root: Path) -> Callable[..., RnnEvaluation]:
    def make(device: torch.device = CPU) -> RnnEvaluation:
        config = evaluation_config(small_batch_size=2, weight_decay=1e-3, grad_clip=0.5, slowness_penalty=0.1)
        return RnnEvaluation(config, DeviceText.read(config, data_root, device), UNCONTROLLED)

    return make


def test_steps_replayed_by_their_operations_have_the_bits_of_called_ones(
    optimizer_name: OptimizerName, runs: Callable[..., RnnEvaluation]
) -> None:
    recordings = 0

    def capture(call: Callable[[], tuple[Tensor, ...]], _: object) -> Any:
        nonlocal recordings
        recordings += 1
        return recorded_operations.captured(call)

    found = steps(runs(), optimizer_name, lambda run: replayed(run, capture=capture))
    assert_same_bits(found, steps(runs(), optimizer_name, called))
    assert recordings == 2


@pytest.mark.parametrize("optimizer", [FusedSGD, AveragedSGD])
def test_a_rate_held_by_the_recording_would_be_noticed(
    optimizer: type[torch.optim.Optimizer], runs: Callable[..., RnnEvaluation], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the test above could not fail."""
    name: OptimizerName = "sgd" if optimizer is FusedSGD else "asgd"
    truth = steps(runs(), name, called)
    monkeypatch.setattr(optimizer, "rate", lambda self: torch.tensor(self.param_groups[0]["lr"]))
    found = steps(runs(), name, lambda run: replayed(run, capture=lambda call, _: recorded_operations.captured(call)))
    with pytest.raises(AssertionError):
        assert_same_bits(found, truth)


def test_after_a_recording_that_fails_all_steps_are_called_with_one_line_in_the_log(
    runs: Callable[..., RnnEvaluation], caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing")

    found = steps(runs(), "sgd", lambda run: replayed(run, capture=refuse))
    assert_same_bits(found, steps(runs(), "sgd", called))
    assert caplog.messages == [
        "no CUDA graph of the training step, going on call by call: operation not permitted when stream is capturing"
    ]


on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


@pytest.mark.gpu
@on_gpu
def test_steps_replayed_from_graphs_have_the_bits_of_called_ones(
    optimizer_name: OptimizerName, runs: Callable[..., RnnEvaluation]
) -> None:
    device = torch.device("cuda")
    with deterministic_kernels(True, device):
        ours, truth = (steps(runs(device), optimizer_name, make) for make in (replayed, called))
    assert_same_bits(ours, truth)


@pytest.mark.gpu
@on_gpu
def test_a_run_with_graphs_ends_with_the_bits_of_one_without(
    evaluation_config: MakeEvaluation, data_root: Path, worsening: list[float]
) -> None:
    found = []
    for cuda_graph in (True, False):
        worsening[:] = [1.0, 2.0, 3.0]
        config = evaluation_config(epochs=4, averaging_patience=1, deterministic=True, cuda_graph=cuda_graph)
        found.append(list(run_rnn_evaluation(config, data_root=data_root, device=torch.device("cuda")))[-1])
    assert_same_bits(found[0].checkpoint["weights"], found[1].checkpoint["weights"])
    assert found[0].metrics == found[1].metrics
