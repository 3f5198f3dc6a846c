"""Checking and packing images without the service: the packed result, and the refusals."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from darts_core.data.packed import read
from tests.support.archive_check import Check
from tests.support.archives import Files, pets, picture, tar_of

pytestmark = pytest.mark.light


def zip_of(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def causes(result: dict[str, Any]) -> dict[str, int]:
    return dict(result["report"]["causes"])


def skipped(result: dict[str, Any]) -> dict[str, str]:
    return {entry["file"]: entry["reason"] for entry in result["report"]["files"]}


def test_class_folders_become_three_stratified_parts(checked: Check, tmp_path: Path) -> None:
    result = checked(tar_of(pets()))
    info = result["info"]
    assert (info["train"], info["valid"], info["test"]) == (29, 3, 8)
    packed = read(tmp_path / "packed", result["checksum"])
    assert packed.classes == ("cat", "dog")
    assert np.bincount(packed.labels["test"]).tolist() == [4, 4]
    assert packed.images["train"].shape == (29, 1, 8, 8)
    assert result["report"] == {"skipped": 0, "causes": {}, "files": [], "changes": {}, "warnings": []}


def test_mean_and_deviation_are_those_of_the_training_part(checked: Check, tmp_path: Path) -> None:
    result = checked(tar_of(pets(colour=True)))
    pixels = read(tmp_path / "packed", result["checksum"]).images["train"] / 255
    assert result["info"]["mean"] == pytest.approx(pixels.mean(axis=(0, 2, 3)).tolist(), abs=1e-12)
    assert result["info"]["std"] == pytest.approx(pixels.std(axis=(0, 2, 3)).tolist(), abs=1e-12)


def test_same_images_give_the_same_checksum_whatever_the_archive(checked: Check) -> None:
    files = pets(each=10)
    backwards = dict(reversed(files.items()))
    archives = [
        tar_of(files),
        tar_of(backwards, "w:gz"),
        tar_of({f"pets/{name}": content for name, content in files.items()}, "w:xz"),
        tar_of({f"./a/b/{name}": content for name, content in files.items()}, "w:bz2"),
        zip_of(backwards),
        zip_of({f"pets\\{name}".replace("/", "\\"): content for name, content in files.items()}),
    ]
    assert len({checked(archive)["checksum"] for archive in archives}) == 1


def test_one_other_pixel_or_class_name_gives_another_checksum(checked: Check) -> None:
    files = pets(each=10)
    renamed = {name.replace("cat", "cow"): content for name, content in files.items()}
    changed = {**files, "cat/0000.png": picture(999)}
    assert len({checked(tar_of(f))["checksum"] for f in (files, renamed, changed)}) == 3


@pytest.mark.parametrize("valid", ["valid", "val"])
def test_given_parts_are_taken_as_they_are(checked: Check, tmp_path: Path, valid: str) -> None:
    files = {}
    for part, first, count in (("train", 0, 6), (valid, 6, 2), ("test", 8, 3)):
        for c in ("cat", "dog"):
            for i in range(count):
                files[f"root/{part}/{c}/{i}.png"] = picture(100 * (c == "dog") + first + i)
    result = checked(zip_of(files))
    assert [result["info"][part] for part in ("train", "valid", "test")] == [12, 4, 6]
    test = read(tmp_path / "packed", result["checksum"]).images["test"].reshape(6, -1).tolist()
    given = [np.asarray(Image.open(io.BytesIO(files[f"root/test/cat/{i}.png"]))).flatten().tolist() for i in range(3)]
    assert all(image in test for image in given)


def test_missing_validation_part_is_held_out_of_train_and_a_given_test_part_stays(checked: Check) -> None:
    files = {f"train/{name}": content for name, content in pets().items()}
    files |= {f"test/{c}/x.png": picture(1000 + len(c)) for c in ("cat", "dog")}
    info = checked(tar_of(files))["info"]
    assert (info["train"], info["valid"], info["test"]) == (36, 4, 2)


def test_grey_images_among_coloured_ones_turn_to_colour(checked: Check) -> None:
    files = {**pets(each=10), "cat/red.png": picture(5, colour=True)}
    assert checked(tar_of(files))["info"]["channels"] == 3


def test_text_file_named_png_is_skipped_and_named(checked: Check) -> None:
    result = checked(tar_of({**pets(each=10), "cat/notes.png": b"no image at all"}))
    assert "checksum" in result
    assert skipped(result)["cat/notes.png"].startswith("cannot be decoded as an image")


def test_broken_image_and_nested_archive_are_skipped_and_named(checked: Check) -> None:
    nested = zip_of(pets(each=10))
    files = {**pets(each=10), "cat/half.png": picture(1)[:60], "cat/more.zip": nested, "cat/more.png": nested}
    result = checked(zip_of(files))
    assert set(skipped(result)) == {"cat/half.png", "cat/more.zip", "cat/more.png"}
    assert causes(result) == {"image that cannot be decoded": 2, "not an image by its name": 1}


def test_file_managers_own_files_are_ignored(checked: Check) -> None:
    files = {**pets(each=10), "__MACOSX/cat/._00.png": b"x", "cat/.DS_Store": b"x", ".hidden/a.png": b"x"}
    assert checked(zip_of(files))["report"]["skipped"] == 0


def test_images_of_an_uncommon_size_are_skipped_with_both_sizes(checked: Check) -> None:
    result = checked(tar_of({**pets(each=10), "dog/odd.png": picture(7, (9, 7))}))
    assert skipped(result) == {"dog/odd.png": "has 9x7 pixels, most have 8x8; give a size to scale all to"}


def test_images_of_many_sizes_are_refused_unless_a_size_is_named(checked: Check) -> None:
    files = {f"{c}/{i}.png": picture(i, (10 + i, 20)) for c in ("cat", "dog") for i in range(8)}
    assert "give a size to scale all images to, such as size=64" in checked(tar_of(files))["error"]
    info = checked(tar_of(files), size=12)["info"]
    assert (info["height"], info["width"], info["train"] + info["valid"] + info["test"]) == (12, 12, 16)


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "cat/../../evil.png", "C:/evil.png"])
@pytest.mark.parametrize("pack", [tar_of, zip_of])
def test_path_escape_is_refused_whole(checked: Check, pack: Callable[[Files], bytes], name: str) -> None:
    assert "leads out of the archive" in checked(pack({**pets(each=10), name: picture(1)}))["error"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_symlink_and_device_in_a_tar_are_skipped_never_followed(checked: Check, kind: bytes) -> None:
    buffer = io.BytesIO(tar_of(pets(each=10)))
    with tarfile.open(fileobj=buffer, mode="a") as archive:
        member = tarfile.TarInfo("cat/passwd.png")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    assert list(skipped(checked(buffer.getvalue()))) == ["cat/passwd.png"]


def test_symlink_in_a_zip_is_skipped(checked: Check) -> None:
    buffer = io.BytesIO(zip_of(pets(each=10)))
    with zipfile.ZipFile(buffer, "a") as archive:
        link = zipfile.ZipInfo("cat/passwd.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert skipped(checked(buffer.getvalue()))["cat/passwd.png"].startswith("is a link")


@pytest.mark.parametrize("pack", [lambda files: tar_of(files, "w:gz"), zip_of])
def test_bomb_by_ratio_is_refused(checked: Check, pack: Callable[[Files], bytes]) -> None:
    bomb = pack({**pets(each=10), "cat/zeros.bin": bytes(4 * 2**20)})
    assert "more than 200 times its size" in checked(bomb, ratio_from=2**20)["error"]


@pytest.mark.parametrize("pack", [lambda files: tar_of(files, "w:gz"), zip_of])
def test_bomb_by_bytes_is_refused(checked: Check, pack: Callable[[Files], bytes]) -> None:
    bomb = pack({**pets(each=10), "cat/zeros.bin": bytes(2**20)})
    assert "unpacks to more than" in checked(bomb, unpacked_bytes=2**19)["error"]


@pytest.mark.parametrize("pack", [tar_of, zip_of])
def test_bomb_by_count_is_refused(checked: Check, pack: Callable[[Files], bytes]) -> None:
    assert "more than 50 entries" in checked(pack({f"cat/{i}": b"" for i in range(60)}), entries=50)["error"]


def test_tar_header_that_declares_gigabytes_of_its_own_is_refused(checked: Check) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 7 * 2**30
    bomb = gzip.compress(header.tobuf(tarfile.USTAR_FORMAT) + bytes(16 * 2**20))
    assert "more than 200 times its size" in checked(bomb, ratio_from=2**20)["error"]


@pytest.mark.parametrize(("side", "says"), [(10_000, "declares 10000x10000 pixels"), (30_000, "decompression bomb")])
def test_image_with_a_huge_declared_size_is_skipped_before_it_is_decoded(checked: Check, side: int, says: str) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    size = side.to_bytes(4, "big")
    image = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size + size + bytes([8, 0, 0, 0, 0]))
    image += chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    reason = skipped(checked(tar_of({**pets(each=10), "cat/huge.png": image})))["cat/huge.png"]
    assert says in reason


def test_file_larger_than_an_image_may_be_is_skipped_unread(checked: Check) -> None:
    result = checked(tar_of({**pets(each=10), "cat/large.png": bytes(5000)}), file_bytes=4000)
    assert "has 5,000 bytes, more than the 4,000" in skipped(result)["cat/large.png"]


@pytest.mark.parametrize("where", [5_000, 512 * 6, 700])
@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_truncated_tar_is_refused(checked: Check, mode: str, where: int) -> None:
    archive = tar_of(pets(each=10), mode)
    assert "was cut short" in checked(archive[:where] if where < len(archive) else archive[:-30])["error"]


def test_tar_with_a_damaged_header_in_its_middle_is_refused(checked: Check) -> None:
    archive = bytearray(tar_of(pets(each=10)))
    archive[1024 * 4 : 1024 * 4 + 100] = b"\xff" * 100
    assert "damaged" in checked(bytes(archive))["error"]


def test_encrypted_zip_is_refused(checked: Check) -> None:
    archive = bytearray(zip_of(pets(each=10)))
    central = archive.index(b"PK\x01\x02")
    archive[central + 8] |= 1
    assert "encrypted" in checked(bytes(archive))["error"]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"readme.txt": b"x"}, "holds no usable image"),
        ({f"cat/{i}.png": picture(i) for i in range(5)}, "only one class, 'cat'"),
        ({f"{i}.png": picture(i) for i in range(5)}, "no image lies in a class folder"),
        ({"cat/0.png": picture(0), "dog/0.png": picture(1)}, "too few images"),
        ({f"{c}/{i}.png": picture(i, (2, 2)) for c in "ab" for i in range(5)}, "at least 4x4"),
        ({**{f"train/{k}": v for k, v in pets(each=10).items()}, "test/cow/0.png": picture(0)}, "class 'cow'"),
    ],
)
def test_upload_that_is_no_data_set_is_refused_with_its_cause(checked: Check, files: Files, says: str) -> None:
    assert says in checked(tar_of(files))["error"]


def test_too_many_pixels_in_all_are_refused(checked: Check) -> None:
    assert "hold a whole set in memory" in checked(tar_of(pets(each=10)), packed_bytes=1000)["error"]


def test_pixels_out_of_proportion_to_the_upload_are_refused(checked: Check) -> None:
    """Black images of 1000x1000 that take some 140 bytes each in the archive."""
    files = {}
    for i in range(20):
        buffer = io.BytesIO()
        image = Image.new("L", (1000, 1000))
        image.putpixel((i, i), 255)
        image.save(buffer, "WEBP", lossless=True)
        files[f"{'ab'[i % 2]}/{i}.webp"] = buffer.getvalue()
    upload = zip_of(files)
    assert "more than 200 times the upload's" in checked(upload, ratio_from=2**20)["error"]
    assert checked(upload, size=16, ratio_from=2**20)["info"]["train"] > 10


def test_a_file_that_is_no_archive_is_refused(checked: Check) -> None:
    assert "neither a tar" in checked(b"hello" * 200)["error"]


def test_class_names_that_cannot_be_shown_are_made_printable(checked: Check) -> None:
    files = {name.replace("cat", "c\ta\x07t"): content for name, content in pets(each=10).items()}
    assert checked(tar_of(files))["info"]["classes"][0] == "c\N{REPLACEMENT CHARACTER}a\N{REPLACEMENT CHARACTER}t"


def test_child_process_leaves_with_its_parent() -> None:
    import subprocess
    import sys

    child = subprocess.Popen([sys.executable, "-m", "api.datasets.check_upload"], stdin=subprocess.PIPE)
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(timeout=30) != 0
