"""Compares the fast training step of recurrent networks with the plain loop.

Both have the same weights, text and dropout masks. A timed search step includes the architect's; a retraining step
includes penalties, clipping and SGD. On a GPU the fast step is timed twice: kernel by kernel and as CUDA graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks.machine import Device, Machine
from benchmarks.pairs import VERSIONS, Version, compare, tell_memory
from darts_core.bilevel.graphed_recurrent import GraphedRecurrentStep
from darts_core.bilevel.recurrent import (
    DrawMasks,
    Penalties,
    RecurrentArchitect,
    SearchStepResult,
    TextSegment,
    recurrent_search_step,
)
from darts_core.configs import RnnSearchConfig
from darts_core.data.order import generator
from darts_core.data.text.windows import TextBatch
from darts_core.genotypes import KNOWN_RECURRENT
from darts_core.kernels.gpu import recurrent
from darts_core.kernels.gpu.recurrent.start import enable_recurrent_kernels
from darts_core.methods.method import SearchMethod
from darts_core.models.recurrent.dropout import DropoutRates, Masks, draw_masks
from darts_core.models.recurrent.language_model import LanguageModel, RecurrentNetwork, RecurrentSearchNetwork
from darts_core.primitives import RNN_PRIMITIVES
from darts_core.training.averaging import optimizer_of
from darts_core.training.graphed_rnn import GraphedRnnStep
from darts_core.training.rnn_step import PartResult, TextPart, rnn_step

# From the presets `ptb`.
_LR: Final = 20.0
_DECAY: Final = 5e-7
_CLIP: Final = 0.25
_PENALTIES: Final = Penalties(activation=0.0, slowness=1e-3)
_RATES: Final = {
    "search": DropoutRates(word=0.0, input=0.2, cell_input=0.75, hidden=0.25, output=0.75),
    "retrain": DropoutRates(word=0.1, input=0.2, cell_input=0.75, hidden=0.25, output=0.75),
}


@dataclass(frozen=True)
class Shape:
    """Network and size of the text. order: of a search's alpha gradient; 0 trains the weights alone."""

    network: Literal["search", "retrain"]
    batch: int
    size: int
    bptt: int
    words: int
    order: Literal[0, 1, 2]
    genotype: str
    device: Device = "cpu"

    @property
    def machine(self) -> Machine:
        return Machine(self.device)


def measure(
    shape: Shape, *, pairs: int, versions: Sequence[Version] = VERSIONS, say: Callable[[str], None]
) -> dict[str, Any]:
    """Run `compare`, counting the plain step's matrix products for both, and add words per second."""
    flops = _Run(shape, "plain").flops()
    found = compare(
        _Run,
        shape,
        module=__name__,
        flops=flops,
        pairs=pairs,
        versions=versions,
        say=say,
        machine=shape.machine,
    )
    speeds = {f"{v}_tokens_per_second": shape.batch * shape.bptt / found[f"{v}_seconds"] for v in versions}
    kernels = {"kernels": recurrent.available()} if shape.device == "cuda" else {}
    return {**found, **speeds, **kernels}


class _Run:
    """A network with its optimiser, and a window of random words of each of two texts."""

    def __init__(self, shape: Shape, version: Version) -> None:
        self._shape, self._device = shape, torch.device(shape.device)
        torch.manual_seed(0)
        self._network = self._build(version == "plain").train().to(self._device)
        source = generator(0, "bench")
        text = torch.randint(shape.words, (2, shape.bptt + 1, shape.batch), generator=source).to(self._device)
        self._batches = [TextBatch(part[:-1], part[1:]) for part in text]
        self._hidden = [self._network.start(shape.batch)] * 2
        self._steps = 0
        search = isinstance(self._network, RecurrentSearchNetwork)
        self._move = self._search_step(version) if search else self._training_step(version)

    def step(self) -> Tensor:
        """Take a step; returns its training loss without penalties, in nats, perhaps not computed yet."""
        self._steps += 1
        return self._move()

    def flops(self) -> int:
        """Floating-point operations of a step's matrix products."""
        with _Products() as products:
            self.step()
        return int(products.flops)

    def _build(self, plain: bool) -> LanguageModel:
        shape = self._shape
        if shape.network == "search":
            config = _config(shape)
            enable_recurrent_kernels(config, self._device)
            method = SearchMethod(config)
            return RecurrentSearchNetwork(
                RNN_PRIMITIVES, words=shape.words, size=shape.size, plain=plain, method=method
            )
        return RecurrentNetwork(KNOWN_RECURRENT[shape.genotype], words=shape.words, size=shape.size, plain=plain)

    def _search_step(self, version: Version) -> Callable[[], Tensor]:
        network, order = self._network, _config(self._shape).order
        assert isinstance(network, RecurrentSearchNetwork)
        optimizer = torch.optim.SGD(network.weights(), lr=_LR, weight_decay=_DECAY, foreach=True)
        architect = RecurrentArchitect(network, optimizer, order=order, lr=3e-3, weight_decay=1e-3, grad_clip=_CLIP)
        parts = network, architect, optimizer
        move: Callable[[TextSegment, TextSegment, DrawMasks], SearchStepResult]
        if version == "graphed":
            move = GraphedRecurrentStep(*parts, grad_clip=_CLIP, penalties=_PENALTIES)
        else:
            move = partial(recurrent_search_step, *parts, grad_clip=_CLIP, penalties=_PENALTIES)

        def step() -> Tensor:
            training, validation = map(TextSegment, self._batches, self._hidden)
            stepped = move(training, validation, self._masks)
            self._hidden = [stepped.training, stepped.validation]
            return stepped.loss

        return step

    def _training_step(self, version: Version) -> Callable[[], Tensor]:
        network = self._network
        optimizer = optimizer_of("sgd", list(network.parameters()), lr=_LR, weight_decay=_DECAY)
        move: Callable[[Sequence[TextPart]], list[PartResult]]
        if version == "graphed":
            move = GraphedRnnStep(network, optimizer, grad_clip=_CLIP, penalties=_PENALTIES)
        else:
            move = partial(rnn_step, network, optimizer, grad_clip=_CLIP, penalties=_PENALTIES)

        def step() -> Tensor:
            [result] = move([TextPart(*self._batches[0], self._hidden[0], self._masks("weights"))])
            self._hidden[0] = result.hidden
            return result.loss

        return step

    def _masks(self, name: str) -> Masks:
        shape, source = self._shape, generator(0, "masks", self._steps, name, device=self._device)
        return draw_masks(
            _RATES[shape.network],
            words=shape.words,
            size=shape.size,
            batch=shape.batch,
            source=source,
            dtype=torch.float32,
        )


def _config(shape: Shape) -> RnnSearchConfig:
    """Order 0 is an epoch that trains the weights alone."""
    return RnnSearchConfig(
        dataset="ptb",
        batch_size=shape.batch,
        validation_batch_size=shape.batch,
        hidden_size=shape.size,
        order=shape.order or 1,
        weights_only_epochs=0 if shape.order else 1,
    ).resolved()


class _Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts like torch's own counter, which cannot follow a gradient taken inside a step."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            self.flops += count(*args, **(kwargs or {}), out_val=result)
        return result


if __name__ == "__main__":
    tell_memory(_Run, Shape, lambda shape: shape.machine, batch=2, size=4, bptt=2, words=5)
