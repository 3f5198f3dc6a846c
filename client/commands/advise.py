"""`dartboard advise`: a method, a protocol and its cost for a data set and a budget."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from client.options import DEFAULT_URL, Json, Key, Url, Wide

if TYPE_CHECKING:
    from api.schemas.advice import AdviceOut, IntervalOut
    from client.tables import Listing


def advise(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="One of `dartboard datasets`, of images.")],
    gpus: Annotated[int, typer.Option(help="Workers with one GPU each, for trainings side by side.")] = 1,
    hours: Annotated[float, typer.Option(help="Hours that you have.")] = 24,
    pool: Annotated[str, typer.Option(help="Pool of these workers.")] = "default",
    json: Json = False,
    wide: Wide = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Advise on a method and its budget, by measured rows and by the jobs that have run here."""
    from client.output import console, print_json, print_listing
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        found = dartboard.advise(dataset, hours=hours, gpus=gpus, pool=pool)
    if json:
        print_json(found)
        return
    for sentence in found.sentences:
        console.print(sentence)
    console.print()
    print_listing(_listing(found), wide=wide)
    console.print()
    for line in command_lines(found):
        console.print(line)


def command_lines(advice: AdviceOut) -> Iterator[str]:
    """The commands that do what is advised. `ID` in the second stands for the search of the first."""
    body = dict(advice.body)
    search = body.pop("search", body)
    pool = ["--set", f"pool={body['pool']}"] if "pool" in body else []
    given = {name: search[name] for name in ("space", "method", "order", "epochs") if name in search}
    if advice.kind == "study":
        epochs = ["--search-epochs", f"{given.pop('epochs')}"] if "epochs" in given else []
        seeds = ",".join(map(str, advice.seeds))
        sets = [part for name, value in given.items() for part in ("--set", f"search.{name}={value}")]
        yield shlex.join(["dartboard", "study", "--dataset", advice.dataset, "--seeds", seeds, *epochs, *sets, *pool])
        return
    options = [part for name, value in given.items() for part in (f"--{name}", f"{value}")]
    yield shlex.join(["dartboard", "search", "--dataset", advice.dataset, *options, *pool])
    yield shlex.join(["dartboard", "evaluate", "ID", "--epochs", f"{advice.retraining_epochs}", *pool])


def _listing(advice: AdviceOut) -> Listing:
    from client.tables import Column, Listing

    listing = Listing(
        Column("ledger", 1),
        Column("images", number=True),
        Column("method"),
        Column("seeds", 2, number=True),
        Column("processor s", 2, number=True),
        Column("accuracy, %", number=True),
        Column("minus random", number=True),
        Column("minus random of its size", number=True),
        Column("verdict", 1),
        Column("date", 3),
        Column("commit", 4),
    )
    for row in advice.rows:
        listing.add(
            row.protocol,
            f"{row.training_images:,}",
            row.method,
            f"{row.seeds}",
            f"{row.seconds:.0f}",
            f"{row.accuracy:.2f}" + ("" if row.deviation is None else f" ± {row.deviation:.2f}"),
            _signed(row.against_random),
            _signed(row.against_size),
            row.verdict,
            row.date,
            row.commit[:7],
        )
    return listing


def _signed(difference: IntervalOut | None) -> str:
    if difference is None:
        return ""
    return f"{difference.mean:+.2f} ({difference.low:+.2f} to {difference.high:+.2f})"
