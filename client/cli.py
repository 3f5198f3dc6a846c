"""The `dartboard` command. Each command is a module of client/commands and imports its dependencies when run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Annotated, Any

import typer

from client import distribution
from client.command_group import CommandGroup
from client.commands import (
    backups,
    budgets,
    checkpoints,
    datasets,
    demo,
    jobs,
    keys,
    local,
    models,
    retention,
    run,
    schedules,
    studies,
    submit,
    testing,
    watch,
    webhooks,
)
from client.commands.advise import advise
from client.commands.capsules import capsule, verify
from client.commands.check import check
from client.commands.compare import compare
from client.commands.docs import docs
from client.commands.draw import draw
from client.commands.ensemble import ensemble
from client.commands.epochs import epochs
from client.commands.export import export
from client.commands.files import download
from client.commands.genotype import genotype, list_genotypes, register
from client.commands.importing import import_
from client.commands.lineage import lineage
from client.commands.methods import list_methods
from client.commands.predict import predict
from client.commands.profile import profile
from client.commands.random_cell import random_cell
from client.commands.spaces import list_spaces
from client.commands.storage import storage
from client.commands.usage import usage
from client.commands.verify_docs import verify_docs
from client.failures import ExitCode, explain

app = typer.Typer(
    name="dartboard",
    cls=CommandGroup,
    help="Differentiable architecture search as a service.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the service cannot be reached, 130 Ctrl-C, "
    "141 the reader of the output went away.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        from client.output import print_text

        print_text(f"dartboard {version(distribution.NAME)}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _add(panel: str, commands: dict[str, Callable[..., Any]], **settings: Any) -> None:
    for name, function in commands.items():
        app.command(name, rich_help_panel=panel, **settings)(function)


_SERVICE, _TRAIN, _JOBS = "A service of your own", "Search and train", "Jobs"
_CELLS, _FILES, _DEVELOPMENT = "Cells", "Data and files", "Development"

_add(_TRAIN, {"demo": demo.demo, "search": submit.search, "evaluate": submit.evaluate, "score": submit.score})
_add(_TRAIN, {"ensemble": ensemble, "study": studies.study, "committee": studies.committee, "run": run.run})
_add(_TRAIN, {"advise": advise, "methods": list_methods, "spaces": list_spaces})
_add(_JOBS, {"jobs": jobs.list_jobs, "show": jobs.show_job, "watch": watch.watch_job, "logs": jobs.show_logs})
_add(_JOBS, {"epochs": epochs, "capsule": capsule, "verify": verify, "lineage": lineage})
_add(_JOBS, {"compare": compare, "cancel": jobs.cancel, "pause": jobs.pause, "resume": jobs.resume})
_add(_JOBS, {"retry": jobs.retry, "extend": jobs.extend, "rename": jobs.rename, "delete": jobs.delete})
_add(_JOBS, {"pin": retention.pin, "unpin": retention.unpin})
_add(_CELLS, {"genotype": genotype, "genotypes": list_genotypes, "register": register, "draw": draw})
_add(_CELLS, {"profile": profile, "random-cell": random_cell})
app.add_typer(schedules.app, name="schedules", rich_help_panel=_JOBS)
app.add_typer(datasets.app, name="datasets", rich_help_panel=_FILES)
app.add_typer(checkpoints.app, name="checkpoints", rich_help_panel=_FILES)
app.add_typer(models.app, name="models", rich_help_panel=_FILES)
_add(_FILES, {"download": download, "export": export, "import": import_})
_add(_FILES, {"predict": predict})
_add(_SERVICE, {"up": local.up, "workers": jobs.list_workers, "backup": backups.backup, "restore": backups.restore})
_add(_SERVICE, {"check-store": backups.check_store, "usage": usage, "storage": storage})
app.add_typer(keys.app, name="keys", rich_help_panel=_SERVICE)
app.add_typer(budgets.app, name="budgets", rich_help_panel=_SERVICE)
app.add_typer(retention.app, name="retention", rich_help_panel=_SERVICE)
app.add_typer(webhooks.app, name="webhooks", rich_help_panel=_SERVICE)
_add(
    _DEVELOPMENT,
    {"test": testing.run_tests},
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
_add(_DEVELOPMENT, {"check": check, "docs": docs, "verify-docs": verify_docs})
# The SDK and the images come without benchmarks.
if not distribution.IS_SDK and find_spec("benchmarks") is not None:
    from benchmarks import cli as bench

    app.add_typer(bench.app, name="bench", rich_help_panel=_DEVELOPMENT)


def call(arguments: Sequence[str]) -> int:
    """Run the command with these arguments; returns its exit code. Prints exceptions as messages without traceback."""
    try:
        code = app(args=list(arguments), prog_name="dartboard", standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except (BrokenPipeError, SystemExit) as error:
        # The parser turns a broken pipe into SystemExit.
        if not isinstance(error, BrokenPipeError) and not isinstance(error.__context__, BrokenPipeError):
            raise
        _forget_output()
        return ExitCode.BROKEN_PIPE
    except Exception as error:
        return explain(error)
    return int(code or ExitCode.OK)


def _forget_output() -> None:
    """Discard buffered output after the reader has gone, so that flushing at exit does not raise again."""
    with open(os.devnull, "wb") as nowhere:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere.fileno(), stream.fileno())


def main() -> None:
    """Entry point. client/failures.py defines the exit codes."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal without UTF-8 shows unsupported characters as escapes.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(call(sys.argv[1:]))


if __name__ == "__main__":
    main()
