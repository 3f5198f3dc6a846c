"""Reads and writes capsules: a zip of JSON documents and the weights, without anything that could run."""

from __future__ import annotations

import hashlib
import zipfile
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from api.schemas.jobs import EpochOut
from client.errors import CapsuleError

FORMAT: Final = "dartboard-capsule"
_ABOUT, _EPOCHS, _CHECKPOINTS, _EVENTS = "capsule.json", "epochs.json", "checkpoints.json", "events.jsonl"
_WEIGHTS: Final = "weights.safetensors"
# Bytes of a member. A document of a long training has some megabytes; weights are never read into memory.
_LARGEST: Final = {
    **dict.fromkeys((_ABOUT, _EPOCHS, _CHECKPOINTS), 256 * 2**20),
    **dict.fromkeys((_EVENTS, _WEIGHTS), 64 * 2**30),
}
_BLOCK: Final = 1 << 20


class KeptCheckpoint(BaseModel):
    """A checkpoint that the service kept. fingerprints: the digest of each tensor and value, by its path."""

    epoch: int
    sha256: str
    size: int
    environment: dict[str, Any]
    fingerprints: dict[str, str]


class About(BaseModel):
    """What was computed: the job's resolved spec and its surroundings.

    service, workers: their versions; a worker that the service no longer knows has none. files: SHA-256 of the other
    members.
    """

    format: Literal["dartboard-capsule"] = FORMAT
    version: Literal[1] = 1
    created_at: datetime
    job: UUID
    kind: Literal["search", "evaluation"]
    name: str | None
    gpus: int
    threads: int | None
    spec: dict[str, Any]
    seed: int
    genotype: dict[str, Any]
    best: dict[str, float] | None
    result: dict[str, Any] | None
    service: str
    workers: dict[str, str | None]
    files: dict[str, str] = Field(default_factory=dict)


class Capsule(BaseModel):
    """What of a training is compared. epochs: all, in order. checkpoints: those that are stored, in order."""

    about: About
    epochs: list[EpochOut]
    checkpoints: list[KeptCheckpoint]

    def environment(self) -> dict[str, Any]:
        """Of the last stored checkpoint."""
        return self.checkpoints[-1].environment if self.checkpoints else {}


_EPOCH_LIST: Final = TypeAdapter(list[EpochOut])
_CHECKPOINT_LIST: Final = TypeAdapter(list[KeptCheckpoint])


def write(capsule: Capsule, events: Path, weights: Path, to: Path) -> None:
    """Write the file, whole or not at all. Raises OSError."""
    documents = {
        _EPOCHS: _EPOCH_LIST.dump_json(capsule.epochs, indent=1),
        _CHECKPOINTS: _CHECKPOINT_LIST.dump_json(capsule.checkpoints, indent=1),
    }
    files = {_EVENTS: events, _WEIGHTS: weights}
    sums = {name: hashlib.sha256(document).hexdigest() for name, document in documents.items()}
    for name, path in files.items():
        with path.open("rb") as file:
            sums[name] = hashlib.file_digest(file, "sha256").hexdigest()
    about = capsule.about.model_copy(update={"files": sums})
    partial = to.with_name(f".{to.name}.part")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_ABOUT, about.model_dump_json(indent=1))
            for name, document in documents.items():
                archive.writestr(name, document)
            for name, path in files.items():
                archive.write(path, name)
        partial.replace(to)
    finally:
        partial.unlink(missing_ok=True)


def read(path: Path) -> Capsule:
    """Read a capsule whose members have their checksums. Nothing is unpacked. Raises CapsuleError and OSError."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path)
            about = About.model_validate_json(_content(archive, members[_ABOUT], path))
            if about.files.keys() != _LARGEST.keys() - {_ABOUT}:
                raise CapsuleError(f"{path.name} is damaged: it names the checksums of other files than it has")
            for name, expected in about.files.items():
                with archive.open(members[name]) as file:
                    found = _sha256(file, _LARGEST[name])
                if found != expected:
                    raise CapsuleError(f"{path.name} is damaged: {name} has checksum {found}, not {expected[:64]}")
            return Capsule(
                about=about,
                epochs=_EPOCH_LIST.validate_json(_content(archive, members[_EPOCHS], path)),
                checkpoints=_CHECKPOINT_LIST.validate_json(_content(archive, members[_CHECKPOINTS], path)),
            )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise CapsuleError(f"{path.name} is not a capsule: {where}: {first['msg']}") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise CapsuleError(f"{path.name} is not a capsule, or a damaged one: {error}") from error


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """The expected members and no other ones, within their bounds. Raises CapsuleError."""
    names = archive.namelist()
    if sorted(names) != sorted(_LARGEST):
        odd = next((name for name in names if name not in _LARGEST or names.count(name) > 1), None)
        what = f"has {odd[:100]!r}" if odd is not None else f"lacks {', '.join(sorted(_LARGEST.keys() - set(names)))}"
        raise CapsuleError(f"{path.name} is not a capsule: it {what}")
    for info in archive.infolist():
        if info.file_size > _LARGEST[info.filename]:
            raise CapsuleError(f"{path.name}: {info.filename} has {info.file_size:,} bytes, more than a capsule needs")
    return {info.filename: info for info in archive.infolist()}


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> bytes:
    """Reads no more than allowed, whatever size the directory declares."""
    most = _LARGEST[member.filename]
    with archive.open(member) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise CapsuleError(f"{path.name}: {member.filename} is larger than a capsule needs")
    return content


def _sha256(file: IO[bytes], most: int) -> str:
    digest, size = hashlib.sha256(), 0
    while block := file.read(_BLOCK):
        size += len(block)
        if size > most:
            raise ValueError("a member is larger than a capsule needs")
        digest.update(block)
    return digest.hexdigest()
