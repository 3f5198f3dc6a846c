"""One set of rules decodes image files, whether a set is uploaded, in a folder, or read file by file."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from darts_core.data.decoding import ON_WHITE, SCALED_DEPTH, SUFFIXES, TURNED, decode
from darts_core.data.files import FileImages
from darts_core.errors import DataError

Array = npt.NDArray[np.integer]
Decoder = Callable[[Path], Array]


def by_uploads(path: Path) -> Array:
    """(H, W, 3) as uploads and `folder:` decode it."""
    pixels = decode(path).pixels
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3))


def file_by_file(path: Path) -> Array:
    """The same of a set like imagenet, of an image whose even colours no scaling changes."""
    return FileImages([path], 16).decoded()[0].permute(1, 2, 0).numpy()


both = pytest.mark.parametrize("decoder", [by_uploads, file_by_file])


@both
@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_sixteen_bit_grey_is_scaled_to_eight(decoder: Decoder, suffix: str, tmp_path: Path) -> None:
    deep = np.full((20, 20), 100 * 257, dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / f"deep.{suffix}")
    assert set(decoder(tmp_path / f"deep.{suffix}").flatten().tolist()) == {100}


def test_both_ends_of_sixteen_bits_are_kept_and_the_rest_is_rounded(tmp_path: Path) -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    Image.fromarray(values).save(tmp_path / "all.png")
    pixels, changes = decode(tmp_path / "all.png")
    assert np.array_equal(pixels[:, :, 0], np.round(values / 257))
    assert changes == (SCALED_DEPTH,)


def test_depths_that_are_neither_are_refused_by_their_mode(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), dtype=np.float32)).save(tmp_path / "deep.tif")
    with pytest.raises(DataError, match="has pixels of mode F; save it with 8 bits"):
        decode(tmp_path / "deep.tif")


@both
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(decoder: Decoder, orientation: int, tmp_path: Path) -> None:
    quarters = np.kron(np.array([[0, 80], [160, 240]], dtype=np.uint8), np.ones((16, 16), dtype=np.uint8))
    stored = {
        1: quarters,
        2: quarters[:, ::-1],
        3: quarters[::-1, ::-1],
        4: quarters[::-1],
        5: quarters.T,
        6: np.rot90(quarters),
        7: quarters[::-1, ::-1].T,
        8: np.rot90(quarters, -1),
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "x.png", exif=exif)
    shown = decoder(tmp_path / "x.png")[..., 0]
    side = len(shown)
    corners = [int(shown[y, x]) for y in (1, side - 2) for x in (1, side - 2)]
    assert corners == [0, 80, 160, 240]
    assert decode(tmp_path / "x.png").changes == (() if orientation == 1 else (TURNED,))


def _saved(mode: str, path: Path) -> None:
    """Black, and transparent everywhere."""
    if mode == "P":
        Image.new("P", (20, 20)).save(path, transparency=0)
    else:
        Image.new(mode, (20, 20)).save(path)


@both
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_hidden_colours_do_not_show_through_an_alpha_channel(decoder: Decoder, mode: str, tmp_path: Path) -> None:
    _saved(mode, tmp_path / "x.png")
    assert set(decoder(tmp_path / "x.png").flatten().tolist()) == {255}
    assert decode(tmp_path / "x.png").changes == (ON_WHITE,)


def test_grey_stays_grey_and_an_opaque_alpha_channel_changes_nothing(tmp_path: Path) -> None:
    Image.new("LA", (8, 8), (40, 255)).save(tmp_path / "x.png")
    pixels, changes = decode(tmp_path / "x.png")
    assert (pixels.shape, set(pixels.flatten().tolist()), changes) == ((8, 8, 1), {40}, ())


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_no_refusal_holds_the_address_of_an_object(content: bytes) -> None:
    with pytest.raises(DataError, match="cannot be decoded as an image") as refused:
        decode(io.BytesIO(content))
    assert " at 0x" not in str(refused.value)


def test_every_suffix_of_the_formats_that_are_read_is_known() -> None:
    Image.init()
    formats = {"BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"}
    known = {suffix for suffix, name in Image.registered_extensions().items() if name in formats}
    assert known - {".pfm"} == SUFFIXES  # a PFM holds floating-point numbers


@pytest.mark.parametrize("suffix", [".jfif", ".jpe"])
def test_jpegs_by_other_names_are_decoded(suffix: str, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (200, 0, 0)).save(tmp_path / f"x{suffix}", "JPEG")
    assert decode(tmp_path / f"x{suffix}").pixels.shape == (8, 8, 3)
