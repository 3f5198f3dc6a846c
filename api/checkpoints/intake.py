"""From a form to an uploaded checkpoint: its file goes straight to the disk."""

from __future__ import annotations

from fastapi import Request
from uuid_utils.compat import uuid7

from api.artifacts import Artifacts, Stored, StoreFullError
from api.checkpoints.examining import Text
from api.checkpoints.uploads import UploadService
from api.datasets.service import DatasetService
from api.genotype_registry import GenotypeRegistry
from api.models import Upload
from api.multipart import Part, parts
from api.problems import ProblemError, invalid
from darts_core.data.text import python_docs
from darts_core.data.text.catalogue import PYTHON_DOCS, TEXT_SETS, text_folder_of
from darts_core.data.text.lines import vocabulary_of
from darts_core.errors import DataError


async def take(
    request: Request,
    uploads: UploadService,
    store: Artifacts,
    genotypes: GenotypeRegistry,
    datasets: DatasetService,
) -> tuple[Upload, bool]:
    """The upload, and whether it is new. Fields: `file`, and `genotype` and `dataset` before or behind it.

    Raises ProblemError; nothing of a refused file stays.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise ProblemError(415, "send a form: curl -F file=@FILE (multipart/form-data)")
    # Under `incoming`, whose leftovers are removed at a start a day later.
    key = f"incoming/{uuid7()}"
    try:
        arrived: tuple[Stored, str] | None = None
        fields: dict[str, str] = {}
        async for part in parts(request):
            if part.name == "file":
                if arrived is not None:
                    raise invalid("file", "one file at a time")
                arrived = await _stored(part, store, key), part.filename or ""
            elif part.name in ("genotype", "dataset"):
                fields[part.name] = await part.text()
            else:
                raise invalid(part.name or "form", "is unknown; a form has `file`, `genotype` and `dataset`")
        if arrived is None:
            raise invalid("file", "is missing: send the file under this name")
        text = await _text(fields["dataset"], datasets) if fields.get("dataset") else None
        return await uploads.take(*arrived, await genotypes.resolve(fields.get("genotype", "")), text)
    finally:
        await store.delete([key])


async def _text(name: str, datasets: DatasetService) -> Text:
    """Raises ProblemError 422 for what is no text."""
    if info := await datasets.text_info(name):
        return Text(name, info.checksum, info.words)
    if name == PYTHON_DOCS:
        here = python_docs.read()
        return Text(name, here.checksum, len(vocabulary_of(here.lines["train"])))
    try:
        text_folder_of(name)
    except DataError as error:
        raise invalid("dataset", str(error)) from error
    return Text(name, None, TEXT_SETS[name].words if name in TEXT_SETS else None)


async def _stored(part: Part, store: Artifacts, key: str) -> Stored:
    try:
        return await store.put(key, part.content, None)
    except StoreFullError as error:
        raise ProblemError(507, f"{error}; free some space there and try again") from error
