"""Records what a search step of a recurrent cell launches on a GPU, on a machine without one: see `launches`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from unittest.mock import patch

import torch

from benchmarks.launches import Launches, recording
from darts_core.bilevel.recurrent import Penalties, RecurrentArchitect, TextSegment, recurrent_search_step
from darts_core.data.text.windows import TextBatch
from darts_core.kernels.gpu import recurrent
from darts_core.models.recurrent import columns, tied_loss
from darts_core.models.recurrent.dropout import Masks
from darts_core.models.recurrent.language_model import RecurrentSearchNetwork
from darts_core.primitives import RNN_PRIMITIVES


def launches_of_recurrent_step(
    *, batch: int = 2, size: int = 8, nodes: int = 8, length: int = 35, words: int = 10
) -> Launches:
    """Record a first-order step, without the drawing of its masks and the host's part of Adam."""
    network = _network(size, nodes, words)
    optimizer = torch.optim.SGD(network.weights(), lr=1.0, weight_decay=1e-6, foreach=True)
    architect = RecurrentArchitect(network, optimizer, order=1, lr=1e-3, weight_decay=1e-3, grad_clip=0.25)
    segment = _segment(network, length, batch)
    masks = Masks(torch.ones(words, 1), *[torch.ones(batch, size)] * 4)
    with _recording() as found:
        recurrent_search_step(
            network,
            architect,
            optimizer,
            segment,
            segment,
            lambda _: masks,
            grad_clip=0.25,
            penalties=Penalties(activation=0.0, slowness=1e-3),
        )
    return found


@torch.no_grad()
def launches_of_measuring(*, batch: int) -> Launches:
    """Record a small window of the measuring behind an epoch."""
    network = _network(size=8, nodes=2, words=10).eval()
    segment = _segment(network, 2, batch)
    with _recording() as found:
        network(segment.batch.tokens, segment.hidden).cross_entropy(segment.batch.targets)
    return found


def _network(size: int, nodes: int, words: int) -> RecurrentSearchNetwork:
    torch.manual_seed(0)
    return RecurrentSearchNetwork(RNN_PRIMITIVES, words=words, size=size, nodes=nodes)


def _segment(network: RecurrentSearchNetwork, length: int, batch: int) -> TextSegment:
    tokens = torch.randint(network.words, (length + 1, batch))
    return TextSegment(TextBatch(tokens[:-1], tokens[1:]), network.start(batch))


@contextlib.contextmanager
def _recording() -> Iterator[Launches]:
    """Record as on a GPU, whose chunks are larger."""
    with (
        patch.object(recurrent, "serves", lambda _: True),
        patch.dict(columns._COLUMNS, {"cpu": columns._COLUMNS["cuda"]}),
        patch.object(tied_loss, "_CHUNK_ELEMENTS", tied_loss._CHUNK_ELEMENTS * tied_loss._ON_GPUS),
        recording() as found,
    ):
        yield found
