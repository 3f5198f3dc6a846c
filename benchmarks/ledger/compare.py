"""Compares the methods of a ledger's protocol: runs the searches, finds the cells' worth, and sums up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.ledger.protocol import BASELINE, Protocol, ProtocolError
from benchmarks.ledger.report import Row, Worth, rows
from benchmarks.ledger.runs import Config
from benchmarks.ledger.store import Run, Store, key_of, spec_of
from benchmarks.oracle.table import OracleTable, load_table
from darts_core.configs import SearchConfig
from darts_core.genotypes import Genotype, NasBench201Genotype, parse

SKIP = "skip_connect"

RunsOf = Callable[[Sequence[Config]], Sequence[Run]]
"""Gives the runs of resolved specs, in their order."""


def compare(protocol: Protocol, dataset: str, runs_of: RunsOf) -> list[Row]:
    """The rows of all methods. Raises ProtocolError, TableError, ConfigError, and as `runs_of` does."""
    if BASELINE not in protocol.methods:
        raise ProtocolError(f"the protocol's methods lack {BASELINE}, against which all are compared")

    def by_method(configs: Sequence[Config]) -> dict[str, Sequence[Run]]:
        runs = runs_of(configs)
        return {method: runs[place :: len(protocol.methods)] for place, method in enumerate(protocol.methods)}

    searches = by_method(_searches(protocol, dataset))
    if protocol.retraining is None:
        table = load_table(protocol.table)
        worths = {method: _looked_up(runs, table) for method, runs in searches.items()}
        return rows(searches, worths, expected=table.best_of_random(1))
    found = [(runs[seed].genotype or {}, seed) for seed in range(protocol.seeds) for runs in searches.values()]
    retrained = by_method([protocol.evaluation(genotype, seed, dataset) for genotype, seed in found])
    return rows(searches, {method: list(map(_retrained, runs)) for method, runs in retrained.items()})


def compare_stored(protocol: Protocol, store: Store) -> list[Row]:
    """The rows by stored runs alone. Raises ProtocolError where the store lacks one, and as `compare` does."""
    for dataset, images in store.images():
        if store.get(key_of(spec_of(_searches(protocol, dataset)[0]), images)) is not None:
            return compare(protocol, dataset, partial(_stored, store, images))
    raise ProtocolError(f"{store.path} has no run of the protocol: give its images with --dataset to run them")


def _stored(store: Store, images: str, configs: Sequence[Config]) -> list[Run]:
    found = [store.get(key_of(spec_of(config), images)) for config in configs]
    runs = [run for run in found if run is not None]
    if missing := len(found) - len(runs):
        raise ProtocolError(
            f"{store.path} lacks {missing} of the protocol's {len(found)} runs: "
            "give its images with --dataset to run them"
        )
    return runs


def _searches(protocol: Protocol, dataset: str) -> list[SearchConfig]:
    return [protocol.search(method, seed, dataset) for seed in range(protocol.seeds) for method in protocol.methods]


def _looked_up(runs: Sequence[Run], table: OracleTable) -> list[Worth]:
    worths = []
    for run in runs:
        cell = parse(run.genotype or {})
        assert isinstance(cell, NasBench201Genotype)
        truth = table.truth(cell)
        skips = sum(edge.op == SKIP for edge in cell.cell) / len(cell.cell)
        worths.append(Worth(truth.accuracy, skips, truth.rank, truth.regret, table.of_its_size(cell)))
    return worths


def _retrained(run: Run) -> Worth:
    cell = parse(run.spec["genotype"])
    assert isinstance(cell, Genotype)
    edges = [*cell.normal, *cell.reduce]
    return Worth(run.metrics["test_accuracy"], sum(edge.op == SKIP for edge in edges) / len(edges))
