"""Reads published arrays of images and labels: idx (MNIST), .npy, .npz, CIFAR's batches. Imports no torch."""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from darts_core.data import pickled_arrays
from darts_core.data.array_names import IDX
from darts_core.errors import DataError

Array = npt.NDArray[Any]

_PICKLED: Final = re.compile(rb"\x80[\x02-\x05]")
_IDX_TYPES: Final = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_HEADERS: Final = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_MOST_AXES: Final = 8
_LONGEST_HEADER: Final = 10_000
# At most so many unpacked bytes per packed byte, enforced above _RATIO_FROM.
_RATIO: Final = 200
_RATIO_FROM: Final = 64 * 2**20


def arrays_of(name: str, content: bytes, most: int) -> dict[str, Any]:
    """Read a file's arrays by name: a .npz or pickled batch names its own; an idx or .npy array has the file's name.

    most: bytes that the file may unpack to. Empty for a file without arrays. Raises DataError.
    """
    lower = name.lower()
    if lower.endswith(".npz"):
        return dict(_npz(content, most))
    if lower.endswith(".npy"):
        return {lower.removesuffix(".npy"): _npy(content)}
    if IDX.fullmatch(lower):
        return {lower.removesuffix(".gz"): _idx(_gunzipped(content, most) if lower.endswith(".gz") else content)}
    if not _PICKLED.match(content):
        return {}
    return pickled_arrays.read(content, name)


def _npz(content: bytes, most: int) -> Iterator[tuple[str, Array]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
            _check_unpacked(sum(member.file_size for member in members), len(content), most)
            for member in members:
                yield member.filename.removesuffix(".npy"), _npy(archive.read(member))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"is a damaged .npz ({error})") from error


def _npy(content: bytes) -> Array:
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[
            version
        ]
        shape, fortran, dtype = read_header(file, max_header_size=_LONGEST_HEADER)
        if dtype.hasobject:
            raise ValueError("it holds Python objects")
        flat = np.frombuffer(content, dtype, offset=file.tell())
        return flat.reshape(shape, order="F" if fortran else "C")
    # numpy raises any exception on a damaged header.
    except Exception as error:
        raise DataError(f"is not a .npy of numbers or texts ({error})") from error


def _idx(content: bytes) -> Array:
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_TYPES or content[3] > _MOST_AXES:
        raise DataError("is not an idx file")
    start = 4 + 4 * content[3]
    shape = np.frombuffer(content[4:start], ">u4").tolist()
    try:
        return np.frombuffer(content, _IDX_TYPES[content[2]], offset=start).reshape(shape)
    except ValueError as error:
        raise DataError(f"is a damaged idx file ({error})") from error


def _gunzipped(content: bytes, most: int) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            unpacked = file.read(min(most, max(_RATIO_FROM, _RATIO * len(content))) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"is a damaged .gz ({error})") from error
    _check_unpacked(len(unpacked), len(content), most)
    return unpacked


def _check_unpacked(unpacked: int, packed: int, most: int) -> None:
    if unpacked > most or (unpacked > _RATIO_FROM and unpacked > _RATIO * packed):
        raise DataError(f"unpacks to more than {most:,} bytes, or to more than {_RATIO} times its size")
