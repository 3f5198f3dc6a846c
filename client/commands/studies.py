"""`dartboard study` and `committee`: queue a composite job and watch it by default."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from client.commands.submit import Detach, Preemptible, Priority
from client.options import DEFAULT_URL, Json, Key, Url
from client.submit import submit_and_watch

Spec = Annotated[Path | None, typer.Argument(help="JSON file with the request body; options override it.")]
Dataset = Annotated[str | None, typer.Option(help="Data set of the searches, and of the trainings by default.")]
Family = Annotated[Literal["cnn", "rnn"] | None, typer.Option(help="Family of the cells; cnn by default.")]
Seeds = Annotated[str | None, typer.Option(help="Seeds of the searches, such as 0,1,2,3.")]
SearchEpochs = Annotated[int | None, typer.Option(help="Epochs of each search.")]
Name = Annotated[str | None, typer.Option(help="Name of the job; its children's names begin with it.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PART.NAME=VALUE", help="Any other field, such as search.order=2; may be repeated."),
]


def study(
    spec: Spec = None,
    dataset: Dataset = None,
    family: Family = None,
    seeds: Seeds = None,
    search_epochs: SearchEpochs = None,
    short_epochs: Annotated[int | None, typer.Option(help="Epochs of each candidate's short retraining.")] = None,
    final_epochs: Annotated[int | None, typer.Option(help="Epochs of each final run.")] = None,
    final_runs: Annotated[int | None, typer.Option(help="Final runs of the chosen cell.")] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=A,B",
            help="Vary order, space, dataset, method or any other field of the search; may be repeated.",
        ),
    ] = None,
    name: Name = None,
    priority: Priority = None,
    preemptible: Preemptible = None,
    set_: Set = None,
    detach: Detach = False,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Search with several seeds, retrain briefly, choose by validation, report the chosen cell's test metrics."""
    given: dict[str, Any] = {
        "family": family,
        "seeds": None if seeds is None else _values(seeds),
        "search.dataset": dataset,
        "search.epochs": search_epochs,
        "short_retrain.epochs": short_epochs,
        "final.epochs": final_epochs,
        "final_runs": final_runs,
        "name": name,
        "priority": priority,
        "preemptible": preemptible,
    }
    given |= {f"grid.{axis}": _values(values) for axis, values in map(_pair, grid or [])}
    body = _body(spec, given, set_)
    if "dataset" not in (body.get("grid") or {}):
        _default(body, family)
    submit_and_watch("study", body, url, key, detach=detach, json=json)


def committee(
    spec: Spec = None,
    dataset: Dataset = None,
    family: Family = None,
    spaces: Annotated[str | None, typer.Option(help="Spaces to search in; space1,space2,space3 by default.")] = None,
    seeds: Seeds = None,
    search_epochs: SearchEpochs = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of each member's training.")] = None,
    combine: Annotated[
        Literal["sum", "mean", "fitted"] | None, typer.Option(help="How to combine the members.")
    ] = None,
    best: Annotated[int | None, typer.Option(help="Select at most this many members on validation data.")] = None,
    name: Name = None,
    priority: Priority = None,
    preemptible: Preemptible = None,
    set_: Set = None,
    detach: Detach = False,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Search in several spaces, retrain the cells found, and measure them as an ensemble."""
    given = {
        "family": family,
        "spaces": None if spaces is None else _values(spaces),
        "seeds": None if seeds is None else _values(seeds),
        "search.dataset": dataset,
        "search.epochs": search_epochs,
        "evaluation.epochs": epochs,
        "ensemble.combine": combine,
        "ensemble.select.best": best,
        "name": name,
        "priority": priority,
        "preemptible": preemptible,
    }
    body = _body(spec, given, set_)
    _default(body, family)
    submit_and_watch("committee", body, url, key, detach=detach, json=json)


def _body(file: Path | None, given: dict[str, Any], pairs: list[str] | None) -> dict[str, Any]:
    """The file's body with overrides. Raises typer.BadParameter."""
    from client.json_input import read_object, value_of

    body = {} if file is None else read_object(file, "SPEC")
    for path, value in given.items():
        if value is not None:
            _put(body, path, value)
    for path, text in map(_pair, pairs or []):
        _put(body, path, value_of(text))
    return body


def _default(body: dict[str, Any], family: str | None) -> None:
    """The default data set of `dartboard search`."""
    search = body.setdefault("search", {})
    if isinstance(search, dict):  # otherwise the service refuses it
        from darts_core.families import family_in

        search.setdefault("dataset", family_in({"family": family}).example)


def _put(body: dict[str, Any], path: str, value: Any) -> None:
    *parts, name = path.split(".")
    for part in parts:
        body = body.setdefault(part, {})
        if not isinstance(body, dict):
            raise typer.BadParameter(f"{path}: {part} has no fields", param_hint="--set")
    body[name] = value


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r}: expected NAME=VALUE")
    return name, value


def _values(text: str) -> list[Any]:
    from client.json_input import value_of

    return [value_of(part.strip()) for part in text.split(",")]
