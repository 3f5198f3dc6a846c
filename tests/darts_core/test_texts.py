"""Texts: the built-in one, folders, refusals, windows, and the specs that name them."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch

from darts_core.configs import (
    EvaluationConfig,
    RnnEvaluationConfig,
    RnnSearchConfig,
    SearchConfig,
)
from darts_core.data.text import python_docs
from darts_core.data.text.catalogue import TextInfo
from darts_core.data.text.corpus import TextData, load_text
from darts_core.data.text.windows import columns, evaluation_spans, search_spans, window
from darts_core.errors import ConfigError, DataError
from darts_core.families import family_in


def write(root: Path, name: str = "mine", **parts: str | bytes) -> Path:
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    for part, text in {"train": "a b a b\nc c\n", "valid": "a c\n", "test": "b z\n", **parts}.items():
        (folder / f"{part}.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def words(data: TextData, part: str) -> list[str]:
    return [data.vocabulary[i] for i in data.parts[part].tolist()]


def test_python_docs_is_split_eight_to_one_to_one_without_a_shared_paragraph() -> None:
    lines = python_docs.read().lines
    counts = {part: len(found) for part, found in lines.items()}
    total = sum(counts.values())
    assert total > 1000
    assert counts["valid"] / total == pytest.approx(0.1, abs=0.02)
    assert counts["test"] / total == pytest.approx(0.1, abs=0.02)
    seen = [" ".join(line) for found in lines.values() for line in found]
    assert len(set(seen)) == len(seen)


def test_python_docs_says_its_checksum_and_the_pythons_version() -> None:
    here = python_docs.read()
    python_docs.read.cache_clear()
    assert python_docs.read() == here
    assert here.version is not None
    assert here.version.startswith("CPython 3.")
    config = RnnSearchConfig(dataset="python-docs").resolved()
    assert (config.text_checksum, config.text_version) == (here.checksum, here.version)


def test_another_pythons_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"checksum .* here \(CPython 3.*the spec was made for 0000"):
        load_text("python-docs", tmp_path, "0" * 64)


def test_most_of_python_docs_is_in_its_vocabulary(tmp_path: Path) -> None:
    data = load_text("python-docs", tmp_path)
    assert 1000 < data.sizes["vocabulary"] < 10_000
    for part in ("train", "valid", "test"):
        assert data.unknown[part] / len(data.parts[part]) < 0.1
    assert data.unknown["train"] > 0  # or nothing is learned about unknown words


def test_lines_end_in_eos_and_rare_words_are_unknown(tmp_path: Path) -> None:
    data = load_text("folder:mine", write(tmp_path, train="a b a\nb c\n"))
    assert words(data, "train") == ["a", "b", "a", "<eos>", "b", "<unk>", "<eos>"]
    assert words(data, "test") == ["b", "<unk>", "<eos>"]
    assert data.unknown == {"train": 1, "valid": 1, "test": 1}
    assert data.sizes == {"vocabulary": 4, "train": 7, "valid": 3, "test": 3}


def test_a_text_with_unk_of_its_own_keeps_all_its_words(tmp_path: Path) -> None:
    data = load_text("folder:mine", write(tmp_path, train="a <unk> b\n"))
    assert set(data.vocabulary) == {"a", "<unk>", "b", "<eos>"}
    assert words(data, "test") == ["b", "<unk>", "<eos>"]


def test_vocabulary_is_of_the_training_text_alone(tmp_path: Path) -> None:
    data = load_text("folder:mine", write(tmp_path, valid="q q q q\n", test="q q q\n"))
    assert "q" not in data.vocabulary
    assert data.unknown["valid"] == 4


def test_published_texts_lie_under_their_own_names(tmp_path: Path) -> None:
    assert load_text("ptb", write(tmp_path, "ptb")).sizes["train"] == 8
    with pytest.raises(DataError, match=r"wikitext-2/train.txt is missing: a text has the files train.txt"):
        load_text("wikitext-2", tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", r"train.txt holds no words"),
        (b" \n\n\t\n", r"train.txt holds no words"),
        (b"fine\nfi\xffne\n", r"train.txt: line 2 is not UTF-8 \(byte 7 is 0xff\)"),
        ("smile \ud83d".encode("utf-8", "surrogatepass"), r"line 1 is not UTF-8"),
        (b"a\nb\0c\n", r"line 2 holds a zero byte"),
        (b"a " + b"x" * 2000 + b"\n", r"line 1 has a word of 2,000 characters, more than 1,000"),
    ],
)
def test_hostile_text_is_refused_by_file_and_line(text: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        load_text("folder:mine", write(tmp_path, train=text))


def test_a_vocabulary_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("darts_core.data.text.lines.MOST_WORDS", 3)
    with pytest.raises(DataError, match=r"5 different words, more than 3: replace rare ones by <unk>"):
        load_text("folder:mine", write(tmp_path))


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("darts_core.data.text.folders.LARGEST_BYTES", 10)
    with pytest.raises(DataError, match=r"12 bytes, more than 10"):
        load_text("folder:mine", write(tmp_path))


@pytest.mark.parametrize("linked", ["mine", "mine/valid.txt"])
def test_links_that_lead_out_of_the_data_root_are_refused(linked: str, tmp_path: Path) -> None:
    outside = write(tmp_path / "outside", "mine") / "mine"
    root = tmp_path / "root"
    if linked == "mine":
        root.mkdir()
        (root / "mine").symlink_to(outside)
    else:
        write(root)
        (root / linked).unlink()
        (root / linked).symlink_to(outside / "valid.txt")
    with pytest.raises(DataError, match="leads out of"):
        load_text("folder:mine", root)


@pytest.mark.parametrize("name", ["folder:../mine", "folder:", "folder:/etc", "cifar10", "../ptb", ""])
def test_names_that_are_none_are_refused_in_the_spec_by_their_field(name: str) -> None:
    with pytest.raises(ConfigError, match="dataset: "):
        RnnSearchConfig(dataset=name).resolved()


def test_a_byte_order_mark_is_no_part_of_the_first_word(tmp_path: Path) -> None:
    data = load_text("folder:mine", write(tmp_path, train="\ufeffa a\n"))
    assert words(data, "train") == ["a", "a", "<eos>"]


def test_checksum_changes_when_a_line_moves_from_one_part_to_the_next(tmp_path: Path) -> None:
    one = load_text("folder:a", write(tmp_path, "a", valid="a\nb\n", test="c\n"))
    other = load_text("folder:b", write(tmp_path, "b", valid="a\n", test="b\nc\n"))
    assert one.checksum != other.checksum


def test_columns_are_stretches_side_by_side_and_the_rest_is_dropped() -> None:
    cut = columns(torch.arange(11), 3, "train")
    assert cut.tolist() == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
    batch = window(cut, 1, 10)
    assert batch.tokens.tolist() == [[1, 4, 7]]
    assert batch.targets.tolist() == [[2, 5, 8]]
    with pytest.raises(DataError, match=r"batch of 4 is too large for the 11 words of the valid text; give at most 3"):
        columns(torch.arange(11), 4, "valid")


@pytest.mark.parametrize("spans_of", [search_spans, evaluation_spans])
def test_spans_read_each_row_once_in_order(spans_of: object) -> None:
    spans = spans_of(1000, 35, 0, 1)  # type: ignore[operator]
    assert spans[0].start == 0
    assert all(a.start + a.length == b.start for a, b in itertools.pairwise(spans))
    assert spans[-1].start < 998 <= spans[-1].start + spans[-1].length


def test_search_lengths_are_full_or_half() -> None:
    lengths = [s.length for epoch in range(40) for s in search_spans(2000, 35, 0, epoch)]
    assert set(lengths) == {35, 17}
    assert lengths.count(17) / len(lengths) == pytest.approx(0.05, abs=0.02)


def test_evaluation_lengths_spread_around_both_within_their_limits() -> None:
    lengths = [s.length for epoch in range(40) for s in evaluation_spans(2000, 35, 0, epoch)]
    assert min(lengths) >= 5
    assert max(lengths) <= 55
    assert sum(lengths) / len(lengths) == pytest.approx(0.95 * 35 + 0.05 * 17.5 - 0.5, abs=0.5)
    assert all(s.length <= 24 for epoch in range(40) for s in evaluation_spans(2000, 4, 0, epoch))


def test_lengths_are_a_function_of_seed_and_epoch_alone() -> None:
    assert evaluation_spans(900, 35, 3, 7) == evaluation_spans(900, 35, 3, 7)
    assert evaluation_spans(900, 35, 3, 7) != evaluation_spans(900, 35, 3, 8)
    assert evaluation_spans(900, 35, 3, 7) != evaluation_spans(900, 35, 4, 7)


def test_presets_follow_the_text() -> None:
    assert RnnSearchConfig(dataset="ptb").resolved().hidden_size == 300
    assert RnnEvaluationConfig(dataset="ptb", genotype="ENAS").resolved().hidden_size == 850
    wt2 = RnnEvaluationConfig(dataset="wikitext-2", genotype="ENAS").resolved()
    assert (wt2.preset, wt2.hidden_size, wt2.dropout_hidden, wt2.weight_decay) == ("wt2", 700, 0.15, 5e-7)
    assert RnnSearchConfig(dataset="folder:mine").resolved().preset == "ptb"
    assert RnnSearchConfig(dataset="python-docs").resolved().preset == "python-docs"
    assert RnnEvaluationConfig(dataset="ptb", genotype="ENAS", preset="ptb-short").resolved().epochs == 300


def test_resolving_twice_changes_nothing() -> None:
    for config in (
        RnnSearchConfig(dataset="python-docs", space="rnn_space1", unrolled=True).resolved(),
        RnnEvaluationConfig(dataset="python-docs", genotype="DARTS_V1").resolved(),
    ):
        again = type(config)(**config.model_dump(mode="json"))
        assert again.resolved() == config


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"space": "rnn", "primitives": ["none", "tanh"]}, "primitives: differ from those of space 'rnn'"),
        ({"primitives": ["none"]}, "primitives: at least one"),
        ({"primitives": ["tanh", "tanh"]}, "primitives: each"),
        ({"preset": "cifar10"}, "preset: unknown preset 'cifar10'; known: ptb, python-docs"),
        ({"validation_batch_size": 30_000}, "validation_batch_size: 30000 is too large for the 73,760 words"),
    ],
)
def test_specs_that_cannot_run_are_refused_by_field(given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RnnSearchConfig(dataset="ptb", **given).resolved()


@pytest.mark.parametrize(
    "given",
    [
        {"nodes": 13},
        {"nodes": 0},
        {"bptt": 3},
        {"dropout_output": 1.0},
        {"channels": 4},
        {"precision": "bf16"},
        {"unrolled": False, "order": 2},
    ],
)
def test_fields_out_of_range_or_of_images_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(given))):
        RnnSearchConfig(dataset="python-docs", **given)


def test_small_batch_size_must_divide_the_batch() -> None:
    with pytest.raises(ConfigError, match="small_batch_size: must divide the batch_size of 64"):
        RnnEvaluationConfig(dataset="ptb", genotype="ENAS", small_batch_size=48).resolved()


def test_genotype_of_the_other_family_is_refused_in_the_spec() -> None:
    with pytest.raises(ValueError, match="neither a known name"):
        RnnEvaluationConfig(dataset="ptb", genotype="NASNet")


def test_the_family_chooses_the_class_of_a_spec() -> None:
    assert family_in({}).search is SearchConfig
    assert family_in({"family": "rnn"}).config("search") is RnnSearchConfig
    assert family_in({"family": "cnn"}).config("evaluation") is EvaluationConfig
    assert family_in({"family": "rnn"}).evaluation is RnnEvaluationConfig
    assert family_in({"family": ["odd"]}).evaluation is EvaluationConfig


@pytest.mark.parametrize("names", ["val", "wiki.{}.tokens", "ptb.{}.txt"])
def test_a_folder_takes_the_names_that_uploads_take(names: str, tmp_path: Path) -> None:
    expected = load_text("folder:plain", write(tmp_path, "plain"))
    folder = write(tmp_path) / "mine"
    if names == "val":
        (folder / "valid.txt").rename(folder / "val.txt")
    else:
        for part in ("train", "valid", "test"):
            (folder / f"{part}.txt").rename(folder / names.format(part))
    assert load_text("folder:mine", tmp_path).checksum == expected.checksum


def test_a_plain_name_goes_before_others_of_a_part_and_two_others_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, valid="a c\n") / "mine"
    (folder / "val.txt").write_text("b b b\n")
    assert words(load_text("folder:mine", tmp_path), "valid") == ["a", "c", "<eos>"]
    (folder / "valid.txt").rename(folder / "dev.txt")
    with pytest.raises(DataError, match=r"holds dev\.txt and val\.txt, both for the valid part"):
        load_text("folder:mine", tmp_path)


def test_no_batch_below_the_least_is_advised() -> None:
    few = TextInfo("few", words=5, train=6, valid=5, test=3, checksum="0" * 64)
    with pytest.raises(ConfigError, match="these are too few words, use a longer text"):
        RnnSearchConfig(dataset="few", text_checksum="0" * 64, batch_size=2).resolved(info=few)
