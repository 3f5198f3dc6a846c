"""Estimates the memory of training a language model from its shapes. Imports no torch.

Mirrors darts_core/models/recurrent. What autograd keeps of a window is counted exactly, and tests compare it with
torch's own count; scratch space and the allocator's waste are measured (docs/performance.md reports the error).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final, Literal

from darts_core.genotypes import RecurrentGenotype
from darts_core.profile.language_model import LanguageShape, language_model_parameters
from darts_core.profile.memory import Kind

_BYTES: Final = 4
# Of everything else: fragments of the allocator, small tensors.
_OVERHEAD: Final = 1.15
_LIBRARIES: Final[dict[Kind, int]] = {"cpu": 0, "cuda": 256 * 2**20}
# Logits and their exponentials of the rows that the loss computes at once (`darts_core.models.recurrent.tied_loss`).
_LOGITS: Final[dict[Kind, int]] = {"cpu": 2 * 2**22, "cuda": 16 * 2**22}
# States of every word that a backward pass holds besides what autograd kept.
_SEARCH_SCRATCH: Final = 8
_RETRAINING_SCRATCH: Final = 5
# States of every word in a window that is measured.
_MEASURED_STATES: Final = 7
# Copies of all weights: they themselves and the last gradient; to second order also the training gradient, the virtual
# weights, their gradient, the same clipped, and the weights that are put back.
_SEARCH_COPIES: Final = {1: 2, 2: 6}
# The weights and their average; a CPU also holds both of the best epoch.
_RETRAINING_COPIES: Final[dict[Kind, int]] = {"cpu": 4, "cuda": 2}
# Each graph of a search's weights keeps the gradient that it computes (`darts_core.bilevel.graphed_recurrent`).
_SEARCH_GRAPHS: Final = 16
_MOST_COLUMNS: Final = 2**20


@dataclass(frozen=True)
class KeptWindow:
    """What training keeps of a window of text for the backward pass.

    In elements. per_column: of each column. besides: of the window itself. state: one state of a column's every word.
    """

    per_column: int
    besides: int
    state: int


@dataclass(frozen=True)
class TextNeed:
    """In bytes. fixed: independent of the columns. kept, scratch: of each column computed at once, what autograd keeps
    and what a backward pass takes besides. logits: of the loss. measuring: of a measured window. graph: whether CUDA
    graphs launch steps and measured windows, which keep the memory of one each.
    """

    fixed: int
    kept: int
    scratch: int
    logits: int
    measuring: int
    graph: bool = False

    def of(self, columns: int) -> int:
        """Bytes for training on windows of so many columns, with measuring between the epochs."""
        step, measuring = columns * self.kept + max(self.logits, columns * self.scratch), self.logits + self.measuring
        # Windows of a length that has not come up often enough are called.
        most = max(step, measuring)
        return self.fixed + round(_OVERHEAD * (step + measuring + most if self.graph else most))

    def fitting(self, free: int) -> int:
        """The most columns that fit in so much memory; 0 when none does."""
        return bisect_right(range(1, _MOST_COLUMNS), free, key=self.of)


def search_need(
    kept: KeptWindow, shape: LanguageShape, nodes: int, *, order: Literal[1, 2], measured: int, kind: Kind, graph: bool
) -> TextNeed:
    """measured: words of a measured window, all columns together. graph: see `TextNeed`."""
    copies = _SEARCH_COPIES[order] + (_SEARCH_GRAPHS if graph else 0)
    return _need(kept, shape, nodes, copies, _SEARCH_SCRATCH, measured, kind, graph)


def retraining_need(
    kept: KeptWindow, shape: LanguageShape, nodes: int, *, measured: int, kind: Kind, graph: bool
) -> TextNeed:
    """Like `search_need`."""
    return _need(kept, shape, nodes, _RETRAINING_COPIES[kind], _RETRAINING_SCRATCH, measured, kind, graph)


def _need(
    kept: KeptWindow,
    shape: LanguageShape,
    nodes: int,
    copies: int,
    scratch: int,
    measured: int,
    kind: Kind,
    graph: bool,
) -> TextNeed:
    weights = language_model_parameters(nodes, shape)
    of_cell = weights - shape.words * (shape.hidden_size + 1)  # whose gradients are there while activations are
    return TextNeed(
        fixed=_LIBRARIES[kind] + round(_OVERHEAD * _BYTES * (kept.besides + copies * weights + of_cell)),
        kept=_BYTES * kept.per_column,
        scratch=_BYTES * scratch * kept.state,
        logits=_BYTES * _LOGITS[kind],
        measuring=_BYTES * _MEASURED_STATES * measured * shape.hidden_size,
        graph=graph,
    )


def kept_by_search(
    shape: LanguageShape, nodes: int, length: int, *, activation: bool = False, slowness: bool = False
) -> KeptWindow:
    """Of a weight step on a window of so many words. activation, slowness: whether the loss has these penalties."""
    of_cell = 2 + (nodes + 1) + nodes * (nodes + 1)  # the initial state's products, states, gates and candidates
    # Mean, variance and reciprocal deviation of each normalised state, in one block.
    statistics = 3 * length * (nodes + 1) * shape.hidden_size
    return _kept(shape, length, of_cell, statistics, activation=activation, slowness=slowness)


def kept_by_retraining(
    genotype: RecurrentGenotype,
    shape: LanguageShape,
    length: int,
    *,
    activation: bool = False,
    slowness: bool = False,
) -> KeptWindow:
    """Of a training step on a window of so many words. activation, slowness: whether the loss has these penalties."""
    needed = set(genotype.concat)
    sources = []
    for node, (_, source) in reversed(list(enumerate(genotype.recurrent))):
        if node + 1 in needed:
            needed.add(source)
            sources.append(source)
    of_cell = 2 + 2 * len(sources) + len(set(sources))  # gates and candidates, and the states that are read
    return _kept(shape, length, of_cell, 0, activation=activation, slowness=slowness)


def _kept(
    shape: LanguageShape, length: int, of_cell: int, statistics: int, *, activation: bool, slowness: bool
) -> KeptWindow:
    """of_cell: how many states of each word the cell keeps."""
    size, state = shape.hidden_size, length * shape.hidden_size
    of_model = 3 + activation  # the cell's input and output, the output's gradient, and its squares' root
    tokens = 3 * length  # eight-byte indices, and the words' dropout
    beside_states = 3 * size  # the state before the window, and the masks of input and output
    differences = state - size if slowness else 0
    return KeptWindow(
        per_column=(of_cell + of_model) * state + differences + tokens + beside_states,
        besides=statistics + shape.words * (size + 1),  # the gradient of the decoder
        state=state,
    )
