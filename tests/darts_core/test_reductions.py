"""Networks of one and two cells, and of one, three or no reduction cells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from darts_core import run_evaluation, run_search
from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.errors import ConfigError
from darts_core.files import checkpoints
from darts_core.files.loading import load_network
from darts_core.genotypes import KNOWN
from darts_core.models.evaluation_network import EvaluationNetwork
from darts_core.models.supernet import SearchNetwork
from darts_core.profile import profile, search_cost, shape_of

CASES = pytest.mark.parametrize(
    ("layers", "reductions", "reducing"),
    [
        (1, None, [0]),
        (2, None, [0, 1]),
        (1, [], []),
        (4, [], []),
        (4, [2], [2]),
        (5, [0, 2, 3], [0, 2, 3]),
        (6, None, [2, 4]),
    ],
)


@CASES
def test_the_profile_counts_the_network_that_is_built(
    layers: int, reductions: list[int] | None, reducing: list[int]
) -> None:
    network = EvaluationNetwork(
        KNOWN["DARTS_V2"], channels=4, layers=layers, classes=10, auxiliary=True, reductions=reductions
    )
    shape = shape_of(channels=4, layers=layers, image=64, stem="cifar", reductions=reductions)
    found = profile(KNOWN["DARTS_V2"], shape)
    assert [cell.index for cell in found.cells if cell.kind == "reduce"] == reducing
    assert found.parameters_with_auxiliary == sum(p.numel() for p in network.parameters())
    last = found.cells[-1]
    assert (last.channels, last.height) == (4 * 4 * 2 ** len(reducing), 64 // 2 ** len(reducing))
    supernet = SearchNetwork(["none", "sep_conv_3x3"], channels=4, layers=layers, classes=10, reductions=reductions)
    cost = search_cost(["none", "sep_conv_3x3"], 4, shape)
    assert cost.parameters == sum(p.numel() for p in supernet.parameters())


@pytest.mark.parametrize("fused", [True, False])
@CASES
def test_a_search_runs_and_its_checkpoint_is_the_same_network(
    search_config: Callable[..., SearchConfig],
    data_root: Path,
    tmp_path: Path,
    layers: int,
    reductions: list[int] | None,
    reducing: list[int],
    fused: bool,
) -> None:
    config = search_config(epochs=1, layers=layers, reductions=reductions, fused=fused)
    [report] = run_search(config, data_root=data_root, device=torch.device("cpu"))
    checkpoints.save(report.checkpoint, tmp_path / "x.pt")
    network = load_network(tmp_path / "x.pt").network
    assert isinstance(network, SearchNetwork)
    assert [i for i, cell in enumerate(network.cells) if cell.reduction] == reducing


@CASES
def test_an_evaluation_runs_is_resumed_and_its_checkpoint_is_the_same_network(
    evaluation_config: Callable[..., EvaluationConfig],
    data_root: Path,
    tmp_path: Path,
    layers: int,
    reductions: list[int] | None,
    reducing: list[int],
) -> None:
    config = evaluation_config(epochs=2, layers=layers, reductions=reductions)
    whole = list(run_evaluation(config, data_root=data_root, device=torch.device("cpu")))
    [resumed] = run_evaluation(config, data_root=data_root, device=torch.device("cpu"), resume_from=whole[0].checkpoint)
    assert resumed.metrics == whole[1].metrics
    checkpoints.save(whole[1].checkpoint, tmp_path / "x.pt")
    trained = load_network(tmp_path / "x.pt")
    with torch.no_grad():
        logits = trained(trained.prepare(torch.zeros(2, 1, 8, 8, dtype=torch.uint8)))
    assert logits.shape == (2, 2)
    widths = [trained.network.get_parameter(f"cells.{i}.preprocess1.op.1.weight").shape[0] for i in range(layers)]
    assert widths == [config.channels * 2 ** sum(r <= i for r in reducing) for i in range(layers)]


def test_the_auxiliary_head_stands_behind_the_last_reduction_and_needs_its_map() -> None:
    spec = {"dataset": "cifar10", "genotype": "DARTS_V2", "layers": 6, "auxiliary": True}
    assert EvaluationConfig(**spec, reductions=[1]).resolved().auxiliary
    with pytest.raises(ConfigError, match="at least 57x57"):
        EvaluationConfig(**spec, reductions=[1, 2, 3]).resolved()
    assert (
        not EvaluationConfig(dataset="cifar10", genotype="DARTS_V2", layers=6, reductions=[1, 2, 3])
        .resolved()
        .auxiliary
    )
    network = EvaluationNetwork(KNOWN["DARTS_V2"], channels=4, layers=6, classes=3, auxiliary=True, reductions=[4, 1])
    assert network.auxiliary_layer == 4
    assert network.train().with_auxiliary(torch.zeros(2, 3, 32, 32))[1] is not None


@pytest.mark.parametrize(
    ("layers", "channels", "reductions", "says"),
    [
        (4, 4, [4], "there is no cell 4: 4 layers"),
        (4, 4, [1, 1], "each cell can be named once"),
        (20, 1024, list(range(10)), "widen 1024 channels to 1,048,576"),
    ],
)
def test_reductions_that_cannot_be_built_are_refused(
    layers: int, channels: int, reductions: list[int], says: str
) -> None:
    sizes = {"layers": layers, "channels": channels, "reductions": reductions}
    with pytest.raises(ConfigError, match=says):
        SearchConfig(dataset="digits", **sizes).resolved()
    with pytest.raises(ConfigError, match=says):
        EvaluationConfig(dataset="digits", genotype="DARTS_V2", **sizes).resolved()
    with pytest.raises(ConfigError, match=says):
        shape_of(layers=layers, channels=channels, reductions=reductions)
