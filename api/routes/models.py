"""Manages models: named checkpoints in versions, with stage labels."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from api.deps import Models
from api.http.problems import documented
from api.schemas.models import (
    ModelDetail,
    ModelList,
    ModelName,
    ModelVersionCreate,
    ModelVersionOut,
    ModelVersionPatch,
    WhichVersion,
)

router = APIRouter(prefix="/models", tags=["models"], responses=documented(422, 503))
_Which = Annotated[WhichVersion, Path(description="a version's number, its stage, or `latest`")]


@router.post(
    "",
    status_code=201,
    responses=documented(403, 404, 409)
    | {200: {"model": ModelVersionOut, "description": "the checkpoint was a version before"}},
)
async def create_model_version(body: ModelVersionCreate, models: Models, response: Response) -> ModelVersionOut:
    """Make a checkpoint the next version of a model, which keeps the file from deletion. The first one creates the
    model. 403 for another owner's model, 409 for a checkpoint of another family.
    """
    version, is_new = await models.add(body)
    response.headers["Location"] = version.links["self"]
    if not is_new:
        response.status_code = 200
    return version


@router.get("")
async def list_models(models: Models) -> ModelList:
    """All models by name, with the version of each stage."""
    return ModelList(items=await models.list())


@router.get("/{name}", responses=documented(404))
async def get_model(name: ModelName, models: Models) -> ModelDetail:
    """A model with its versions, newest first."""
    return await models.get(name)


@router.delete("/{name}", status_code=204, responses=documented(404))
async def delete_model(name: ModelName, models: Models) -> None:
    """Delete a model with its versions; their checkpoints stay, and may be deleted then."""
    await models.delete(name)


@router.get("/{name}/{which}", responses=documented(404))
async def get_model_version(name: ModelName, which: _Which, models: Models) -> ModelVersionOut:
    """One version, by its number or its stage, or the `latest`."""
    return await models.version(name, which)


@router.patch("/{name}/{which}", responses=documented(404))
async def patch_model_version(
    name: ModelName, which: _Which, patch: ModelVersionPatch, models: Models
) -> ModelVersionOut:
    """Change stage or note. A stage leaves the version that had it; null takes it away."""
    return await models.patch(name, which, patch)


@router.delete("/{name}/{which}", status_code=204, responses=documented(404))
async def delete_model_version(name: ModelName, which: _Which, models: Models) -> None:
    """Delete one version; its checkpoint stays, and its number is not given again."""
    await models.delete(name, which)
