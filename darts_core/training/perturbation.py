"""Runs a perturbation-based selection: projects the edges of a searched supernet one by one, and tunes it in between.

DARTS-PT (arXiv:2108.04392), algorithm 1.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from darts_core.bilevel.flat import untracked
from darts_core.configs.selection import PerturbationConfig
from darts_core.data.order import numbers, permutation
from darts_core.errors import CheckpointError, Stopped
from darts_core.files.checkpoints import Checkpoint, on_cpu
from darts_core.methods.perturbation import Perturbation, Removal
from darts_core.models.alpha_network import AlphaNetwork
from darts_core.primitives import edges_of
from darts_core.spaces.nasbench201 import CELL
from darts_core.training.control import UNCONTROLLED, Control
from darts_core.training.defaults import DATA_ROOT
from darts_core.training.image_search import ImageSearch
from darts_core.training.images import DeviceData, run_on_images
from darts_core.training.init_from import Source
from darts_core.training.metrics import Measured
from darts_core.training.reports import EpochReport

logger = logging.getLogger(__name__)


def run_perturbation(
    config: PerturbationConfig,
    *,
    source: Checkpoint | None = None,
    data_root: Path = DATA_ROOT,
    device: torch.device | None = None,
    resume_from: Checkpoint | None = None,
    control: Control = UNCONTROLLED,
) -> Iterator[EpochReport]:
    """Select a cell, and report after every epoch of tuning. Arguments and errors are those of `run_search`.

    source: the search's checkpoint of `search_epoch`; not needed with `resume_from`. Raises CheckpointError for one of
    another search. Metrics are those of a search.
    """
    config = config.resolved()
    if resume_from is None:
        _check(source, config)
    return run_on_images(
        PerturbationSelection,
        "search",
        config,
        data_root=data_root,
        device=device,
        resume_from=resume_from,
        control=control,
        gpus=1,
        source=source,
    )


class Candidate(NamedTuple):
    """A removal to measure. last: whether it is the last one before a decision."""

    removal: Removal
    last: bool


class PerturbationSelection(ImageSearch):
    """The loop around tuning and projections.

    Each of the spec's `projection_epochs` begins with a projection in each kind of cell, whose measurements are steps
    of the epoch: of the operations of one edge until all edges have one, then of the edges of one node. Edges and nodes
    come in random orders of the seed. A run that resumes keeps what it has measured.
    """

    config: PerturbationConfig

    def __init__(
        self,
        config: PerturbationConfig,
        data: DeviceData,
        control: Control,
        resume_from: Checkpoint | None = None,
    ) -> None:
        super().__init__(config, data, control, resume_from)
        assert config.primitives is not None
        assert isinstance(self.network.method, Perturbation)
        self._primitives = tuple(map(str, config.primitives))
        self._choices = self.network.method
        # Folders of images come class by class, and a batch of one class would have that class's statistics.
        order = permutation(len(self.alpha_part), config.seed, "perturbation")
        self._part = self.alpha_part[order.to(data.device)]
        self._measured: list[float] = []
        """By the criterion, since the last decision: higher is better."""
        self._kinds, self._inputs = config.cell_space.cells, config.cell_space.inputs
        edges = range(edges_of(config.nodes, self._inputs))
        self._edges = {kind: _shuffled(edges, config.seed, "edges", kind) for kind in self._kinds}
        self._nodes = {kind: _shuffled(config.thinned, config.seed, "nodes", kind) for kind in self._kinds}
        self._projections = {epoch: number for number, epoch in enumerate(config.projection_epochs)}
        """By epoch, the number of the projection that it begins with, from 0."""

    def begin_epoch(self) -> int:
        return super().begin_epoch() + self._measurements(self.epoch)

    def later_steps(self) -> int:
        later = range(self.epoch + 1, self.config.epochs + 1)
        return sum(self.weight_feed.steps + self._measurements(epoch) for epoch in later)

    def step(self, number: int) -> None:
        measurements = self._measurements(self.epoch)
        if number < measurements:
            self._measure_candidate(number)
        else:
            self.train_step(self._first_step + number - measurements)

    @property
    def last_step(self) -> int:
        return self._first_step + self.weight_feed.steps - 1

    def fill(self, checkpoint: Checkpoint) -> None:
        super().fill(checkpoint)
        checkpoint["resume"]["measured"] = list(self._measured)

    def restore(self, checkpoint: Checkpoint, state: dict[str, Any]) -> None:
        super().restore(checkpoint, state)
        self._measured = state["measured"]

    @property
    def _first_step(self) -> int:
        """The number of the epoch's first training step, counted on from the search's steps."""
        return (self.config.search_epoch + self.epoch - 1) * self.weight_feed.steps

    def start_from(self, source: Source | None) -> None:
        assert source is not None
        state = on_cpu(source["resume"])
        self.network.load_state_dict(source["weights"])
        self.network.load_alphas(source["alphas"])
        self._choices.search.load_state(source.get("method", {}))
        self.architect.optimizer.load_state_dict(state["alpha_optimizer"])

    def _measurements(self, epoch: int) -> int:
        """The number of measurements at the beginning of an epoch."""
        projection = self._projections.get(epoch)
        return 0 if projection is None else sum(self._measurements_of(kind, projection) for kind in self._kinds)

    def _measurements_of(self, kind: str, projection: int) -> int:
        operations = len(self._edges[kind])
        if projection < operations:
            return len(self._operations(kind, self._edges[kind][projection]))
        inputs = 2 + self._nodes[kind][projection - operations]
        return sum(range(3, inputs + 1))

    def _operations(self, kind: str, edge: int) -> list[int]:
        """The places of the edge's operations among the primitives."""
        listed = self.config.lists[kind][edge] if kind in self.config.lists else self._primitives
        return [place for place, name in enumerate(self._primitives) if name in listed]

    def _candidate(self, number: int) -> Candidate:
        """The measurement of this number in the present epoch."""
        projection = self._projections[self.epoch]
        kind, *later = self._kinds
        while number >= (count := self._measurements_of(kind, projection)):
            kind, number = later.pop(0), number - count
        operations = len(self._edges[kind])
        if projection < operations:
            edge = self._edges[kind][projection]
            places = self._operations(kind, edge)
            return Candidate(Removal(kind, edge, places[number]), last=number + 1 == len(places))
        node = self._nodes[kind][projection - operations]
        kept = self._choices.kept(kind, range(edges_of(node), edges_of(node + 1)))
        place = len(self._measured)
        return Candidate(Removal(kind, kept[place]), last=place + 1 == len(kept))

    def _measure_candidate(self, number: int) -> None:
        removal, last = self._candidate(number)
        with self._choices.without(removal):
            found = self.kernel_guard.run("a projection's measuring", self._measured_projection)
        self._measured.append(found.accuracy if self.config.selection_criterion == "accuracy" else -found.loss)
        if last:
            self._decide(removal)
            self._measured = []

    def _measured_projection(self) -> Measured:
        # All measurements of an epoch draw alike, where the search's method draws.
        self._choices.begin_step(self._first_step)
        self._choices.begin_pass("measuring")
        return measured_in_training_mode(self.network, self.data, self._part, self.config.batch_size, self.control)

    def _decide(self, removal: Removal) -> None:
        """Project the edge to the operation that is missed most, or delete the edge that is missed least."""
        kind, measured = removal.kind, self._measured
        if removal.operation is not None:
            places = self._operations(kind, removal.edge)
            chosen = places[min(range(len(measured)), key=lambda place: (measured[place], place))]
            self._choices.project(kind, removal.edge, chosen)
            names = [self._primitives[place] for place in places]
            self._log(kind, f"{self._named(removal.edge)} keeps {self._primitives[chosen]}", names)
            return
        node = self._node_of(removal.edge)
        kept = self._choices.kept(kind, range(edges_of(node), edges_of(node + 1)))
        # Of equal ones the last, as in the authors' code.
        deleted = kept[max(range(len(kept)), key=lambda place: (measured[place], place))]
        self._choices.delete(kind, deleted)
        self._log(kind, f"{self._named(deleted)} is deleted", [f"state {edge - edges_of(node)}" for edge in kept])

    def _log(self, kind: str, decision: str, names: Any) -> None:
        unit, sign = (" %", 1) if self.config.selection_criterion == "accuracy" else (" nats", -1)
        figures = ", ".join(
            f"{sign * value:.4g}{unit} without {name}" for name, value in zip(names, self._measured, strict=True)
        )
        cell = kind if kind == CELL else f"{kind} cell"
        logger.info("%s: %s (%s %s)", cell, decision, self.config.selection_criterion, figures)

    def _named(self, edge: int) -> str:
        node = self._node_of(edge)
        source = edge - edges_of(node, self._inputs)
        # NAS-Bench-201 counts the input as node 0.
        places = f"node {node + 1} from node" if self._kinds == (CELL,) else f"node {node} from state"
        return f"edge {edge} ({places} {source})"

    def _node_of(self, edge: int) -> int:
        node = 0
        while edges_of(node + 1, self._inputs) <= edge:
            node += 1
        return node


@torch.no_grad()
def measured_in_training_mode(
    network: AlphaNetwork, data: DeviceData, part: torch.Tensor, batch_size: int, control: Control
) -> Measured:
    """Loss and accuracy on a part of the training images, by the statistics of each batch; running ones are unchanged.

    The images are not augmented, and cut into batches of nearly equal size. Raises Stopped between two batches.
    """
    batches = part.tensor_split(-(-len(part) // batch_size))
    sums = torch.zeros(2, dtype=torch.float64, device=data.device)
    with untracked(network):
        for batch in batches:
            if control.should_stop():
                raise Stopped("stopped while measuring")
            labels = data.train_labels[batch]
            logits = network(data.normalise(data.train_images[batch]))
            sums[0] += F.cross_entropy(logits, labels, reduction="sum").double()
            sums[1] += (logits.argmax(dim=1) == labels).sum()
    loss, correct = sums.tolist()
    return Measured(loss / len(part), 100 * correct / len(part), len(part))


def _check(source: Checkpoint | None, config: PerturbationConfig) -> None:
    """Raises CheckpointError unless the source is the checkpoint that the spec's search left."""
    if source is None:
        raise CheckpointError("the search's checkpoint is gone: queue a new selection")
    theirs, ours = source["spec"], config.search().model_dump(mode="json")
    names = ("dataset", "dataset_checksum", "method", "channels", "layers", "nodes", "primitives", "seed", "epochs")
    different = sorted(name for name in names if theirs.get(name) != ours[name])
    if source["kind"] != "search" or "select" in theirs or different or source["epoch"] != config.search_epoch:
        what = ", ".join(different) or "epoch"
        raise CheckpointError(f"this checkpoint is not the one that the selection follows: {what} differ")
    if not source["resume"]:
        raise CheckpointError("this checkpoint has no state of a training to go on with")


def _shuffled(values: range, seed: int, *purpose: str) -> list[int]:
    found = list(values)
    numbers(seed, "perturbation", *purpose).shuffle(found)
    return found
