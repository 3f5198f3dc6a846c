"""Describes predictions: a model tried on one image or text."""

from __future__ import annotations

import base64
from typing import Final

from api.http.problems import conflict, invalid
from api.kinds.kind import Form, Kind, References, Resolved
from api.schemas.jobs import JobKind
from api.schemas.predictions import PredictionCreate, PredictionResult
from darts_core.configs.prediction import PredictionConfig
from darts_core.families import family_in

GIVEN: Final = "given.pt"
_INPUTS: Final = {"images": "image", "text": "text"}


async def _resolve(body: PredictionCreate, references: References) -> Resolved:
    """Try a model on one image, or continue one text, in a worker. For trying a model, not for serving it.

    404 for an unknown model or version, 409 for a checkpoint in the authors' format, 422 without the input that the
    model takes. The file is copied now, so later changes of the model have no effect.
    """
    version = await references.models.version(body.model, body.version)
    found = await references.checkpoints.by_id(version.checkpoint_id)
    if found.checkpoint.format != "dartboard":
        raise conflict(
            f"version {version.version} of {body.model} is a state_dict in the authors' format: turn it into a "
            "checkpoint (dartboard import) and register that"
        )
    wanted = _INPUTS[family_in({"family": found.family}).data]
    for name in _INPUTS.values():
        if (getattr(body, name) is None) is (name == wanted):
            wrong = "is required" if name == wanted else "is not taken"
            raise invalid(name, f"{wrong}: {body.model} is a model of {'images' if wanted == 'image' else 'text'}")
    given = base64.b64decode(body.image or "") if wanted == "image" else (body.text or "").encode()
    spec = PredictionConfig(
        family=found.family,
        model=body.model,
        version=version.version,
        dataset=found.dataset or "",
        checkpoint=found.checkpoint,
        top=body.top,
        words=body.words,
    )
    return Resolved(spec, source=found.job_id, files={GIVEN: found.stored, wanted: given})


PREDICTION: Final = Kind(
    name=JobKind.PREDICTION,
    requests={"": PredictionCreate},
    resolve=_resolve,
    refusals=(404, 409),
    leaves=("prediction.json",),
    source=lambda spec: JobKind(spec["checkpoint"]["source"]),
    result=PredictionResult,
    form=Form(
        submit="Predict",
        about="Tries a registered model on one image, or lets it continue a text.",
        first={"": ("model", "version", "text", "top", "words")},
        hidden={"": ("image",)},
    ),
)
