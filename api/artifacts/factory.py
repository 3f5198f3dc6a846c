"""Opens the artifact store that a URL selects."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from api.artifacts.local import LocalArtifacts
from api.artifacts.store import Artifacts


def open_store(url: str | None, folder: Path, max_bytes: int) -> Artifacts:
    """Open `s3://bucket/prefix`, `file:///folder` or, without a URL, `folder`. Raises ValueError for other URLs."""
    if not url:
        return LocalArtifacts(folder, max_bytes)
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path:
        return LocalArtifacts(Path(url2pathname(parts.path)), max_bytes)
    if parts.scheme == "s3" and parts.netloc:
        from api.artifacts.bucket import BucketArtifacts  # imported here, since a directory needs no S3 library

        return BucketArtifacts(url, max_bytes)
    raise ValueError(f"ARTIFACTS_URL={url}: use s3://bucket/prefix or file:///folder, or unset it")
