"""Restores a backup into an empty database and an empty store, verifying every checksum."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from sqlalchemy.engine import make_url

from api.artifacts.store import INCOMING
from api.backup.errors import BackupError
from api.backup.manifest import DUMP, FILES, MANIFEST, BackedUp, Manifest
from api.backup.postgres import plain_url, run_tool
from api.db.revisions import head_revision


def restore_backup(database_url: str, artifacts: Path, backup: Path) -> Manifest:
    """Fill an empty database and an empty store. Raises BackupError and OSError; never overwrites existing data."""
    with psycopg.connect(plain_url(database_url)) as connection:
        tables = connection.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone()
    if tables and tables[0]:
        raise BackupError("the database is not empty: restore into a new one")
    artifacts.mkdir(parents=True, exist_ok=True)
    if held := [path.name for path in artifacts.iterdir() if path.name != INCOMING]:
        raise BackupError(f"{artifacts} is not empty ({held[0]}): restore into a new folder")
    try:
        with tarfile.open(backup, "r:") as tar, TemporaryDirectory(dir=artifacts) as work:
            manifest = _read_manifest(tar)
            tar_names = set(tar.getnames())
            if missing := [f.key for f in manifest.files if f"{FILES}{f.key}" not in tar_names]:
                raise BackupError(f"{backup} lacks {len(missing)} files, including {missing[0]}: it is damaged")
            for file in manifest.files:
                _extract(tar, file, Path(work), artifacts)
            dump = Path(work) / DUMP
            _copy(tar, DUMP, dump)
            # Entirely or not at all.
            whole = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
            run_tool(database_url, "pg_restore", [*whole, f"--dbname={make_url(database_url).database}", str(dump)])
    except tarfile.TarError as error:
        raise BackupError(f"{backup} is not a backup, or is damaged: {error}") from error
    return manifest


def _read_manifest(tar: tarfile.TarFile) -> Manifest:
    try:
        file = tar.extractfile(MANIFEST)
        manifest = Manifest.model_validate_json(file.read() if file else b"")
    except (KeyError, ValueError) as error:
        raise BackupError(f"it has no usable {MANIFEST}: it is not a backup of Dartboard ({error})") from error
    if manifest.revision > head_revision():
        raise BackupError(f"it was made by version {manifest.version}, which is newer: restore it with that version")
    return manifest


def _extract(tar: tarfile.TarFile, file: BackedUp, work: Path, artifacts: Path) -> None:
    to = artifacts / file.key
    if not to.resolve().is_relative_to(artifacts.resolve()) or to.resolve() == artifacts.resolve():
        raise BackupError(f"it names a file outside of the store: {file.key}")
    sha256 = _copy(tar, f"{FILES}{file.key}", work / "file")
    if file.sha256 not in (None, sha256):
        raise BackupError(f"{file.key} has the checksum {sha256} instead of {file.sha256}: the backup is damaged")
    to.parent.mkdir(parents=True, exist_ok=True)
    (work / "file").rename(to)


def _copy(tar: tarfile.TarFile, name: str, to: Path) -> str:
    """Copy a member; returns its sha256."""
    source = tar.extractfile(name)
    if source is None:
        raise BackupError(f"{name} in the backup is not a file: the backup is damaged")
    with source, to.open("wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
    with to.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
