"""Scores: measure a checkpoint on a data set's test images or test text."""

from __future__ import annotations

from typing import Any, Final

from api.checkpoints.lookup import Found
from api.http.problems import invalid
from api.kinds.kind import Form, Kind, References, Resolved, Retention
from api.schemas.jobs import JobKind
from api.schemas.scores import AnyScoreResult, ScoreCreate
from darts_core.configs import RnnScoreConfig, ScoreConfig
from darts_core.families import family_in


async def _resolve(body: ScoreCreate, references: References) -> Resolved:
    """Queue a measurement. 404 for an unknown checkpoint, 409 when the job has none yet.

    The checkpoint is taken now: whatever becomes of its job or its upload does not change it.
    """
    found = await references.checkpoints.find(body)
    if body.family not in (None, found.family):
        raise invalid("family", f"the checkpoint is of family {found.family!r}")
    dataset = body.dataset or found.dataset
    if dataset is None:
        raise invalid("dataset", "is needed: this checkpoint does not say what it was trained on")
    info = await references.datasets.info_for(family_in({"family": found.family}), dataset)
    spec = _SPECS[found.family](body, found, body.scoring(dataset, found.family), info)
    return Resolved(spec, source=found.job_id, files={GIVEN: found.stored})


def _of_images(body: ScoreCreate, found: Found, given: dict[str, Any], info: Any) -> ScoreConfig:
    if body.dataset is None and body.dataset_checksum is None and found.checksum is not None:
        # The data that it was trained on, not what its name has come to mean since.
        if info is None or info.checksum != found.checksum:
            why = f"the data that this checkpoint was trained on is gone, {given['dataset']} is another now"
            raise invalid("dataset", f"is needed: {why}")
        given["dataset_checksum"] = found.checksum
    return ScoreConfig(**given, checkpoint=found.checkpoint).resolved(info)


def _of_text(body: ScoreCreate, found: Found, given: dict[str, Any], info: Any) -> RnnScoreConfig:
    if found.checkpoint.format == "authors" and given["dataset"] != found.dataset:
        raise invalid(
            "dataset",
            f"a state_dict's words have numbers by {found.dataset} alone: make a checkpoint of it (dartboard import) "
            "to measure it on another text",
        )
    if body.dataset is None and body.text_checksum is None:
        given["text_checksum"] = found.checksum
    return RnnScoreConfig(**{"batch_size": found.columns, **given}, checkpoint=found.checkpoint).resolved(info)


GIVEN: Final = "given.pt"
_SPECS: Final = {"cnn": _of_images, "rnn": _of_text}
SCORE: Final = Kind(
    name=JobKind.SCORE,
    requests={"": ScoreCreate},
    resolve=_resolve,
    refusals=(404, 409),
    objective=lambda spec: family_in(spec).reporting,
    retention=Retention.ALL,
    leaves=("logits.safetensors",),
    links={"checkpoint": "checkpoint", "logits": "logits"},
    source=lambda spec: JobKind(spec["checkpoint"]["source"]),
    result=AnyScoreResult,
    form=Form(
        submit="Score a checkpoint",
        first={"": ("name", "evaluation_id", "search_id", "checkpoint_id", "epoch", "dataset")},
    ),
)
