"""`dartboard bench advice`: the ledger's rows for the service, from the stored runs."""

from __future__ import annotations


def advice() -> None:
    """Write the rows of all complete protocols to api/advice/ledger.json, on which `dartboard advise` rests."""
    from benchmarks.ledger.advice import LEDGER, as_json, ledger
    from benchmarks.ledger.store import RUNS, Store
    from client.output import print_text, remarks

    found = ledger(Store(RUNS), lambda reason: remarks.print(f"left out: {reason}"))
    LEDGER.write_text(as_json(found))
    print_text(str(LEDGER))
