"""`dartboard bench memory`: the estimated memory of recurrent jobs beside their peak."""

from __future__ import annotations

from client.options import Json


def memory(json: Json = False) -> None:
    """Compare the memory that recurrent jobs are estimated to need with their peak on this CPU. Needs no service."""
    from benchmarks.text_memory import compare
    from client.output import console, print_json

    rows = []
    for row in compare():
        rows.append(row)
        if not json:
            estimate, peak = row["estimate"], row["peak"]
            console.print(
                f"{row['job']}: estimate {estimate / 2**20:,.0f} MiB, peak {peak / 2**20:,.0f} MiB, "
                f"{estimate / peak - 1:+.0%}"
            )
    if json:
        print_json(rows)
