"""The fast recurrent cells and loss equal the plain ones in float64, and keep less memory."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.bilevel.recurrent import Penalties, RecurrentArchitect, TextSegment, penalised, recurrent_search_step
from darts_core.data.text.windows import TextBatch
from darts_core.genotypes import KNOWN_RECURRENT, RecurrentGenotype
from darts_core.kernels import loader
from darts_core.kernels.gpu import recurrent
from darts_core.models.recurrent import search_sequence, state_norm, tied_loss
from darts_core.models.recurrent.dropout import DropoutRates, Masks, draw_masks
from darts_core.models.recurrent.kernel_passes import KernelMixture
from darts_core.models.recurrent.language_model import LanguageModel, RecurrentNetwork, RecurrentSearchNetwork
from darts_core.models.recurrent.mixture import Mixture
from darts_core.models.recurrent.tied_loss import tied_cross_entropy
from darts_core.primitives import RNN_PRIMITIVES, RNN_SPACES
from tests.support.rounding import assert_same_numbers, sum_tolerance

WORDS, SIZE = 13, 7
RATES = DropoutRates(word=0.1, input=0.2, cell_input=0.3, hidden=0.25, output=0.4)
PENALTIES = Penalties(activation=0.1, slowness=0.2)
SPACES = [*RNN_SPACES.values(), RNN_PRIMITIVES[1:], ("none", "tanh"), ("identity",), ("sigmoid", "none", "relu")]
# The second node is read by no one, and not the output's.
WITH_A_DEAD_NODE = RecurrentGenotype.of([("tanh", 0), ("relu", 0), ("identity", 1), ("sigmoid", 3)], [4, 1])
CUT_IN_THE_MIDDLE = RecurrentGenotype.of([("tanh", 0), ("relu", 1), ("identity", 0), ("sigmoid", 1)], [2, 3, 4])


def searches(primitives: Sequence[str], nodes: int) -> list[RecurrentSearchNetwork]:
    """The plain and the fast network, with the same weights and alphas."""
    networks = []
    for plain in (True, False):
        torch.manual_seed(nodes)
        network = RecurrentSearchNetwork(primitives, words=WORDS, size=SIZE, nodes=nodes, plain=plain).double()
        network.load_alphas({"recurrent": torch.randn_like(network.alphas["recurrent"])})
        networks.append(enlarged(network))
    return networks


def retrains(genotype: RecurrentGenotype) -> list[RecurrentNetwork]:
    networks = []
    for plain in (True, False):
        torch.manual_seed(0)
        networks.append(enlarged(RecurrentNetwork(genotype, words=WORDS, size=SIZE, plain=plain).double()))
    return networks


def enlarged(network: Any) -> Any:
    with torch.no_grad():  # the small weights of the start would hide half of the formulas in rounding
        for weight in network.parameters():
            weight.mul_(5)
    return network


def results(network: LanguageModel, *, steps: int, batch: int, dropped: bool) -> dict[str, Tensor]:
    """The loss with penalties, every gradient, and the running statistics."""
    source = torch.Generator().manual_seed(1)
    words = torch.randint(WORDS, (steps + 1, batch), generator=source)
    hidden = torch.randn(batch, SIZE, generator=source, dtype=torch.float64).requires_grad_()
    masks = masks_of(batch) if dropped else None
    passed = network(words[:-1], hidden, masks)
    loss = penalised(passed.cross_entropy(words[1:]), passed, PENALTIES) + passed.hidden.sum()
    inputs = [*network.parameters(), *getattr(network, "alphas", {}).values(), hidden]
    gradients = torch.autograd.grad(loss, inputs, allow_unused=True)
    found = {f"gradient {i}": gradient for i, gradient in enumerate(gradients) if gradient is not None}
    return {"loss": loss.detach(), "logits": passed.logits.detach(), **found, **dict(network.named_buffers())}


def terms_of(steps: int, batch: int) -> int:
    """Of the longest sum: what a gradient adds up over a window's words, from all units or logits of each."""
    return steps * batch * max(2 * SIZE, WORDS)


def masks_of(batch: int, seed: int = 0) -> Masks:
    source = torch.Generator().manual_seed(seed)
    return draw_masks(RATES, words=WORDS, size=SIZE, batch=batch, source=source, dtype=torch.float64)


@pytest.fixture(params=["cpu", pytest.param("gpu", marks=pytest.mark.slow), "torch"])
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the CPU kernels, with the GPU's in Triton's interpreter, and in torch's own operations."""
    if request.param == "cpu" and not loader.available(torch.float64):
        pytest.skip("no compiler, no kernels")
    if request.param == "gpu" and (not find_spec("triton") or os.environ.get("TRITON_INTERPRET") != "1"):
        pytest.skip("no interpreter of Triton's kernels")
    for module in (search_sequence, state_norm):
        monkeypatch.setattr(module, "has_kernels", lambda x: request.param == "cpu")
    monkeypatch.setattr(recurrent, "serves", lambda x: request.param == "gpu")


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("primitives", SPACES)
def test_search_network_equals_the_plain_one_in_every_space(
    primitives: Sequence[str], training: bool, kernels: None
) -> None:
    for (steps, batch), dropped in itertools.product([(1, 5), (4, 6)], [True, False]):
        plain, fast = (n.train(training) for n in searches(primitives, nodes=4))
        run = partial(results, steps=steps, batch=batch, dropped=dropped)
        assert_same_numbers(plain, fast, run, terms_of(steps, batch))


@pytest.mark.parametrize("nodes", [1, 2, 3, 5, 8, 12])
def test_search_network_equals_the_plain_one_with_any_count_of_nodes(nodes: int, kernels: None) -> None:
    plain, fast = (n.train() for n in searches(RNN_PRIMITIVES, nodes))
    assert_same_numbers(plain, fast, partial(results, steps=3, batch=11, dropped=True), terms_of(3, 11))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kernels_compute_large_small_and_odd_numbers_as_torch_does(dtype: torch.dtype) -> None:
    if not loader.available(dtype):
        pytest.skip("no compiler, no kernels")
    numbers = torch.tensor([0, 1e-30, -1e-7, 1e-4, -0.3, 17, -17, 44, -44, 90, -90, 400, -400, 1e4, -1e4], dtype=dtype)
    candidates = torch.cat([numbers, numbers.new_tensor([torch.nan])])[:, None].expand(-1, 15)
    gates = numbers.expand(16, 15)
    state = torch.linspace(-2, 2, gates.numel(), dtype=dtype).view_as(gates)
    shares = torch.tensor([[0.1, 0.2, 0.3, 0.15, 0.25]], dtype=dtype)
    seen = []
    for kind in (Mixture, KernelMixture):
        product, sums = torch.stack([gates, candidates])[None], torch.zeros_like(state)[None]
        mixture = kind(RNN_PRIMITIVES, shares)
        mixture.forward(state, product, sums)
        seen.append([sums, mixture.backward(torch.ones_like(sums), state, product, None), product])
    # A candidate is a share times a gate times an activation's distance from the state: at most eight roundings.
    tolerance = sum_tolerance(8 * len(RNN_PRIMITIVES), dtype)
    torch.testing.assert_close(*seen, rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize(
    "genotype", [*KNOWN_RECURRENT.values(), WITH_A_DEAD_NODE, CUT_IN_THE_MIDDLE], ids=[*KNOWN_RECURRENT, "dead", "cut"]
)
def test_retrained_network_equals_the_plain_one(genotype: RecurrentGenotype) -> None:
    for (steps, batch), dropped in itertools.product([(1, 1), (5, 3)], [True, False]):
        run = partial(results, steps=steps, batch=batch, dropped=dropped)
        plain, fast = retrains(genotype)
        assert_same_numbers(plain, fast, run, terms_of(steps, batch))


@pytest.mark.parametrize("order", [1, 2])
def test_twenty_search_steps_equal_the_plain_ones(order: Literal[1, 2]) -> None:
    def ends(network: RecurrentSearchNetwork) -> dict[str, Tensor]:
        optimizer = torch.optim.SGD(network.train().weights(), lr=0.5, weight_decay=1e-3)
        architect = RecurrentArchitect(network, optimizer, order=order, lr=0.01, weight_decay=1e-3, grad_clip=0.25)
        source = torch.Generator().manual_seed(3)
        training = validation = network.start(6)
        for step in range(20):
            words = torch.randint(WORDS, (2, 5, 6), generator=source)
            one, other = (TextBatch(w[:-1], w[1:]) for w in words)
            _, training, validation = recurrent_search_step(
                network,
                architect,
                optimizer,
                TextSegment(one, training),
                TextSegment(other, validation),
                lambda name, step=step: masks_of(6, seed=10 * step + len(name)),  # type: ignore[misc]
                grad_clip=0.25,
                penalties=PENALTIES,
            )
        states = {"training": training, "validation": validation, **network.alphas}
        return {**network.state_dict(), **{name: state.detach() for name, state in states.items()}}

    plain, fast = searches(RNN_PRIMITIVES, nodes=3)
    assert_same_numbers(plain, fast, ends, 20 * terms_of(5, 6))


@pytest.mark.parametrize("training", [True, False])
def test_networks_measure_the_same_without_gradients(training: bool) -> None:
    @torch.no_grad()
    def measured(network: LanguageModel) -> dict[str, Tensor]:
        passed = network.train(training)(torch.arange(12).view(4, 3), network.start(3))
        return {"outputs": passed.outputs, "loss": passed.cross_entropy(torch.ones(4, 3, dtype=torch.int64))}

    for plain, fast in (searches(RNN_PRIMITIVES, nodes=4), retrains(KNOWN_RECURRENT["ENAS"])):
        assert_same_numbers(plain, fast, measured, terms_of(4, 3))


@pytest.mark.parametrize("chunk", [1, 2 * WORDS, 1000 * WORDS])
def test_loss_in_chunks_equals_the_whole_one(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tied_loss, "_CHUNK_ELEMENTS", chunk)
    source = torch.Generator().manual_seed(0)
    x, weight, bias = (
        torch.randn(shape, generator=source, dtype=torch.float64).requires_grad_()
        for shape in ((5, SIZE), (WORDS, SIZE), (WORDS,))
    )
    targets = torch.randint(WORDS, (5,), generator=source)
    plain = F.cross_entropy(F.linear(x, weight, bias), targets)
    fast = tied_cross_entropy(x, weight, bias, targets)
    of_plain, of_fast = (torch.autograd.grad(2.5 * loss, (x, weight, bias)) for loss in (plain, fast))
    for a, b in zip([plain, *of_plain], [fast, *of_fast], strict=True):
        assert (a - b).abs().max() <= sum_tolerance(terms_of(5, 1)) * a.abs().max()


def test_only_requested_tensors_are_differentiated() -> None:
    network = searches(RNN_PRIMITIVES, nodes=2)[1]
    for weight in network.weights():
        weight.requires_grad_(False)
    network(torch.ones(3, 4, dtype=torch.int64), network.start(4)).cross_entropy(
        torch.ones(3, 4, dtype=torch.int64)
    ).backward()
    assert network.alphas["recurrent"].grad is not None
    assert all(weight.grad is None for weight in network.weights())


@pytest.mark.parametrize(
    "made", [lambda: searches(RNN_PRIMITIVES, 2)[1], lambda: retrains(KNOWN_RECURRENT["DARTS"])[1]]
)
def test_a_second_derivative_is_refused(made: Callable[[], LanguageModel]) -> None:
    network, words = made(), torch.ones(3, 4, dtype=torch.int64)
    passed = [network(words, network.start(4)) for _ in range(2)]
    for value in (passed[0].outputs.square().sum(), passed[1].cross_entropy(words)):
        with pytest.raises(RuntimeError, match="use a plain one"):
            torch.autograd.grad(value, network.encoder.weight, create_graph=True)


def test_a_second_gradient_of_the_same_window_is_refused_not_wrong() -> None:
    network = searches(RNN_PRIMITIVES, nodes=2)[1]
    loss = network(torch.ones(3, 4, dtype=torch.int64), network.start(4)).outputs.sum()
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="run it again"):
        loss.backward()


def test_training_on_a_batch_of_one_is_refused_by_the_search_network() -> None:
    for network in searches(RNN_PRIMITIVES, nodes=2):
        with pytest.raises(ValueError, match=r"batch|more than 1 value"):
            network.train()(torch.ones(3, 1, dtype=torch.int64), network.start(1))


def test_table_of_all_logits_is_never_made() -> None:
    """What autograd keeps from one window is smaller than its logits alone would be."""
    network = RecurrentNetwork(KNOWN_RECURRENT["DARTS"], words=20_000, size=4)
    held: dict[int, int] = {}

    def kept(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        held[storage.data_ptr()] = storage.nbytes()
        return tensor

    words = torch.ones(9, 8, dtype=torch.int64)
    with torch.autograd.graph.saved_tensors_hooks(kept, lambda tensor: tensor):
        network(words, network.start(8)).cross_entropy(words)
    assert sum(held.values()) < 4 * words.numel() * network.words
