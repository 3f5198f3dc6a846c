"""Replayed search steps follow what a method changes from epoch to epoch. Torch's operations stand for a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from darts_core import run_search
from darts_core.bilevel.flat import FlatSGD
from darts_core.bilevel.graphed import GraphedStep
from darts_core.configs import SearchConfig
from darts_core.kernels import loader
from darts_core.methods.beta_darts import BetaDarts
from darts_core.methods.darts_minus import DartsMinus
from darts_core.methods.method import SearchMethod
from darts_core.training.image_search import ImageSearch
from darts_core.training.reports import EpochReport
from tests.support import recorded_operations
from tests.support.same_bits import assert_same_bits

# The penalty begins in the second epoch; the alphas move from the second on; a weight falls.
SEARCHES: dict[str, dict[str, Any]] = {
    "beta-darts": {"method": "beta-darts", "beta_regularisation": 5.0},
    "weights alone to begin with": {"weights_only_epochs": 1},
    "darts-minus": {"method": "darts-minus"},
}


@pytest.fixture(autouse=True)
def torch_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our kernels for CPUs are no operations of torch's, which the recording consists of."""
    monkeypatch.setattr(loader, "available", lambda dtype: False)


@pytest.fixture
def run(
    search_config: Callable[..., SearchConfig], data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., EpochReport]:
    """(values, replayed): the last report of a search whose steps are called, or recorded and replayed."""

    def ends(values: dict[str, Any], *, replayed: bool) -> EpochReport:
        recordings = 0

        def capture(call: Callable[[], tuple[Tensor, ...]], _: object) -> Any:
            nonlocal recordings
            recordings += 1
            return recorded_operations.captured(call)

        def graphed_step(self: ImageSearch) -> GraphedStep:
            optimizer = self.weight_optimizer
            assert isinstance(optimizer, FlatSGD)
            return GraphedStep(self.network, self.architect, optimizer, self.config.grad_clip, capture=capture)

        with pytest.MonkeyPatch.context() as patches:
            if replayed:
                patches.setattr(ImageSearch, "_step", graphed_step)
            report = list(run_search(search_config(batch_size=2, **values), data_root=data_root))[-1]
        assert recordings > 0 or not replayed
        return report

    return ends


@pytest.mark.parametrize("name", SEARCHES)
def test_a_run_of_replayed_steps_has_the_bits_of_one_of_called_steps(
    name: str, run: Callable[..., EpochReport]
) -> None:
    found, truth = (run(SEARCHES[name], replayed=replayed) for replayed in (True, False))
    assert_same_bits(found.checkpoint, truth.checkpoint)


@pytest.mark.parametrize(
    ("name", "owner"),
    [("weights alone to begin with", SearchMethod), ("darts-minus", DartsMinus), ("beta-darts", BetaDarts)],
)
def test_what_the_recording_holds_would_be_noticed(
    name: str, owner: type, run: Callable[..., EpochReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the test above could not fail."""
    truth = run(SEARCHES[name], replayed=False)
    monkeypatch.setattr(owner, "schedule", ())
    with pytest.raises(AssertionError):
        assert_same_bits(run(SEARCHES[name], replayed=True).checkpoint, truth.checkpoint)
