"""Provides `python -m api.backup make FILE` and `restore FILE`, with the service's settings."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from api import migrate
from api.artifacts import open_store
from api.artifacts.local import LocalArtifacts
from api.backup.create import make_backup
from api.backup.errors import BackupError
from api.backup.restore import restore_backup
from api.program import run_program
from api.settings import get_settings

INCOMPLETE: Final = 3


def main() -> int:
    """Run the command. Exit codes: 0 success, 1 failure, 3 a backup that lacks files damaged in the store."""
    parser = argparse.ArgumentParser(prog="python -m api.backup", description="Make or restore a backup of Dartboard.")
    parser.add_argument("verb", choices=["make", "restore"])
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    settings = get_settings()
    database_url = settings.database_url.get_secret_value()
    try:
        store = open_store(settings.artifacts_url, settings.artifacts, settings.max_upload_bytes)
        if not isinstance(store, LocalArtifacts):
            raise BackupError(
                "the artifacts are in a bucket: back up the database with pg_dump, the bucket with versioning"
            )
        if arguments.verb == "make":
            manifest = make_backup(database_url, store.root, arguments.file)
        else:
            manifest = restore_backup(database_url, store.root, arguments.file)
            if code := migrate.main():
                return code
    except (BackupError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    files = f"{len(manifest.files)} files ({sum(file.size or 0 for file in manifest.files):,} bytes)"
    print(f"{arguments.file}: {files} and the database of {manifest.made_at} (migration {manifest.revision})")
    for file in manifest.damaged:
        print(f"warning: {file.key} ({file.of}) {file.problem}: it is not in the backup", file=sys.stderr)
    return INCOMPLETE if manifest.damaged and arguments.verb == "make" else 0


if __name__ == "__main__":
    run_program(main)
