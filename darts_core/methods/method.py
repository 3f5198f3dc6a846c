"""Defines the interface of a search method; its defaults are DARTS' (arXiv:1806.09055)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from darts_core.configs import RnnSearchConfig, SearchConfig
from darts_core.configs.stages import Stage, stages_of
from darts_core.data.batches import Batch
from darts_core.data.host_copies import to_device
from darts_core.data.order import generator
from darts_core.genotypes import AnyGenotype, derive, derive_nasbench201, derive_recurrent, softmaxed
from darts_core.genotypes.derive import EDGES
from darts_core.primitives import EdgeLists
from darts_core.spaces.nasbench201 import CELL

PassName = Literal["alphas", "attack", "weights", "measuring"]
"""The passes of a step, each with randomness of its own."""

Tables = Mapping[str, Tensor]
"""A tensor (edges, primitives) for each kind of cell."""


class SearchMethod:
    """One run's search method. A network calls `operation_weights` once in each forward pass.

    Randomness is keyed by seed, epoch, step, pass and the number of the forward pass within it, so that a resumed run
    draws as an undisturbed one does. Schedules depend on the epoch alone; the step's CUDA graph is recorded anew when
    `schedule` changes. It reads random numbers that are `given` in place of those that a pass would draw.
    """

    samples_one: ClassVar[bool] = False
    """Whether each forward pass needs at most one operation of each edge."""
    draws_on_host: ClassVar[bool] = False
    """Whether `chosen` is known without waiting for the device: then no other operation is computed on GPUs, either."""
    draws: ClassVar[bool] = False
    """Whether `operation_weights` draws random numbers, on the host: to capture such a step, draw them ahead."""

    alpha_betas: ClassVar[tuple[float, float]] = (0.5, 0.999)
    """Adam's betas for the alphas of convolutional cells: a short memory, since the weights change too."""

    carries_over: ClassVar[bool] = False
    """Whether a stage goes on with the weights, the alphas and the learning rate of the one before."""

    def __init__(self, config: SearchConfig | RnnSearchConfig) -> None:
        """config: resolved."""
        self.config = config
        self.epoch = 1
        self._step = 0
        self._within: PassName = "measuring"
        self._forwards = 0
        self._noises = 0
        self._scalars: dict[str, tuple[Tensor, float]] = {}
        self._given: Tables = {}
        self._absent: dict[tuple[str, torch.device], Tensor] = {}
        self.stages = stages_of(dict(config))
        self.stage = self.stages[0]
        """The stage whose network is in training."""
        self._lists: EdgeLists = config.lists if isinstance(config, SearchConfig) else {}

    def begin_epoch(self, epoch: int) -> None:
        """Set the schedules of an epoch, counted from 1."""
        self.epoch = epoch

    def begin_step(self, step: int) -> None:
        """Key the following passes by this step, counted from 0 over all epochs."""
        self._step = step

    def begin_pass(self, name: PassName) -> None:
        """Key the following forward passes by this name."""
        self._within, self._forwards, self._noises = name, 0, 0

    @property
    def epochs(self) -> int:
        """The number of epochs by which schedules go in this one."""
        return self.config.epochs_in(self.epoch)

    @property
    def trains_alphas(self) -> bool:
        """Whether the alphas are trained in this epoch."""
        return self.epoch - self.stage.first >= self.config.weights_only_epochs

    @property
    def schedule(self) -> tuple[float, ...]:
        """The epoch's numbers that a recorded step holds; it is recorded anew when they change."""
        return (float(self.trains_alphas),)

    @property
    def lists(self) -> EdgeLists:
        """For each kind of cell the operations of each edge; empty, if all edges have all primitives."""
        return self._lists

    def begin_stage(self, stage: Stage, alphas: Tables) -> None:
        """Begin a stage: each edge keeps as many operations as the stage has, those of the largest alphas.

        Of equal ones, the first are dropped. alphas: of the stage before.
        """
        self.stage = stage
        if stage.operations is not None:
            primitives = [*map(str, self.config.primitives or ())]
            self._lists = {
                kind: [_kept(row, primitives, stage.operations) for row in table.tolist()]
                for kind, table in self.present(alphas).items()
                if table.shape[1] == len(primitives)
            }
            self._absent = {}

    @property
    def skip_dropout(self) -> float:
        """The rate of the elementwise dropout of skip-connections of stride 1, in training."""
        return 0.0

    def absent(self, kind: str, like: Tensor) -> Tensor | None:
        """A boolean mask (edges, primitives) of the operations that edges of this kind lack; None for none."""
        lists = self.lists.get(kind)
        if lists is None:
            return None
        key = kind, like.device
        if key not in self._absent:
            primitives = self.config.primitives or ()
            rows = [[name not in names for name in primitives] for names in lists]
            self._absent[key] = torch.tensor(rows, device=like.device)
        return self._absent[key]

    def present(self, alphas: Tables) -> dict[str, Tensor]:
        """The alphas, -inf for operations that their edge lacks: all weights are made of these."""
        masks = {kind: self.absent(kind, alpha) for kind, alpha in alphas.items()}
        return {
            kind: alpha if (mask := masks[kind]) is None else alpha.masked_fill(mask, -torch.inf)
            for kind, alpha in alphas.items()
        }

    @torch.no_grad()
    def rest(self, alphas: Tables) -> None:
        """Keep the alphas of operations that their edge lacks at 0: an optimiser's weight decay would move them."""
        for kind, alpha in alphas.items():
            mask = self.absent(kind, alpha)
            if mask is not None:
                alpha.masked_fill_(mask, 0.0)

    @property
    def partial(self) -> int:
        """K, if the operations of an edge see one of K channels only."""
        return 1

    def tables(self, kinds: Sequence[str], nodes: int, edges: int, primitives: int) -> dict[str, Tensor]:
        """The alphas' tables at the start, drawn by torch's global generator."""
        return {kind: self.initial(edges, primitives) for kind in kinds}

    def edge_weights(self, alphas: Tables) -> dict[str, Tensor]:
        """The weights (edges,) of whole edges, if the method has any; `operation_weights` hold them as a factor."""
        return {}

    def initial(self, edges: int, primitives: int) -> Tensor:
        """A new alpha table, drawn by torch's global generator."""
        return 1e-3 * torch.randn(edges, primitives)

    def operation_weights(self, alphas: Tables) -> dict[str, Tensor]:
        """The weights of all operations in this forward pass, differentiable in the alphas."""
        return {kind: F.softmax(alpha, dim=-1) for kind, alpha in self.present(alphas).items()}

    def expected_weights(self, alphas: Tables) -> dict[str, Tensor]:
        """The operation weights without what is drawn or scheduled, differentiable in the alphas."""
        return SearchMethod.operation_weights(self, alphas)

    def chosen(self, weights: Tables) -> Mapping[str, Sequence[int | None]]:
        """For each kind of cell the only operation of each edge whose weight is not 0, None for an edge without one;
        empty if an edge has several.
        """
        return {}

    def state(self) -> dict[str, Tensor]:
        """The tensors that a checkpoint keeps of the method besides the alphas, on the CPU."""
        if len(self.stages) == 1:
            return {}
        state = {"stage": torch.tensor(self.stage.number)}
        primitives = self.config.primitives or ()
        for kind, lists in self._lists.items():
            state[kind] = torch.tensor([[name in names for name in primitives] for names in lists])
        return state

    def load_state(self, state: Tables) -> None:
        """Load what `state` returned, before the network is built; an empty one of a checkpoint without any."""
        if "stage" not in state:
            return
        self.stage = self.stages[int(state["stage"])]
        primitives = [*map(str, self.config.primitives or ())]
        self._lists = {
            kind: [
                [name for name, is_present in zip(primitives, row, strict=True) if is_present] for row in table.tolist()
            ]
            for kind, table in state.items()
            if kind != "stage"
        }
        self._absent = {}

    @property
    def branches(self) -> bool:
        """Whether edges have a branch besides their mixed operations."""
        return False

    def branch_weight(self, like: Tensor) -> Tensor:
        """The weight of the branches, a scalar."""
        return self.scalar("branch", 0.0, like)

    def path_factors(self, cells: int, edges: int, x: Tensor) -> Tensor | None:
        """The factors (cells, N, edges) of the edges' outputs, sample by sample, in this forward pass of images x
        (N, C, H, W) in training mode; None where all are 1.
        """
        return None

    @property
    def cutout_probability(self) -> float:
        """Probability that the spec's cutout is applied to a training image in this epoch."""
        return 1.0

    def prepare_weight_step(self, network: nn.Module, batch: Batch, weights: Sequence[Tensor]) -> None:
        """Called before a weight step of this network on this batch."""

    def alpha_penalty(self, alphas: Tables) -> Tensor | None:
        """A scalar added to the validation loss of the alphas' step; None for none."""
        return None

    def beta_strength(self, last: float) -> float:
        """beta-DARTS' lambda in this epoch: it grows linearly from 0 in the first one towards `last`."""
        return last * (self.epoch - 1) / self.epochs

    def beta_penalty(self, alphas: Tables, strength: float) -> Tensor | None:
        """`strength` times the sum over kinds of the mean over edges of logsumexp(alpha): beta-DARTS
        (arXiv:2203.01665). None at a strength of 0.
        """
        if strength == 0:
            return None
        rows = [alpha for kind, alpha in self.present(alphas).items() if not kind.endswith(EDGES)]
        return strength * torch.stack([torch.logsumexp(alpha, dim=-1).mean() for alpha in rows]).sum()

    def strengths(self, alphas: Tables) -> dict[str, list[list[float]]]:
        """The expected weight of each operation: the figures that are shown, drawn and compared."""
        return softmaxed({kind: alpha.tolist() for kind, alpha in self.present(alphas).items()})

    def genotype(self, alphas: Tables, primitives: tuple[str, ...]) -> AnyGenotype:
        """The discrete cell. Raises GenotypeError if an alpha is not finite."""
        tables = {kind: alpha.tolist() for kind, alpha in alphas.items()}
        if "recurrent" in tables:
            return derive_recurrent(tables["recurrent"], primitives)
        if CELL in tables:
            return derive_nasbench201(tables[CELL], primitives, self.lists.get(CELL))
        return derive(tables["normal"], tables["reduce"], primitives, self.lists)

    def scalar(self, name: str, value: float, like: Tensor) -> Tensor:
        """A scalar on the device and of the type of `like`: always the same tensor, filled with the present value."""
        held, present = self._scalars.get(name, (None, None))
        if held is None or held.device != like.device or held.dtype != like.dtype:
            held = like.new_tensor(value)
        elif value != present:
            held.fill_(value)
        self._scalars[name] = held, value
        return held

    def draws_in(self, name: PassName) -> bool:
        """Whether passes of this name draw `numbers` in this epoch."""
        return False

    def draw(self, shape: torch.Size, source: torch.Generator) -> Tensor:
        """Draw the random numbers of one kind of cell, on the CPU in float64."""
        raise NotImplementedError

    def numbers(self, kind: str, like: Tensor) -> Tensor:
        """The random numbers of the present forward pass, of the shape, type and device of `like`: given, else drawn.

        Drawn on the CPU in float64, so that all devices and types get the same numbers.
        """
        if kind in self._given:
            return self._given[kind]
        return to_device(self.draw(like.shape, self.generator(kind)).to(like.dtype), like.device)

    def draw_ahead(self, name: PassName, alphas: Tables) -> dict[str, Tensor]:
        """Draw the `numbers` of the coming pass of this name, which has one forward pass; none if it draws none."""
        self.begin_pass(name)
        return {kind: self.numbers(kind, alpha) for kind, alpha in alphas.items()} if self.draws_in(name) else {}

    @contextlib.contextmanager
    def given(self, numbers: Tables) -> Iterator[None]:
        """Let forward passes within the context use the numbers of `draw_ahead`."""
        self._given = numbers
        try:
            yield
        finally:
            self._given = {}

    def generator(self, *purpose: str) -> torch.Generator:
        """A generator on the CPU, keyed by the present forward pass."""
        key = (self.epoch, self._step, self._within, self._forwards)
        return generator(self.config.seed, self.config.method, *purpose, *key)

    def noise(self, device: torch.device) -> torch.Generator:
        """The generator on a device of the `noise` operations in one forward pass, another one in each pass."""
        key = (self.epoch, self._step, self._within, self._noises)
        self._noises += 1
        return generator(self.config.seed, "noise", *key, device=device)

    def progress(self) -> float:
        """The share of the run at the epoch's start: 0 in the first epoch, 1 in the last."""
        return (self.epoch - 1) / max(self.epochs - 1, 1)

    def linear(self, start: float, end: float) -> float:
        """A linear schedule over the epochs, from `start` in the first to `end` in the last."""
        return start + (end - start) * self.progress()


def _kept(row: Sequence[float], primitives: Sequence[str], count: int) -> list[str]:
    """The operations with the largest finite alphas of an edge, in the order of the primitives."""
    ranked = sorted((alpha, place) for place, alpha in enumerate(row) if alpha != -torch.inf)
    places = sorted(place for _, place in ranked[-count:])
    return [primitives[place] for place in places]
