"""Archives of class folders with images that are all different."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping

import numpy as np
from PIL import Image

Files = dict[str, bytes]


def picture(number: int, size: tuple[int, int] = (8, 8), *, colour: bool = False) -> bytes:
    """A PNG of this width and height, another one for each number."""
    shape = (size[1], size[0], 3) if colour else (size[1], size[0])
    pixels = np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def pets(first: int = 0, *, each: int = 20, colour: bool = False) -> Files:
    """Cats and dogs, so many of each; other ones for another `first`."""
    names = [(label, place, i) for place, label in enumerate(("cat", "dog")) for i in range(each)]
    return {f"{label}/{i:04}.png": picture(first + 10_000 * place + i, colour=colour) for label, place, i in names}


def tar_of(files: Mapping[str, bytes], mode: str = "w") -> bytes:
    """mode: as tarfile takes it, `w:gz` say."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
