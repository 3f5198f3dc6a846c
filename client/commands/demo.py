"""`dartboard demo`: the main job, end to end, on real images."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from client.commands.local import Data

if TYPE_CHECKING:
    from api.schemas.jobs import JobOut
    from client.sdk import Dartboard


def demo(
    data: Data = Path(".dartboard"),
    port: Annotated[int, typer.Option("--port", help="0 takes a free one.")] = 0,
    url: Annotated[str | None, typer.Option("--url", help="Use a running service instead of a new one.")] = None,
    key: Annotated[str | None, typer.Option("--key", envvar="DARTBOARD_API_KEY")] = None,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Search a cell on scikit-learn's digits through the service, retrain it, download it, test the download."""
    from client.local.stack import LocalStack
    from client.output import console
    from client.sdk import Dartboard

    with ExitStack() as stack:
        if url is None:
            console.print("starting Postgres, Valkey, the API and a worker ...")
            url = stack.enter_context(LocalStack(data, port=port)).url
        console.print(f"the service is at {url}")
        dartboard = stack.enter_context(Dartboard(url, key))
        path = _search_and_retrain(dartboard, seed)
        _test_in_a_fresh_process(path, data)


def _search_and_retrain(dartboard: Dartboard, seed: int) -> Path:
    from client.output import console

    console.print("\n[bold]1. search[/bold]  POST /searches")
    search = _run(dartboard, "search", {"dataset": "digits", "seed": seed, "name": "demo-search"})
    console.print("\n[bold]2. the genotype[/bold]  GET /searches/<id>/genotype")
    console.print(dartboard.genotype(search.id).text, soft_wrap=True)
    console.print("\n[bold]3. retrain it from scratch[/bold]  POST /evaluations")
    evaluation = _run(dartboard, "evaluation", {"search_id": str(search.id), "seed": seed, "name": "demo-evaluation"})
    console.print("\n[bold]4. download the checkpoint[/bold]")
    console.print(f"curl -OJ {dartboard.url}{dartboard.checkpoint_path(evaluation.id)}", soft_wrap=True)
    path = dartboard.download_checkpoint(evaluation.id, Path())
    console.print("(`dartboard up` brings this service back, with these jobs, when the demo has ended)", style="dim")
    console.print(f"saved as {path} ({path.stat().st_size / 1e6:.1f} MB, its sha256 is the ETag)")
    return path


def _run(dartboard: Dartboard, kind: str, body: dict[str, object]) -> JobOut:
    from client.output import remarks
    from client.watching import finish, watch

    job = watch(dartboard, dartboard.submit(kind, body))
    if code := finish(job, remarks.print):
        raise typer.Exit(code)
    return job


def _test_in_a_fresh_process(path: Path, data: Path) -> None:
    """Prove that the file alone is enough: another process loads it and measures it on the test images."""
    from client.output import console

    console.print("\n[bold]5. test the downloaded file in a fresh process[/bold]")
    command = [sys.executable, "-m", "darts_core.scoring", str(path), "--data-root", str(data / "datasets")]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if answer.returncode:
        raise typer.Exit(1)
    console.print(f"test accuracy {json.loads(answer.stdout)['accuracy']:.2f} %")
