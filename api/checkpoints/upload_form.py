"""Creates an uploaded checkpoint from a form, whose file is streamed to the store."""

from __future__ import annotations

from typing import Any, Final

from fastapi import Request
from pydantic import ValidationError

from api.artifacts import Artifacts, Stored
from api.checkpoints.inspection import Text, Told
from api.checkpoints.uploads import UploadService
from api.datasets.service import DatasetService
from api.db.models import Upload
from api.genotypes.registry import GenotypeRegistry
from api.http.multipart import parts
from api.http.problems import ProblemError, invalid, invalid_fields
from darts_core.configs.score import TrainedOn
from darts_core.data.catalogue import BUILT_IN, FOLDER_PREFIX
from darts_core.data.text import python_docs
from darts_core.data.text.catalogue import PYTHON_DOCS, TEXT_SETS, is_uploaded_text, text_folder_of
from darts_core.data.text.lines import authors_vocabulary
from darts_core.errors import DataError

_FIELDS: Final = ("genotype", "dataset", "mean", "std")


async def take(
    request: Request,
    uploads: UploadService,
    store: Artifacts,
    genotypes: GenotypeRegistry,
    datasets: DatasetService,
) -> tuple[Upload, bool]:
    """The upload, and whether it is new. Form fields: `file` and those in `_FIELDS`, in any order.

    Raises ProblemError; a refused upload leaves no file behind.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise ProblemError(415, "send a form: curl -F file=@FILE (multipart/form-data)")
    key = store.arriving()
    try:
        arrived: tuple[Stored, str] | None = None
        fields: dict[str, str] = {}
        async for part in parts(request):
            if part.name == "file":
                if arrived is not None:
                    raise invalid("file", "is given twice: upload one file at a time")
                arrived = await store.put(key, part.content, None), part.filename or ""
            elif part.name in _FIELDS:
                fields[part.name] = await part.text()
            else:
                raise invalid(part.name or "form", f"is unknown; a form has file, {', '.join(_FIELDS)}")
        if arrived is None:
            raise invalid("file", "is missing: send the file under this name")
        told = await _told(fields, datasets)
        return await uploads.take(*arrived, await genotypes.resolve(fields.get("genotype", "")), told)
    finally:
        await store.discard([key])


async def _told(fields: dict[str, str], datasets: DatasetService) -> Told:
    """The form's statements about the data. Raises ProblemError 422 for an unknown name or malformed numbers."""
    name = fields.get("dataset") or None
    normalisation = {key: _numbers(key, fields[key]) for key in ("mean", "std") if fields.get(key)}
    text, images = None, None
    if name is None or name in BUILT_IN:
        images = {"dataset": name}
    elif name.startswith(FOLDER_PREFIX):
        images, text = {"dataset": name}, await _text(name, datasets)  # only a worker knows the folder's kind
    elif not is_uploaded_text(name) or await datasets.kind(name) == "text":
        text = await _text(name, datasets)
    else:
        images = await datasets.trained_on(name)
    if normalisation and images is not None:
        images = _checked({**images, "mean": None, "std": None, **normalisation})
    elif normalisation:
        raise invalid("mean", f"applies to images only: {name} is a text")
    return Told(name, text, images if images != {"dataset": None} else None)


def _numbers(field: str, value: str) -> list[float]:
    try:
        return [float(number) for number in value.split(",")]
    except ValueError as error:
        raise invalid(field, f"{value[:100]!r}: expected one number per channel, such as 0.49,0.48,0.45") from error


def _checked(images: dict[str, Any]) -> dict[str, Any]:
    try:
        return TrainedOn(**images).model_dump()
    except ValidationError as error:
        raise invalid_fields(error, TrainedOn, lambda loc: loc[:1] or ("mean",)) from error


async def _text(name: str, datasets: DatasetService) -> Text:
    """The text with the number of words in the authors' vocabulary. Raises ProblemError 422 if it is not a text."""
    if info := await datasets.text_info(name):
        return Text(name, info.checksum, info.all_words)
    if name == PYTHON_DOCS:
        here = python_docs.read()
        return Text(name, here.checksum, len(authors_vocabulary(here.lines)))
    try:
        text_folder_of(name)
    except DataError as error:
        raise invalid("dataset", str(error)) from error
    return Text(name, None, TEXT_SETS[name].all_words if name in TEXT_SETS else None)
