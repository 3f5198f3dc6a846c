"""Draws random cells of a found cell's size, which tell its worth from that of its parameters."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Final

from benchmarks.ledger.protocol import Protocol, ProtocolError
from darts_core.genotypes import Genotype, drawn_cell
from darts_core.profile import profile, shape_of

TOLERANCE: Final = 0.05
_MOST_DRAWS: Final = 10_000


def random_cell_of_size(cell: Genotype, protocol: Protocol, seed: int) -> Genotype:
    """Draw a cell whose network has the found one's parameters, TOLERANCE more or less, without stem and classifier.

    A cell is drawn from the protocol's space, and nodes of it are drawn again, one at a time, as long as that does not
    lead away from the size. Raises ProtocolError where no cell of the space comes near it.
    """
    wanted = cell_parameters(cell, protocol)
    source = random.Random(seed)  # noqa: S311 - no secret
    drawn = _drawn(protocol, source)
    off = abs(cell_parameters(drawn, protocol) - wanted)
    for _ in range(_MOST_DRAWS):
        if off <= TOLERANCE * wanted:
            return drawn
        changed = _with_another_node(drawn, _drawn(protocol, source), source)
        if (now := abs(cell_parameters(changed, protocol) - wanted)) <= off:
            drawn, off = changed, now
    raise ProtocolError(f"no random cell of space {protocol.space} has {wanted:,} parameters: {cell}")


def cell_parameters(cell: Genotype, protocol: Protocol) -> int:
    """Parameters of all cells of the network that the protocol retrains."""
    config = protocol.evaluation(cell, 0, "digits")
    shape = shape_of(channels=config.channels, layers=config.layers, reductions=config.reductions)
    found = profile(cell, replace(shape, edge_skips=config.edge_skips))
    return sum(each.parameters for each in found.cells)


def _drawn(protocol: Protocol, source: random.Random) -> Genotype:
    cell = drawn_cell("cnn", source.getrandbits(32), space=protocol.space)
    assert isinstance(cell, Genotype)
    return cell


def _with_another_node(cell: Genotype, other: Genotype, source: random.Random) -> Genotype:
    """The cell with the two edges into one of its nodes, normal or reduction, as the other has them."""
    node = 2 * source.randrange(len(cell.normal) // 2)
    if source.random() < 1 / 2:
        return replace(cell, normal=(*cell.normal[:node], *other.normal[node : node + 2], *cell.normal[node + 2 :]))
    return replace(cell, reduce=(*cell.reduce[:node], *other.reduce[node : node + 2], *cell.reduce[node + 2 :]))
