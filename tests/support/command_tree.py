"""Every command of `dartboard`, from the command itself: a new one is in these tests at once."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

import typer

from client.cli import app

HOSTILE: Final = (
    "x [/foo]",
    "[red]hi",
    "[link=http://e]x[/link]",
    "\x1b[31mred",
    "\x9b31m",
    "a\u202egnp.exe",
    "-\n\r\t",
)
_BIDIRECTIONAL: Final = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


def _leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield " ".join(path), command
        return
    for name, inner in command.commands.items():
        yield from _leaves(inner, (*path, name))


ROOT: Final = typer.main.get_command(app)
COMMANDS: Final[dict[str, Any]] = dict(_leaves(ROOT))
# What these take of text they would act upon for minutes, or hand to another program.
STARTS_AT_ONCE: Final = {
    "test": "hands its arguments to pytest",
    "check": "takes no text",
    "verify-docs": "takes no text",
    "demo": "takes folders and a URL alone",
    "up": "starts a service; its one text, the host, has a test below",
    "bench advice": "takes no text",
    "bench asha": "takes numbers alone",
    "bench overhead": "takes a folder alone",
    "bench chaos": "takes a folder alone",
    "bench study": "takes numbers alone",
    "bench fleet": "takes folders alone",
    "bench preemption": "takes numbers alone",
    "bench fairness": "takes numbers alone",
    "bench watchers": "takes a folder alone",
    "bench memory": "takes no text",
    "bench first-step": "takes numbers alone",
    "bench worst-bodies": "takes a folder, and a part of paths that are not printed",
}


def with_option(name: str) -> list[str]:
    """The commands that have this parameter."""
    return [command for command, found in COMMANDS.items() if any(p.name == name for p in found.params)]


def kind_of(parameter: Any) -> Any:
    """The parameter's type: of a list that of its members, of an optional one that of its value."""
    annotation = parameter.type_descriptor.annotation
    members = [each for each in get_args(annotation) if each is not type(None)]
    if get_origin(annotation) is Literal or not members:
        return annotation
    return members[0]


def is_text(parameter: Any) -> bool:
    """Whether any text can be given."""
    return kind_of(parameter) in (str, Path) and parameter.name not in ("url", "key")


def filled(command: str, value: Callable[[Any], str], *, optional: bool = False) -> list[str]:
    """The command's line with every argument and required option, or every one that takes text, as `value` gives it."""
    # What is queued here is waited for by no test.
    options = ["--detach"] if any(p.name == "detach" for p in COMMANDS[command].params) else []
    if command == "export":  # by default it takes a file and needs no service
        options.append("--to=tensorboard")
    arguments: list[str] = []
    for parameter in COMMANDS[command].params:
        is_argument = parameter.param_type_name == "argument"
        if not (parameter.required or is_argument or (optional and is_text(parameter))):
            continue
        given = value(parameter)
        if is_argument:
            arguments += [given] * (2 if parameter.nargs == -1 else 1)
        else:
            options.append(f"{max(parameter.opts, key=len)}={given}")
    return [*command.split(), *options, "--", *arguments]


def sensible(folder: Path, text: str) -> Callable[[Any], str]:
    """Values of the right types; files exist."""
    (folder / "file").write_text("{}")

    def value(parameter: Any) -> str:
        kind = kind_of(parameter)
        if kind is Path:
            if parameter.param_type_name == "argument":
                return str(folder / "file")
            return str(folder / ("out.onnx" if "onnx" in (parameter.help or "") else "out.svg"))
        if get_origin(kind) is Literal:
            return str(get_args(kind)[0])
        if isinstance(kind, type) and issubclass(kind, Enum):
            return str(next(iter(kind)).value)
        return text if kind is str else "1"

    return value


def obeyed(text: str) -> set[str]:
    """The characters in a text that a terminal would act upon."""
    return {
        character
        for character in text
        if (unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t")
        or unicodedata.bidirectional(character) in _BIDIRECTIONAL
    }
