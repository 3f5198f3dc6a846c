"""Compares the methods of a ledger's protocol: runs the searches, finds the cells' worth, and sums up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.ledger.protocol import BASELINE, Protocol, ProtocolError
from benchmarks.ledger.report import Row, Worth, rows
from benchmarks.ledger.runs import run_missing
from benchmarks.ledger.store import Run, Store
from benchmarks.oracle.data import checksum
from benchmarks.oracle.table import OracleTable, load_table
from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.genotypes import Genotype, NasBench201Genotype, parse

SKIP = "skip_connect"


def compare(
    protocol: Protocol,
    store: Store,
    *,
    dataset: str,
    data_root: Path,
    processes: int,
    say: Callable[[str], None],
) -> list[Row]:
    """Run what the store lacks; the rows of all methods. Raises ProtocolError, TableError, ConfigError, DataError."""
    if BASELINE not in protocol.methods:
        raise ProtocolError(f"the protocol's methods lack {BASELINE}, against which all are compared")
    seeds, images = range(protocol.seeds), checksum(dataset, data_root)

    def by_method(configs: list[SearchConfig] | list[EvaluationConfig]) -> dict[str, Sequence[Run]]:
        runs = run_missing(
            configs, store, images=images, data_root=data_root, device=protocol.device, processes=processes, say=say
        )
        return {method: runs[place :: len(protocol.methods)] for place, method in enumerate(protocol.methods)}

    searches = by_method([protocol.search(method, seed, dataset) for seed in seeds for method in protocol.methods])
    if protocol.retraining is None:
        table = load_table(protocol.table)
        worths = {method: _looked_up(runs, table) for method, runs in searches.items()}
        return rows(searches, worths, expected=table.best_of_random(1))
    found = [(runs[seed].genotype or {}, seed) for seed in seeds for runs in searches.values()]
    retrained = by_method([protocol.evaluation(genotype, seed, dataset) for genotype, seed in found])
    return rows(searches, {method: list(map(_retrained, runs)) for method, runs in retrained.items()})


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
