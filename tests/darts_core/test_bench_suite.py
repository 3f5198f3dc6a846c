"""The spaces of DARTS-Bench-Suite: networks of one cell and of odd widths, and skip-connections on all edges."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from darts_core import run_evaluation, run_search
from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.configs.method_fields import MethodName
from darts_core.configs.selection import perturbation_of
from darts_core.distributed.group import ALONE
from darts_core.errors import ConfigError
from darts_core.files import checkpoints
from darts_core.files.loading import load_network
from darts_core.genotypes import Genotype, ranked, to_json
from darts_core.genotypes.random_cells import drawn_cell
from darts_core.models.build import build_supernet
from darts_core.models.drop_path import Paths
from darts_core.models.evaluation_network import EvaluationNetwork
from darts_core.models.operations import FactorizedReduce, Identity
from darts_core.models.supernet import MixedEdge, SearchCell, SearchNetwork
from darts_core.spaces import SPACES, CnnSpace
from darts_core.spaces.bench_suite import SPACES as SUITE
from darts_core.training.arrangement import arrangement_of

MakeSearch = Callable[..., SearchConfig]
MakeEvaluation = Callable[..., EvaluationConfig]
NAMES = [name for name in SPACES if SPACES[name] in SUITE]
SINGLE: list[CnnSpace] = ["bench-single-cell", "bench-single-cell-no-skip", "bench-single-cell-all-skip"]
WITH_SKIPS: list[CnnSpace] = ["bench-wide-all-skip", "bench-deep-all-skip", "bench-single-cell-all-skip"]


def smallest(name: CnnSpace, **changes: Any) -> dict[str, Any]:
    """A space's width in the smallest network that has both kinds of cells, or its only one."""
    space = SPACES[name]
    sizes = {"channels": space.fields["channels"], "layers": min(space.fields["layers"], 3), "nodes": space.nodes or 2}
    return {"space": name, "primitives": None, "epochs": 1, **sizes, **changes}


def network_of(config: SearchConfig, *, fused: bool = False) -> SearchNetwork:
    torch.manual_seed(0)
    network = build_supernet(config, classes=2, image_channels=1, stem="cifar", fused=fused).double()
    assert isinstance(network, SearchNetwork)
    return network


@pytest.mark.parametrize("name", NAMES)
def test_a_search_finds_a_cell_that_is_retrained(
    name: CnnSpace, search_config: MakeSearch, evaluation_config: MakeEvaluation, data_root: Path, tmp_path: Path
) -> None:
    config = search_config(**smallest(name))
    [report] = run_search(config, data_root=data_root)
    cell = report.genotype
    assert isinstance(cell, Genotype)
    sizes = {"channels": config.channels, "layers": config.layers, "edge_skips": config.edge_skips}
    [trained] = run_evaluation(evaluation_config(genotype=to_json(cell), epochs=1, **sizes), data_root=data_root)
    for found in (report, trained):
        checkpoints.save(found.checkpoint, tmp_path / "found.pt")
        assert load_network(tmp_path / "found.pt").genotype == cell
    assert any("._skips." in key for key in trained.checkpoint["weights"]) == config.edge_skips


@pytest.mark.parametrize("name", SINGLE)
def test_the_only_cell_reduces_and_puts_out_its_last_four_nodes(name: CnnSpace, search_config: MakeSearch) -> None:
    network = network_of(search_config(**smallest(name)))
    [cell] = network.cells
    assert isinstance(cell, SearchCell)
    assert (cell.reduction, cell.nodes, network.classifier.in_features) == (True, 8, 4 * 52)
    found = network.genotype()
    assert found.normal_concat == found.reduce_concat == (6, 7, 8, 9)
    assert drawn_cell("cnn", 0, space=name).reduce_concat == (6, 7, 8, 9)  # type: ignore[union-attr]
    for rank in (1, 2):
        other = ranked(network.strengths(), network.primitives, rank=rank, derived=found)
        assert isinstance(other, Genotype)
        assert (other.reduce_concat, other == found) == ((6, 7, 8, 9), rank == 1)


def test_a_cell_with_nodes_that_no_other_reads_is_retrained(evaluation_config: MakeEvaluation, data_root: Path) -> None:
    edges = [["sep_conv_3x3", source] for _ in range(8) for source in (0, 1)]
    cell = Genotype.of(edges, [2, 3, 4, 5, 6, 7, 8, 9], edges, [2, 3, 4, 5, 6, 7, 8, 9]).with_outputs(4)
    [report] = run_evaluation(evaluation_config(genotype=to_json(cell), layers=1, epochs=1), data_root=data_root)
    assert report.metrics["train_loss"] > 0


@pytest.mark.parametrize("stride", [1, 2])
def test_an_edge_adds_a_skip_connection_of_weight_one(stride: int) -> None:
    edge = MixedEdge(["none", "max_pool_3x3"], 4, stride, skip=True).eval()
    assert isinstance(edge.skip, Identity if stride == 1 else FactorizedReduce)
    x, weights = torch.randn(2, 4, 6, 6), torch.tensor([0.25, 0.75])
    operations = sum(weight * op(x) for weight, op in zip(weights, edge._ops, strict=True))
    assert torch.equal(edge(x, weights), operations + edge.skip(x))
    assert torch.equal(edge.sampled(x, weights, 1), weights[1] * edge._ops[1](x) + edge.skip(x))


def test_retraining_adds_a_skip_connection_to_each_kept_edge_and_drops_both() -> None:
    cell = Genotype.of([["skip_connect", 0], ["max_pool_3x3", 1]], [2], [["avg_pool_3x3", 0], ["skip_connect", 1]], [2])
    network = EvaluationNetwork(cell, channels=3, layers=3, classes=2, edge_skips=True).eval()
    cells: Any = network.cells
    normal, reduce = cells[0], cells[1]
    kinds = [[type(skip) for skip in each.get_submodule("_skips").children()] for each in (normal, reduce)]
    assert kinds == [[Identity, Identity], [FactorizedReduce, FactorizedReduce]]
    inputs = [torch.randn(2, 9, 8, 8) for _ in range(2)]
    states = [normal.preprocess0(inputs[0]), normal.preprocess1(inputs[1])]
    pooled = normal._ops[1](states[1])
    torch.testing.assert_close(normal(*inputs), 2 * states[0] + pooled + states[1])
    assert normal.paths == 2
    # The numbers decide against one edge, and the other is doubled.
    for lost, kept in ((0, pooled + states[1]), (1, 2 * states[0])):
        drawn = torch.zeros(2, 2).index_fill_(0, torch.tensor(lost), 1.0)
        torch.testing.assert_close(normal(*inputs, Paths(drawn, torch.tensor(0.5))), 2 * kept)


@pytest.mark.parametrize("method", ["rsps", "gdas", "pc-darts", "r-darts-dp", "darts-minus"])
@pytest.mark.parametrize("layers", [1, 3])
def test_every_way_to_weigh_operations_gives_the_same_fused_and_plain(
    method: MethodName, layers: int, search_config: MakeSearch
) -> None:
    own = {"partial_channels": 7, "weights_only_epochs": 0} if method == "pc-darts" else {}
    config = search_config(**smallest("bench-deep-all-skip", epochs=3, layers=layers, method=method, **own))
    plain, fused = network_of(config), network_of(config, fused=True)
    images = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    found = []
    for network in (plain, fused):
        network.method.begin_epoch(3)  # in which paths are dropped most often
        network.method.begin_pass("weights")
        out = network(images)
        gradients = torch.autograd.grad(
            out.square().sum(), network.weights(), allow_unused=True, materialize_grads=True
        )
        found.append([out, *gradients])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_an_edge_off_the_path_has_no_skip_connection_either(search_config: MakeSearch) -> None:
    network = network_of(search_config(**smallest("bench-wide-all-skip", method="rsps")))
    cell = network.cells[0]
    assert isinstance(cell, SearchCell)
    states = [torch.randn(2, 54, 8, 8, dtype=torch.float64) for _ in range(2)]
    older, newer = cell.preprocess0(states[0]), cell.preprocess1(states[1])
    none = network.primitives.index("none")
    weights = torch.zeros(5, 8, dtype=torch.float64)
    out = cell(*states, weights, chosen=[none, none, none, None, none])
    torch.testing.assert_close(out, torch.cat([older + newer, older + (older + newer)], dim=1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": "bench-wide-all-skip", "method": "p-darts"}, "p-darts in stages is not of space"),
        (
            {"space": "bench-deep-all-skip", "method": "drnas-progressive"},
            "drnas-progressive in stages is not of space",
        ),
        ({"space": "bench-single-cell", "method": "fair-darts"}, "fair-darts may empty all nodes"),
        ({"space": "bench-single-cell", "nodes": 4}, "nodes: a cell of space 'bench-single-cell' has 8"),
        ({"space": "bench-deep", "stem": "imagenet"}, "channels: must be even behind the stem 'imagenet', not 7"),
        ({"space": "bench-deep", "method": "pc-darts"}, "partial_channels: 4 does not divide 7 channels"),
    ],
)
def test_what_a_space_does_not_have_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SearchConfig(dataset="digits", **changes).resolved()


@pytest.mark.parametrize("name", WITH_SKIPS)
def test_no_selection_follows_a_search_with_skip_connections_on_all_edges(name: CnnSpace) -> None:
    config = SearchConfig(dataset="digits", space=name).resolved()
    with pytest.raises(ConfigError, match=f"search_id: is of the space {name}, whose skip-connections no selection"):
        perturbation_of(config, 1, {})


def test_a_log_says_why_cells_with_skip_connections_are_not_fused(search_config: MakeSearch) -> None:
    lists = [["max_pool_3x3"], ["skip_connect"]]
    for changes, is_fused in (
        ({}, True),
        ({"method": "pc-darts", "partial_channels": 7}, False),
        ({"nodes": 1, "edges": {"normal": lists}}, False),
    ):
        config = search_config(**smallest("bench-deep-all-skip", **changes))
        plan = arrangement_of(config, torch.device("cpu"), ALONE)
        assert (plan.fused, plan.not_fused is None) == (is_fused, is_fused)


@pytest.mark.parametrize("changes", [{"reductions": [0]}, {"layers": 1}, {"layers": 2}, {"channels": 8}])
def test_an_even_width_of_the_first_cell_is_accepted_behind_the_imagenet_stem(
    changes: dict[str, Any], search_config: MakeSearch
) -> None:
    config = search_config(**{"channels": 7, "stem": "imagenet", **changes})
    network = build_supernet(config, classes=2, image_channels=1, stem="imagenet", fused=True)
    assert network(torch.randn(2, 1, 33, 33)).shape == (2, 2)


def test_all_nine_tasks_are_there_by_name() -> None:
    assert [name for name in get_args(CnnSpace) if name.startswith("bench-")] == NAMES
    assert len(NAMES) == 9
