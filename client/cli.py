"""The `dartboard` command: one module a command in client/commands, imported here, their work imported when run."""

from __future__ import annotations

import sys

import typer

from client.commands import (
    backups,
    bench,
    checkpoints,
    datasets,
    demo,
    jobs,
    keys,
    local,
    run,
    submit,
    testing,
    trees,
    watch,
)
from client.commands.compare import compare
from client.commands.draw import draw
from client.commands.ensemble import ensemble
from client.commands.files import download, export, import_
from client.commands.genotype import genotype, list_genotypes, register
from client.commands.profile import profile

app = typer.Typer(
    name="dartboard",
    help="Differentiable architecture search as a service.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

app.command("up")(local.up)
app.command("backup")(backups.backup)
app.command("restore")(backups.restore)
app.command("demo")(demo.demo)
app.command("test", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(testing.test)
app.command("search")(submit.search)
app.command("evaluate")(submit.evaluate)
app.command("score")(submit.score)
app.command("ensemble")(ensemble)
app.command("study")(trees.study)
app.command("committee")(trees.committee)
app.command("watch")(watch.watch_job)
app.command("compare")(compare)
app.command("genotype")(genotype)
app.command("draw")(draw)
app.command("genotypes")(list_genotypes)
app.command("register")(register)
app.command("profile")(profile)
app.command("download")(download)
app.command("export")(export)
app.command("import")(import_)
app.command("jobs")(jobs.list_jobs)
app.command("workers")(jobs.list_workers)
app.command("logs")(jobs.show_logs)
for verb in ("cancel", "pause", "resume", "retry"):
    app.command(verb)(getattr(jobs, verb))
app.command("run")(run.run)
app.add_typer(datasets.app, name="datasets")
app.add_typer(checkpoints.app, name="checkpoints")
app.add_typer(keys.app, name="keys")
app.add_typer(bench.app, name="bench")


def main() -> None:
    """Run the command. Exit codes: 0 ok, 1 the job failed, 2 usage, 3 the service cannot be reached."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        sys.exit(_explain(error))


def _explain(error: Exception) -> int:
    """Say in words what went wrong, where it is something that a user can mend; else raise it."""
    from client.errors import DartboardError, ProblemError, ServiceUnreachableError
    from client.local.errors import StackError
    from client.output import print_error

    # Of the operating system's errors, those that are about a file that the user named.
    file_error = isinstance(error, OSError) and error.filename is not None
    if not isinstance(error, (DartboardError, StackError)) and not file_error:
        raise error
    print_error(str(error))
    if isinstance(error, ServiceUnreachableError):
        return 3
    return 2 if isinstance(error, ProblemError) else 1


if __name__ == "__main__":
    main()
