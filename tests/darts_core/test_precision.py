"""The precision of a run, and its record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from darts_core import run_evaluation, run_search
from darts_core.bilevel.architect import Architect
from darts_core.bilevel.recurrent import RecurrentArchitect, TextSegment
from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.data.batches import Batch
from darts_core.data.text.windows import TextBatch
from darts_core.files import checkpoints
from darts_core.files.loading import load
from darts_core.files.trained_network import TrainedNetwork
from darts_core.kernels.gpu import products
from darts_core.models.recurrent.language_model import RecurrentSearchNetwork
from darts_core.models.supernet import SearchNetwork
from darts_core.training.matmul_precision import tf32
from darts_core.training.precision import computing, precision_of, uses_tf32
from tests.support.same_bits import assert_same_bits

MakeSearch = Callable[..., SearchConfig]
MakeEvaluation = Callable[..., EvaluationConfig]
CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_a_cpu_computes_in_float32_unless_asked(search_config: MakeSearch) -> None:
    assert precision_of(search_config(), CPU) == "float32"
    assert precision_of(search_config(precision="bf16"), CPU) == "bf16"


@pytest.mark.parametrize(
    ("changes", "device", "expected"),
    [
        ({}, GPU, True),
        ({"deterministic": True}, GPU, False),
        ({"deterministic": True, "tf32": True}, GPU, True),
        ({"tf32": False}, GPU, False),
        ({"tf32": True}, CPU, False),
    ],
)
def test_tf32_is_the_specs_choice_and_left_open_that_of_speed_on_a_gpu(
    changes: dict[str, bool], device: torch.device, expected: bool, search_config: MakeSearch
) -> None:
    assert uses_tf32(search_config(**changes), device) is expected


def test_bf16_trains_evaluates_and_is_recorded(evaluation_config: MakeEvaluation, data_root: Path) -> None:
    exact, rounded = (
        next(run_evaluation(evaluation_config(precision=precision), data_root=data_root)).checkpoint
        for precision in ("float32", "bf16")
    )
    assert (exact["environment"]["precision"], rounded["environment"]["precision"]) == ("float32", "bf16")
    assert exact["environment"]["tf32"] is False
    key = "stem.0.weight"
    assert rounded["weights"][key].dtype == torch.float32
    assert not torch.equal(exact["weights"][key], rounded["weights"][key])
    torch.testing.assert_close(exact["weights"][key], rounded["weights"][key], atol=0.1, rtol=0.1)


@pytest.mark.parametrize("order", [1, 2])
def test_bf16_search_moves_its_alphas(order: int, search_config: MakeSearch, data_root: Path) -> None:
    config = search_config(precision="bf16", order=order, epochs=2)
    first, second = (r.alphas for r in run_search(config, data_root=data_root))
    assert first is not None
    assert second is not None
    assert not torch.equal(first["normal"], second["normal"])


def test_the_second_order_gradient_is_that_of_float32_under_autocast(search_config: MakeSearch) -> None:
    torch.manual_seed(0)
    network = SearchNetwork(["skip_connect", "sep_conv_3x3"], channels=2, layers=3, classes=3, nodes=1).eval()
    sgd = torch.optim.SGD(network.weights(), lr=0.1)
    architect = Architect(network, sgd, order=2, lr=0.1, weight_decay=0.0)
    training, validation = (Batch(torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])) for _ in range(2))
    exact = architect.gradient(training, validation)
    with computing(search_config(precision="bf16"), CPU):
        under_autocast = architect.gradient(training, validation)
    assert all(torch.equal(a, b) for a, b in zip(exact, under_autocast, strict=True))


Flags = tuple[bool, bool, str]


def flags() -> Flags:
    """Whether torch's products and convolutions on GPUs may round to TF32, and how Triton's do."""
    backends = torch.backends
    return backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32, products._rounded()


@pytest.mark.parametrize(("order", "seen"), [(1, (True, True, "tf32")), (2, (False, False, "tf32x3"))])
def test_tf32_is_off_in_the_second_order_step_alone(order: Literal[1, 2], seen: Flags) -> None:
    network = SearchNetwork(["skip_connect", "sep_conv_3x3"], channels=2, layers=3, classes=3, nodes=1)
    sgd = torch.optim.SGD(network.weights(), lr=0.1)
    architect = Architect(network, sgd, order=order, lr=0.1, weight_decay=0.0)
    training, validation = (Batch(torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])) for _ in range(2))
    found: set[Flags] = set()
    network.classifier.register_forward_hook(lambda *_: found.add(flags()))
    network.classifier.register_full_backward_hook(lambda *_: found.add(flags()))
    with tf32(wanted=True):
        architect.gradient(training, validation)
        assert flags() == (True, True, "tf32")
    assert found == {seen}


@pytest.mark.parametrize(("order", "seen"), [(1, (True, True, "tf32")), (2, (False, False, "tf32x3"))])
def test_tf32_is_off_in_the_recurrent_second_order_step_alone(order: Literal[1, 2], seen: Flags) -> None:
    network = RecurrentSearchNetwork(["tanh", "relu"], words=5, size=4, nodes=2)
    sgd = torch.optim.SGD(network.weights(), lr=0.1)
    architect = RecurrentArchitect(network, sgd, order=order, lr=0.1, weight_decay=0.0, grad_clip=0.25)
    words = torch.randint(5, (4, 2))
    segment = TextSegment(TextBatch(words[:-1], words[1:]), network.start(2))
    found: set[Flags] = set()
    network.register_forward_hook(lambda *_: found.add(flags()))
    with tf32(wanted=True):
        architect.gradient(segment, segment, lambda _: None)
        assert flags() == (True, True, "tf32")
    assert found == {seen}


def test_training_leaves_autocast_off(search_config: MakeSearch, data_root: Path) -> None:
    next(run_search(search_config(precision="bf16"), data_root=data_root))
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("order", [1, 2])
def test_float64_search_is_recorded_and_goes_on_exactly(order: int, search_config: MakeSearch, data_root: Path) -> None:
    config = search_config(precision="float64", order=order)
    reports = list(run_search(config, data_root=data_root))
    resumed = list(run_search(config, data_root=data_root, resume_from=reports[0].checkpoint))
    undisturbed, again = reports[-1].alphas, resumed[-1].alphas
    assert undisturbed is not None
    assert_same_bits(again, undisturbed)
    assert {alpha.dtype for alpha in undisturbed.values()} == {torch.float64}
    assert reports[-1].checkpoint["environment"]["precision"] == "float64"


def test_network_trained_in_float64_is_used_in_float32(
    evaluation_config: MakeEvaluation, data_root: Path, tmp_path: Path
) -> None:
    report = next(run_evaluation(evaluation_config(precision="float64"), data_root=data_root))
    assert report.checkpoint["weights"]["stem.0.weight"].dtype == torch.float64
    checkpoints.save(report.checkpoint, tmp_path / "c.pt")
    network = load(tmp_path / "c.pt")
    assert isinstance(network, TrainedNetwork)
    pixels = torch.zeros(2, network.image["channels"], *network.image["size"], dtype=torch.uint8)
    assert network(network.prepare(pixels)).dtype == torch.float32


def precisions() -> list[str]:
    return [part.fp32_precision for part in switches()]


def switches() -> list[Any]:
    """Torch's newer ones, of products and of cuDNN's convolutions and recurrent networks."""
    cudnn: Any = torch.backends.cudnn
    return [torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn]


@pytest.mark.parametrize("wanted", [True, False])
def test_the_precision_of_products_is_put_back(wanted: bool) -> None:
    before, read = precisions(), flags()
    with tf32(wanted):
        assert flags() == (wanted, wanted, "tf32" if wanted else "tf32x3")
    assert (precisions(), flags()) == (before, read)


def test_a_library_may_have_set_the_precision_of_products_by_torchs_newer_switches() -> None:
    before = precisions()
    backends, (products_switch, convolutions_switch, _) = torch.backends, switches()
    try:
        products_switch.fp32_precision, convolutions_switch.fp32_precision = "tf32", "ieee"
        with pytest.raises(RuntimeError, match="mix of the legacy and new APIs"):
            _ = backends.cudnn.allow_tf32
        with tf32(wanted=False):
            assert flags() == (False, False, "tf32x3")
        assert precisions()[:2] == ["tf32", "ieee"]
    finally:
        backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32 = before[0] == "tf32", before[1] == "tf32"
        for part, setting in zip(switches(), before, strict=True):
            part.fp32_precision = setting
