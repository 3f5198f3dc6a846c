"""`dartboard demo`: searches, retrains and tests a cell on real images or a real text."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from client.commands.local import Data, announcing
from client.options import DEFAULT_DATA, DEFAULT_URL, Json

if TYPE_CHECKING:
    from rich.console import Console

    from api.schemas.jobs import JobOut
    from client.sdk import Dartboard


@dataclass(frozen=True)
class _Task:
    """The data set of the search, and the metric of the retrained network."""

    fields: dict[str, str]
    measure: str
    unit: str


_IMAGES: Final = _Task({"dataset": "digits"}, "accuracy", " %")
_TEXT: Final = _Task({"family": "rnn", "dataset": "python-docs"}, "perplexity", "")


def demo(
    data: Data = DEFAULT_DATA,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port of the API; 0 takes a free one.")] = 0,
    url: Annotated[str | None, typer.Option("--url", help="Use a running service instead of a new one.")] = None,
    key: Annotated[str | None, typer.Option("--key", envvar="DARTBOARD_API_KEY", help="Your API key.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of search and retraining.")] = 0,
    rnn: Annotated[
        bool, typer.Option("--rnn", help="Search a recurrent cell, on the text of Python's reference.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Search a cell on scikit-learn's digits through the service, retrain it, download it, test the download."""
    task = _TEXT if rnn else _IMAGES
    from client.clock import Clock
    from client.local.stack import LocalStack
    from client.output import console, print_json, remarks
    from client.sdk import Dartboard

    out = remarks if as_json else console
    is_own = url is None
    with ExitStack() as stack:
        if url is None:
            with Clock(remarks, "starting") as clock:
                url = stack.enter_context(LocalStack(data, port=port, stage=announcing(data, clock.stage))).url
        out.print(f"the service is at {url}")
        dartboard = stack.enter_context(Dartboard(url, key))
        search, evaluation = _search_and_retrain(dartboard, task, seed, out)
        path = _download(dartboard, evaluation, out, data if is_own else None)
        measured = _test_in_a_fresh_process(path, data, task, out)
        with Clock(remarks, "stopping the service"):
            stack.close()
    if as_json:
        ids = {"search_id": str(search.id), "evaluation_id": str(evaluation.id)}
        print_json({**ids, "file": str(path), f"test_{task.measure}": measured})
    else:
        _explain_epochs(evaluation, task, out)
        out.print(f"test {task.measure} {measured:.2f}{task.unit}")


def _title(out: Console, title: str, request: str = "") -> None:
    from rich.text import Text

    out.print(Text.assemble("\n", (title, "bold"), f"  {request}" if request else ""))


def _search_and_retrain(dartboard: Dartboard, task: _Task, seed: int, out: Console) -> tuple[JobOut, JobOut]:
    _title(out, "1. search", "POST /searches")
    search = _run(dartboard, "search", {**task.fields, "seed": seed, "name": "demo-search"})
    _title(out, "2. the genotype", "GET /searches/<id>/genotype")
    out.print(dartboard.genotype(search.id).text)
    _title(out, "3. retrain it from scratch", "POST /evaluations")
    found = {"family": search.spec["family"], "search_id": str(search.id), "seed": seed, "name": "demo-evaluation"}
    return search, _run(dartboard, "evaluation", found)


def _run(dartboard: Dartboard, kind: str, body: dict[str, Any]) -> JobOut:
    from client.submit import end
    from client.watch import watch

    job = watch(dartboard, dartboard.submit(kind, body))
    if code := end(dartboard, job, show=False):
        raise typer.Exit(code)
    return job


def _download(dartboard: Dartboard, evaluation: JobOut, out: Console, data: Path | None) -> Path:
    """data: of the demo's own service, which ends with it; `dartboard up` brings it back at the default port."""
    from client.clock import Clock
    from client.output import remarks

    _title(out, "4. download the checkpoint")
    address = dartboard.url if data is None else DEFAULT_URL
    out.print(f"curl -OJ {address}{dartboard.checkpoint_path(evaluation.id)}")
    if data is not None:
        up = "./dartboard up" if data == DEFAULT_DATA else f"./dartboard up --data {data}"
        out.print(f"(once the demo has ended and `{up}` has brought this service back, with these jobs)", style="dim")
    with Clock(remarks, "downloading"):
        path = dartboard.download_checkpoint(evaluation.id, Path())
    out.print(f"saved as {path} ({path.stat().st_size / 1e6:.1f} MB, its sha256 is the ETag)")
    return path


def _explain_epochs(evaluation: JobOut, task: _Task, out: Console) -> None:
    """Explain why the last line may differ from the last epoch's metric."""
    best, last = evaluation.best or {}, evaluation.metrics or {}
    name, epochs = f"test_{task.measure}", int(evaluation.spec["epochs"])
    if int(best.get("epoch", epochs)) == epochs or name not in last:
        return
    out.print(
        f"test {task.measure} of the last epoch, {epochs}: {last[name]:.2f}{task.unit}; of the file, which holds epoch "
        f"{best['epoch']:.0f}, the best on the validation part:",
        style="dim",
    )


def _test_in_a_fresh_process(path: Path, data: Path, task: _Task, out: Console) -> float:
    """Load the file in another process and measure it on the test part: the file alone suffices."""
    from client.clock import Clock
    from client.output import remarks

    _title(out, "5. test the downloaded file in a fresh process")
    command = [sys.executable, "-m", "darts_core.scoring", str(path), "--data-root", str(data / "datasets")]
    with Clock(remarks, "loading PyTorch and measuring"):
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if answer.returncode:
        raise typer.Exit(1)
    return float(json.loads(answer.stdout)[task.measure])
