"""`dartboard genotype`, `profile` and `draw` without a service."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
from typer.testing import CliRunner, Result

from api.schemas.genotypes import GenotypeOut
from client import sdk
from client.cli import app
from darts_core.genotypes import FORMATS, KNOWN, KNOWN_RECURRENT, parse, parse_any, to_dot, to_json

FIGURES = {
    ("DARTS_V2", "cifar10"): {
        "parameters": 3_349_342,
        "parameters_with_auxiliary": 3_825_768,
        "multiply_adds": 528_359_040,
    },
    ("DARTS_V2", "imagenet"): {
        "parameters": 4_718_752,
        "parameters_with_auxiliary": 5_979_528,
        "multiply_adds": 529_911_552,
    },
}


def _dartboard(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def _said(answer: Result) -> str:
    """What a refusal says, without the frame that it is set in."""
    return " ".join(answer.stderr.replace("│", " ").split())


@pytest.mark.parametrize(("name", "preset"), FIGURES)
def test_profile_prints_three_plain_integers_as_json_and_nothing_else(name: str, preset: str) -> None:
    answer = _dartboard("profile", name, "--preset", preset, "--json")
    assert answer.exit_code == 0
    assert json.loads(answer.stdout) == FIGURES[name, preset]
    assert all(type(figure) is int for figure in json.loads(answer.stdout).values())


def test_profile_shows_every_cell_and_the_totals() -> None:
    answer = _dartboard("profile", "DARTS_V2", "--layers", "5")
    assert answer.exit_code == 0
    kinds = [line.split()[1] for line in answer.stdout.splitlines() if line.strip()[:1].isdigit()]
    assert kinds[:5] == ["normal", "reduce", "normal", "reduce", "normal"]
    assert "with the auxiliary head" in answer.stdout


def test_profile_takes_other_sizes_than_the_preset() -> None:
    arguments = ("--channels", "16", "--layers", "8", "--classes", "100", "--image", "64", "--json")
    bigger, smaller = (json.loads(_dartboard("profile", "DARTS", *a).stdout) for a in (("--json",), arguments))
    assert bigger["parameters"] > smaller["parameters"]


@pytest.mark.parametrize("form", ["python", "json", "mmrazor"])
def test_a_file_in_any_format_is_profiled_and_printed_in_any_other(tmp_path: Path, form: str) -> None:
    genotype = KNOWN["MMRAZOR_97_32"]
    (tmp_path / "cell").write_text(FORMATS[form](genotype) + "\n")
    file = str(tmp_path / "cell")
    assert json.loads(_dartboard("profile", file, "--json").stdout)["parameters"] == 2_946_286
    for other in ("python", "json", "mmrazor"):
        assert parse(_dartboard("genotype", file, "--format", other).stdout) == genotype
    assert _dartboard("genotype", file, "--format", "dot").stdout == to_dot(genotype)


def test_a_genotype_in_full_is_read_too() -> None:
    text = FORMATS["python"](KNOWN["DARTS_V1"])
    assert json.loads(_dartboard("genotype", text, "--json").stdout) == to_json(KNOWN["DARTS_V1"])


MODULE = f"ONE = {KNOWN['DARTS_V1']}  # best\nTWO = {KNOWN['DARTS_V2']}\nRNN = {KNOWN_RECURRENT['ENAS']}\n"


def test_one_cell_of_a_module_is_chosen_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "genotypes.py").write_text(MODULE)
    refused = _dartboard("profile", f"{tmp_path}/genotypes.py", "--json")
    assert refused.exit_code == 2
    assert "ONE (line 1), TWO (line 2)" in _said(refused)
    for name, parameters in (("ONE", 3_169_414), ("TWO", 3_349_342), ("2", 3_349_342)):
        answer = _dartboard("profile", f"{tmp_path}/genotypes.py:{name}", "--json")
        assert json.loads(answer.stdout)["parameters"] == parameters
    unknown = _dartboard("genotype", f"{tmp_path}/genotypes.py:THREE")
    assert unknown.exit_code == 2
    assert "'THREE'" in _said(unknown)


@pytest.mark.parametrize("source", ["ENAS", "{}/cell.txt", "{}/genotypes.py:RNN"])
def test_a_recurrent_cell_is_known_as_one_without_its_family(tmp_path: Path, source: str) -> None:
    (tmp_path / "cell.txt").write_text(str(KNOWN_RECURRENT["ENAS"]))
    (tmp_path / "genotypes.py").write_text(MODULE)
    source = source.format(tmp_path)
    assert _dartboard("genotype", source).stdout == f"{KNOWN_RECURRENT['ENAS']}\n"
    assert json.loads(_dartboard("profile", source, "--json").stdout)["parameters"] > 10**7
    assert _dartboard("draw", source, "-o", str(tmp_path / "cell.svg")).exit_code == 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("form", ["python", "json", "mmrazor"])
def test_a_file_is_read_in_every_encoding_that_editors_save(tmp_path: Path, form: str, encoding: str) -> None:
    (tmp_path / "cell").write_text(FORMATS[form](KNOWN["MMRAZOR_97_32"]), encoding=encoding)
    assert parse(_dartboard("genotype", str(tmp_path / "cell")).stdout) == KNOWN["MMRAZOR_97_32"]


def test_a_long_log_with_one_cell_is_read(tmp_path: Path) -> None:
    lines = ["step 50 loss 0.1 what's this\n"] * 20_000
    (tmp_path / "log.txt").write_text("".join([*lines, f"genotype = {KNOWN['DARTS_V1']}\n", *lines[:200]]))
    assert parse(_dartboard("genotype", str(tmp_path / "log.txt")).stdout) == KNOWN["DARTS_V1"]


@pytest.mark.parametrize("source", ["nofile.py", "no/such/cell", "genotypes.py:MINE"])
def test_an_evaluation_of_a_missing_file_names_it(source: str) -> None:
    answer = _dartboard("evaluate", source, "--dataset", "digits")
    assert answer.exit_code == 2
    assert f"there is no file {source}" in _said(answer)


@pytest.mark.parametrize("command", ["genotype", "profile"])
@pytest.mark.parametrize("name", ["NO_SUCH", "no/such.yaml", "darts_v2"])
def test_an_unknown_name_ends_with_2_and_the_known_ones(command: str, name: str) -> None:
    answer = _dartboard(command, name)
    assert answer.exit_code == 2
    assert all(known in _said(answer) for known in KNOWN)


def test_a_file_that_holds_no_genotype_ends_with_2_and_its_bad_entry(tmp_path: Path) -> None:
    (tmp_path / "cell.yaml").write_text(FORMATS["mmrazor"](KNOWN["DARTS_V2"]).replace("dil_conv_3x3", "dil_conv_9x9"))
    (tmp_path / "picture").write_bytes(b"\x89PNG\xff\xfe")
    bad = _dartboard("profile", str(tmp_path / "cell.yaml"))
    assert bad.exit_code == 2
    assert "normal_n5_p2" in _said(bad)
    assert "dil_conv_9x9" in _said(bad)
    assert _dartboard("profile", str(tmp_path / "picture")).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("profile", "DARTS", "--channels", "7", "--stem", "imagenet"), "channels: must be even"),
        (("profile", "DARTS", "--layers", "0"), "layers: must be from 1 to 100"),
        (("profile", "DARTS", "--preset", "mnist"), "'mnist' is not one of"),
        (("profile", "DARTS", "--family", "gnn"), "'gnn' is not one of"),
        (("profile", "DARTS", "--family", "rnn", "--layers", "5"), "--layers is not of the family rnn"),
        (("profile", "DARTS", "--words", "50"), "--words is not of the family cnn"),
        (("profile", "NASNet", "--family", "rnn"), "known: DARTS_V1, DARTS_V2, DARTS, ENAS"),
        (("genotype", "ENAS", "--family", "rnn", "--format", "mmrazor"), "are of convolutional cells"),
        (("genotype", "DARTS", "--format", "svg"), "'svg' is not one of"),
        (("genotype", "DARTS", "--format", "dot", "--json"), "exclude each other"),
        (("genotype", "DARTS", "--epoch", "3"), "goes with a search's id only"),
        (("genotype", "NASNet", "--format", "mmrazor"), "node 3 reads state 0 twice"),
    ],
)
def test_an_impossible_request_ends_with_2_and_the_reason(arguments: tuple[str, ...], says: str) -> None:
    answer = _dartboard(*arguments)
    assert answer.exit_code == 2
    assert says in _said(answer)


@pytest.mark.parametrize("form", FORMATS)
def test_the_cell_of_a_search_comes_in_every_format(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    genotype = KNOWN["DARTS_V2"]

    def found(self: sdk.Dartboard, search_id: UUID, epoch: str, **others: None) -> GenotypeOut:
        assert set(others.values()) == {None}
        return GenotypeOut(**to_json(genotype), epoch=int(epoch))

    monkeypatch.setattr(sdk.Dartboard, "genotype", found)
    answer = _dartboard("genotype", str(UUID(int=7)), "--epoch", "3", "--format", form)
    assert answer.exit_code == 0
    if form == "json":
        assert json.loads(answer.stdout)["epoch"] == 3
    else:
        assert answer.stdout.rstrip("\n") == FORMATS[form](genotype).rstrip("\n")


def test_neither_command_imports_torch() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from client.cli import app\n"
        "for command in ('genotype', 'profile'):\n"
        "    assert CliRunner().invoke(app, [command, 'DARTS_V2', '--json']).exit_code == 0\n"
        "assert not {'torch', 'numpy'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("preset", "parameters"), [("ptb", 22_960_000), ("wt2", 33_127_878)])
def test_profile_of_a_recurrent_cell_prints_the_published_parameters(preset: str, parameters: int) -> None:
    answer = _dartboard("profile", "DARTS_V2", "--family", "rnn", "--preset", preset, "--json")
    assert json.loads(answer.stdout)["parameters"] == parameters
    assert f"{parameters:,}" in _dartboard("profile", "DARTS_V2", "--family", "rnn", "--preset", preset).stdout


@pytest.mark.parametrize(("suffix", "begin"), [(".svg", b"<svg"), (".png", b"\x89PNG"), (".gif", b"GIF8")])
def test_a_known_cell_is_drawn_into_a_file_of_each_kind(tmp_path: Path, suffix: str, begin: bytes) -> None:
    file = tmp_path / f"cell{suffix}"
    answer = _dartboard("draw", "DARTS_V2", "-o", str(file))
    assert (answer.exit_code, answer.stdout) == (0, f"{file}\n")
    assert file.read_bytes().startswith(begin)


def test_normal_and_reduction_cell_are_drawn_into_one_file(tmp_path: Path) -> None:
    file = tmp_path / "cell.svg"
    _dartboard("draw", "NASNet", "-o", str(file))
    assert ">Normal cell<" in file.read_text()
    assert ">Reduction cell<" in file.read_text()
    assert "sep_conv_7x7" in file.read_text()


def test_a_recurrent_cell_is_drawn_where_its_family_is_said(tmp_path: Path) -> None:
    file = tmp_path / "cell.svg"
    assert _dartboard("draw", "DARTS_V2", "--family", "rnn", "-o", str(file)).exit_code == 0
    assert ">sigmoid<" in file.read_text()


def test_a_files_cell_is_drawn_under_the_files_name(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text(FORMATS["python"](KNOWN["DARTS_V1"]))
    _dartboard("draw", str(tmp_path / "mine.txt"), "-o", str(tmp_path / "cell.svg"))
    assert "<title>mine</title>" in (tmp_path / "cell.svg").read_text()


def test_a_cell_is_drawn_into_this_folder_under_its_name_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.txt").write_text(text := FORMATS["python"](KNOWN["DARTS_V1"]))
    for source, file in {"DARTS_V2": "DARTS_V2.svg", "mine.txt": "mine.svg", text: "cell.svg"}.items():
        assert _dartboard("draw", source).stdout == f"{file}\n"
        assert (tmp_path / file).read_bytes().startswith(b"<svg")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("DARTS_V2", "-o", "cell.bmp"), "does not end in .svg, .png, .gif"),
        (("DARTS_V2", "-o", "cell"), "does not end in .svg, .png, .gif"),
        (("DARTS_V2", "-o", "cell.svg", "--epoch", "2"), "goes with a search's id only"),
        ((str(UUID(int=7)), "-o", "cell.gif", "--epoch", "2"), "a GIF shows all epochs"),
        (("DARTS_V9", "-o", "cell.svg"), "known: DARTS_V1"),
    ],
)
def test_an_undrawable_genotype_ends_with_2_and_the_reason(arguments: tuple[str, ...], says: str) -> None:
    answer = _dartboard("draw", *arguments)
    assert answer.exit_code == 2
    assert says in _said(answer)


def test_a_random_cell_is_the_same_for_the_same_seed() -> None:
    for family in ("cnn", "rnn"):
        first, again, other = (
            _dartboard("random-cell", "--seed", seed, "--family", family).stdout for seed in ("3", "3", "4")
        )
        assert first == again != other
        assert parse_any(first) == parse_any(_dartboard("genotype", first.strip()).stdout)
    refused = _dartboard("random-cell", "--space", "space9")
    assert refused.exit_code == 2
    assert "known: darts, " in _said(refused)


def test_profile_times_a_training_step_on_a_device() -> None:
    small = ("--channels", "2", "--layers", "1", "--image", "8", "--batch", "2", "--device", "cpu")
    answer = _dartboard("profile", "DARTS_V2", *small, "--json")
    assert answer.exit_code == 0
    step = json.loads(answer.stdout)["step"]
    assert step["batch"] == 2
    assert step["bound_by"] in ("products", "memory")
    shown = _dartboard("profile", "DARTS_V2", *small).stdout
    assert "aten::convolution_backward" in shown
    assert "a training step on cpu" in shown


def test_profile_refuses_sizes_of_a_step_without_a_device() -> None:
    answer = _dartboard("profile", "DARTS_V2", "--batch", "8")
    assert answer.exit_code == 2
    assert "give --device" in _said(answer)


def test_profile_times_a_language_model_s_step() -> None:
    small = ("--family", "rnn", "--hidden-size", "4", "--words", "20", "--batch", "2", "--device", "cpu", "--json")
    found = json.loads(_dartboard("profile", "DARTS_V2", *small).stdout)
    assert found["step"]["batch"] == 2
    assert found["parameters"] > 0
    refused = _dartboard("profile", "DARTS_V2", *small, "--precision", "bf16")
    assert (refused.exit_code, "--precision is not of the family rnn" in _said(refused)) == (2, True)
