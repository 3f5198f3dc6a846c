"""Iterates over the files of an upload without ever writing under a name from the archive.

A malicious archive is refused as a whole (UnusableError); a file that is not an image is an entry with a problem.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from io import RawIOBase
from pathlib import Path
from tarfile import EOFHeaderError, HeaderError, ReadError  # type: ignore[attr-defined]
from typing import Any, BinaryIO, Final, Protocol, Self

from api.datasets.archive_limits import Limits, UnusableError
from darts_core.data.array_names import is_array_name
from darts_core.errors import DataError
from darts_core.printable import printable


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_COMPRESSED: Final[dict[bytes, Callable[[BinaryIO], _Readable]]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"BZh": bz2.BZ2File,
}
_TAR_MAGIC_AT: Final = 257
_BLOCK: Final = 2**16
HEAD_BYTES: Final = 512
_CUT_SHORT: Final = "the archive is damaged or was cut short: pack and upload it again"
# Raised by the archive readers for damaged archives.
_DAMAGE: Final = (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError)


@dataclass(frozen=True)
class Entry:
    """One file of an upload.

    parts: its path; empty for a folder. problem: why it cannot be an image, if known. read: returns its bytes; call
    before advancing the iterator. Raises DataError if this file is damaged, UnusableError if the archive is.
    """

    parts: tuple[str, ...]
    problem: str | None
    read: Callable[[], bytes]

    @property
    def name(self) -> str:
        """The path, made printable."""
        return printable("/".join(self.parts))


def is_archive(head: bytes) -> bool:
    """Whether a file with these first HEAD_BYTES may be a zip or a tar, compressed or not."""
    return head.startswith((*_ZIP, *_COMPRESSED)) or head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar"


def entries(archive: Path, limits: Limits) -> Iterator[Entry]:
    """Yield the files of a tar (.gz, .xz, .bz2) or zip. Raises UnusableError."""
    with archive.open("rb") as file:
        head = file.read(HEAD_BYTES)
        file.seek(0)
        if not is_archive(head):
            raise UnusableError("the file is neither a tar (plain, .gz, .xz or .bz2) nor a zip")
        found = _zip_entries(file, limits) if head.startswith(_ZIP) else _tar_entries(file, head, limits)
        count = 0
        try:
            for entry in found:
                count += 1
                if count > limits.entries:
                    raise UnusableError(f"the archive has more than {limits.entries:,} entries")
                if not _is_hidden(entry.parts):
                    yield entry
        except _DAMAGE as error:
            raise UnusableError(f"{_CUT_SHORT} ({error})") from error
        except RuntimeError as error:  # raised by zipfile for an unsupported encryption
            raise UnusableError(f"the archive cannot be read: {error}") from error


def folder_entries(folder: Path, limits: Limits) -> Iterator[Entry]:
    """Yield the files under a folder; symlinks are not followed."""
    count = 0
    for place, folders, files in os.walk(folder, followlinks=False):
        folders.sort()
        links = [name for name in folders if Path(place, name).is_symlink()]
        for name in [*links, *sorted(files)]:
            count += 1
            if count > limits.entries:
                raise UnusableError(f"the folder has more than {limits.entries:,} files")
            path = Path(place, name)
            parts = path.relative_to(folder).parts
            if not _is_hidden(parts):
                state = path.lstat()
                yield Entry(parts, _problem(name, state.st_mode, state.st_size, limits), partial(_file_content, path))


def _file_content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})") from error


def _is_hidden(parts: tuple[str, ...]) -> bool:
    """Files left by file managers stay out of the report."""
    return not parts or any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _parts_of(name: str) -> tuple[str, ...]:
    """The parts of a path. Raises UnusableError for a path outside the archive, which no tool writes by accident."""
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or "\0" in name or (len(name) > 1 and name[1] == ":"):
        raise UnusableError(f"an entry's path leads out of the archive ({name[:200]!r}): the archive is refused")
    return tuple(part for part in parts if part not in ("", "."))


def _problem(name: str, mode: int, size: int, limits: Limits) -> str | None:
    if stat.S_ISLNK(mode):
        return "is a link; pack the image itself"
    if not stat.S_ISREG(mode):
        return "is not a regular file"
    most = limits.array_bytes if is_array_name(name.rpartition("/")[2]) else limits.file_bytes
    if size > most:
        return f"has {size:,} bytes, more than the {most:,} that one file may have"
    return None


def _zip_entries(file: BinaryIO, limits: Limits) -> Iterator[Entry]:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        # No member yields more than its declared size, so the sum is checked before the first read.
        packed = file.seek(0, 2)
        _check_unpacked(sum(member.file_size for member in members), packed, limits)
        for member in members:
            if member.flag_bits & 0x1:
                raise UnusableError("the archive is encrypted: pack it without a password")
            parts = () if member.is_dir() else _parts_of(member.filename.replace("\\", "/"))
            kind = stat.S_IFMT(member.external_attr >> 16) or stat.S_IFREG
            yield Entry(
                parts, _problem(member.filename, kind, member.file_size, limits), partial(_zip_content, archive, member)
            )


def _zip_content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    try:
        return archive.read(member)
    except (*_DAMAGE, RuntimeError) as error:
        raise DataError(f"is damaged in the archive, or uses an unknown compression ({error})") from error


def _tar_entries(file: BinaryIO, head: bytes, limits: Limits) -> Iterator[Entry]:
    size = file.seek(0, 2)
    file.seek(0)
    plain: _Readable = next((unpack(file) for magic, unpack in _COMPRESSED.items() if head.startswith(magic)), file)
    counted: Any = _Counted(plain, size, limits)
    with tarfile.open(fileobj=counted, mode="r|", tarinfo=_StrictTarInfo, bufsize=_BLOCK) as archive:
        while (member := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # tarfile would otherwise keep every member
            parts = () if member.isdir() else _parts_of(member.name)
            yield Entry(parts, _tar_problem(member, limits), partial(_tar_content, archive, member))


def _tar_problem(member: tarfile.TarInfo, limits: Limits) -> str | None:
    if member.issym() or member.islnk():
        return "is a link; pack the image itself (tar --dereference --hard-dereference)"
    if not member.isreg() or member.issparse():
        return "is not a regular file"
    return _problem(member.name, stat.S_IFREG, member.size, limits)


def _tar_content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    try:
        file = archive.extractfile(member)
        assert file is not None  # a regular file
        return file.read()
    except _DAMAGE as error:
        raise UnusableError(f"{_CUT_SHORT} ({error})") from error


def _check_unpacked(unpacked: int, packed: int, limits: Limits) -> None:
    if unpacked > limits.unpacked_bytes:
        raise UnusableError(
            f"the archive unpacks to more than {limits.unpacked_bytes:,} bytes: scale the images down, or split the set"
        )
    if unpacked > limits.ratio_from and unpacked > limits.ratio * packed:
        raise UnusableError(
            f"the archive unpacks to more than {limits.ratio} times its size, which no set of images does: pack the "
            "image files as they are"
        )


class _Counted(RawIOBase):
    """Counts the decompressor's output, since headers and skipped members cost as much as images."""

    def __init__(self, file: _Readable, packed: int, limits: Limits) -> None:
        self._file, self._packed, self._limits = file, packed, limits
        self._unpacked = 0

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self._unpacked += len(data)
        _check_unpacked(self._unpacked, self._packed, self._limits)
        return data


class _StrictTarInfo(tarfile.TarInfo):
    """Requires the closing block: an archive without one, or with a bad header, is incomplete."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile)
        except EOFHeaderError:  # the closing block
            raise
        except HeaderError as error:
            raise ReadError(str(error)) from error
