"""Formats an ensemble's results as a table."""

from __future__ import annotations

from typing import Any

from api.schemas.jobs import JobOut
from client.tables import Column, Listing


def table(job: JobOut) -> Listing:
    """Rows: each member, the ensemble, and all members without selection or weights."""
    result: dict[str, Any] = job.result or {}
    test, validation = result["test"], result["validation"]
    what = "words" if result["vocabulary"] else "images"
    main = "perplexity" if result["vocabulary"] else "accuracy"
    columns = [Column(""), *(Column(name, number=True) for name in ("weight", _measured(main, test, what), "loss"))]
    if validation is not None:
        columns.append(Column(_measured(main, validation, what), 1, number=True))
    table = Listing(*columns)

    def add(title: str, weight: str, figures: dict[str, Any]) -> None:
        row = [title, weight, f"{figures['test'][main]:.2f}", f"{figures['test']['loss']:.4f}"]
        table.add(*row, *([f"{figures['validation'][main]:.2f}"] if validation is not None else []))

    for place, (about, member) in enumerate(zip(job.spec["members"], result["members"], strict=True)):
        title = about["name"] or about["job_id"] or about["id"]
        add(f"{place} {title}", f"{member['weight']:.3f}" if member["chosen"] else "-", member)
    add("committee", "", result["committee"])
    add("all, plainly", "", result["plain"])
    return table


def _measured(measure: str, part: dict[str, Any], what: str) -> str:
    return f"{measure}, {part['count']:,} {what} of {part['part']}"
