"""Checking and packing a text without the service: the packed result, and the refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from darts_core.data.catalogue import upload_path
from darts_core.data.text.corpus import load_text
from darts_core.errors import DataError
from tests.support.archive_check import Check
from tests.support.archives import picture, tar_of

TEXT = {"train.txt": b"a b a b\nc  c\n", "valid.txt": b"a c\n", "test.txt": b"b z\n"}


def placed(tmp_path: Path, checksum: str) -> Path:
    """The packed file where a worker has it."""
    place = upload_path(tmp_path / "data", checksum)
    place.parent.mkdir(parents=True)
    (tmp_path / "packed").rename(place)
    return place


def test_three_files_become_a_text_with_the_training_parts_vocabulary(checked: Check, tmp_path: Path) -> None:
    result = checked({f"mine/{name}": content for name, content in TEXT.items()})
    assert result["kind"] == "text"
    unknown = {"train": 0, "valid": 0, "test": 1}
    assert result["info"] == {"words": 5, "all_words": 5, "train": 8, "valid": 3, "test": 3, "unknown": unknown}
    placed(tmp_path, result["checksum"])
    text = load_text("mine", tmp_path / "data", result["checksum"])
    assert [text.vocabulary[i] for i in text.parts["train"]] == ["a", "b", "a", "b", "<eos>", "c", "c", "<eos>"]
    assert [text.vocabulary[i] for i in text.parts["test"]] == ["b", "<unk>", "<eos>"]
    assert text.sizes == {"vocabulary": 5, "train": 8, "valid": 3, "test": 3}


def test_same_words_give_the_same_checksum_whatever_the_spaces_and_the_archive(checked: Check) -> None:
    first = checked(TEXT)
    spaced = {"x/test.txt": b"\xef\xbb\xbfb\tz \n", "x/train.txt": b"a b a b\r\nc c", "x/val.txt": b" a c\n"}
    assert checked(spaced)["checksum"] == first["checksum"]
    assert checked({**TEXT, "test.txt": b"b\nz\n"})["checksum"] != first["checksum"]


def test_changed_content_is_refused_by_its_checksum(checked: Check, tmp_path: Path) -> None:
    place = placed(tmp_path, checksum := checked(TEXT)["checksum"])
    place.write_bytes(place.read_bytes().replace(b"b z", b"b y"))
    with pytest.raises(DataError, match="has the checksum"):
        load_text("mine", tmp_path / "data", checksum)


def test_other_files_are_left_out_and_listed(checked: Check) -> None:
    result = checked({**TEXT, "README": b"hello"})
    assert result["report"]["causes"] == {"not a part of the text": 1}
    assert result["report"]["files"][0]["file"] == "README"


def test_images_beside_a_text_are_images_unless_said_otherwise(checked: Check) -> None:
    files = {**TEXT, **{f"{label}/{i}.png": picture(10 * i + j) for i in range(9) for j, label in enumerate("ab")}}
    assert checked(files)["kind"] == "images"
    assert checked(files, kind="text")["kind"] == "text"


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"train.txt": b"a a", "test.txt": b"a"}, "valid.txt missing"),
        ({**TEXT, "val.txt": b"a"}, "second file for the valid part"),
        ({**TEXT, "test.txt": b"a\nb \xff\n"}, "test.txt: line 2 is not UTF-8 (byte 4 is 0xff)"),
        ({**TEXT, "test.txt": b"a\0b"}, "zero byte"),
        ({**TEXT, "valid.txt": b" \n\n"}, "valid.txt holds no words"),
        ({"train.txt": b"a", "x/valid.txt": b"a", "test.txt": b"a"}, "is in another folder than the other parts"),
        ({**TEXT, "../../etc/train.txt": b"a"}, "leads out of the archive"),
        ({**TEXT, "train.txt": b"x" * 2000}, "a word of 2,000 characters"),
    ],
)
def test_a_file_that_is_no_text_is_refused_with_its_position(
    checked: Check, files: dict[str, bytes], says: str
) -> None:
    assert says in checked(files, kind="text")["error"]


def test_a_text_is_refused_where_images_are_wanted(checked: Check) -> None:
    assert "holds a text and no image" in checked(TEXT, kind="images")["error"]


def test_the_limits_of_archives_hold_for_texts(checked: Check) -> None:
    assert "more than the 5 that one file may have" in checked(TEXT, kind="text", file_bytes=5)["error"]
    assert "more than 2 entries" in checked(TEXT, kind="text", entries=2)["error"]
    bomb = tar_of({**TEXT, "train.txt": b"a a\n" * 500_000}, "w:gz")
    assert "times its size" in checked(bomb, kind="text", ratio_from=2**10)["error"]


@pytest.mark.parametrize("names", ["wiki.{}.tokens", "wiki.{}.raw", "ptb.{}.txt", "{}.tokens"])
def test_texts_have_the_names_that_they_are_published_with(checked: Check, names: str) -> None:
    files = {f"root/{names.format(part)}": TEXT[f"{part}.txt"] for part in ("train", "valid", "test")}
    assert checked(files)["checksum"] == checked(TEXT)["checksum"]


@pytest.mark.parametrize(("part", "words"), [("train", b"a b"), ("valid", b"a"), ("test", b"a")])
def test_a_text_too_short_for_any_batch_is_refused(checked: Check, part: str, words: bytes) -> None:
    assert f"too few words: {len(words.split()) + 1} in {part}.txt" in checked({**TEXT, f"{part}.txt": words})["error"]


LONG = b"the cat sat on the mat and the dog ran to the old red barn while a bird sang in one tall green tree\n" * 9


@pytest.mark.parametrize(
    ("train", "says"),
    [
        (LONG.replace(b"\n", b"\r"), "train.txt ends its lines in CR alone"),
        (LONG.replace(b"\n", b" <eos>\n"), "9 lines of train.txt end in an <eos> of their own"),
        ("今日は良い天気なので散歩に出かけて公園で本を読みました。\n".encode() * 9, "the vocabulary has only 3 words"),
        ("今日は良い天気なので散歩に出かけて公園で本を読みました。\n".encode() * 9, "put spaces between words"),
    ],
)
def test_a_suspicious_text_has_a_warning(checked: Check, train: bytes, says: str) -> None:
    assert any(says in warning for warning in checked({**TEXT, "train.txt": train})["report"]["warnings"])


def test_an_ordinary_text_has_no_warning(checked: Check) -> None:
    assert checked(dict.fromkeys(TEXT, LONG))["report"]["warnings"] == []
