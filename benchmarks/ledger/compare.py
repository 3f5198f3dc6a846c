"""Compares the methods of a ledger's protocol: runs the searches, finds the cells' worth, and sums up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from benchmarks.ledger.controls import random_cell_of_size
from benchmarks.ledger.protocol import BASELINE, Protocol, ProtocolError
from benchmarks.ledger.report import Row, Worth, rows
from benchmarks.ledger.sources import RunsOf
from benchmarks.ledger.store import Run
from benchmarks.oracle.table import OracleTable, load_table
from darts_core.configs.method_fields import MethodName
from darts_core.genotypes import Genotype, NasBench201Genotype, parse

SKIP = "skip_connect"


def compare(protocol: Protocol, dataset: str, runs_of: RunsOf) -> list[Row]:
    """The rows of all methods. Raises ProtocolError, TableError, ConfigError, and as `runs_of` does."""
    if BASELINE not in protocol.methods:
        raise ProtocolError(f"the protocol's methods lack {BASELINE}, against which all are compared")
    places = [(method, seed) for seed in range(protocol.seeds) for method in protocol.methods]
    runs = runs_of([protocol.search(method, seed, dataset) for method, seed in places])
    searches = {method: runs[place :: len(protocol.methods)] for place, method in enumerate(protocol.methods)}
    if protocol.retraining is None:
        table = load_table(protocol.table)
        worths = {method: [_looked_up(run, table) for run in searches[method]] for method in searches}
        return rows(searches, worths, expected=table.best_of_random(1))
    return rows(searches, _retrained(protocol, searches, dataset, runs_of))


def found_cell(run: Run) -> Genotype:
    """The cell that a stored search in another space than NAS-Bench-201's has found."""
    cell = parse(run.genotype or {})
    assert isinstance(cell, Genotype)
    return cell


def _looked_up(run: Run, table: OracleTable) -> Worth:
    cell = parse(run.genotype or {})
    assert isinstance(cell, NasBench201Genotype)
    truth = table.truth(cell)
    skips = sum(edge.op == SKIP for edge in cell.cell) / len(cell.cell)
    return Worth(truth.accuracy, skips, truth.rank, truth.regret, table.of_its_size(cell))


def _retrained(
    protocol: Protocol, searches: Mapping[MethodName, Sequence[Run]], dataset: str, runs_of: RunsOf
) -> dict[MethodName, list[Worth]]:
    """The cells' worth by retraining them, and the protocol's number of random cells of each one's size."""
    found = [
        (method, seed, found_cell(searches[method][seed])) for seed in range(protocol.seeds) for method in searches
    ]
    retrained = runs_of([protocol.evaluation(cell, seed, dataset) for _, seed, cell in found])
    drawn = [
        protocol.evaluation(random_cell_of_size(cell, protocol, protocol.controls * seed + number), seed, dataset)
        for _, seed, cell in found
        for number in range(protocol.controls)
    ]
    controls = runs_of(drawn) if drawn else []
    worths: dict[MethodName, list[Worth]] = {method: [] for method in searches}
    for place, (method, _, cell) in enumerate(found):
        edges = [*cell.normal, *cell.reduce]
        of_its_size = [_accuracy(run) for run in controls[protocol.controls * place :][: protocol.controls]]
        worth = Worth(_accuracy(retrained[place]), sum(edge.op == SKIP for edge in edges) / len(edges))
        worths[method].append(replace(worth, of_its_size=fmean(of_its_size)) if of_its_size else worth)
    return worths


def _accuracy(retrained: Run) -> float:
    return retrained.metrics["test_accuracy"]
