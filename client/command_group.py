"""Suggests a command for an unknown one: first by meaning, then by spelling."""

from __future__ import annotations

from typing import Any, Final

from typer.core import TyperGroup
from typer.exceptions import TyperException

# Words that other programs use, and the commands that do the same here.
_MEANT: Final = {
    "retrain": "'evaluate'",
    "serve": "'up'",
    "start": "'up'",
    "status": "'jobs'",
    "stop": "'cancel'",
    "train": "'evaluate'",
    "upload": "'datasets add' or 'checkpoints add'",
}


class CommandGroup(TyperGroup):
    """The commands of `dartboard`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except TyperException as error:
            if args and args[0] in _MEANT:
                error.message = f"No such command {args[0]!r}. Did you mean {_MEANT[args[0]]}?"
            raise
