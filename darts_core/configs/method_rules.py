"""Fills in the fields of a search's method, and refuses those that it does not take. Imports no torch."""

from __future__ import annotations

from typing import Any, Final, Literal

from darts_core.configs.method_fields import MethodFields, MethodName
from darts_core.configs.methods import METHODS, Computed, Method, Values
from darts_core.configs.stages import stage_epochs, stage_problems
from darts_core.errors import ConfigError, Problem

_CELLS: Final = {"cnn": "convolutional", "rnn": "recurrent"}

_EVERY: Final = frozenset({"weights_only_epochs"})
"""Fields of all methods that train alphas."""

METHOD_FIELDS: Final = frozenset(name for method in METHODS.values() for name in method.fields) - _EVERY


def fields_of(method: Method) -> dict[str, float | str | Computed]:
    """The fields of MethodFields that the method takes, with their defaults."""
    every = {name: MethodFields.model_fields[name].default for name in sorted(_EVERY)} if method.trains_alphas else {}
    return {**method.fields, **{name: value for name, value in every.items() if name not in method.fields}}


def fill_method(values: dict[str, Any], family: Literal["cnn", "rnn"]) -> list[Problem]:
    """Set the unset fields of the spec's method to its defaults. Returns a problem for each field of another method,
    and for an order or a family that the method lacks.
    """
    method = METHODS[values.get("method", "darts")]
    problems = []
    for name in sorted(METHOD_FIELDS - set(method.fields)):
        if values.get(name) is not None:
            owners = ", ".join(m.name for m in METHODS.values() if name in m.fields)
            problems.append(Problem((name,), f"is a field of {owners}, not of {method.name}"))
    if family not in method.families:
        able = ", ".join(m.name for m in METHODS.values() if family in m.families)
        problems.append(Problem(("method",), f"{method.name} searches no {_CELLS[family]} cells; these do: {able}"))
    if values.get("order", 1) not in method.orders:
        problems.append(Problem(("order",), f"{method.name} has no second order; darts has"))
    if not method.trains:
        values["epochs"] = 1
    for name, default in {**method.fields, **method.defaults}.items():
        if name not in values or values[name] is None:
            values[name] = default(values) if callable(default) else default
    if method.name == "darts-minus":
        if "skip_connect" not in (values.get("primitives") or ["skip_connect"]):
            problems.append(Problem(("primitives",), "darts-minus needs skip_connect among them"))
        elif values.get("edges"):
            problems.append(Problem(("edges",), "darts-minus needs skip_connect on every edge: leave them out"))
    partial, channels = values.get("partial_channels") or 1, values.get("channels", 0)
    if channels % partial:
        problems.append(Problem(("partial_channels",), f"{partial} does not divide {channels} channels"))
    problems += _eigenvalue_problems(method, values)
    first = values.get("weights_only_epochs", 0)
    if first and not method.trains_alphas:
        lacks = "alphas" if method.trains else "weights"
        problems.append(Problem(("weights_only_epochs",), f"{method.name} trains no {lacks}: leave it out"))
    elif first >= stage_epochs(values):
        of = "epochs" if stage_epochs(values) == values["epochs"] else "epochs of a stage"
        message = f"{first} of {stage_epochs(values)} {of} leave none that trains the alphas"
        problems.append(Problem(("weights_only_epochs",), message))
    if method.trains and not method.trains_alphas:
        problems += [
            Problem((name,), f"{method.name} trains no alphas: leave it out")
            for name in ("hessian_every", "stop_when")
            if values.get(name) is not None
        ]
    problems += stage_problems(values)
    sampled, finalists = values.get("sampled_cells"), values.get("finalists")
    if sampled is not None and finalists is not None and finalists > sampled:
        problems.append(Problem(("finalists",), f"{finalists} are more than the {sampled} sampled cells"))
    return problems


def method_defaults(name: str) -> dict[str, float]:
    """Values of common fields that the method starts from in place of a preset's; none of an unknown method."""
    return dict(METHODS[name].defaults) if name in METHODS else {}  # type: ignore[index]


def _eigenvalue_problems(method: Method, values: Values) -> list[Problem]:
    """Refuse a second limit of the eigenvalue's growth, and a largest weight decay below the first."""
    problems = []
    if "growth_limit" in method.fields and "eigenvalue_growth" in (values.get("stop_when") or {}):
        message = f"{method.name} has growth_limit for it"
        problems.append(Problem(("stop_when", "eigenvalue_growth"), message))
    most = values.get("weight_decay_max")
    decay = values.get("weight_decay", 0.0)
    if most is not None and "weight_decay_max" in method.fields and most < decay:
        problems.append(Problem(("weight_decay_max",), f"is below weight_decay, {decay:g}"))
    return problems


def check_method_gpus(name: MethodName, gpus: int) -> None:
    """Raise ConfigError for more GPUs than the method supports."""
    most = METHODS[name].most_gpus
    if most is not None and gpus > most:
        raise ConfigError([Problem(("gpus",), f"{name} searches on {most} GPU, not on {gpus}")])
