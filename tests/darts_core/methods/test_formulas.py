"""The formulas of the search methods: gradients against finite differences, draws against their distributions."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import scipy.stats
import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.bilevel.architect import Architect
from darts_core.bilevel.flat import FlatSGD, FlatWeights
from darts_core.bilevel.graphed import GraphedStep
from darts_core.configs import SearchConfig
from darts_core.configs.method_fields import MethodName
from darts_core.configs.methods import METHODS
from darts_core.data.batches import Batch
from darts_core.genotypes.derive import strongest, strongest_pairs
from darts_core.genotypes.edges import Edge
from darts_core.methods.drnas import DrNas
from darts_core.methods.gdas import Gdas, straight_through
from darts_core.methods.registry import method_of
from darts_core.methods.smooth_darts import normalised
from darts_core.methods.snas import Snas
from darts_core.models.supernet import SearchNetwork
from tests.support.same_bits import assert_same_bits

DRAWS = 100_000


def made(name: MethodName, epoch: int = 1, **values: Any) -> Any:
    config = SearchConfig(dataset="digits", method=name, epochs=50, **values).resolved()
    method = method_of(config)
    method.begin_epoch(epoch)
    return method


def table(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def test_beta_darts_penalty_has_the_gradient_of_finite_differences_and_of_the_closed_form() -> None:
    method = made("beta-darts", epoch=26)
    generator = torch.Generator().manual_seed(0)
    alphas = {
        kind: torch.randn(5, 4, dtype=torch.float64, generator=generator).requires_grad_()
        for kind in ("normal", "reduce")
    }

    def penalty(normal: Tensor, reduce: Tensor) -> Tensor:
        found: Tensor = method.alpha_penalty({"normal": normal, "reduce": reduce})
        return found

    assert torch.autograd.gradcheck(penalty, tuple(alphas.values()), atol=1e-8, rtol=1e-8, eps=1e-5)
    # lambda is 25 * 25 / 50 after half of the epochs.
    gradient = torch.autograd.grad(penalty(*alphas.values()), alphas["normal"])[0]
    torch.testing.assert_close(gradient, 12.5 / 5 * alphas["normal"].softmax(dim=-1), rtol=1e-12, atol=0)


def test_beta_darts_penalty_grows_from_nothing() -> None:
    alphas = {"normal": torch.zeros(2, 3)}
    assert made("beta-darts", epoch=1).alpha_penalty(alphas) is None
    found = [made("beta-darts", epoch=e).alpha_penalty(alphas).item() for e in (2, 50)]
    assert found == pytest.approx([0.5 * math.log(3), 24.5 * math.log(3)])


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("darts", {}, [True, True]),
        ("beta-darts", {}, [False, False]),
        ("darts-minus", {}, [False, False]),
        ("pc-darts", {"weights_only_epochs": 2}, [True, False]),
    ],
)
def test_a_recorded_step_holds_while_the_numbers_of_the_epoch_stay(
    name: MethodName, values: dict[str, Any], expected: list[bool]
) -> None:
    method = made(name, **values)
    network = SearchNetwork(["skip_connect", "dil_conv_3x3"], channels=4, layers=3, nodes=2, classes=3, method=method)
    optimizer = FlatSGD(FlatWeights(network), lr=0.1, momentum=0.9, weight_decay=0.0)
    step = GraphedStep(network, Architect(network, optimizer, order=1, lr=0.1, weight_decay=0.0), optimizer, 5.0)
    held = []
    for epoch in (1, 2, 3):
        method.begin_epoch(epoch)
        held.append(step._held())
    assert [one == next_one for one, next_one in itertools.pairwise(held)] == expected
    network.penalised = True
    assert step._held() != held[-1]


@pytest.mark.parametrize("temperature", [0.1, 10.0])
def test_gdas_draws_operations_as_often_as_softmax_says_at_any_temperature(temperature: float) -> None:
    method = made("gdas", temperature_start=temperature, temperature_end=temperature)
    assert isinstance(method, Gdas)
    row = table([0.5, -1.0, 2.0, 0.0])
    [weights] = method.operation_weights({"normal": row.expand(DRAWS, 4)}).values()
    assert torch.equal(weights.sum(dim=-1), torch.ones(DRAWS, dtype=torch.float64))
    counts = weights.sum(dim=0)
    expected = DRAWS * row[0].softmax(dim=-1)
    assert scipy.stats.chisquare(counts.numpy(), expected.numpy()).pvalue > 1e-4


def test_snas_is_uniform_at_a_high_temperature_and_one_hot_at_a_low_one() -> None:
    rows = torch.zeros(1000, 4, dtype=torch.float64)
    flat, sharp = (
        made("snas", temperature_start=t, temperature_end=t).operation_weights({"normal": rows})["normal"]
        for t in (1e6, 1e-6)
    )
    torch.testing.assert_close(flat, torch.full_like(rows, 0.25), rtol=0, atol=1e-4)
    assert (sharp.max(dim=-1).values > 0.999).double().mean() > 0.99


def test_the_straight_through_weights_have_the_gradient_of_the_soft_ones() -> None:
    alpha = table([0.3, -0.2, 1.0]).requires_grad_()
    towards = table([1.0, 2.0, -3.0])
    soft = alpha.softmax(dim=-1)
    [expected] = torch.autograd.grad((soft * towards).sum(), alpha, retain_graph=True)
    [found] = torch.autograd.grad((straight_through(soft) * towards).sum(), alpha)
    assert torch.equal(found, expected)


def test_temperatures_are_linear_over_the_epochs() -> None:
    found = [made("gdas", epoch=epoch).temperature for epoch in (1, 50)]
    assert found == pytest.approx([10.0, 0.1])
    assert isinstance(made("snas"), Snas)


def test_drnas_draws_have_the_dirichlets_mean_and_gradient() -> None:
    method = made("drnas")
    assert isinstance(method, DrNas)
    alpha = table([0.5, -1.0, 2.0]).requires_grad_()
    concentration = torch.where(alpha > 0, alpha + 1, alpha.exp()).detach().requires_grad_()
    drawn = method.operation_weights({"normal": alpha.expand(DRAWS, 3)})["normal"]
    mean = concentration / concentration.sum()
    errors = drawn.std(dim=0) / math.sqrt(DRAWS)
    assert bool(((drawn.mean(dim=0) - mean[0]).abs() < 4 * errors).all())
    torch.testing.assert_close(drawn.sum(dim=-1), torch.ones(DRAWS, dtype=torch.float64))
    # The gradient of E[towards . p] = towards . mean, in the concentrations and through them in the alphas.
    towards = table([1.0, 2.0, -3.0])
    exact = alpha.detach().clone().requires_grad_()
    own = torch.where(exact > 0, exact + 1, exact.exp())
    [expected] = torch.autograd.grad((own / own.sum() * towards).sum(), exact)
    rows = alpha.detach().expand(DRAWS, 3).clone().requires_grad_()
    sampled = method.operation_weights({"normal": rows})["normal"]
    [each] = torch.autograd.grad((sampled * towards).sum(), rows)
    error = each.std(dim=0) / math.sqrt(DRAWS)
    assert bool(((each.mean(dim=0) - expected[0]).abs() < 4 * error).all())


def test_drnas_strengths_are_the_means() -> None:
    strengths = made("drnas").strengths({"normal": table([0.0, 1.0, -math.log(2.0)])})["normal"]
    assert strengths[0] == pytest.approx([1 / 3.5, 2 / 3.5, 0.5 / 3.5])


def test_smoothed_rows_are_distributions() -> None:
    rows = torch.randn(1000, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    shifted = normalised(rows)
    assert bool((shifted >= 0).all())
    torch.testing.assert_close(shifted.sum(dim=-1), torch.ones(1000, dtype=torch.float64))


def test_a_smoothed_row_of_zeros_is_one_hot_at_its_largest_entry() -> None:
    assert normalised(table([-0.3, -0.1, -0.2])).tolist() == [[0.0, 1.0, 0.0]]


def test_smoothing_shifts_the_weight_step_alone() -> None:
    method = made("sdarts-rs", epoch=50)
    alphas = {"normal": table([0.0, 0.0, 0.0, 0.0])}
    found = {}
    for name in ("alphas", "measuring", "weights"):
        method.begin_pass(name)
        found[name] = method.operation_weights(alphas)["normal"]
    assert torch.equal(found["alphas"], found["measuring"])
    assert not torch.equal(found["alphas"], found["weights"])
    assert method.radius == pytest.approx(0.03 + 0.27 * 49 / 50)


@pytest.mark.parametrize("name", [n for n in METHODS if n in ("gdas", "snas", "drnas")])
def test_draws_differ_by_epoch_step_pass_and_forward_and_by_nothing_else(name: MethodName) -> None:
    alphas = {"normal": torch.zeros(20, 6, dtype=torch.float64)}

    def drawn(epoch: int, step: int, of: str, forwards: int = 1) -> tuple[float, ...]:
        method = made(name, epoch=epoch)
        method.begin_step(step)
        method.begin_pass(of)
        for _ in range(forwards):
            weights = method.operation_weights(alphas)["normal"]
        return tuple(weights.flatten().tolist())

    assert drawn(3, 7, "alphas") == drawn(3, 7, "alphas")
    others = [drawn(3, 7, "alphas"), drawn(4, 7, "alphas"), drawn(3, 8, "alphas"), drawn(3, 7, "weights")]
    assert len({*others, drawn(3, 7, "alphas", 2)}) == 5


def test_the_adversarial_weights_are_within_the_radius_and_never_better(monkeypatch: pytest.MonkeyPatch) -> None:
    method = made("sdarts-adv", epoch=50)
    torch.manual_seed(0)
    network = SearchNetwork(
        ["skip_connect", "sep_conv_3x3", "avg_pool_3x3"], channels=4, layers=3, classes=3, nodes=2, method=method
    ).double()
    batch = Batch(torch.randn(8, 3, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]))
    network.train()
    before = {name: t.clone() for name, t in network.state_dict().items()}
    method.prepare_weight_step(network, batch, network.weights())
    assert_same_bits(before, network.state_dict())
    assert network.training
    method.begin_pass("weights")
    worst = method.operation_weights(network.alphas)
    network.eval()
    with torch.no_grad():
        attacked = F.cross_entropy(network(batch.images), batch.labels)
        method.begin_pass("measuring")
        clean = F.cross_entropy(network(batch.images), batch.labels)
    assert attacked > clean
    for kind, rows in worst.items():
        plain = network.alphas[kind].softmax(dim=-1)
        assert not torch.equal(rows, plain)
        # The division by the row's sum can add to the shift, which the radius bounds before it.
        assert bool(((rows - plain).abs() < 2 * method.radius).all())
        torch.testing.assert_close(rows.sum(dim=-1), torch.ones(len(rows), dtype=torch.float64))


def test_gdas_keeps_the_two_strongest_pairs_of_a_node_even_on_one_edge() -> None:
    primitives = ("none", "skip_connect", "sep_conv_3x3", "max_pool_3x3")
    rows = [[0.1, 0.4, 0.45, 0.05], [0.9, 0.06, 0.03, 0.01]]
    one_edge = [Edge("sep_conv_3x3", 0), Edge("skip_connect", 0)]
    assert list(strongest_pairs(rows, rows, primitives).normal) == one_edge
    # By DARTS' rule each edge has one operation.
    assert list(strongest(rows, rows, primitives).normal) == [Edge("sep_conv_3x3", 0), Edge("skip_connect", 1)]
    flat = [[0.25] * 4] * 5
    tied = strongest_pairs(flat, flat, primitives).reduce
    assert list(tied) == [Edge("skip_connect", 0), Edge("sep_conv_3x3", 0)] * 2
    method, table_of = made("gdas", nodes=1), {"normal": table(*rows).log(), "reduce": table(*rows).log()}
    assert list(method.genotype(table_of, primitives).normal) == one_edge
