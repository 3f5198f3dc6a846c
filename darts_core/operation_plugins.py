"""Finds the operations that other packages add to the search spaces by entry points. Imports no torch.

A package names an operation in the group `dartboard.operations`; the entry point refers to the function that builds it,
`build(channels: int, stride: int, search: bool) -> torch.nn.Module`. In the group `dartboard.operation_costs` the same
name refers to the function that counts its layers, `count(chain: Chain, stride: int, search: bool) -> None`
(`darts_core.profile.costs`), in a module that imports no torch: the API calls it. docs/own-operations.md has
an example.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from darts_core.errors import ConfigError, Problem
from darts_core.primitives import CNN_GENOTYPE_OPERATIONS

OPERATIONS: Final = "dartboard.operations"
COSTS: Final = "dartboard.operation_costs"
_OWN: Final = CNN_GENOTYPE_OPERATIONS | {"none"}
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


@cache
def added_operations() -> tuple[str, ...]:
    """The names of all operations that installed packages add, sorted."""
    return tuple(sorted(name for name in _entries(OPERATIONS) if _NAME.fullmatch(name) and name not in _OWN))


def build_function(name: str) -> Callable[..., Any]:
    """The function that builds an added operation's module. Imports the package. Raises ConfigError."""
    return _loaded(OPERATIONS, name)


def cost_function(name: str) -> Callable[..., Any]:
    """The function that counts an added operation's layers. Imports the package. Raises ConfigError."""
    return _loaded(COSTS, name)


def _loaded(group: str, name: str) -> Callable[..., Any]:
    entry = _entries(group).get(name)
    if entry is None:
        message = f"no installed package adds {name!r} in the entry point group {group}: install the one that does"
        raise ConfigError([Problem(("primitives",), message)])
    found = entry.load()
    if not callable(found):
        raise ConfigError([Problem(("primitives",), f"{entry.value}, the entry point of {name!r}, is no function")])
    return found  # type: ignore[no-any-return]


@cache
def _entries(group: str) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=group)}
