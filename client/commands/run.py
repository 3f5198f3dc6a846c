"""`dartboard run SPEC.json`: runs darts_core without a service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from client.options import Json


def run(
    spec: Annotated[
        Path, typer.Argument(help='A request body with "kind": "search" or "evaluation"; - for standard input.')
    ],
    out: Annotated[Path | None, typer.Option("-o", "--output", help="File for the last checkpoint.")] = None,
    data_root: Annotated[Path, typer.Option(help="Folder of the data sets.")] = Path(".dartboard/datasets"),
    json: Json = False,
) -> None:
    """Run one search or evaluation in this process; with `gpus` above 1 in as many child processes."""
    from contextlib import ExitStack

    from pydantic import ValidationError

    from client.clock import Clock
    from client.failures import fields
    from client.json_input import read_object
    from client.local_run import ShownControl
    from client.output import print_error, print_json, print_text, remarks, warn
    from client.watch import epoch_line
    from darts_core.errors import ConfigError, DartsError
    from darts_core.families import FAMILIES, family_in
    from darts_core.genotypes import to_json, to_python
    from darts_core.training.stages import listening

    body = read_object(spec, "SPEC")
    try:
        for unused in (
            "name",
            "labels",
            "priority",
            "preemptible",
            "pool",
            "max_attempts",
            "max_runtime",
            "not_before",
            "window",
            "time_zone",
        ):
            body.pop(unused, None)  # meaningful to a service only
        gpus = body.pop("gpus", 1)
        if not isinstance(gpus, int) or gpus < 1:
            raise ValueError(f"gpus: {gpus!r} is not a number of GPUs")
        if body.get("init_from") is not None:
            raise ValueError("init_from: names a job of a service; `dartboard search` starts from it there")
        kind = body.pop("kind", "evaluation" if "genotype" in body else "search")
        if kind not in ("search", "evaluation"):
            raise ValueError(f"kind: {kind!r} is neither 'search' nor 'evaluation'")
        if body.get("family", "cnn") not in tuple(FAMILIES):
            raise ValueError(f"family: {body['family']!r} is neither {' nor '.join(map(repr, FAMILIES))}")
        model = family_in(body).config(kind)
        config = model(**body).resolved()
    except ValidationError as error:
        raise typer.BadParameter(fields(error, model), param_hint="SPEC") from None
    except ConfigError as error:
        unknown = any(problem.loc == ("dataset",) for problem in error.problems)
        note = ". An uploaded set is known to its service alone: `dartboard search` uses it there" if unknown else ""
        raise typer.BadParameter(f"{error}{note}", param_hint="SPEC") from None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="SPEC") from error
    try:
        last = None
        with ExitStack() as until_done:
            clock = until_done.enter_context(Clock(remarks, "loading PyTorch"))
            from darts_core.files import checkpoints
            from darts_core.training.run_config import run_config

            shown = ShownControl(clock)
            until_done.enter_context(listening(shown.enter_stage))
            for report in run_config(config, data_root=data_root, gpus=gpus, control=shown):
                data = {"epoch": report.epoch, "metrics": report.metrics, "seconds": report.seconds}
                if json:
                    alphas = None if report.alphas is None else {k: a.tolist() for k, a in report.alphas.items()}
                    genotype = None if report.genotype is None else to_json(report.genotype)
                    said = {"stopped_early": report.stopped_early, "warnings": list(report.warnings)}
                    print_json({**data, "genotype": genotype, "alphas": alphas, "strengths": report.strengths, **said})
                else:
                    remarks.print(epoch_line(data, config.epochs, []))
                    for warning in report.warnings:
                        warn(warning)
                    if report.stopped_early is not None:
                        remarks.print(f"stopped early: {report.stopped_early}")
                if out is not None:
                    checkpoints.save(report.checkpoint, out)
                last = report
    except DartsError as error:
        print_error(str(error))
        raise typer.Exit(1) from error
    if last is not None and last.genotype is not None and not json:
        print_text(to_python(last.genotype))
