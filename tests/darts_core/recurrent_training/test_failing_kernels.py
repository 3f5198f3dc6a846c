"""A recurrent search in which a GPU kernel fails goes on by torch's operations, as if it had never had kernels.

The kernels run in Triton's interpreter, on the CPU.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from darts_core.configs import RnnSearchConfig
from darts_core.kernels.gpu import recurrent
from darts_core.models.recurrent import kernel_passes
from darts_core.training import rnn_search
from darts_core.training.control import UNCONTROLLED
from darts_core.training.reports import EpochReport
from darts_core.training.rnn_search import RnnSearch
from darts_core.training.step_graph import WARM_UP
from darts_core.training.texts import DeviceText
from tests.support.graphed_runs import Recordings, graphed
from tests.support.recurrent_runs import MakeSearch
from tests.support.same_bits import assert_same_bits

errors = pytest.importorskip("triton.runtime.errors", reason="without Triton its errors do not come")
steps = pytest.importorskip("darts_core.kernels.gpu.recurrent.steps", reason="no Triton, no GPU kernels")

pytestmark = pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") != "1", reason="no interpreter of Triton's kernels")

COLUMNS, MEASURED, UNITS = 4, 3, 6


@pytest.fixture(autouse=True)
def in_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def serves(x: Tensor) -> bool:
        return (x.shape[1], x.shape[2]) in recurrent._tested

    monkeypatch.setattr(recurrent, "serves", serves)
    monkeypatch.setattr(kernel_passes, "available", lambda dtype: False)
    monkeypatch.setattr(rnn_search, "wants_recurrent_kernels", lambda *_: True)
    yield
    recurrent.disable()


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """(kernel, launch): that launch of the kernel, counted from 1, raises an error of Triton's."""

    def fail(kernel: str, launch: int) -> None:
        run, launches = getattr(steps, kernel), iter(range(1, launch + 1))

        def counted(*arguments: Any) -> None:
            if next(launches) == launch:
                raise errors.PTXASError("no space left on device\n// a listing")
            run(*arguments)

        monkeypatch.setattr(steps, kernel, counted)

    return fail


def search_of(config: RnnSearchConfig, data_root: Path) -> RnnSearch:
    return RnnSearch(config, DeviceText.read(config, data_root, torch.device("cpu")), UNCONTROLLED)


def assert_as_without_kernels(found: list[EpochReport], config: RnnSearchConfig, data_root: Path) -> None:
    recurrent.disable()
    for one, other in zip(found, search_of(config, data_root).run(), strict=True):
        assert_same_bits(one.checkpoint, other.checkpoint)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("with_graphs", [False, True])
@pytest.mark.parametrize(("kernel", "launch"), [("begin", 1), ("mix", 3), ("mix_backward", 25)])
def test_a_step_that_fails_leaves_no_trace(
    kernel: str,
    launch: int,
    with_graphs: bool,
    order: int,
    fails: Callable[[str, int], None],
    search_config: MakeSearch,
    data_root: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = search_config(order=order, epochs=1)
    recurrent.enable((COLUMNS,), UNITS)
    fails(kernel, launch)
    search = search_of(config, data_root)
    if with_graphs:
        search.move = graphed(search, Recordings())
    with caplog.at_level(logging.WARNING):
        found = list(search.run())
    assert not recurrent.available()
    failure = "a GPU kernel of the search step failed: PTXASError: PTXAS error: no space left on device"
    assert caplog.messages == [f"{failure}; torch's own operations compute on"]
    assert found[0].metrics["gpu_kernels"] == 0
    assert found[0].warnings[0] == f"{failure}; torch's own operations compute, which takes longer"
    assert_as_without_kernels(found, config, data_root)


@pytest.mark.parametrize("method", ["darts", "gdas"])
def test_a_measuring_that_fails_begins_anew(
    method: str, fails: Callable[[str, int], None], search_config: MakeSearch, data_root: Path
) -> None:
    config = search_config(method=method, epochs=1)
    recurrent.enable((MEASURED,), UNITS)
    fails("mix", 40)
    found = list(search_of(config, data_root).run())
    assert "of the measuring failed" in str(recurrent.failure())
    assert_as_without_kernels(found, config, data_root)


def test_a_step_is_recorded_anew_when_the_kernels_that_it_may_hold_are_disabled(
    search_config: MakeSearch, data_root: Path
) -> None:
    search, recordings = search_of(search_config(), data_root), Recordings()
    search.move = graphed(search, recordings)
    search.epoch = 1
    search.begin_epoch()
    recurrent.enable((COLUMNS + 1,), UNITS)  # none of this search
    for expected in (2, 4):  # of each gradient one more
        for _ in range(WARM_UP + 2):
            search.step(0)
        assert recordings.made == expected
        recurrent.disable()
