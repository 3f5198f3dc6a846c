"""`dartboard bench language-models` on a text of a few hundred words."""

from __future__ import annotations

import json
import random
import re
import statistics
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks.language_models.compare import LSTM, SEARCHED, Comparison, compare
from benchmarks.language_models.protocol import CPU, LanguageModelProtocol, Setting
from benchmarks.language_models.report import markdown
from benchmarks.ledger.protocol import ProtocolError, read
from benchmarks.ledger.runs import run_missing
from benchmarks.ledger.store import Store, key_of, spec_of
from client.cli import app, call
from client.failures import ExitCode
from darts_core import run_rnn_evaluation
from darts_core.data.text.corpus import TextData, load_text
from darts_core.genotypes import parse, to_json

TINY = {"preset": "ptb", "hidden_size": 6, "bptt": 9, "batch_size": 4, "validation_batch_size": 3, "threads": 1}
WORDS = 12


def protocol(**fields: Any) -> LanguageModelProtocol:
    given: dict[str, Any] = {
        "dataset": "folder:tiny",
        "seeds": 2,
        "cells": {"ENAS": "ENAS"},
        "random_cells": 3,
        "rates": [1.0, 5.0],
        "dropouts": {"preset": {}, "none": {"dropout_input": 0, "dropout_cell_input": 0, "dropout_output": 0}},
        "search": {**TINY, "epochs": 1, "nodes": 2},
        "training": {**TINY, "epochs": 2, "test_batch_size": 2},
        "deviations": ["A few words."],
    }
    return LanguageModelProtocol(**{**given, **fields})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    (root / "tiny").mkdir()
    draw = random.Random(0)
    for part, count in (("train", 40), ("valid", 20), ("test", 20)):
        lines = (" ".join(draw.choices("abcdefghij", range(1, 11), k=5)) for _ in range(count))
        (root / "tiny" / f"{part}.txt").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def text(root: Path) -> TextData:
    return load_text("folder:tiny", root)


def compared(chosen: LanguageModelProtocol, text: TextData, root: Path, path: Path) -> tuple[Comparison, list[str]]:
    said: list[str] = []
    options: dict[str, Any] = {"images": text.checksum, "data_root": root, "device": "cpu", "processes": 1}
    runs_of = partial(run_missing, store=Store(path), **options, say=said.append)
    return compare(chosen, text, runs_of), said


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results") / "runs.jsonl"


@pytest.fixture(scope="module")
def found(text: TextData, root: Path, stored: Path) -> Comparison:
    return compared(protocol(), text, root, stored)[0]


def test_each_setting_is_the_best_by_validation_and_serves_all_seeds(found: Comparison) -> None:
    rows = {row.network: row for row in found.rows}
    assert rows.keys() == {LSTM, "ENAS", SEARCHED, "3 random cells"}
    for name, trials in found.grid.items():
        assert len(trials) == 4
        assert trials[str(rows[name].setting)] == min(value for value in trials.values() if value is not None)
        assert len(rows[name].tests) == 2
    # There is one named cell: the random ones have its setting.
    assert rows["3 random cells"].setting == rows["ENAS"].setting


def test_differences_are_to_the_lstm_of_the_same_seed(found: Comparison) -> None:
    rows = {row.network: row for row in found.rows}
    assert rows[LSTM].against_lstm is None
    for name, row in rows.items():
        if row.against_lstm is not None:
            lstm = [rows[LSTM].tests[place % 2] for place in range(len(row.tests))]
            expected = statistics.fmean(row.tests) - statistics.fmean(lstm)
            assert row.against_lstm.mean == pytest.approx(expected), name


def test_a_stored_run_is_the_training_of_its_spec_and_tells_the_lstm_from_a_cell(
    found: Comparison, text: TextData, root: Path, stored: Path
) -> None:
    store, chosen, words = Store(stored), protocol(), len(text.vocabulary)
    rows = {row.network: row for row in found.rows}
    lstm = chosen.trained(None, rows[LSTM].setting, 1, words)
    cell = chosen.trained(parse("ENAS", "rnn"), rows["ENAS"].setting, 1, words)
    specs = [spec_of(lstm), spec_of(cell)]
    runs = [store.get(key_of(spec, text.checksum)) for spec in specs]
    assert [spec.get("network") for spec in specs] == ["lstm", None]
    assert [spec.get("genotype") for spec in specs] == [None, to_json(parse("ENAS", "rnn"))]
    assert [run.metrics["test_perplexity"] for run in runs if run] == [rows[LSTM].tests[1], rows["ENAS"].tests[1]]
    *_, last = run_rnn_evaluation(cell, data_root=root)
    assert last.metrics["test_perplexity"] == rows["ENAS"].tests[1]


def test_all_networks_have_as_many_parameters_as_their_sizes_allow() -> None:
    chosen, words = protocol(search={**TINY, "nodes": 8}, training={**TINY, "hidden_size": 96}), 2097
    for cell in (None, parse("DARTS_V1", "rnn"), parse("ENAS", "rnn")):
        assert chosen.parameters(cell, words) == pytest.approx(387_729, rel=0.01)
    assert chosen.size(parse("DARTS_V1", "rnn"), words) == 96


def test_the_command_prints_stored_runs_without_training(found: Comparison, root: Path, stored: Path) -> None:
    path = stored.parent / "protocol.json"
    path.write_text(protocol().model_dump_json())
    command = ["bench", "language-models", str(path), "--results", str(stored), "--data-root", str(root)]
    before = stored.read_text()
    answer = CliRunner().invoke(app, [*command, "--markdown"], catch_exceptions=False)
    assert answer.stdout == markdown(found, protocol())
    answer = CliRunner().invoke(app, [*command, "--json"], catch_exceptions=False)
    assert json.loads(answer.stdout)["bigram"] == found.bigram < WORDS
    assert stored.read_text() == before


def test_a_setting_that_diverges_is_stored_as_such_and_not_chosen(text: TextData, root: Path, tmp_path: Path) -> None:
    path, infinite = tmp_path / "runs.jsonl", {"infinite": {"weight_decay": 1000.0}}
    training = {**protocol().training, "epochs": 1, "bptt": 4}  # more steps, all of which raise the weights
    chosen = protocol(rates=[1000.0, 1.0], dropouts={**infinite, "preset": {}}, training=training)
    found, _ = compared(chosen, text, root, path)
    assert {trials["1000, infinite"] for trials in found.grid.values()} == {None}
    assert Setting(1000.0, "infinite") not in [row.setting for row in found.rows]
    assert "| diverged |" in markdown(found, chosen)
    again, said = compared(chosen, text, root, path)
    assert len(said) == sum(re.fullmatch(r"(\d+) of \1 runs are stored", line) is not None for line in said) == 3
    assert again == found
    with pytest.raises(ProtocolError, match="LSTM diverges at all of 1000, infinite: give lower rates"):
        compared(chosen.model_copy(update={"rates": [1000.0], "dropouts": infinite}), text, root, path)


@pytest.mark.parametrize(
    ("field", "values", "says"),
    [
        ("search", {"bppt": 3}, "bppt: unknown field; did you mean 'bptt'?"),
        ("training", {**TINY, "layers": 3}, "layers: unknown field"),
        ("dropouts", {"more": {"dropout_inputs": 0.5}}, "dropout_inputs: unknown field; did you mean 'dropout_input'?"),
        ("cells", {"DARTS": "DART_V2"}, "did you mean 'DARTS_V2'?"),
    ],
)
def test_a_mistake_in_a_protocol_is_told_before_anything_is_run(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], field: str, values: dict[str, Any], says: str
) -> None:
    path = tmp_path / "protocol.json"
    path.write_text(json.dumps({**protocol().model_dump(), field: values}))
    options = ["--results", str(tmp_path / "runs.jsonl"), "--data-root", str(root)]
    assert call(["bench", "language-models", str(path), *options]) in (ExitCode.FAILED, ExitCode.USAGE)
    assert says in capsys.readouterr().err
    assert not (tmp_path / "runs.jsonl").exists()


def test_the_committed_protocol_trains_networks_of_one_size_on_the_text_that_it_names() -> None:
    chosen = read(LanguageModelProtocol, CPU)
    for cell in (None, *chosen.named().values()):
        for setting in chosen.settings:
            config = chosen.trained(cell, setting, 0, 2097)
            assert config.text_checksum == chosen.searching.text_checksum is not None
        assert chosen.parameters(cell, 2097) == pytest.approx(387_729, rel=0.01)
