"""The recurrent second-order step equals the DARTS authors' code, which restores the tied embedding."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from darts_core.bilevel.recurrent import RecurrentArchitect, TextSegment, VirtualEmbedding
from darts_core.configs import RnnSearchConfig
from darts_core.data.text.windows import TextBatch
from darts_core.models.recurrent.language_model import RecurrentSearchNetwork
from darts_core.primitives import RNN_PRIMITIVES
from tests.support.authors_rnn_search import AuthorsSearchModel, Window, second_order

ETA, DECAY, CLIP = 20.0, 5e-7, 0.25  # of the preset
WORDS, SIZE, NODES, BATCH, LENGTH = 11, 6, 3, 4, 5
SEEDS = pytest.mark.parametrize("seed", range(5))


def window(seed: int) -> Window:
    source = torch.Generator().manual_seed(seed)
    words = torch.randint(WORDS, (LENGTH + 1, BATCH), generator=source)
    return Window(words[:-1], words[1:], torch.randn(BATCH, SIZE, generator=source, dtype=torch.float64))


def segment(seed: int) -> TextSegment:
    tokens, targets, hidden = window(seed)
    return TextSegment(TextBatch(tokens, targets), hidden)


def network_of(seed: int) -> RecurrentSearchNetwork:
    torch.manual_seed(seed)
    network = RecurrentSearchNetwork(RNN_PRIMITIVES, words=WORDS, size=SIZE, nodes=NODES).double().train()
    network.load_alphas({"recurrent": torch.randn_like(network.alphas["recurrent"])})
    with torch.no_grad():
        for weight in network.weights():
            weight.mul_(10)
    return network


def ours(seed: int, embedding: VirtualEmbedding) -> torch.Tensor:
    network = network_of(seed)
    optimizer = torch.optim.SGD(network.weights(), lr=ETA, weight_decay=DECAY)
    architect = RecurrentArchitect(
        network, optimizer, order=2, lr=0.01, weight_decay=0.0, grad_clip=CLIP, virtual_embedding=embedding
    )
    [gradient], _ = architect.gradient(segment(2 * seed), segment(2 * seed + 1), lambda name: None)
    return gradient


def theirs(seed: int) -> torch.Tensor:
    network = network_of(seed)
    alphas = network.alphas["recurrent"]
    model = AuthorsSearchModel(RNN_PRIMITIVES, NODES, words=WORDS, size=SIZE, alphas=alphas).take(network.state_dict())
    found, coefficient = second_order(model, window(2 * seed), window(2 * seed + 1), eta=ETA, decay=DECAY, clip=CLIP)
    assert coefficient < 1  # else ours caps it at 1 and theirs does not
    return found


@SEEDS
def test_a_fixed_embedding_gives_the_authors_gradient(seed: int) -> None:
    truth, found = theirs(seed), ours(seed, "fixed")
    assert F.cosine_similarity(found.flatten(), truth.flatten(), dim=0) == pytest.approx(1, abs=1e-12)
    assert (found - truth).abs().max() < 3e-13


@SEEDS
def test_a_moved_embedding_gives_another_gradient(seed: int) -> None:
    """Or the option would do nothing."""
    cosine = F.cosine_similarity(ours(seed, "moved").flatten(), theirs(seed).flatten(), dim=0)
    assert cosine < 0.9


def test_the_embedding_moves_unless_the_spec_fixes_it() -> None:
    assert RnnSearchConfig(dataset="ptb").resolved().virtual_embedding == "moved"
    assert RnnSearchConfig(dataset="ptb", virtual_embedding="fixed").resolved().virtual_embedding == "fixed"
