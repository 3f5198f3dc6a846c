"""Renders a comparison as tables with one column per job, in CSV and Markdown, without side effects."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from api.schemas.compare import ComparedJob, Comparison, TableName
from api.schemas.spreadsheet import field


class Table(NamedTuple):
    """A table. keys: the headings of the leading columns; each row holds these, then one value per job."""

    keys: tuple[str, ...]
    rows: list[list[Any]]


def tables(comparison: Comparison) -> dict[TableName, Table]:
    """All tables; `cells` and `spec` may be empty."""
    return {
        "figures": Table(("figure",), list(_figures(comparison.jobs))),
        "cells": Table(
            ("cell", "node", "same"),
            [[row.cell, row.node, _yes(row.same), *map(_edge, row.edges)] for row in comparison.cells],
        ),
        "epochs": Table(
            ("epoch", "metric"),
            [[row.epoch, name, *values] for row in comparison.epochs for name, values in row.metrics.items()],
        ),
        "spec": Table(("field",), [[name, *map(_text, values)] for name, values in comparison.spec.items()]),
    }


def to_csv(comparison: Comparison, name: TableName) -> str:
    """One table as RFC 4180 CSV, with job ids as headings, unrounded numbers and formulas escaped."""
    table = tables(comparison)[name]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*table.keys, *(job.id for job in comparison.jobs)])
    writer.writerows([field(value) for value in row] for row in table.rows)
    return out.getvalue()


_HEADINGS: Final[dict[TableName, str]] = {
    "figures": "Figures",
    "cells": "Cells",
    "epochs": "Epochs",
    "spec": "Where the specs differ",
}


def to_markdown(comparison: Comparison) -> str:
    """All tables that have rows, each below a heading, with rounded numbers."""
    heads = [job.name or str(job.id) for job in comparison.jobs]
    parts = []
    for name, table in tables(comparison).items():
        if table.rows:
            lines = [_line([*table.keys, *heads]), _line(["---"] * (len(table.keys) + len(heads)))]
            lines += [_line(map(_short, row)) for row in table.rows]
            parts.append(f"## {_HEADINGS[name]}\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


# Names are untrusted: they must not render as HTML, links or pictures, nor end their cell.
_MARKUP: Final = re.compile(r"[\\|<>&`*\[\]]")
_PLAIN: Final = (
    *("id", "kind", "name", "status", "status_reason", "family", "dataset", "seed", "epochs", "planned_epochs"),
    *("parameters", "multiply_adds"),
)


def _figures(jobs: list[ComparedJob]) -> Iterator[list[Any]]:
    def row(name: str, of: Callable[[ComparedJob], Any]) -> list[Any]:
        return [name, *(of(job) for job in jobs)]

    for name in _PLAIN:
        yield row(name, lambda job, name=name: getattr(job, name))  # type: ignore[misc]
    for cell in dict.fromkeys(cell for job in jobs for cell in job.cells):
        for name in ("skip_connects", "skip_share", "parameter_free"):
            yield row(f"{cell}_{name}", lambda job, cell=cell, name=name: getattr(job.cells.get(cell), name, None))  # type: ignore[misc]
    yield row("attempts", lambda job: job.attempts)
    yield row("gpus", lambda job: job.gpus)
    yield row("devices", lambda job: ", ".join(job.devices))
    yield row("compute_seconds", lambda job: round(job.compute_seconds, 3))
    yield row("gpu_seconds", lambda job: round(job.gpu_seconds, 3))
    for which in ("best", "last"):
        for name in dict.fromkeys(name for job in jobs for name in getattr(job, which) or {}):
            yield row(f"{which}_{name}", lambda job, which=which, name=name: (getattr(job, which) or {}).get(name))  # type: ignore[misc]
    yield row("genotype", lambda job: job.genotype)


def _edge(edge: tuple[str, int] | None) -> str | None:
    return None if edge is None else f"{edge[0]} {edge[1]}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _text(value: Any) -> Any:
    """A list, object or boolean as JSON, since a cell holds one value."""
    return json.dumps(value) if isinstance(value, (list, dict, bool)) else value


def _short(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _line(fields: Any) -> str:
    safe = (_MARKUP.sub(r"\\\g<0>", str(field)).replace("\n", " ") for field in fields)
    return f"| {' | '.join(safe)} |"
