"""Creates a data set from a request: a form with an archive, or JSON that names a folder."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from fastapi import Request
from pydantic import ValidationError

from api.artifacts import Artifacts, Stored
from api.datasets.archives import HEAD_BYTES, is_archive
from api.datasets.service import Brought, DatasetService, new_id
from api.datasets.storage import upload_key
from api.http.multipart import Part, drain, parts
from api.http.problems import ProblemError, invalid, invalid_fields
from api.schemas.datasets import DatasetCreate


async def take(request: Request, service: DatasetService, store: Artifacts, key: str | None) -> Brought:
    """Create the data set that the request describes. Raises ProblemError; a refused upload leaves no file behind."""
    dataset_id = new_id()
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await service.bring(dataset_id, await _from_json(request, service), None, key)
    body, upload = await _from_form(request, service, store, dataset_id)
    try:
        brought = await service.bring(dataset_id, body, upload, key)
    except BaseException:
        await service.discard(dataset_id, upload)
        raise
    if brought.replayed:
        await store.discard([upload.key])
    return brought


async def _from_json(request: Request, service: DatasetService) -> DatasetCreate:
    try:
        value = json.loads(await request.body())
    except ValueError as error:
        raise ProblemError(400, f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise ProblemError(422, "the body's JSON is nested too deeply: give a flat object") from error
    if not isinstance(value, dict):
        raise ProblemError(400, "the body is not a JSON object")
    body = _validated(value)
    if body.path is None:
        raise invalid("path", "is required: a folder below the data root; or send a form with an archive as `file`")
    service.check_new(body)
    await service.check_room()
    return body


async def _from_form(
    request: Request, service: DatasetService, store: Artifacts, dataset_id: UUID
) -> tuple[DatasetCreate, Stored]:
    fields: dict[str, Any] = {}
    upload: Stored | None = None
    try:
        await service.check_room()
        async for part in parts(request):
            if part.filename is None:
                fields[part.name] = await part.text()
            elif upload is not None:
                raise invalid(part.name, "is a second file: one archive makes a data set")
            else:
                upload = await _store(part, store, dataset_id, request.headers.get("content-length", ""))
        if upload is None:
            raise invalid("file", "is missing: send the archive as a file of the form")
        body = _validated(fields)
        if body.path is not None:
            raise invalid("path", "excludes a file: give one of the two")
        service.check_new(body)
    except BaseException:
        await store.discard([upload_key(dataset_id)])
        await drain(request)
        raise
    return body, upload


async def _store(part: Part, store: Artifacts, dataset_id: UUID, length: str) -> Stored:
    # The length of the whole form, slightly more than the file's.
    declared = int(length) if length.isdecimal() else None
    return await store.put(upload_key(dataset_id), _archive(part), declared)


async def _archive(part: Part) -> AsyncIterator[bytes]:
    """Yield the part's bytes; raise ProblemError 422 as soon as the first bytes show that it is not an archive."""
    head = b""
    async for chunk in part.content:
        if len(head) < HEAD_BYTES:
            head += chunk
            if len(head) < HEAD_BYTES:
                continue
            _check_head(part, head)
            yield head
        else:
            yield chunk
    if len(head) < HEAD_BYTES:
        _check_head(part, head)
        yield head


def _check_head(part: Part, head: bytes) -> None:
    if not is_archive(head):
        raise invalid(part.name, "is neither a tar (plain, .gz, .xz or .bz2) nor a zip")


def _validated(fields: dict[str, Any]) -> DatasetCreate:
    try:
        return DatasetCreate.model_validate(fields)
    except ValidationError as error:
        raise invalid_fields(error, DatasetCreate) from error
