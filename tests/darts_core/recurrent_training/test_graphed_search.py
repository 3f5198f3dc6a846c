"""Search steps of a recurrent cell as graphs: a run that replays them has the bits of one that calls its steps."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from darts_core import run_rnn_search
from darts_core.bilevel import recurrent
from darts_core.bilevel.graphed_recurrent import GraphedRecurrentStep
from darts_core.bilevel.recurrent import Penalties, RecurrentArchitect, TextSegment, recurrent_weight_gradient
from darts_core.configs import RnnSearchConfig
from darts_core.data.text.windows import TextBatch
from darts_core.files.checkpoints import Checkpoint
from darts_core.methods.beta_darts import BetaDarts
from darts_core.methods.gdas import Gdas
from darts_core.methods.method import SearchMethod
from darts_core.methods.registry import method_of
from darts_core.methods.smooth_darts import SmoothDarts
from darts_core.models.recurrent import kernel_passes
from darts_core.models.recurrent.dropout import Masks
from darts_core.models.recurrent.language_model import RecurrentSearchNetwork
from darts_core.primitives import RNN_PRIMITIVES
from darts_core.training.control import UNCONTROLLED
from darts_core.training.reports import EpochReport
from darts_core.training.rnn_search import RnnSearch
from darts_core.training.texts import DeviceText, graphed_windows
from tests.support.asking import Asking, Fetching
from tests.support.graphed_runs import Recordings, graphed
from tests.support.recurrent_runs import MakeSearch
from tests.support.same_bits import assert_same_bits

# Every method for recurrent cells that trains, at every order that it has; and a change between epochs.
SEARCHES: dict[str, dict[str, Any]] = {
    "darts": {},
    "darts, second order": {"order": 2},
    "beta-darts": {"method": "beta-darts", "beta_regularisation": 5.0},
    "gdas": {"method": "gdas", "temperature_start": 5.0},
    "sdarts-rs": {"method": "sdarts-rs"},
    "sdarts-rs, second order": {"method": "sdarts-rs", "order": 2},
    "weights alone to begin with": {"weights_only_epochs": 1},
}
LENGTHS = {"batch_size": 2, "bptt": 4, "slowness_penalty": 0.1, "weight_decay": 1e-3, "grad_clip": 0.5}


@pytest.fixture(autouse=True)
def torch_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our kernels for CPUs are no operations of torch's, which the recording consists of."""
    monkeypatch.setattr(kernel_passes, "available", lambda dtype: False)


def reports(
    config: RnnSearchConfig, data_root: Path, capture: Any = None, resume_from: Checkpoint | None = None
) -> list[EpochReport]:
    """Run a search whose steps are called, or captured and replayed."""
    data = DeviceText.read(config, data_root, torch.device("cpu"))
    search = RnnSearch(config, data, UNCONTROLLED, resume_from)
    if capture is not None:
        search.move = graphed(search, capture)
        if not search.network.method.draws_in("measuring"):
            search.measuring_graphs = graphed_windows(search.network, capture=capture)
    return list(search.run())


def assert_same_runs(found: list[EpochReport], truth: list[EpochReport]) -> None:
    for one, other in zip(found, truth, strict=True):
        assert_same_bits(one.checkpoint, other.checkpoint)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_run_of_replayed_steps_has_the_bits_of_one_of_called_steps(
    name: str, search_config: MakeSearch, data_root: Path
) -> None:
    config, recordings = search_config(**LENGTHS, **SEARCHES[name]), Recordings()
    assert_same_runs(reports(config, data_root, recordings), reports(config, data_root))
    assert recordings.made >= 3  # both gradients, and windows at a text's end
    assert recordings.replayed > 40


@pytest.mark.parametrize(
    ("name", "owner", "method", "baked"),
    [
        ("darts, second order", RecurrentArchitect, "rate", lambda self: torch.tensor(5.0)),
        ("gdas", Gdas, "schedule", ()),
        ("beta-darts", BetaDarts, "schedule", ()),
        ("sdarts-rs", SmoothDarts, "schedule", ()),
        ("gdas", SearchMethod, "draw_ahead", lambda self, name, alphas: {}),
        ("sdarts-rs", SearchMethod, "draw_ahead", lambda self, name, alphas: {}),
    ],
)
def test_a_number_held_by_the_recording_would_be_noticed(
    name: str,
    owner: type,
    method: str,
    baked: Any,
    search_config: MakeSearch,
    data_root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the test above could not fail."""
    config = search_config(**LENGTHS, **SEARCHES[name])
    truth = reports(config, data_root)
    monkeypatch.setattr(owner, method, baked)
    with pytest.raises(AssertionError):
        assert_same_runs(reports(config, data_root, Recordings()), truth)


@pytest.mark.parametrize("name", ["darts, second order", "gdas"])
def test_a_run_resumed_across_graphs_ends_with_the_same_bits(
    name: str, search_config: MakeSearch, data_root: Path
) -> None:
    with_graph, without = (search_config(**LENGTHS, **SEARCHES[name], cuda_graph=wanted) for wanted in (True, False))
    undisturbed = reports(without, data_root)
    first = reports(with_graph, data_root, Recordings())[0].checkpoint
    assert first["spec"]["cuda_graph"]
    resumed = reports(without, data_root, resume_from=first)
    again = reports(with_graph, data_root, Recordings(), resume_from=undisturbed[0].checkpoint)
    for found in (resumed, again):
        assert_same_bits(found[-1].checkpoint["weights"], undisturbed[-1].checkpoint["weights"])
        assert_same_bits(found[-1].alphas, undisturbed[-1].alphas)
        assert found[-1].metrics == undisturbed[-1].metrics


def test_after_recordings_that_fail_all_steps_are_called_with_a_line_in_the_log_for_each(
    search_config: MakeSearch, data_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing")

    config = search_config(**LENGTHS)
    with caplog.at_level(logging.WARNING):
        assert_same_runs(reports(config, data_root, refuse), reports(config, data_root))
    reason = "going on call by call: operation not permitted when stream is capturing"
    assert caplog.messages == [
        f"no CUDA graph of the {name}, {reason}" for name in ("alphas' gradient", "weights' gradient", "measuring")
    ]


def test_lengths_beyond_the_most_are_called(search_config: MakeSearch, data_root: Path) -> None:
    config, recordings = search_config(**LENGTHS), Recordings()
    data = DeviceText.read(config, data_root, torch.device("cpu"))
    search = RnnSearch(config, data, UNCONTROLLED)
    search.move = graphed(search, recordings)
    search.move._of_alphas._most = search.move._of_weights._most = 1
    assert_same_runs(list(search.run()), reports(config, data_root))
    assert recordings.made == 2


@pytest.mark.parametrize(
    ("wanted", "line"),
    [(True, "searches in CUDA graphs"), (False, "searches without a CUDA graph: the spec has cuda_graph: false")],
)
def test_a_spec_decides_and_the_log_tells_whether_a_gpu_has_graphs(
    wanted: bool, line: str, search_config: MakeSearch, data_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = search_config(cuda_graph=wanted)
    search = RnnSearch(config, DeviceText.read(config, data_root, torch.device("cpu")), UNCONTROLLED)
    search.data = replace(search.data, device=torch.device("cuda"))
    with caplog.at_level(logging.INFO, "darts_core"):
        assert isinstance(search._step(), GraphedRecurrentStep) == wanted
    assert caplog.messages == [line]


WORDS, SIZE, BATCH = 11, 6, 4
PENALTIES = Penalties(0.1, 0.1)


def step_on(device: str, name: str) -> Callable[[], None]:
    """Both gradients of a step, and the weights' update, on tensors of that device."""
    values = {"dataset": "folder:tiny", "preset": "ptb", **SEARCHES[name]}
    config = RnnSearchConfig(**values).resolved()
    method = method_of(config)
    with torch.device(device):
        network = RecurrentSearchNetwork(RNN_PRIMITIVES, words=WORDS, size=SIZE, nodes=3, method=method)
    optimizer = torch.optim.SGD(network.weights(), lr=1.0, foreach=True)
    architect = RecurrentArchitect(network, optimizer, order=config.order, lr=1.0, weight_decay=0.0, grad_clip=0.25)
    words, hidden = torch.ones(6, BATCH, dtype=torch.int64, device=device), network.start(BATCH)
    segment = TextSegment(TextBatch(words[:-1], words[1:]), hidden)
    of_batch = torch.ones(BATCH, SIZE, device=device)
    masks = Masks(torch.ones(WORDS, 1, device=device), *[of_batch] * 4)
    method.begin_epoch(2)
    given = {kind: torch.zeros_like(alpha) for kind, alpha in network.alphas.items()}

    def step() -> None:
        with method.given(given):
            architect.rate()
            architect.gradient(segment, segment, lambda _: masks)
            recurrent_weight_gradient(network, segment, masks, grad_clip=0.25, penalties=PENALTIES)
        optimizer.step()

    return step


@pytest.mark.parametrize("name", SEARCHES)
def test_no_step_waits_for_the_device(name: str) -> None:
    step = step_on("cpu", name)
    with Asking() as asking, Fetching() as fetching:
        step()
    assert asking.asked + fetching.asked == []


class FromHost(TorchFunctionMode):
    """Counts the calls that make a tensor of Python's numbers or read one of the host, a copy that waits for a GPU."""

    MAKING = ("tensor", "as_tensor", "new_tensor", "from_numpy")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found, name = func(*args, **(kwargs or {})), getattr(func, "__name__", "")
        leaves = [leaf for leaf in tree_leaves((args, kwargs, found)) if isinstance(leaf, Tensor)]
        listed = name in ("__getitem__", "__setitem__") and isinstance(args[1], list)
        if name in self.MAKING or listed or len({leaf.device for leaf in leaves}) > 1:
            self.found.append(name)
        return found


@pytest.mark.parametrize("name", SEARCHES)
def test_no_step_copies_from_the_host(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The device "meta" computes nothing, but keeps its tensors apart from the host's."""
    monkeypatch.setattr(recurrent, "full_precision", lambda _: nullcontext())  # meta has no autocast
    step = step_on("meta", name)
    step()  # fills the learning rate
    with FromHost() as host:
        step()
    assert host.found == []


@pytest.mark.parametrize("copy", [lambda x: x[[0, 2]], lambda x: x.new_tensor(1.0), lambda x: x + torch.ones(3).to(x)])
def test_a_copy_from_the_host_would_be_noticed(copy: Callable[[Tensor], Tensor]) -> None:
    with FromHost() as host:
        copy(torch.empty(3, device="meta"))
    assert host.found


on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


@pytest.mark.gpu
@on_gpu
@pytest.mark.parametrize("name", SEARCHES)
def test_a_run_with_graphs_ends_with_the_bits_of_one_without(
    name: str, search_config: MakeSearch, data_root: Path
) -> None:
    found = []
    for cuda_graph in (True, False):
        config = search_config(**LENGTHS, **SEARCHES[name], deterministic=True, cuda_graph=cuda_graph)
        found.append(list(run_rnn_search(config, data_root=data_root, device=torch.device("cuda")))[-1])
    assert_same_bits(found[0].checkpoint["weights"], found[1].checkpoint["weights"])
    assert_same_bits(found[0].alphas, found[1].alphas)
    assert found[0].metrics == found[1].metrics


@pytest.mark.gpu
@on_gpu
@pytest.mark.parametrize("name", SEARCHES)
def test_no_called_step_waits_for_the_gpu(name: str) -> None:
    step = step_on("cuda", name)
    step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
