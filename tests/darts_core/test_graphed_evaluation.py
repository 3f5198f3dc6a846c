"""The retraining step as a graph: replayed steps have the bits of called ones, which are those of the plain loop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from darts_core import run_evaluation
from darts_core.configs import EvaluationConfig
from darts_core.data.batches import Batch
from darts_core.data.order import generator
from darts_core.genotypes import Genotype
from darts_core.models.drop_path import Paths
from darts_core.models.evaluation_network import EvaluationNetwork
from darts_core.training.determinism import deterministic_kernels
from darts_core.training.evaluation import no_graph
from darts_core.training.evaluation_step import evaluation_step, restore_optimizer, weight_optimizer
from darts_core.training.fused_sgd import FusedSGD
from darts_core.training.graphed_evaluation import GraphedEvaluation
from darts_core.training.step_graph import WARM_UP
from darts_core.training.step_graphs import memory_pool
from tests.support import recorded_operations
from tests.support.same_bits import assert_same_bits

CPU = torch.device("cpu")
MakeEvaluation = Callable[..., EvaluationConfig]
Step = Callable[[Batch], tuple[Tensor, Tensor]]

# Epochs of drop-path and learning rate, as the loop sets them; and a pass's batches, the last one ragged.
EPOCHS = ((0.0, 0.025), (0.1, 0.02), (0.2, 0.005), (0.3, 0.004), (0.4, 0.003), (0.5, 0.002))
SIZES = (6, 6, 6, 6, 3)
SPECS: dict[str, dict[str, Any]] = {
    "float32": {},
    "float64": {"precision": "float64"},
    "bf16": {"precision": "bf16"},
    "parts": {"accumulate": 2, "nesterov": True},
    "no auxiliary head": {"auxiliary": False, "label_smoothing": 0.1},
}


@pytest.fixture(params=SPECS)
def config(request: pytest.FixtureRequest, evaluation_config: MakeEvaluation) -> EvaluationConfig:
    values = {"channels": 2, "auxiliary": True, "grad_clip": 0.5, "weight_decay": 3e-4, **SPECS[request.param]}
    return evaluation_config(**values)


class Trained:
    """A network that the given step trains, and all that it sees."""

    def __init__(self, config: EvaluationConfig, device: torch.device = CPU) -> None:
        torch.manual_seed(0)
        cell = config.cell()
        assert isinstance(cell, Genotype)
        self.config, self.device = config, device
        self.dtype = torch.float64 if config.precision == "float64" else torch.float32
        network = EvaluationNetwork(
            cell, channels=config.channels, layers=config.layers, classes=3, auxiliary=config.auxiliary
        )
        self.network = network.to(device, self.dtype, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.source = generator(0, "drop-path", device=device)
        self.losses: list[Tensor] = []

    def epochs(self, optimizer: torch.optim.Optimizer, step: Step) -> dict[str, Any]:
        number = 0
        for drop_path, rate in EPOCHS:
            optimizer.param_groups[0]["lr"] = rate
            self.network.set_drop_path(drop_path, self.source)
            for size in SIZES:
                batch, number = batch_of(number, size, self.device, self.dtype), number + 1
                with torch.autocast(
                    self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16", cache_enabled=False
                ):
                    loss, logits = step(batch)
                self.losses += [loss.clone(), logits.clone()]
        state: dict[str, Any] = optimizer.state_dict()["state"]
        return {
            "weights": dict(self.network.state_dict()),
            "momentum": {n: buffer["momentum_buffer"] for n, buffer in state.items()},
            "losses": self.losses,
            "generator": self.source.get_state(),
        }


def batch_of(number: int, size: int, device: torch.device, dtype: torch.dtype) -> Batch:
    source = torch.Generator().manual_seed(number)
    images = torch.randn(size, 3, 32, 32, generator=source, dtype=dtype)
    return Batch(images.to(device), torch.randint(3, (size,), generator=source).to(device))


def earlier_loop(config: EvaluationConfig) -> dict[str, Any]:
    """The loop as it was before steps could be recorded: a draw for each path, and Python's numbers in all places."""
    trained = Trained(config)
    network = trained.network
    probability = 0.0

    def drop(self: Paths, x: Tensor) -> Tensor:
        keep = 1.0 - probability
        drawn = torch.empty((x.shape[0], 1, 1, 1)).uniform_(generator=trained.source)
        return x * ((drawn < keep).to(x.dtype) / keep)

    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=config.weight_lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.nesterov,
        fused=True,
    )

    def step(batch: Batch) -> tuple[Tensor, Tensor]:
        nonlocal probability
        probability = network._drop_path[0]
        optimizer.zero_grad()
        losses, answers = [], []
        for part, share in batch.parts(config.accumulate):
            drawn = None if probability == 0 else torch.zeros(0)
            logits, auxiliary = network.with_auxiliary(part.images, drawn)
            loss = F.cross_entropy(logits, part.labels, label_smoothing=config.label_smoothing)
            if auxiliary is not None:
                aside = F.cross_entropy(auxiliary, part.labels, label_smoothing=config.label_smoothing)
                loss = loss + config.auxiliary_weight * aside
            torch.autograd.backward(share * loss)
            losses.append(share * loss.detach())
            answers.append(logits.detach())
        nn.utils.clip_grad_norm_(list(network.parameters()), config.grad_clip, foreach=True)
        optimizer.step()
        total = losses[0] if len(losses) == 1 else losses[0] + losses[1]
        return total, torch.cat(answers)

    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(Paths, "drop", drop)
        return trained.epochs(optimizer, step)


def called(config: EvaluationConfig, device: torch.device = CPU) -> dict[str, Any]:
    trained = Trained(config, device)
    optimizer = weight_optimizer(trained.network.parameters(), config, device)
    return trained.epochs(optimizer, lambda batch: evaluation_step(trained.network, optimizer, batch, config))


def replayed(config: EvaluationConfig, device: torch.device = CPU, **options: Any) -> dict[str, Any]:
    trained = Trained(config, device)
    optimizer = weight_optimizer(trained.network.parameters(), config, device)
    assert isinstance(optimizer, FusedSGD)
    step = GraphedEvaluation(trained.network, optimizer, config, pool=memory_pool(device), **options)
    return trained.epochs(optimizer, step)


def test_steps_have_the_bits_of_the_earlier_loop(config: EvaluationConfig) -> None:
    assert_same_bits(called(config), earlier_loop(config))


def test_steps_replayed_by_their_operations_have_the_bits_of_called_ones(config: EvaluationConfig) -> None:
    recordings = 0

    def counted(call: Callable[[], tuple[Tensor, ...]], pool: None) -> Any:
        nonlocal recordings
        recordings += 1
        return capture(call, pool)

    assert_same_bits(replayed(config, capture=counted), called(config))
    assert recordings == 3  # full batches with drop-path and without; ragged ones with it, from their fourth pass on


def capture(call: Callable[[], tuple[Tensor, ...]], _: None) -> Any:
    return recorded_operations.captured(call)


@pytest.mark.parametrize("baked", ["rate", "probability"])
def test_a_number_held_by_the_recording_would_be_noticed(baked: str, evaluation_config: MakeEvaluation) -> None:
    """Else the test above could not fail."""
    config = evaluation_config(channels=2, auxiliary=False)
    with pytest.MonkeyPatch.context() as patches:
        if baked == "rate":
            patches.setattr(FusedSGD, "rate", lambda self: self.param_groups[0]["lr"])
        else:
            patches.setattr(EvaluationNetwork, "_kept", lambda self, device: 1.0 - self._drop_path[0])
        found = replayed(config, capture=capture)
    with pytest.raises(AssertionError):
        assert_same_bits(found, called(config))


def test_a_step_that_cannot_be_recorded_is_called_and_logged_once(
    evaluation_config: MakeEvaluation, caplog: pytest.LogCaptureFixture
) -> None:
    config = evaluation_config(channels=2, auxiliary=False)

    def refuse(*_: object) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    with caplog.at_level(logging.WARNING):
        assert_same_bits(replayed(config, capture=refuse), called(config))
    assert caplog.messages == [
        "no CUDA graph of the training step, going on call by call: operation not permitted when stream is capturing"
    ]


def test_a_run_with_another_kind_of_sgd_is_called(evaluation_config: MakeEvaluation) -> None:
    """Its state names the kind, which holds the rate as a number."""
    config = evaluation_config(channels=2, auxiliary=False)
    trained = Trained(config)
    optimizer = weight_optimizer(trained.network.parameters(), config, CPU)
    assert isinstance(optimizer, FusedSGD)
    earlier = torch.optim.SGD(trained.network.parameters(), lr=0.1, momentum=0.9, foreach=True)
    restore_optimizer(optimizer, earlier.state_dict())
    step = GraphedEvaluation(trained.network, optimizer, config, pool=None, capture=capture)
    for number in range(WARM_UP + 2):
        step(batch_of(number, 6, CPU, torch.float32))
    assert not step.recorded


@pytest.mark.parametrize(
    ("values", "circumstances", "reason"),
    [
        ({}, {}, None),
        ({"cuda_graph": False}, {}, "the spec has cuda_graph: false"),
        ({}, {"noise": True}, "noise is drawn in each step"),
        ({"precision": "float64"}, {}, "a recorded SGD would round the learning rate to float32"),
        ({}, {"room": False}, "the memory is too small for a recorded step beside called ones"),
    ],
)
def test_a_reason_is_given_for_doing_without_a_graph(
    values: dict[str, Any], circumstances: dict[str, bool], reason: str | None, evaluation_config: MakeEvaluation
) -> None:
    given = {"noise": False, "room": True, **circumstances}
    assert no_graph(evaluation_config(**values), **given) == reason


on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


@pytest.fixture
def exact_products() -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


@pytest.mark.gpu
@on_gpu
@pytest.mark.usefixtures("exact_products")
def test_steps_replayed_from_a_graph_have_the_bits_of_called_ones(config: EvaluationConfig) -> None:
    device = torch.device("cuda")
    with deterministic_kernels(True, device):  # cuDNN's fastest ones add in any order
        assert_same_bits(replayed(config, device), called(config, device))


@pytest.mark.gpu
@on_gpu
def test_in_float64_a_gpu_moves_weights_as_the_cpu_does() -> None:
    moved = []
    for device in (CPU, torch.device("cuda")):
        weight = torch.nn.Parameter(torch.ones(3, dtype=torch.float64, device=device))
        optimizer = FusedSGD([weight], lr=0.1, weight_decay=3e-4, momentum=0.9)
        for _ in range(3):
            weight.grad = 2 * weight.detach()
            optimizer.step()
        moved.append(weight.detach().cpu())
    torch.testing.assert_close(moved[1], moved[0], rtol=1e-14, atol=0)


@pytest.mark.gpu
@on_gpu
def test_no_called_step_waits_for_the_gpu(config: EvaluationConfig) -> None:
    device = torch.device("cuda")
    trained = Trained(config, device)
    optimizer = weight_optimizer(trained.network.parameters(), config, device)
    trained.network.set_drop_path(0.2, trained.source)
    batch = batch_of(0, 6, device, trained.dtype)
    evaluation_step(trained.network, optimizer, batch, config)
    torch.cuda.set_sync_debug_mode("error")
    try:
        evaluation_step(trained.network, optimizer, batch, config)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@on_gpu
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_run_resumed_across_graphs_ends_with_the_same_bits(
    precision: str, evaluation_config: MakeEvaluation, data_root: Path
) -> None:
    # The fifth epoch's ragged batch and measuring are graphs, too.
    values = {"precision": precision, "deterministic": True, "drop_path": 0.3, "epochs": 6}
    with_graph, without = (evaluation_config(**values, cuda_graph=wanted) for wanted in (True, False))
    device = torch.device("cuda")
    undisturbed = list(run_evaluation(with_graph, data_root=data_root, device=device))
    first = next(run_evaluation(without, data_root=data_root, device=device))
    resumed = list(run_evaluation(with_graph, data_root=data_root, device=device, resume_from=first.checkpoint))
    again = list(run_evaluation(without, data_root=data_root, device=device, resume_from=resumed[0].checkpoint))
    for reports in (resumed, again):
        assert_same_bits(reports[-1].checkpoint["weights"], undisturbed[-1].checkpoint["weights"])
        assert reports[-1].metrics == undisturbed[-1].metrics
