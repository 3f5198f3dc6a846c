"""Compares two runs of a training: bit-equal, or where they first differ and what may be the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from api.schemas.jobs import EpochOut, Table
from client.capsules.capsule import Capsule
from darts_core.families import family_in

# In the order in which a reader looks for the reason.
_REASONS: Final = {
    "data": "data set",
    "dartboard": "version",
    "sources": "code",
    "torch": "torch",
    "numpy": "numpy",
    "python": "python",
    "device": "device",
    "processor": "processor",
    "kernels": "CPU kernels",
    "threads": "CPU threads",
    "ranks": "GPUs",
    "precision": "precision",
    "tf32": "tf32",
    "deterministic": "deterministic",
}
# Fields about when to save and which data; the data are compared by checksum.
_NOT_COMPARED: Final = {"threads", "genotype_seed"}


class Reason(BaseModel):
    """Something that differs around two runs. there: of the capsule. here: of its repetition."""

    what: str
    there: Any
    here: Any


class Difference(BaseModel):
    """The first epoch that differs. values: metrics and others, there and here. tensors: in the checkpoint's order.

    tensors_of: the epoch of the first checkpoints that differ, of those stored in both runs; None if none do.
    """

    epoch: int
    values: list[Reason]
    tensors: list[str]
    tensors_of: int | None


class Verdict(BaseModel):
    """The result. epochs, checkpoints, tensors: how many were compared. reasons: also of equal runs."""

    equal: bool
    epochs: int
    checkpoints: list[int]
    tensors: int
    first: Difference | None
    reasons: list[Reason]


def compare(there: Capsule, here: Capsule) -> Verdict:
    """Compare every epoch's metrics, alphas and genotype, and the tensors of the epochs that are stored in both."""
    ours = {epoch.epoch: epoch for epoch in here.epochs}
    values = {epoch.epoch: list(_values(epoch, ours.get(epoch.epoch))) for epoch in there.epochs}
    values |= {epoch: [Reason(what="epoch", there=None, here=epoch)] for epoch in ours.keys() - values.keys()}
    theirs = {each.epoch: each.fingerprints for each in there.checkpoints}
    stored = {each.epoch: each.fingerprints for each in here.checkpoints}
    both = sorted(theirs.keys() & stored.keys())
    tensors = {epoch: _differing(theirs[epoch], stored[epoch]) for epoch in both}
    differing = [epoch for epoch in sorted({*values, *tensors}) if values.get(epoch) or tensors.get(epoch)]
    first = None
    if differing:
        epoch = differing[0]
        of = next((each for each in both if tensors[each]), None)
        first = Difference(
            epoch=epoch, values=values.get(epoch, []), tensors=tensors[of] if of is not None else [], tensors_of=of
        )
    return Verdict(
        equal=first is None,
        epochs=len(there.epochs),
        checkpoints=both,
        tensors=sum(len(theirs[epoch]) for epoch in both),
        first=first,
        reasons=list(_reasons(there, here)),
    )


def _values(there: EpochOut, here: EpochOut | None) -> Iterator[Reason]:
    if here is None:
        yield Reason(what="epoch", there=there.epoch, here=None)
        return
    for name in sorted(there.metrics.keys() | here.metrics.keys()):
        found = there.metrics.get(name), here.metrics.get(name)
        if found[0] != found[1]:
            yield Reason(what=name, there=found[0], here=found[1])
    for what in ("alphas", "strengths"):
        tables: tuple[Mapping[str, Table], ...] = (getattr(there, what) or {}, getattr(here, what) or {})
        for name in sorted(tables[0].keys() | tables[1].keys()):
            yield from _cells(f"{what}.{name}", tables[0].get(name, []), tables[1].get(name, []))
    if there.genotype != here.genotype:
        yield Reason(what="genotype", there=there.genotype, here=here.genotype)


def _cells(what: str, there: Table, here: Table) -> Iterator[Reason]:
    """The first number that differs, or the shape."""
    if [*map(len, there)] != [*map(len, here)]:
        yield Reason(what=what, there=there, here=here)
        return
    for row, (ours, theirs) in enumerate(zip(there, here, strict=True)):
        for column, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            if one != other:
                yield Reason(what=f"{what}[{row}][{column}]", there=one, here=other)
                return


def _differing(there: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    return [path for path in {**there, **here} if there.get(path) != here.get(path)]


def _reasons(there: Capsule, here: Capsule) -> Iterator[Reason]:
    """Environments of the last checkpoints, then the fields that the service now fills in differently."""
    environments = _environment(there), _environment(here)
    for name, what in _REASONS.items():
        found = tuple(environment.get(name, "unknown") for environment in environments)
        if found[0] != found[1]:
            yield Reason(what=what, there=found[0], here=found[1])
    left_out = {*_NOT_COMPARED, *family_in(there.about.spec).data_fields}
    specs = there.about.spec, here.about.spec
    for name in sorted(specs[0].keys() | specs[1].keys()):
        if name not in left_out and specs[0].get(name) != specs[1].get(name):
            yield Reason(what=f"spec.{name}", there=specs[0].get(name), here=specs[1].get(name))


def _environment(capsule: Capsule) -> dict[str, Any]:
    """Of an older checkpoint, the spec tells the checksum of an uploaded set."""
    known = capsule.about.spec.get(family_in(capsule.about.spec).checksum_field)
    return {"data": known or "unknown", **capsule.environment()}
