"""Formats the results of a study or a committee as tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api.schemas.jobs import JobKind, JobOut
from client.distribution import COMMAND
from client.tables import Column, Listing


def tables(job: JobOut) -> Iterator[str | Listing]:
    """Tables of a successful job."""
    result = job.result or {}
    if job.kind is JobKind.STUDY:
        if (race := result.get("asha")) is not None:
            yield f"{race['epochs']} epochs of searching, {race['epochs_of_all']} if none had been stopped"
            yield _race(race)
        for point in result["points"]:
            yield _title(point)
            yield _candidates(point)
            yield _choice(point)
    else:
        yield "members and committee"
        yield _members(result)
        # Without validation images the ensemble is measured on one half of the test images, its members on all.
        yield f"the last two rows: measured on what {result['ensemble']} names as test and validation"
        yield f"the ensemble's file: {COMMAND} download {job.id}"
    yield f"{result['compute_seconds']:.0f} s of computing in all"


def _race(race: dict[str, Any]) -> Listing:
    """Each trial's metric at the rungs that it reached."""
    rungs = (Column(f"epoch {rung}", number=True) for rung in race["rungs"])
    table = Listing(*(Column(head, number=True) for head in ("point", "seed")), *rungs, Column("search", 1))
    for row in race["trials"]:
        values = (_number(row["values"].get(str(rung))) for rung in race["rungs"])
        table.add(str(row["point"]), str(row["seed"]), *values, _id(row["search"]))
    return table


def _candidates(point: dict[str, Any]) -> Listing:
    measure = point["chosen_by"]
    figures = (Column(head, number=True) for head in ("seed", measure.replace("_", " ")))
    table = Listing(*figures, "", Column("search", 2), Column("short retraining", 1))
    for row in point["candidates"]:
        note = "chosen" if row["chosen"] else row["failure"] or ""
        table.add(str(row["seed"]), _number(row[measure]), note, _id(row["search"]), _id(row["short_retrain"]))
    return table


def _choice(point: dict[str, Any]) -> str:
    if point["failure"] is not None:
        return f"failed: {point['failure']}"
    final = point["final"]
    spread = "" if final["std"] is None else f" ± {final['std']:.2f}"
    figure = f"{final['metric'].replace('_', ' ')} {_number(final['mean'])}{spread} over {final['n']} runs"
    return f"seed {point['chosen']['seed']}: {point['chosen']['why']}\n{figure}"


def _members(result: dict[str, Any]) -> Listing:
    shared = [row["metrics"] for row in result["members"] if row["metrics"]]
    shown = ("validation_accuracy", "test_accuracy", "validation_perplexity", "test_perplexity")
    names = [n for n in shown if any(n in metrics for metrics in shared)]
    figures = (Column(head, number=True) for head in ("seed", *(n.replace("_", " ") for n in names)))
    table = Listing("space", *figures, "measured by")
    for row in result["members"]:
        measured = [_number((row["metrics"] or {}).get(name)) for name in names]
        table.add(row["space"], str(row["seed"]), *measured, row["failure"] or _id(row["evaluation"]))
    for title, key in (("together", "committee"), ("all, plain", "plain")):
        table.add(title, "", *(_number(_of_ensemble(result[key], name)) for name in names), _id(result["ensemble"]))
    return table


def _of_ensemble(figures: dict[str, Any], name: str) -> float | None:
    """`test_accuracy` and the like, if the ensemble measured that part."""
    part, _, measure = name.partition("_")
    found: float | None = (figures.get(part) or {}).get(measure)
    return found


def _title(point: dict[str, Any]) -> str:
    values = [f"{name} {_plain(value)}" for name, value in point["values"].items()]
    return ", ".join([point["dataset"], *values] if "dataset" not in point["values"] else values)


def _plain(value: Any) -> str:
    """A value of the grid; an object's fields without its brackets."""
    if not isinstance(value, dict):
        return str(value)
    return ", ".join(f"{name} {_plain(part)}" for name, part in value.items())


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _id(link: str | None) -> str:
    return "–" if link is None else link.rpartition("/")[2]
