"""`dartboard run SPEC.json`: darts_core alone, without any service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from client.options import Json


def run(
    spec: Annotated[
        Path, typer.Argument(help='A spec as POSTed, with "kind": "search" or "evaluation"; - for standard input.')
    ],
    out: Annotated[Path | None, typer.Option("-o", "--output", help="Keep the last checkpoint as this file.")] = None,
    data_root: Annotated[Path, typer.Option(help="Where data sets lie.")] = Path(".dartboard/datasets"),
    json: Json = False,
) -> None:
    """Run one search or evaluation in this process; with `gpus` above 1 in as many of its own."""
    import json as json_module
    import sys
    from contextlib import ExitStack

    from client.clock import Clock
    from client.local_run import ShownControl
    from client.output import print_error, print_json, print_text, remarks, warn
    from client.watching import epoch_line
    from darts_core.configs import config_class
    from darts_core.errors import DartsError
    from darts_core.genotypes import to_json, to_python
    from darts_core.stages import listening

    try:
        body = json_module.loads(sys.stdin.read() if str(spec) == "-" else spec.read_text())
        if not isinstance(body, dict):
            raise ValueError("expected an object, as POSTed to the service")
        for unused in ("name", "labels", "priority", "pool", "max_attempts", "max_runtime"):
            body.pop(unused, None)  # what only a service has a use for
        gpus = body.pop("gpus", 1)
        if not isinstance(gpus, int) or gpus < 1:
            raise ValueError(f"gpus: {gpus!r} is no number of GPUs")
        kind = body.pop("kind", "evaluation" if "genotype" in body else "search")
        if kind not in ("search", "evaluation"):
            raise ValueError(f"kind: {kind!r} is neither 'search' nor 'evaluation'")
        config = config_class(kind, body)(**body).resolved()
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{spec}: {error}") from error
    try:
        last = None
        with ExitStack() as until_done:
            clock = until_done.enter_context(Clock(remarks, "loading PyTorch"))
            from darts_core import checkpoints
            from darts_core.training.run_config import run_config

            shown = ShownControl(clock)
            until_done.enter_context(listening(shown.enter_stage))
            for report in run_config(config, data_root=data_root, gpus=gpus, control=shown):
                data = {"epoch": report.epoch, "metrics": report.metrics, "seconds": report.seconds}
                if json:
                    alphas = None if report.alphas is None else {k: a.tolist() for k, a in report.alphas.items()}
                    genotype = None if report.genotype is None else to_json(report.genotype)
                    said = {"stopped_early": report.stopped_early, "warnings": list(report.warnings)}
                    print_json({**data, "genotype": genotype, "alphas": alphas, **said})
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
