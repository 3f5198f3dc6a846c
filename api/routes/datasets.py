"""Lists built-in and uploaded data sets, and receives uploads."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request, Response

from api.datasets.upload_form import take
from api.deps import Datasets, Store, Workers
from api.http.problems import documented
from api.routes.collection import IdempotencyKeyHeader
from api.schemas.datasets import DatasetCreate, DatasetDetail, DatasetList
from api.serializers import built_in_out, built_in_text, dataset_detail, dataset_out
from darts_core.data.catalogue import BUILT_IN
from darts_core.data.text.catalogue import PYTHON_DOCS, TEXT_SETS

router = APIRouter(prefix="/datasets", tags=["datasets"], responses=documented(422, 503))

Name = Annotated[str, Path(max_length=120, pattern=r"^[^\x00]*$")]
_SCHEMA: Final = DatasetCreate.model_json_schema()
_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["name", "file"],
    "properties": {
        **{name: _SCHEMA["properties"][name] for name in ("name", "kind", "size")},
        "file": {"type": "string", "format": "binary", "description": "tar, tar.gz, tar.xz, tar.bz2 or zip"},
    },
}


@router.post(
    "",
    status_code=201,
    responses=documented(400, 409, 413, 507),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": _FORM}, "application/json": {"schema": _SCHEMA}},
        }
    },
)
async def create_dataset(
    request: Request, datasets: Datasets, store: Store, response: Response, key: IdempotencyKeyHeader = None
) -> DatasetDetail:
    """Create a data set from an archive with class folders or a text's parts, or from a folder below the data root.

    It is checked afterwards: poll `GET /datasets/{name}` until its state is `ready` or `failed`.
    """
    brought = await take(request, datasets, store, key)
    response.headers["Location"] = f"/datasets/{brought.dataset.name}"
    if brought.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return dataset_detail(brought.dataset)


@router.get("")
async def list_datasets(datasets: Datasets, workers: Workers) -> DatasetList:
    """The built-in data sets, then the uploaded ones; `folder:NAME` names any other below the workers' data root."""
    uploaded = [dataset_out(dataset) for dataset in await datasets.list()]
    holdings = await workers.holdings()
    images = [built_in_out(info, holdings) for info in BUILT_IN.values()]
    texts = [built_in_text(text, holdings) for text in (PYTHON_DOCS, *TEXT_SETS)]
    return DatasetList(items=[*images, *texts, *uploaded])


@router.get("/{name}", responses=documented(404))
async def get_dataset(name: Name, datasets: Datasets, workers: Workers) -> DatasetDetail:
    """A data set with the report of its check."""
    if name in BUILT_IN:
        return DatasetDetail(**dict(built_in_out(BUILT_IN[name], await workers.holdings())))
    if name == PYTHON_DOCS or name in TEXT_SETS:
        return DatasetDetail(**dict(built_in_text(name, await workers.holdings())))
    return dataset_detail(await datasets.get(name))


@router.delete("/{name}", status_code=204, responses=documented(404, 409))
async def delete_dataset(name: Name, datasets: Datasets) -> None:
    """Delete an uploaded set. 409 while it is being checked or an active job uses it."""
    await datasets.delete(name)
