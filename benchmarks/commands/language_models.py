"""`dartboard bench language-models`: recurrent cells against an LSTM of equal size and a bigram model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.commands.options import Markdown, Processes, ProtocolFile, Results
from client.options import Json

if TYPE_CHECKING:
    from benchmarks.language_models.compare import Comparison


def language_models(
    protocol: ProtocolFile,
    results: Results = None,
    processes: Processes = 1,
    data_root: Annotated[Path, typer.Option(help="Folder of the texts.")] = Path(".dartboard/datasets"),
    markdown: Markdown = False,
    json: Json = False,
) -> None:
    """Compare recurrent cells, searched, published and random, with an LSTM of equal size and a bigram model, all tuned
    over one grid. Runs that are stored are not done again.
    """
    from dataclasses import asdict
    from functools import partial

    from benchmarks.language_models import report
    from benchmarks.language_models.compare import compare
    from benchmarks.language_models.protocol import LanguageModelProtocol
    from benchmarks.ledger.protocol import read
    from benchmarks.ledger.runs import run_missing
    from benchmarks.ledger.store import RUNS, Store
    from client.output import print_json, print_text, remarks
    from darts_core.data.text.corpus import load_text

    chosen = read(LanguageModelProtocol, protocol)
    text = load_text(chosen.dataset, data_root, chosen.searching.text_checksum)
    run = partial(
        run_missing,
        store=Store(results or RUNS),
        images=text.checksum,
        data_root=data_root,
        device="cpu",
        processes=processes,
        say=remarks.print,
    )
    found = compare(chosen, text, run)
    if json:
        print_json({**asdict(found), "rows": [{**asdict(row), "verdict": row.verdict} for row in found.rows]})
    elif markdown:
        print_text(report.markdown(found, chosen).rstrip("\n"))
    else:
        _show(found)


def _show(found: Comparison) -> None:
    from benchmarks.language_models import report
    from client.output import print_listing, print_text
    from client.tables import Column, Listing

    listing = Listing(*(Column(name, number=name not in ("network", "rate, dropout", "")) for name in report.HEADINGS))
    for row in found.rows:
        listing.add(*report.columns(row))
    print_listing(listing)
    for sentence in report.remarks_on(found):
        print_text(sentence)
