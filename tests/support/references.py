"""What requests refer to, for parts of the API that a test runs in its own process."""

from __future__ import annotations

from pathlib import Path

from api.artifacts import Artifacts
from api.checkpoints.uploads import UploadService
from api.datasets.archive_limits import Limits
from api.datasets.check_queue import DatasetChecker
from api.datasets.service import DatasetService
from api.db.engine import Database
from api.genotypes.registry import GenotypeRegistry
from api.jobs.queries import Reader
from api.kinds import References


def references_of(database: Database, artifacts: Artifacts, data_root: Path) -> References:
    checker = DatasetChecker(database, artifacts, data_root, Limits(unpacked_bytes=2**30, entries=1000), 60)
    datasets = DatasetService(database, artifacts, checker, data_root)
    return References(
        database, Reader(database), UploadService(database, artifacts), datasets, GenotypeRegistry(database)
    )
