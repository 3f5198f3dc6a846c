"""From the folders of an upload to parts and classes."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from api.datasets.archive_limits import UnusableError
from api.datasets.layout import Place, arrange
from darts_core.data.packed import read
from tests.support.archive_check import Check
from tests.support.archives import Files, pets, picture

pytestmark = pytest.mark.light


def arranged(*paths: str) -> list[Place | str]:
    return arrange([tuple(path.split("/")) for path in paths])


def test_the_root_is_found_from_all_images_not_from_one() -> None:
    *many, nested = arranged(*(f"four/{i}.png" for i in range(9)), "four/nested/x.png")
    assert many == [Place("train", "four")] * 9
    assert "wrong depth" in str(nested)


@pytest.mark.parametrize("root", ["", "root/", "a/b/"])
def test_a_stray_image_moves_no_root(root: str) -> None:
    classes = [f"{root}{label}/{i}.png" for label in ("cat", "dog") for i in range(30)]
    for stray in ("logo.png", "docs/x/logo.png", f"{root}cat/small/1.png"):
        *places, last = arranged(*classes, stray)
        assert [place.label for place in places if isinstance(place, Place)] == ["cat"] * 30 + ["dog"] * 30
        assert isinstance(last, str)


def test_two_sets_in_one_upload_are_refused_by_their_roots() -> None:
    paths = [f"{kind}/{label}/{i}.png" for kind in ("animals", "cars") for label in ("a", "b") for i in range(5)]
    with pytest.raises(UnusableError, match="class folders lie below animals and cars"):
        arranged(*paths)


@pytest.mark.parametrize("name", ["valid", "val", "validation", "dev", "eval", "Val"])
def test_a_validation_folder_has_many_names(name: str) -> None:
    parts = [f"{part}/{label}/0.png" for part in ("train", name) for label in ("a", "b")]
    assert [place.part for place in arranged(*parts) if isinstance(place, Place)] == ["train"] * 2 + ["valid"] * 2


def test_a_labelled_folder_that_is_called_like_no_part_is_refused_by_name() -> None:
    with pytest.raises(UnusableError, match="the folder holdout holds images of the training part's classes"):
        arranged("train/a/0.png", "train/b/0.png", "holdout/a/1.png")


def test_two_folders_of_one_part_are_refused_by_name() -> None:
    with pytest.raises(UnusableError, match="the folders dev and val both hold the valid part"):
        arranged("train/a/0.png", "train/b/0.png", "dev/a/1.png", "val/a/1.png")


def test_both_unicode_forms_of_a_name_are_one_class(checked: Check, tmp_path: Path) -> None:
    forms = [unicodedata.normalize(form, "Käfer") for form in ("NFC", "NFD")]
    files = {f"{name}/{8 * j + i}.png": picture(8 * j + i) for j, name in enumerate(forms) for i in range(8)}
    files |= {f"cat/{i}.png": picture(100 + i) for i in range(16)}
    result = checked(files)
    assert read(tmp_path / "packed", result["checksum"]).classes == ("Käfer", "cat")
    assert sum(result["info"][part] for part in ("train", "valid", "test")) == 32


def test_the_example_in_a_refusal_is_of_the_cause_that_is_counted(checked: Check) -> None:
    files = {"a.txt": b"x", **{f"{i}.png": picture(i) for i in range(5)}}
    assert "(5 files: not in a class folder; 0.png, for one, lies at the wrong depth" in checked(files)["error"]


def test_a_class_with_a_single_image_has_a_warning(checked: Check) -> None:
    report = checked({**pets(each=10), "cow/0.png": picture(7)})["report"]
    assert [warning for warning in report["warnings"] if "the class cow has a single training image" in warning]


@pytest.mark.parametrize("each", [1, 2])
def test_a_set_too_small_for_any_search_is_refused(checked: Check, each: int) -> None:
    assert "too few images" in checked(pets(each=each))["error"]


def test_the_smallest_set_that_is_taken_can_be_searched_on(checked: Check) -> None:
    assert checked(pets(each=3))["info"]["train"] == 4


def tiny_imagenet() -> Files:
    files: Files = {"t/words.txt": b"n01\tcat\nn02\tdog\n", "t/wnids.txt": b"n01\nn02\n"}
    rows = []
    for j, wnid in enumerate(("n01", "n02")):
        files[f"t/train/{wnid}/{wnid}_boxes.txt"] = f"{wnid}_0.png\t0\t0\t7\t7\n".encode()
        files |= {f"t/train/{wnid}/images/{wnid}_{i}.png": picture(100 * j + i) for i in range(8)}
        for i in range(3):
            files[f"t/val/images/val_{3 * j + i}.png"] = picture(1000 + 3 * j + i)
            rows.append(f"val_{3 * j + i}.png\t{wnid}\t0\t0\t7\t7")
    files["t/val/val_annotations.txt"] = "\n".join(rows).encode()
    return files | {f"t/test/images/test_{i}.png": picture(2000 + i) for i in range(4)}


def test_tiny_imagenet_is_taken_as_it_is_published(checked: Check, tmp_path: Path) -> None:
    result = checked(tiny_imagenet())
    info, packed = result["info"], read(tmp_path / "packed", result["checksum"])
    assert (info["classes"], info["valid"], info["held_out"]) == (["n01", "n02"], 6, ["test"])
    assert packed.labels["valid"].tolist() == [0, 0, 0, 1, 1, 1]
    assert result["report"]["causes"]["not in a class folder"] == 4


LABELLED = {f"images/{i}.png": picture(i) for i in range(20)}


def _table(head: str, row: str) -> bytes:
    rows = [row.format(i=i, label="cat" if i < 10 else "dog", part=("train", "val", "test")[i % 3]) for i in range(20)]
    return "\n".join([*([head] if head else []), *rows]).encode()


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("labels.csv", _table("filename,label", "{i}.png,{label}")),
        ("labels.csv", _table("id,breed", "{i},{label}")),
        ("labels.csv", _table("label;width;path", "{label};8;images/{i}.png")),
        ("labels.tsv", _table("", "{i}.png\t{label}")),
        ("images/labels.csv", _table("", "{i}.png,{label}")),
        ("meta/train.csv", _table("", "{i}.png,{label}")),
    ],
)
def test_a_table_of_labels_beside_images_makes_a_set(checked: Check, name: str, table: bytes, tmp_path: Path) -> None:
    result = checked({**LABELLED, name: table})
    assert result.get("error") is None
    assert result["info"]["classes"] == ["cat", "dog"]
    assert result["report"]["skipped"] == 0
    packed = read(tmp_path / "packed", result["checksum"])
    assert sum(int((packed.labels[part] == 0).sum()) for part in packed.labels) == 10


def test_a_tables_column_of_parts_is_kept(checked: Check) -> None:
    info = checked({**LABELLED, "labels.csv": _table("file,label,split", "{i}.png,{label},{part}")})["info"]
    assert [info[part] for part in ("train", "valid", "test")] == [7, 7, 6]


def test_class_folders_go_before_a_table(checked: Check) -> None:
    table = "\n".join(f"{name},other" for name in pets(each=10)).encode()
    result = checked({**pets(each=10), "labels.csv": b"file,label\n" + table})
    assert result["info"]["classes"] == ["cat", "dog"]
