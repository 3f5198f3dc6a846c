"""The check of an upload, without the service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from api.datasets.archive_limits import Limits
from api.datasets.check_upload import check
from tests.support.archive_check import Check
from tests.support.archives import tar_of


@pytest.fixture
def checked(tmp_path: Path) -> Check:
    def run(
        upload: bytes | Mapping[str, bytes], size: int | None = None, kind: str | None = None, **limits: int
    ) -> dict[str, Any]:
        (tmp_path / "upload").write_bytes(upload if isinstance(upload, bytes) else tar_of(upload))
        order = {"source": str(tmp_path / "upload"), "folder": False, "work": str(tmp_path)}
        return check({**order, "size": size, "kind": kind, "limits": asdict(Limits(**limits))})

    return run
