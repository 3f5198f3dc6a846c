"""`dartboard capsule` and `verify`: a training as one file, and its repetition."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from client.options import DEFAULT_URL, Json, Key, Url

if TYPE_CHECKING:
    from client.capsules.comparison import Difference, Verdict

_SHOWN: Final = 5


def capsule(
    job_id: Annotated[
        str, typer.Argument(metavar="ID", help="Id of a search or an evaluation that succeeded, or its first digits.")
    ],
    file: Annotated[
        Path | None, typer.Argument(help="The file to write; by default the job's kind and id, in this folder.")
    ] = None,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Write a training as one file: spec, environment, data checksum, metrics, log. `dartboard verify` repeats it."""
    from client.capsules.pack import check, pack
    from client.clock import Clock
    from client.output import print_json, print_text, remarks
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        job = dartboard.job(job_id)
        check(job)
        to = file or Path(f"{job.kind}-{job.id}.capsule")
        with Clock(remarks, "reading the job") as clock:
            packed = pack(dartboard, job, to, clock.stage)
    checkpoints = [each.epoch for each in packed.checkpoints]
    said = {"file": str(to), "epochs": len(packed.epochs), "checkpoints": checkpoints}
    print_json(said) if json else print_text(str(to))


def verify(
    file: Annotated[Path, typer.Argument(help="A capsule.")],
    pool: Annotated[str | None, typer.Option(help="Pool of the worker that repeats it; by default `default`.")] = None,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Repeat a capsule's training as a job. Tell whether it is bit-equal, or where it differs and why that may be."""
    from tempfile import TemporaryDirectory

    from client.capsules.capsule import read
    from client.capsules.comparison import compare
    from client.capsules.pack import collect
    from client.capsules.rerun import resubmit
    from client.failures import ExitCode
    from client.output import console, print_json, remarks
    from client.sdk import Dartboard
    from client.submit import end, watch_to_end

    there = read(file)
    with Dartboard(url, key) as dartboard:
        job = resubmit(dartboard, there, pool)
        remarks.print(f"{job.kind} {job.id} repeats {there.about.job}")
        job = watch_to_end(dartboard, job)
        if job.status != "succeeded":
            raise typer.Exit(end(dartboard, job, show=False))
        with TemporaryDirectory() as folder:
            here = collect(dartboard, job, Path(folder))
    verdict = compare(there, here)
    workers = ", ".join(here.about.workers)
    if json:
        print_json({"job": str(job.id), "workers": list(here.about.workers), **verdict.model_dump(mode="json")})
    else:
        compared = f"{verdict.epochs} epochs, {verdict.tensors:,} tensors of epochs {_listed(verdict.checkpoints)}"
        if verdict.first is None:
            console.print(f"bit-equal on {workers}: {compared}")
        else:
            console.print(f"differs on {workers} from epoch {verdict.first.epoch} on ({compared} compared)")
            for line in _difference(verdict.first):
                console.print(f"  {line}")
        for line in _reasons(verdict, deterministic=there.environment().get("deterministic", False)):
            console.print(line)
    raise typer.Exit(ExitCode.OK if verdict.equal else ExitCode.FAILED)


def _difference(first: Difference) -> list[str]:
    lines = [f"{each.what}: {_short(each.there)} there, {_short(each.here)} here" for each in first.values[:_SHOWN]]
    if more := len(first.values) - _SHOWN:
        lines += [f"and {more} more"] if more > 0 else []
    if first.tensors_of is None:
        lines.append("tensors: no stored checkpoints of both differ")
        return lines
    more = len(first.tensors) - 1
    lines.append(
        f"first tensor, in the checkpoints of epoch {first.tensors_of}: {first.tensors[0]}"
        + (f" (and {more:,} more)" if more else "")
    )
    return lines


def _reasons(verdict: Verdict, *, deterministic: bool) -> list[str]:
    lines = [f"  {each.what}: {_short(each.there)} there, {_short(each.here)} here" for each in verdict.reasons]
    if not verdict.equal and not deterministic:
        lines.append("  it was computed without `deterministic`: a GPU's sums then differ from run to run")
    title = "although these differ:" if verdict.equal else "the reason may be:"
    if not lines and not verdict.equal:
        return ["data, versions, device and threads are the same"]
    return [title, *lines] if lines else []


def _listed(epochs: list[int]) -> str:
    return ", ".join(map(str, epochs)) or "none"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
