"""FairDARTS: sigmoids, the zero-one loss, the threshold rule, and searches whose cells are sparse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from darts_core import run_evaluation, run_search
from darts_core.bilevel.architect import Architect
from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.errors import ConfigError, GenotypeError
from darts_core.files.loading import load
from darts_core.genotypes import Genotype, cell_diagnostics, ranked, strongest_above, to_json
from darts_core.genotypes.derive import strongest
from darts_core.genotypes.edges import Edge
from darts_core.methods.fair_darts import FairDarts
from darts_core.methods.registry import method_of
from darts_core.models.evaluation_network import EvaluationNetwork
from darts_core.models.supernet import SearchNetwork
from darts_core.primitives import CNN_PRIMITIVES

MakeSearch = Callable[..., SearchConfig]
MakeEvaluation = Callable[..., EvaluationConfig]
PRIMITIVES = ["none", "skip_connect", "sep_conv_3x3"]


def made(**values: Any) -> FairDarts:
    method = method_of(SearchConfig(dataset="digits", method="fair-darts", **values).resolved())
    assert isinstance(method, FairDarts)
    return method


def tables(seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {kind: torch.randn(5, 3, dtype=torch.float64, generator=generator) for kind in ("normal", "reduce")}


def test_a_spec_has_the_authors_values() -> None:
    spec = SearchConfig(dataset="cifar10", method="fair-darts").resolved()
    assert (spec.preset, spec.space) == ("cifar10@fair-darts", "darts-no-none")
    assert tuple(spec.primitives or ()) == CNN_PRIMITIVES[1:]
    assert (spec.batch_size, spec.weight_lr, spec.weight_lr_min, spec.epochs) == (128, 0.005, 0.001, 50)
    assert (spec.alpha_lr, spec.alpha_weight_decay) == (3e-3, 1e-3)
    assert (spec.zero_one_weight, spec.zero_one_loss, spec.edge_threshold) == (10.0, "l2", 0.85)
    named = SearchConfig(dataset="cifar10", preset="cifar10@fair-darts").resolved()
    assert (named.method, named.space) == ("fair-darts", "darts-no-none")


def test_a_space_or_primitives_of_the_spec_win_over_the_methods_own() -> None:
    assert SearchConfig(dataset="digits", method="fair-darts", space="darts").resolved().primitives == [*CNN_PRIMITIVES]
    own = SearchConfig(dataset="digits", method="fair-darts", primitives=["skip_connect"]).resolved()
    assert (own.space, own.primitives) == (None, ["skip_connect"])


@pytest.mark.parametrize("field", [{"zero_one_weight": 1}, {"zero_one_loss": "l1"}, {"edge_threshold": 0.5}])
def test_its_fields_are_refused_under_another_method(field: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(field))}: is a field of fair-darts, not of darts"):
        SearchConfig(dataset="digits", **field).resolved()


@pytest.mark.parametrize("loss", ["l2", "l1"])
def test_the_zero_one_loss_has_the_gradient_of_finite_differences_and_of_the_closed_form(loss: str) -> None:
    method, alphas = made(zero_one_loss=loss), {kind: rows.requires_grad_() for kind, rows in tables().items()}

    def penalty(normal: Tensor, reduce: Tensor) -> Tensor:
        found = method.alpha_penalty({"normal": normal, "reduce": reduce})
        assert found is not None
        return found

    assert torch.autograd.gradcheck(penalty, tuple(alphas.values()), atol=1e-8, rtol=1e-8, eps=1e-5)
    p = torch.sigmoid(torch.cat([*alphas.values()]))
    by_hand = -((p - 0.5) ** 2).mean() if loss == "l2" else -(p - 0.5).abs().mean()
    torch.testing.assert_close(penalty(*alphas.values()), 10 * by_hand, rtol=1e-12, atol=0)
    gradient = torch.autograd.grad(penalty(*alphas.values()), alphas["normal"])[0]
    p = torch.sigmoid(alphas["normal"])
    outer = 2 * (p - 0.5) if loss == "l2" else (p - 0.5).sign()
    torch.testing.assert_close(gradient, -10 / 30 * outer * p * (1 - p), rtol=1e-12, atol=0)


def test_the_zero_one_loss_is_the_mean_over_the_operations_that_edges_have() -> None:
    lists = [["skip_connect"], ["sep_conv_3x3"], ["skip_connect", "sep_conv_3x3"], ["skip_connect"], ["sep_conv_3x3"]]
    alphas = {kind: rows.requires_grad_() for kind, rows in tables().items()}
    penalty = made(primitives=PRIMITIVES, nodes=2, edges={"normal": lists}).alpha_penalty(alphas)
    assert penalty is not None
    has = torch.tensor([[name in names for name in PRIMITIVES] for names in lists])
    p = torch.sigmoid(torch.cat([alphas["normal"][has], alphas["reduce"].flatten()]))
    assert len(p) == 6 + 15
    torch.testing.assert_close(penalty, -10 * ((p - 0.5) ** 2).mean(), rtol=1e-12, atol=0)
    assert not torch.autograd.grad(penalty, alphas["normal"])[0][~has].any()


def test_without_weight_there_is_no_zero_one_loss() -> None:
    assert made(zero_one_weight=0).alpha_penalty(tables()) is None


def test_alphas_start_at_0_and_draw_nothing_from_the_networks_generator() -> None:
    method = made()
    before = torch.get_rng_state()
    found = method.tables(["normal", "reduce"], 4, 14, 7)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(not rows.any() and rows.shape == (14, 7) for rows in found.values())
    assert method.strengths(found)["normal"] == [[0.5] * 7] * 14


def test_the_architect_has_the_methods_betas() -> None:
    def betas(method: str) -> object:
        config = SearchConfig(dataset="digits", method=method, primitives=["skip_connect"]).resolved()
        network = SearchNetwork(["skip_connect"], channels=4, layers=1, classes=2, nodes=1, method=method_of(config))
        sgd = torch.optim.SGD(network.weights(), lr=0.1)
        return Architect(network, sgd, order=1, lr=0.1, weight_decay=0.0).optimizer.param_groups[0]["betas"]

    assert betas("fair-darts") == (0.9, 0.999)
    assert betas("darts") == (0.5, 0.999)


def rows(*strengths: tuple[float, float]) -> list[list[float]]:
    """Strengths of `skip_connect` and `sep_conv_3x3` by edge; `none` has more than both."""
    return [[0.99, skip, sep] for skip, sep in strengths]


FULL = rows(*[(0.9, 0.1)] * 5)


@pytest.mark.parametrize(
    ("strengths", "kept"),
    [
        # Both edges of node 2 in order of strength, then the two strongest of three.
        (rows((0.1, 0.9), (0.95, 0), (0.86, 0), (0.2, 0.88), (0.9, 0)),
         [("skip_connect", 2, 1), ("sep_conv_3x3", 2, 0), ("skip_connect", 3, 2), ("sep_conv_3x3", 3, 1)]),
        # The threshold itself is enough; what lies below is dropped.
        (rows((0.85, 0), (0.8499, 0), (0.1, 0), (0.2, 0), (0.3, 0)), [("skip_connect", 2, 0)]),
        # An empty node between: node 3 reads the inputs.
        (rows((0.1, 0), (0.2, 0), (0.9, 0), (0.95, 0), (0.3, 0)), [("skip_connect", 3, 1), ("skip_connect", 3, 0)]),
        # Nothing passes: the strongest edge is kept.
        (rows((0.1, 0), (0.2, 0), (0.3, 0), (0.1, 0), (0.2, 0)), [("skip_connect", 3, 0)]),
        # Ties go to the first node and source.
        (rows((0.5, 0.5), (0.5, 0.5), (0.5, 0.5), (0.5, 0.5), (0.5, 0.5)), [("skip_connect", 2, 0)]),
        # Only an edge from a node passes, which alone would carry nothing: the strongest one of an input is kept, too.
        (rows((0.1, 0.2), (0, 0), (0.1, 0), (0, 0), (0.9, 0)), [("sep_conv_3x3", 2, 0), ("skip_connect", 3, 2)]),
        # Of two operations above the threshold an edge keeps the better one.
        (rows((0.9, 0.95), (0, 0), (0, 0), (0, 0), (0, 0)), [("sep_conv_3x3", 2, 0)]),
    ],
)  # fmt: skip
def test_the_threshold_rule(strengths: list[list[float]], kept: list[Any]) -> None:
    found = strongest_above(strengths, FULL, PRIMITIVES, 0.85)
    assert [[op, 2 + i, source] for i, node in enumerate(found.nodes("normal")) for op, source in node] == [
        list(edge) for edge in kept
    ]
    assert found.normal_concat == (2, 3)


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=9, max_size=9), st.floats(0, 1))
def test_any_strengths_give_a_cell_of_edges_above_the_threshold(table: list[list[float]], threshold: float) -> None:
    found, dense = strongest_above(table, table, PRIMITIVES, threshold), strongest(table, table, PRIMITIVES)
    first = 0
    below = 0
    for node, (kept, both) in enumerate(zip(found.nodes("normal"), dense.nodes("normal"), strict=True), 2):
        assert [edge for edge in both if edge in kept] == list(kept)
        for edge in both:
            passes = table[first + edge.source][PRIMITIVES.index(edge.op)] >= threshold
            assert edge in kept or not passes
            below += edge in kept and not passes
        first += node
    assert below <= 1


def test_a_threshold_of_0_is_the_rule_of_darts() -> None:
    table = torch.rand(14, 3, generator=torch.Generator().manual_seed(1)).tolist()
    assert strongest_above(table, table, PRIMITIVES, 0.0) == strongest(table, table, PRIMITIVES)


def test_none_is_never_chosen() -> None:
    found = strongest_above(rows(*[(0.1, 0.2)] * 14), rows(*[(0.9, 0.2)] * 14), PRIMITIVES, 0.85)
    assert {edge.op for edge in (*found.normal, *found.reduce)} == {"sep_conv_3x3", "skip_connect"}


def test_strengths_that_are_not_finite_are_refused() -> None:
    with pytest.raises(GenotypeError, match="finite"):
        made(primitives=PRIMITIVES).genotype({k: t * float("nan") for k, t in tables().items()}, tuple(PRIMITIVES))


def test_a_sparse_genotype_is_of_rank_1_alone() -> None:
    low = rows(*[(0.1, 0)] * 5)
    strengths, sparse = {"normal": low, "reduce": FULL}, strongest_above(low, FULL, PRIMITIVES, 0.85)
    assert ranked(strengths, PRIMITIVES, derived=sparse) == sparse
    assert ranked(strengths, PRIMITIVES, derived=sparse, max_skip_connects=1) == sparse
    with pytest.raises(GenotypeError, match="sparse genotype"):
        ranked(strengths, PRIMITIVES, derived=sparse, rank=2)
    with pytest.raises(GenotypeError, match="sparse genotype"):
        ranked(strengths, PRIMITIVES, derived=sparse, max_skip_connects=0)


def test_diagnostics_take_strengths_that_add_up_to_any_number() -> None:
    strengths = {"normal": rows(*[(0.1, 0)] * 5), "reduce": FULL}
    found = cell_diagnostics(strongest_above(strengths["normal"], FULL, PRIMITIVES, 0.85), strengths)
    assert found["skip_connects"] == 1
    assert 0 < found["alpha_entropy"] < 1.1


@pytest.mark.parametrize("fused", [True, False])
def test_a_search_reports_sparse_cells_from_the_first_epoch_on(
    fused: bool, search_config: MakeSearch, data_root: Path
) -> None:
    config = search_config(method="fair-darts", fused=fused, epochs=2, alpha_lr=0.1)
    for report in run_search(config, data_root=data_root):
        assert isinstance(report.genotype, Genotype)
        assert report.genotype.is_sparse
        assert len(report.genotype.normal) >= 1
        assert 0 < report.metrics["alpha_entropy"] <= torch.tensor(float(len(config.primitives or []))).log() + 1e-9


def test_fused_cells_agree_with_plain_ones_at_sigmoids() -> None:
    found = []
    for fused in (True, False):
        torch.manual_seed(0)
        method = made(primitives=[*CNN_PRIMITIVES[1:]])
        network = SearchNetwork(
            CNN_PRIMITIVES[1:], channels=4, layers=3, classes=2, nodes=2, fused=fused, method=method
        ).double()
        with torch.no_grad():
            for table in network.alphas.values():
                table.copy_(torch.linspace(-2, 2, table.numel()).view_as(table))
        x = torch.randn(4, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        loss = network(x).square().mean()
        found.append((loss.detach(), *torch.autograd.grad(loss, list(network.alphas.values()))))
    for left, right in zip(*found, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-12)


def test_a_sparse_cell_is_trained_and_its_checkpoint_loads(
    evaluation_config: MakeEvaluation, data_root: Path, tmp_path: Path
) -> None:
    sparse = Genotype.of(
        [["sep_conv_3x3", 2, 0], ["skip_connect", 4, 3], ["max_pool_3x3", 5, 2]],
        [2, 3, 4, 5],
        [["skip_connect", 3, 1]],
        [2, 3],
    )
    [report] = run_evaluation(evaluation_config(genotype=to_json(sparse), epochs=1), data_root=data_root)
    report.save(tmp_path / "evaluation.pt")
    loaded = load(tmp_path / "evaluation.pt")
    assert isinstance(loaded.network, EvaluationNetwork)
    assert loaded.network.cells[0].concat == (2, 5)
    assert report.checkpoint["genotype"]["normal"] == [list(edge) for edge in sparse.normal]
    assert sparse.nodes("reduce") == ((), (Edge("skip_connect", 1),))
