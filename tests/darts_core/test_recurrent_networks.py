"""Recurrent cells and the language models around them, against the equations written out."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from darts_core.genotypes import KNOWN_RECURRENT, RecurrentGenotype
from darts_core.models.recurrent.dropout import DropoutRates, Masks, draw_masks
from darts_core.models.recurrent.language_model import RecurrentNetwork, RecurrentSearchNetwork
from darts_core.models.recurrent.plain import ACTIVATIONS
from darts_core.primitives import RNN_PRIMITIVES
from darts_core.profile import LanguageShape, profile_language_model

WORDS, SIZE, BATCH, ROWS = 13, 5, 3, 4
RATES = DropoutRates(word=0.1, input=0.2, cell_input=0.3, hidden=0.4, output=0.5)


def masks_of(seed: int = 0, rates: DropoutRates = RATES) -> Masks:
    source = torch.Generator().manual_seed(seed)
    return draw_masks(rates, words=WORDS, size=SIZE, batch=BATCH, source=source, dtype=torch.float64)


def tokens_and_hidden() -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(5)
    hidden = torch.randn(BATCH, SIZE, generator=source, dtype=torch.float64)
    return torch.randint(WORDS, (ROWS, BATCH), generator=source), hidden


def of_genotype(genotype: RecurrentGenotype) -> RecurrentNetwork:
    torch.manual_seed(0)
    return RecurrentNetwork(genotype, words=WORDS, size=SIZE).double()


def of_search(nodes: int = 3) -> RecurrentSearchNetwork:
    torch.manual_seed(0)
    return RecurrentSearchNetwork(RNN_PRIMITIVES, words=WORDS, size=SIZE, nodes=nodes).double()


@pytest.mark.parametrize("name", ["DARTS_V2", "ENAS"])
@pytest.mark.parametrize("dropped", [False, True])
def test_language_model_of_a_genotype_follows_the_equations(name: str, dropped: bool) -> None:
    genotype = KNOWN_RECURRENT[name]
    network = of_genotype(genotype)
    tokens, hidden = tokens_and_hidden()
    masks = masks_of() if dropped else None
    passed = network(tokens, hidden, masks)

    p = dict(network.named_parameters())
    word, inp, x_mask, h_mask, out = masks or (1.0,) * 5
    e = (p["encoder.weight"] * word)[tokens] * inp
    h, logits = hidden, []
    for t in range(ROWS):
        c0, h0 = torch.split(torch.cat([e[t] * x_mask, h * h_mask], 1) @ p["rnns.0._W0"], SIZE, 1)
        s = [h + c0.sigmoid() * (h0.tanh() - h)]
        for i, (op, j) in enumerate(genotype.recurrent):
            c, g = torch.split((s[j] * h_mask) @ p[f"rnns.0._Ws.{i}"], SIZE, 1)
            s.append(s[j] + c.sigmoid() * (ACTIVATIONS[op](g) - s[j]))
        h = torch.stack([s[i] for i in genotype.concat]).mean(0)
        logits.append((h * out) @ p["encoder.weight"].T + p["decoder.bias"])
    torch.testing.assert_close(passed.logits, torch.stack(logits), rtol=0, atol=1e-12)
    torch.testing.assert_close(passed.hidden, h, rtol=0, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_search_network_follows_the_equations(training: bool) -> None:
    network = of_search().train(training)
    with torch.no_grad():
        network.alphas["recurrent"].copy_(torch.randn_like(network.alphas["recurrent"]))
    tokens, hidden = tokens_and_hidden()
    masks = masks_of()
    passed = network(tokens, hidden, masks)

    p = dict(network.named_parameters())
    weights = network.alphas["recurrent"].softmax(1)

    def bn(x: torch.Tensor) -> torch.Tensor:
        if not training:
            return x / math.sqrt(1 + 1e-5)  # nothing was seen yet: mean 0, variance 1
        return (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt()

    e = (p["encoder.weight"] * masks.word)[tokens] * masks.input
    h = hidden
    for t in range(ROWS):
        c0, h0 = torch.split(torch.cat([e[t] * masks.cell_input, h * masks.hidden], 1) @ p["rnns.0._W0"], SIZE, 1)
        s = [bn(h + c0.sigmoid() * (h0.tanh() - h))]
        for i, first in enumerate((0, 1, 3)):
            total: Any = 0
            for j in range(i + 1):
                c, g = torch.split((s[j] * masks.hidden) @ p[f"rnns.0._Ws.{i}"], SIZE, 1)
                for k, f in ((1, torch.tanh), (2, F.relu), (3, torch.sigmoid), (4, lambda z: z)):
                    total = total + weights[first + j, k] * (s[j] + c.sigmoid() * (f(g) - s[j]))
            s.append(bn(total))
        h = (s[1] + s[2] + s[3]) / 3
    torch.testing.assert_close(passed.outputs[-1], h, rtol=0, atol=1e-10)


def test_none_adds_nothing_but_takes_its_share_of_the_weight() -> None:
    network = of_search(nodes=1).eval()
    tokens, hidden = tokens_and_hidden()
    with torch.no_grad():
        network.alphas["recurrent"].copy_(torch.tensor([[50.0, 0, 0, 0, 0]]))
    assert network(tokens, hidden).outputs.abs().max() < 1e-15


def test_one_batch_norm_object_serves_all_states() -> None:
    network = of_search(nodes=5)
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm1d)]
    assert len(norms) == 1
    assert not norms[0].affine
    network(*tokens_and_hidden())
    assert norms[0].num_batches_tracked is not None
    assert int(norms[0].num_batches_tracked) == ROWS * (1 + 5)


@pytest.mark.parametrize("name", KNOWN_RECURRENT)
def test_profile_counts_the_networks_parameters(name: str) -> None:
    network = of_genotype(KNOWN_RECURRENT[name])
    counted = sum(p.numel() for p in network.parameters())
    assert profile_language_model(KNOWN_RECURRENT[name], LanguageShape(SIZE, WORDS)).parameters == counted


def test_state_has_the_authors_keys_and_the_tied_weight_once() -> None:
    keys = of_genotype(KNOWN_RECURRENT["DARTS"]).state_dict().keys()
    assert keys == {"encoder.weight", "decoder.bias", "rnns.0._W0", *(f"rnns.0._Ws.{i}" for i in range(8))}


def test_all_weights_start_within_the_authors_range() -> None:
    network = RecurrentNetwork(KNOWN_RECURRENT["DARTS"], words=200, size=40)
    for name, weight in network.named_parameters():
        largest = weight.abs().max().item()
        assert largest == 0 if name == "decoder.bias" else 0.035 < largest <= 0.04


def test_alphas_are_no_parameters_but_follow_the_module() -> None:
    network = of_search(nodes=8)
    assert network.alphas["recurrent"].shape == (36, 5)
    assert network.alphas["recurrent"].dtype == torch.float64
    assert not any(w is network.alphas["recurrent"] for w in network.parameters())


@pytest.mark.parametrize("nodes", [1, 12])
def test_any_count_of_nodes_runs(nodes: int) -> None:
    network = of_search(nodes)
    assert network(*tokens_and_hidden()).logits.shape == (ROWS, BATCH, WORDS)
    assert len(network.genotype().recurrent) == nodes


def test_masks_are_zero_or_scaled_and_as_frequent_as_asked() -> None:
    rates = DropoutRates(0.5, 0.2, 0.75, 0.25, 0.0)
    masks = draw_masks(
        rates, words=4000, size=60, batch=50, source=torch.Generator().manual_seed(0), dtype=torch.float32
    )
    for mask, rate in zip(masks, rates, strict=True):
        assert set(mask.flatten().tolist()) <= {0.0, torch.tensor(1 / (1 - rate)).item()}
        assert (mask == 0).double().mean().item() == pytest.approx(rate, abs=0.03)
    assert masks.word.shape == (4000, 1)
    assert masks.hidden.shape == (50, 60)


def test_two_windows_carry_on_as_one() -> None:
    network = of_genotype(KNOWN_RECURRENT["DARTS"])
    tokens, hidden = tokens_and_hidden()
    whole = network(tokens, hidden)
    first = network(tokens[:1], hidden)
    second = network(tokens[1:], first.hidden)
    torch.testing.assert_close(torch.cat([first.logits, second.logits]), whole.logits, rtol=0, atol=1e-12)
