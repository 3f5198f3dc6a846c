"""The extensions of a training: epochs at which its spec was given more epochs. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from darts_core.configs.methods import METHODS
from darts_core.errors import ConfigError, Problem

if TYPE_CHECKING:
    from darts_core.configs.common import RunConfig

Trained = TypeVar("Trained", bound="RunConfig")


class Extension(BaseModel):
    """Until the end of epoch `after` the spec had `epochs` epochs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: int = Field(ge=1, le=100_000)
    epochs: int = Field(ge=1, le=100_000)


def _in_order(extensions: list[Extension]) -> list[Extension]:
    if any(one.after > one.epochs for one in extensions):
        raise ValueError("an extension comes after one of the epochs that there were: after <= epochs")
    if any(one.after >= other.after or one.epochs >= other.epochs for one, other in pairwise(extensions)):
        raise ValueError("extensions are in order, each of more epochs")
    return extensions


Extensions = Annotated[
    list[Extension],
    Field(
        max_length=100,
        description="where the training was given more epochs: until the end of epoch `after` schedules went by "
        "`epochs`, and then by the spec's; `POST .../extend` adds one",
    ),
    AfterValidator(_in_order),
]


def extension_problems(values: Mapping[str, Any]) -> list[Problem]:
    """Check that a resolved spec can have been extended, and has more epochs than before. values: of the spec."""
    extensions = [Extension.model_validate(one) for one in values.get("extensions", ())]
    if not extensions:
        return []
    if reason := refusal(values):
        return [Problem(("extensions",), reason)]
    if values["epochs"] > extensions[-1].epochs:
        return []
    return [Problem(("epochs",), f"must be more than the {extensions[-1].epochs:,} before the last extension")]


def refusal(values: Mapping[str, Any]) -> str | None:
    """Why a training of this resolved spec cannot have more epochs; None if it can."""
    if "select" in values:
        return "a selection ends with its cell's last edge"
    method = METHODS[values["method"]] if "method" in values else None
    if method is None:
        return None
    if "stage_operations" in method.fields:
        return f"the stages of {method.name} divide the epochs that there are"
    if values.get("growth_limit") is not None:
        return f"{method.name} goes back, or stops, by the epochs that there are"
    if not method.trains_alphas:
        return f"the last epoch of {method.name} ends with the choice of the cell"
    return None


def extended(config: Trained, after: int, epochs: int) -> Trained:
    """The resolved spec with more epochs from the end of epoch `after` on; of 0, it only has more epochs.

    Raises ConfigError for a number of epochs that is not larger, or too large, and for a training that `refusal` names.
    """
    values = config.model_dump()
    if reason := refusal(values):
        raise ConfigError([Problem(("epochs",), reason)])
    if epochs <= config.epochs:
        raise ConfigError([Problem(("epochs",), f"must be more than the present {config.epochs:,}, not {epochs:,}")])
    if after and (not config.extensions or config.extensions[-1].after < after):
        values["extensions"].append({"after": after, "epochs": config.epochs})
    try:
        return type(config)(**{**values, "epochs": epochs})
    except ValidationError as error:
        raise ConfigError([Problem(("epochs",), each["msg"]) for each in error.errors()]) from error


def before_extensions(config: Trained, epoch: int) -> Iterator[Trained]:
    """The spec as it was in this epoch: without the extensions that came at the epoch's end or later."""
    for number, one in enumerate(config.extensions):
        if epoch <= one.after:
            yield config.model_copy(update={"epochs": one.epochs, "extensions": config.extensions[:number]})
