"""`dartboard bench collapse`: how often searches collapse, with a guard and without."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.commands.options import Calibrate, Markdown, Processes, ProtocolFile, ProtocolImages, Results
from client.options import Json

if TYPE_CHECKING:
    from benchmarks.collapse.protocol import CollapseProtocol


def collapse(
    protocol: ProtocolFile,
    dataset: ProtocolImages,
    results: Results = None,
    processes: Processes = 1,
    calibrate: Calibrate = False,
    markdown: Markdown = False,
    json: Json = False,
) -> None:
    """Count the searches that collapse in several spaces, with a guard and without. Stored runs are not done again."""
    from dataclasses import asdict

    from benchmarks.collapse import report
    from benchmarks.collapse.count import count_collapses
    from benchmarks.collapse.protocol import CollapseProtocol
    from benchmarks.ledger.protocol import read
    from benchmarks.ledger.store import RUNS, Store
    from benchmarks.oracle.data import opened
    from client.output import print_json, print_listing, print_text, remarks

    chosen = read(CollapseProtocol, protocol)
    with opened(dataset) as (name, root):
        if calibrate:
            _calibrate(chosen, protocol, name, root)
            return
        store = Store(results or RUNS)
        found = count_collapses(chosen, store, dataset=name, data_root=root, processes=processes, say=remarks.print)
    if json:
        print_json([asdict(row) for row in found])
    elif markdown:
        print_text(report.markdown(found, chosen).rstrip("\n"))
    else:
        print_listing(report.listing(found))
        for sentence in report.remarks_on(found):
            print_text(sentence)


def _calibrate(protocol: CollapseProtocol, file: Path, dataset: str, root: Path) -> None:
    from benchmarks.collapse.count import calibrate
    from benchmarks.ledger.provenance import processor
    from client.output import print_text, remarks

    seconds = calibrate(protocol, dataset=dataset, data_root=root, say=remarks.print)
    protocol.calibrated(seconds, processor()).save(file)
    print_text(str(file))
