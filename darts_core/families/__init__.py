"""The families of networks that there are. A further one is an object in a file of its own, and `register`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from darts_core.families.cnn import CNN
from darts_core.families.family import NetworkFamily, Objective
from darts_core.families.rnn import RNN

__all__ = ["CNN", "FAMILIES", "RNN", "NetworkFamily", "Objective", "family_in", "register"]

FAMILIES: Final[dict[str, NetworkFamily]] = {}


def register(family: NetworkFamily) -> None:
    """Make a family known by its name. Raises ValueError for a name that is taken."""
    if FAMILIES.setdefault(family.name, family) is not family:
        raise ValueError(f"there is a family {family.name!r} already")


def family_in(spec: Mapping[str, Any]) -> NetworkFamily:
    """The family that a spec, a request's body or a genotype names; `cnn` where it names none that is known."""
    name = spec.get("family")
    return FAMILIES.get(name, CNN) if isinstance(name, str) else CNN


for _family in (CNN, RNN):
    register(_family)
