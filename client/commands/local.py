"""`dartboard up`: runs the whole service on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from client.options import DEFAULT_DATA, DEFAULT_URL

Data = Annotated[Path, typer.Option("--data", help="Folder of database, broker, checkpoints and logs.")]


def up(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port of the API on loopback; 0 takes a free one.")
    ] = 8000,
    data: Data = DEFAULT_DATA,
    workers: Annotated[
        int | None, typer.Option("--workers", min=0, help="Number of workers; by default one for each group.")
    ] = None,
    gpus: Annotated[
        str | None,
        typer.Option(
            "--gpus",
            envvar="DARTBOARD_GPUS",
            help="Group sizes, such as 2,1,1; one worker each, for jobs that ask for as many GPUs; by default 1,1,...",
        ),
    ] = None,
    pool: Annotated[
        list[str] | None, typer.Option("--pool", help="Take jobs of this pool (default); may be repeated.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the URL as JSON.")] = False,
) -> None:
    """Start API, Postgres, Valkey and workers here; Ctrl-C stops them all."""
    from contextlib import ExitStack

    from client.clock import Clock
    from client.local.stack import LocalStack
    from client.output import console, print_json, remarks
    from darts_core.runtime.gpu_groups import VARIABLE

    def tell(line: str) -> None:
        remarks.print(line, style="dim")

    environment = {} if gpus is None else {VARIABLE: gpus}
    if pool:
        environment["DARTBOARD_POOLS"] = ",".join(pool)
    with ExitStack() as until_stopped:
        with Clock(remarks, "starting") as clock:
            stage = announcing(data, clock.stage)
            local = LocalStack(data, port=port, workers=workers, environment=environment, report=tell, stage=stage)
            stack = until_stopped.enter_context(local)
        if json:
            print_json({"url": stack.url, "data": str(data.resolve())})
        else:
            console.print(f"Dartboard is up at {stack.url} (API documentation: {stack.url}/docs)", style="bold")
            console.print(f"data and logs in {data.resolve()}; Ctrl-C stops everything", style="dim")
            if stack.url != DEFAULT_URL or data != DEFAULT_DATA:
                console.print(f"in other terminals: export DARTBOARD_URL={stack.url}", style="dim")
        stack.wait()
        remarks.print("stopping; any running job is given back and goes on at the next start", style="dim")
        with Clock(remarks, "stopping"):
            until_stopped.close()


def announcing(data: Path, stage: Callable[[str], None]) -> Callable[[str], None]:
    """`stage`, which at a folder's first start explains that it has no jobs yet: each folder holds its own.

    The first stage comes after port and folder have been accepted, so that a refused start announces nothing.
    """
    from client.output import remarks

    is_new = not (data / "secrets.json").exists()

    def announce_and_show(name: str) -> None:
        nonlocal is_new
        if is_new:
            is_new = False
            remarks.print(
                f"first start with {data.resolve()}: no jobs yet; this start creates the database, in up to a minute. "
                "Jobs of another folder: --data FOLDER",
                style="dim",
            )
        stage(name)

    return announce_and_show
