"""Describes scores: measurements of a checkpoint on a data set's test part."""

from __future__ import annotations

from typing import Any, Final

from api.checkpoints.lookup import Found
from api.http.problems import invalid
from api.kinds.kind import Form, Kind, References, Resolved, Retention, check_own_data
from api.schemas.jobs import JobKind
from api.schemas.scores import AnyScoreResult, ScoreCreate
from darts_core.configs import RnnScoreConfig, ScoreConfig
from darts_core.families import family_in


async def _resolve(body: ScoreCreate, references: References) -> Resolved:
    """Queue a measurement. 404 for an unknown checkpoint, 409 if the job has none yet.

    The checkpoint is copied now, so later changes of its job or upload have no effect.
    """
    found = await references.checkpoints.find(body)
    if body.family not in (None, found.family):
        raise invalid("family", f"the checkpoint is of family {found.family!r}")
    dataset = body.dataset or found.dataset
    if dataset is None:
        raise invalid("dataset", "is required: this checkpoint does not name its training data")
    info = await references.datasets.info_for(family_in({"family": found.family}), dataset)
    spec = _SPECS[found.family](body, found, body.scoring(dataset, found.family), info)
    return Resolved(spec, source=found.job_id, files={GIVEN: found.stored})


def _of_images(body: ScoreCreate, found: Found, given: dict[str, Any], info: Any) -> ScoreConfig:
    if body.dataset is None and body.dataset_checksum is None and found.checksum is not None:
        # The checkpoint's own training data, even if the name now denotes another set.
        check_own_data(info, found.checksum, given["dataset"], "the checkpoint's")
        given["dataset_checksum"] = found.checksum
    return ScoreConfig(**given, checkpoint=found.checkpoint).resolved(info)


def _of_text(body: ScoreCreate, found: Found, given: dict[str, Any], info: Any) -> RnnScoreConfig:
    if found.checkpoint.format == "authors" and given["dataset"] != found.dataset:
        raise invalid(
            "dataset",
            f"the state_dict has the vocabulary of {found.dataset}: convert it to a checkpoint (dartboard import) to "
            "measure it on another text",
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
        about="Measures a checkpoint on the test part of a data set.",
        first={"": ("name", "evaluation_id", "search_id", "checkpoint_id", "epoch", "dataset")},
    ),
)
