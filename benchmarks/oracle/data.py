"""Gives the oracle's searches their images: a built-in set, a folder of class folders, or a tar archive of one."""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from client.errors import DartboardError
from darts_core.data.catalogue import BUILT_IN, FOLDER_PREFIX
from darts_core.training.defaults import DATA_ROOT


@contextmanager
def opened(dataset: str) -> Iterator[tuple[str, Path]]:
    """Yield the data set's name in a spec and its data root. An archive is unpacked for as long as the context is open.

    Raises DartboardError for a name that is neither a built-in set nor a folder or an archive with a single folder.
    """
    path = Path(dataset)
    if dataset in BUILT_IN:
        yield dataset, DATA_ROOT
    elif path.is_dir():
        yield f"{FOLDER_PREFIX}{path.resolve().name}", path.resolve().parent
    elif path.is_file():
        with tempfile.TemporaryDirectory(prefix="dartboard-oracle-") as root:
            yield f"{FOLDER_PREFIX}{_unpacked(path, Path(root))}", Path(root)
    else:
        raise DartboardError(f"{dataset!r} is neither a built-in data set nor a folder or an archive of images")


def checksum(dataset: str, data_root: Path) -> str:
    """SHA-256 of a folder's files with their paths; of a built-in set's name, whose images never change."""
    digest = hashlib.sha256(dataset.encode())
    folder = data_root / dataset.removeprefix(FOLDER_PREFIX)
    if dataset.startswith(FOLDER_PREFIX):
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            digest.update(f"\n{file.relative_to(folder).as_posix()} {content}".encode())
    return digest.hexdigest()


def _unpacked(archive: Path, root: Path) -> str:
    try:
        with tarfile.open(archive) as file:
            file.extractall(root, filter="data")
    except tarfile.TarError as error:
        raise DartboardError(f"{archive} is not a tar archive: {error}") from error
    folders = [path.name for path in root.iterdir() if path.is_dir()]
    if len(folders) != 1:
        raise DartboardError(f"{archive} has {len(folders)} folders at its top: one with class folders is wanted")
    return folders[0]
