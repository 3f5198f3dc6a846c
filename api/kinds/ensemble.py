"""Describes ensembles: trained networks measured together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from api.checkpoints.members import Member, curve_of, files_of
from api.datasets.service import DatasetService
from api.http.problems import invalid
from api.kinds.kind import Form, Kind, References, Resolved, Retention, check_own_data
from api.schemas.ensembles import EnsembleCreate, EnsembleResult
from api.schemas.jobs import JobKind
from darts_core.configs import EnsembleConfig, RnnEnsembleConfig
from darts_core.data.catalogue import BUILT_IN, DatasetInfo
from darts_core.errors import ConfigError, Problem
from darts_core.families import family_in


async def _resolve(body: EnsembleCreate, references: References) -> Resolved:
    """Queue a measurement of several networks together.

    404 for an unknown member, 409 for one without a checkpoint, 422 for incompatible members. The members' files are
    copied now, so later changes of their jobs or uploads have no effect.
    """
    members = await references.members.find(body)
    curve = curve_of(members) if body.curve else None
    family = members[0].found.family
    _refuse(
        members,
        lambda m: f"is of family {m.found.family!r}, members.0 of {family!r}" if m.found.family != family else None,
    )
    if body.family not in (None, family):
        raise invalid("family", f"the members are of family {family!r}")
    dataset = body.dataset or next((m.found.dataset for m in members if m.found.dataset), None)
    if dataset is None:
        raise invalid("dataset", "is required: no member names its training data")
    given: dict[str, Any] = {
        **body.ensemble(dataset, family),
        "members": [member.about for member in members],
        "curve": curve,
    }
    _check_data(members, dataset, asked=body.dataset is not None)
    info = await references.datasets.info_for(family_in({"family": family}), dataset)
    spec = await _SPECS[family](body, members, given, info, references.datasets)
    return Resolved(spec, files=files_of(members, curve or []))


async def _of_images(
    body: EnsembleCreate, members: Sequence[Member], given: dict[str, Any], info: Any, datasets: DatasetService
) -> EnsembleConfig:
    dataset = given["dataset"]
    if body.dataset is None and body.dataset_checksum is None:
        checksum = _common_checksum(members)
        if checksum is not None:
            # The members' own training data, even if the name now denotes another set.
            check_own_data(info, checksum, dataset, "the members'")
            given["dataset_checksum"] = checksum
    config = EnsembleConfig(**given).resolved(info)
    _check_scores(members, config.dataset_checksum, None)
    known = info or BUILT_IN.get(dataset)
    if known is not None:
        await _check_channels(members, known, datasets)
    return config


async def _of_text(
    body: EnsembleCreate, members: Sequence[Member], given: dict[str, Any], info: Any, _datasets: DatasetService
) -> RnnEnsembleConfig:
    dataset = given["dataset"]
    for place, member in enumerate(members):
        # A state_dict in the authors' format has only the vocabulary of the text that it was uploaded with.
        if member.found.checkpoint.format == "authors" and member.found.dataset != dataset:
            raise invalid(f"members.{place}", f"its vocabulary is that of {member.found.dataset}")
    checksum = _common_checksum([member for member in members if member.logits is None])
    if body.dataset is None and body.text_checksum is None:
        given["text_checksum"] = checksum or next((m.found.checksum for m in members), None)
    scores = (m.found.columns for m in members if m.logits is not None)
    columns = next(scores, None) or members[0].found.columns
    config = RnnEnsembleConfig(**{"batch_size": columns, **given}).resolved(info)
    _check_scores(members, config.text_checksum, config.batch_size)
    return config


def _check_data(members: Sequence[Member], dataset: str, *, asked: bool) -> None:
    """Members trained on other data require an explicit data set; logits of other data are always refused."""

    def problem(member: Member) -> str | None:
        theirs = member.found.dataset
        if theirs in (None, dataset):
            return None
        if member.logits is not None:
            return f"its score kept logits of {theirs}, not of {dataset}: give the checkpoint that it measured"
        return None if asked else f"is of {theirs}, others of {dataset}: set `dataset` to the data to measure them on"

    _refuse(members, problem)


def _common_checksum(members: Sequence[Member]) -> str | None:
    """The checksum shared by all members that have one. Raises ConfigError if they differ."""
    first = next((m.found.checksum for m in members if m.found.checksum), None)
    _refuse(
        members,
        lambda m: (
            f"was trained on data with the checksum {m.found.checksum}, others on {first}: they are not the same data"
            if m.found.checksum not in (None, first)
            else None
        ),
    )
    return first


def _check_scores(members: Sequence[Member], checksum: str | None, columns: int | None) -> None:
    """Stored logits must be of exactly this data, and a text's of the same number of columns."""

    def problem(member: Member) -> str | None:
        if member.logits is None:
            return None
        if member.found.checksum != checksum:
            return f"its score kept logits of data with the checksum {member.found.checksum}, not {checksum}"
        if member.found.columns != columns:
            return f"its score cut the text into {member.found.columns} columns, this ensemble into {columns}"
        return None

    _refuse(members, problem)


async def _check_channels(members: Sequence[Member], info: DatasetInfo, datasets: DatasetService) -> None:
    """Raise ConfigError if the images have another number of channels than a member's known training images."""
    problems = []
    for place, member in enumerate(members):
        if member.logits is not None or member.found.dataset is None:
            continue
        theirs = BUILT_IN.get(member.found.dataset) or await datasets.info_of_spec(
            {"dataset_checksum": member.found.checksum}
        )
        if theirs is not None and theirs.channels != info.channels:
            msg = f"takes images of {theirs.channels} channels ({theirs.name}), {info.name} has {info.channels}"
            problems.append(Problem(("members", place), msg))
    if problems:
        raise ConfigError(problems)


def _refuse(members: Sequence[Member], problem: Callable[[Member], str | None]) -> None:
    found = [(place, problem(member)) for place, member in enumerate(members)]
    problems = [Problem(("members", place), msg) for place, msg in found if msg is not None]
    if problems:
        raise ConfigError(problems)


_SPECS: Final = {"cnn": _of_images, "rnn": _of_text}
ENSEMBLE: Final = Kind(
    name=JobKind.ENSEMBLE,
    requests={"": EnsembleCreate},
    resolve=_resolve,
    refusals=(404, 409),
    objective=lambda spec: family_in(spec).reporting,
    retention=Retention.ALL,
    leaves=("ensemble.pt", "logits.safetensors"),
    links={"checkpoint": "checkpoint", "logits": "logits"},
    result=EnsembleResult,
    form=Form(
        submit="Create the ensemble",
        about="Measures several trained networks together, their predictions combined.",
        first={"": ("name", "dataset", "combine", "curve", "members", "select")},
    ),
)
