"""Compares a searched cell with random cells of its size, retrained alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from benchmarks.ledger.compare import found_cell
from benchmarks.ledger.controls import cell_parameters, random_cell_of_size
from benchmarks.ledger.intervals import Interval, paired_difference, signed
from benchmarks.ledger.protocol import Protocol
from benchmarks.ledger.sources import RunsOf
from client.tables import Column, Listing
from darts_core.genotypes import Genotype


@dataclass(frozen=True)
class Retrained:
    """Trainings in the order of their seeds. parameters: of the network's cells. accuracies: on the test images, in
    percent, after the last epoch, which is not selected by them.
    """

    parameters: tuple[int, ...]
    accuracies: tuple[float, ...]


@dataclass(frozen=True)
class Comparison:
    """found: the searched cell, as text and retrained with each seed. random: a cell of its size for each seed.
    difference: of their accuracies, seed by seed.
    """

    cell: str
    found: Retrained
    random: Retrained
    difference: Interval


def compare(protocol: Protocol, method: str, seeds: int, dataset: str, runs_of: RunsOf) -> Comparison:
    """Compare the cell of the method's first seed. Raises ProtocolError, ConfigError, and as `runs_of` does."""
    [search] = runs_of([protocol.search(protocol.method(method), 0, dataset)])
    cell = found_cell(search)
    drawn = [random_cell_of_size(cell, protocol, seed) for seed in range(seeds)]

    def retrained(cells: Sequence[Genotype]) -> Retrained:
        runs = runs_of([protocol.evaluation(each, seed, dataset) for seed, each in enumerate(cells)])
        sizes = tuple(cell_parameters(each, protocol) for each in cells)
        return Retrained(sizes, tuple(run.metrics["test_accuracy"] for run in runs))

    found, random = retrained([cell] * seeds), retrained(drawn)
    return Comparison(str(cell), found, random, paired_difference(found.accuracies, random.accuracies))


def listing(found: Comparison) -> Listing:
    """The two groups, each with its sizes and accuracies."""
    figures = ("parameters of its cells", "accuracy, %", "minus random of its size")
    table = Listing("cell", *(Column(title, number=True) for title in figures))
    for name, group, difference in (("searched", found.found, found.difference), ("random", found.random, None)):
        low, high = min(group.parameters), max(group.parameters)
        sizes = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        table.add(name, sizes, f"{mean(group.accuracies):.2f} ± {stdev(group.accuracies):.2f}", signed(difference))
    return table
