"""Serialises rows to response models."""

from __future__ import annotations

from typing import Any, Final

from api.datasets.availability import Holdings, availability_of
from api.db.models import Attempt, Checkpoint, Dataset, Epoch, Event, Job, Upload
from api.jobs.divergence import divergence
from api.jobs.state_machine import actions_of
from api.kinds import kind_of
from api.schemas.checkpoints import UploadOut
from api.schemas.datasets import Availability, CheckReport, DatasetDetail, DatasetOut, DatasetState, ImageSize, Sizes
from api.schemas.jobs import AttemptOut, CheckpointOut, EpochOut, Failure, JobOut, LogLine, ObjectiveOut, Status
from darts_core.data.available_sets import files_of
from darts_core.data.catalogue import FOLDER_PRESET, DatasetInfo
from darts_core.data.text import python_docs
from darts_core.data.text.catalogue import FOLDER_PRESET as TEXT_FOLDER_PRESET
from darts_core.data.text.catalogue import TEXT_SETS, text_preset_of
from darts_core.data.text.lines import vocabulary_of
from darts_core.presets.rnn import RNN_SEARCH_PRESETS

_LINKS: Final = {"events": "events", "epochs": "epochs", "logs": "logs"}
_MADE_HERE: Final = {"links", "parent", "actions", "objective", "parameters", "multiply_adds", "warning"}


def job_out(job: Job, *, whole: bool = True) -> JobOut:
    """A job with its links; without `whole`, omits the fields that would make a listing large."""
    kind = kind_of(job)
    base = f"/{kind.name.collection}/{job.id}"
    links = {"self": base, **{name: f"{base}/{path}" for name, path in {**_LINKS, **kind.links}.items()}}
    if job.source_id is not None:
        source = kind.source(job.spec)
        links[source] = f"/{source.collection}/{job.source_id}"
    if job.parent_id is not None:
        links["parent"] = f"/jobs/{job.parent_id}"
    fields = {name: getattr(job, name) for name in JobOut.model_fields if name not in _MADE_HERE}
    if not whole:
        fields["result"] = fields["notes"] = None
        if job.error is not None:
            fields["error"] = Failure.model_validate(job.error).brief()
    if job.parent_id is None and job.status == Status.RUNNING and job.progress:
        fields["stage"] = job.progress.get("stage")
    objective = kind.objective(job.spec)
    return JobOut(
        **fields,
        parent=job.parent_id,
        actions=actions_of(job),
        **(job.costs or {}),
        warning=divergence(job.metrics),
        objective=None if objective is None else ObjectiveOut(metric=objective.metric, direction=objective.direction),
        links=links,
    )


def upload_out(upload: Upload) -> UploadOut:
    """An uploaded checkpoint with its download link."""
    fields = {name: getattr(upload, name) for name in ("id", "name", "format", "sha256", "size", "created_at")}
    return UploadOut(**fields, **upload.about, download=f"/checkpoints/{upload.id}")


def epoch_out(epoch: Epoch) -> EpochOut:
    return EpochOut(**{name: getattr(epoch, name) for name in EpochOut.model_fields})


def attempt_out(attempt: Attempt) -> AttemptOut:
    return AttemptOut(**{name: getattr(attempt, name) for name in AttemptOut.model_fields})


def log_line(event: Event) -> LogLine:
    return LogLine(sequence=event.sequence, **event.data)


def checkpoint_out(checkpoint: Checkpoint) -> CheckpointOut:
    """A stored checkpoint with its download link."""
    fields = {name: getattr(checkpoint, name) for name in CheckpointOut.model_fields if name != "download"}
    return CheckpointOut(**fields, download=f"/checkpoints/{checkpoint.id}")


def built_in_out(info: DatasetInfo, holdings: Holdings) -> DatasetOut:
    """A data set of the catalogue. holdings: the sets that live workers hold."""
    availability, held_by = availability_of(info.name, holdings)
    return DatasetOut(
        name=info.name,
        kind="images",
        source="built-in",
        state=DatasetState.READY,
        classes=info.classes,
        sizes=Sizes(train=info.train, valid=info.valid, test=info.test),
        image=ImageSize(height=info.height, width=info.width, channels=info.channels),
        preset=info.preset,
        availability=availability,
        held_by=held_by,
        files=files_of(info.name),
    )


def built_in_text(name: str, holdings: Holdings) -> DatasetOut:
    """A published text. holdings: the sets that live workers hold."""
    availability, held_by = availability_of(name, holdings)
    return DatasetOut(
        name=name,
        kind="text",
        source="built-in",
        state=DatasetState.READY,
        **_text_fields(name),
        preset=text_preset_of(name, RNN_SEARCH_PRESETS),
        availability=availability,
        held_by=held_by,
        files=files_of(name),
    )


def _text_fields(name: str) -> dict[str, Any]:
    if name in TEXT_SETS:
        info = TEXT_SETS[name]
        return {"words": info.words, "sizes": Sizes(train=info.train, valid=info.valid, test=info.test)}
    here = python_docs.read()
    counts = {part: sum(len(line) + 1 for line in lines) for part, lines in here.lines.items()}
    return {"words": len(vocabulary_of(here.lines["train"])), "sizes": Sizes(**counts), "checksum": here.checksum}


def dataset_out(dataset: Dataset) -> DatasetOut:
    return DatasetOut(**_dataset_fields(dataset))


def dataset_detail(dataset: Dataset) -> DatasetDetail:
    """An uploaded set with the report of its check."""
    report = None if dataset.report is None else CheckReport.model_validate(dataset.report)
    return DatasetDetail(**_dataset_fields(dataset), report=report)


def _dataset_fields(dataset: Dataset) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": dataset.name,
        "kind": dataset.kind,
        "source": "upload" if dataset.request.get("upload") else "path",
        "state": dataset.state,
        "checksum": dataset.checksum,
        "bytes": dataset.size,
        "preset": FOLDER_PRESET,
        "availability": Availability.READY if dataset.state == DatasetState.READY else None,
        "error": dataset.error,
        "created_at": dataset.created_at,
        "checked_at": dataset.checked_at,
    }
    if dataset.kind == "text":
        fields["preset"] = TEXT_FOLDER_PRESET
        if info := dataset.info:
            counts = {part: info[part] for part in Sizes.model_fields}
            fields |= {"sizes": counts, "words": info["words"], "unknown": info["unknown"]}
    elif info := dataset.info:
        fields |= {
            "classes": len(info["classes"]),
            "class_names": info["classes"],
            "sizes": {part: info[part] for part in Sizes.model_fields},
            "image": {side: info[side] for side in ImageSize.model_fields},
            **{name: info[name] for name in ("held_out", "mean", "std")},
        }
    return fields
