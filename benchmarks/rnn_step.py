"""Compares the fast training step of recurrent networks with the plain loop.

Both have the same weights, text and dropout masks. A timed search step includes the architect's; a retraining step
includes penalties, clipping and SGD.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks.machine import Device, Machine
from benchmarks.pairs import VERSIONS, Version, compare, tell_memory
from darts_core.bilevel.recurrent import Penalties, RecurrentArchitect, TextSegment, penalised, recurrent_search_step
from darts_core.data.order import generator
from darts_core.data.text.windows import TextBatch
from darts_core.genotypes import KNOWN_RECURRENT
from darts_core.models.recurrent.dropout import DropoutRates, Masks, draw_masks
from darts_core.models.recurrent.language_model import LanguageModel, RecurrentNetwork, RecurrentSearchNetwork
from darts_core.primitives import RNN_PRIMITIVES

# From the presets `ptb`.
_LR: Final = 20.0
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
    return {**found, **speeds}


class _Run:
    """A network with its optimiser and a text of random words."""

    def __init__(self, shape: Shape, version: Version) -> None:
        self._shape = shape
        torch.manual_seed(0)
        self._device = torch.device(shape.device)
        self._network = self._build(version == "plain").train().to(self._device)
        weights = list(self._network.parameters())
        self._optimizer = torch.optim.SGD(weights, lr=_LR, weight_decay=5e-7, foreach=True)
        self._architect = None
        if isinstance(self._network, RecurrentSearchNetwork) and shape.order:
            self._architect = RecurrentArchitect(
                self._network, self._optimizer, order=shape.order, lr=3e-3, weight_decay=1e-3, grad_clip=_CLIP
            )
        self._hidden = [self._network.start(shape.batch)] * 2
        self._done = 0

    def step(self) -> float:
        """Take a step; returns its training loss without penalties, in nats."""
        training, validation = (self._segment(k) for k in range(2))
        self._done += 1
        if self._architect is None:
            loss = self._train(training)
        else:
            assert isinstance(self._network, RecurrentSearchNetwork)
            stepped = recurrent_search_step(
                self._network,
                self._architect,
                self._optimizer,
                training,
                validation,
                self._masks,
                grad_clip=_CLIP,
                penalties=_PENALTIES,
            )
            self._hidden = [stepped.training, stepped.validation]
            loss = stepped.loss
        return float(loss)

    def flops(self) -> int:
        """Floating-point operations of a step's matrix products."""
        with _Products() as products:
            self.step()
        return int(products.flops)

    def _build(self, plain: bool) -> LanguageModel:
        words, size = self._shape.words, self._shape.size
        if self._shape.network == "search":
            return RecurrentSearchNetwork(RNN_PRIMITIVES, words=words, size=size, plain=plain)
        return RecurrentNetwork(KNOWN_RECURRENT[self._shape.genotype], words=words, size=size, plain=plain)

    def _train(self, training: TextSegment) -> torch.Tensor:
        if isinstance(self._network, RecurrentSearchNetwork):
            for alpha in self._network.alphas.values():
                alpha.requires_grad_(False)
        self._optimizer.zero_grad()
        passed = self._network(training.batch.tokens, training.hidden, self._masks("weights"))
        self._hidden = [passed.hidden.detach(), self._hidden[1]]
        loss: torch.Tensor = passed.cross_entropy(training.batch.targets)
        penalised(loss, passed, _PENALTIES).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), _CLIP, foreach=True)
        self._optimizer.step()
        return loss.detach()

    def _segment(self, part: int) -> TextSegment:
        shape = self._shape
        source = generator(0, "bench", self._done, part)
        text = torch.randint(shape.words, (shape.bptt + 1, shape.batch), generator=source).to(self._device)
        return TextSegment(TextBatch(text[:-1], text[1:]), self._hidden[part])

    def _masks(self, name: str) -> Masks:
        shape, source = self._shape, generator(0, "masks", self._done, name, device=self._device)
        return draw_masks(
            _RATES[shape.network],
            words=shape.words,
            size=shape.size,
            batch=shape.batch,
            source=source,
            dtype=torch.float32,
        )


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
