"""Compiled cells: the numbers of called ones, exact resume, and a refusal where torch cannot compile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core import run_evaluation
from darts_core.configs import EvaluationConfig
from darts_core.data.order import generator
from darts_core.errors import ConfigError
from darts_core.models.build import build_evaluation_network
from darts_core.models.retrained import RetrainedNetwork
from darts_core.training.stages import CELLS, listening
from tests.support.same_bits import assert_same_bits

# torch starts a C++ compiler for each kind of cell.
pytestmark = pytest.mark.timeout(900)

MakeEvaluation = Callable[..., EvaluationConfig]

_EDGES: Final[list[list[list[Any]]]] = [
    [["sep_conv_3x3", 1], ["skip_connect", 0]],
    [["max_pool_3x3", 0], ["dil_conv_3x3", 2]],
]
CELL: Final = {
    "normal": [edge for node in _EDGES for edge in node],
    "normal_concat": [2, 3],
    "reduce": [edge for node in reversed(_EDGES) for edge in node if edge[1] < 2] + _EDGES[0][:1],
    "reduce_concat": [2, 3],
}


def trained(config: EvaluationConfig, *, compiled: bool, images: int = 10) -> dict[str, Any]:
    """Loss, gradients and running statistics of a step that drops paths, and the logits of the measured network."""
    torch.manual_seed(0)
    network = build_evaluation_network(config, classes=3, image_channels=3, stem="cifar").double()
    assert isinstance(network, RetrainedNetwork)
    if compiled:
        network.compile_cells(10)
    network.train().set_drop_path(config.drop_path, generator(0, "drop-path"))
    source = torch.Generator().manual_seed(1)
    batch = torch.randn(images, 3, 16, 16, generator=source, dtype=torch.float64)
    loss = F.cross_entropy(network(batch), torch.arange(images) % 3)
    loss.backward()  # type: ignore[no-untyped-call]
    weights: dict[str, Tensor | None] = {name: weight.grad for name, weight in network.named_parameters()}
    with torch.no_grad():
        measured = network.eval()(batch)
    return {"loss": loss.detach(), "gradients": weights, "state": network.state_dict(), "measured": measured}


@pytest.mark.parametrize("cell", [CELL, "123123"], ids=["darts", "nasbench201"])
def test_compiled_cells_have_the_numbers_of_called_ones(cell: Any, evaluation_config: MakeEvaluation) -> None:
    space = {"drop_path": 0.0} if isinstance(cell, str) else {"layers": 2, "reductions": [1]}
    config = evaluation_config(genotype=cell, **space)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    torch.testing.assert_close(trained(config, compiled=True), trained(config, compiled=False), rtol=1e-9, atol=1e-12)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == (3 if isinstance(cell, str) else 2)
    assert not torch._dynamo.utils.counters["graph_break"]


def test_a_batch_of_another_size_is_called(evaluation_config: MakeEvaluation) -> None:
    config = evaluation_config(genotype=CELL)
    assert_same_bits(trained(config, compiled=True, images=7), trained(config, compiled=False, images=7))


def test_a_compiled_run_is_resumed_exactly(evaluation_config: MakeEvaluation, data_root: Path) -> None:
    stages: list[str | None] = []
    config = evaluation_config(genotype=CELL, layers=1, reductions=[], compile_cells=True)
    with listening(stages.append):
        first, _, last = run_evaluation(config, data_root=data_root)
    assert stages.count(CELLS) >= 2  # without drop-path and with it
    [*_, resumed] = run_evaluation(config, data_root=data_root, resume_from=first.checkpoint)
    assert_same_bits(resumed.checkpoint, last.checkpoint)


def test_without_a_compiler_a_run_ends_with_its_reason(
    evaluation_config: MakeEvaluation, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch._inductor.config as inductor

    torch._dynamo.reset()
    monkeypatch.setattr(inductor.cpp, "cxx", (str(tmp_path / "none"),))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    config = evaluation_config(genotype=CELL, layers=1, reductions=[], compile_cells=True)
    with pytest.raises(ConfigError, match="compile_cells: torch cannot compile here"):
        next(run_evaluation(config, data_root=data_root))


def test_several_gpus_are_refused(evaluation_config: MakeEvaluation) -> None:
    config = evaluation_config(compile_cells=True)
    config.check_gpus(1)
    with pytest.raises(ConfigError, match="compile_cells: is for one GPU, not 2"):
        config.check_gpus(2)
