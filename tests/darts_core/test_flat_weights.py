"""The weights in one flat tensor."""

from __future__ import annotations

import pytest
import torch

from darts_core.bilevel.flat import FlatWeights
from darts_core.models.supernet import SearchNetwork


@pytest.fixture
def network() -> SearchNetwork:
    torch.manual_seed(0)
    return SearchNetwork(["skip_connect", "sep_conv_3x3"], channels=2, layers=3, classes=3, nodes=1, fused=True)


def test_a_conversion_gives_the_weights_a_new_flat_tensor(network: SearchNetwork) -> None:
    flat = FlatWeights(network)
    before = flat.values.clone()
    network.double()
    values = flat.values
    assert torch.equal(values, before.double())
    values.zero_()
    assert all(not weight.any() for weight in network.parameters())


def test_the_flat_tensor_is_gathered_once(network: SearchNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    flat = FlatWeights(network)
    values = flat.values
    # Even asking each weight for its address takes long: a search asks several times a step.
    monkeypatch.setattr(flat, "_order", None)
    assert flat.values is values
