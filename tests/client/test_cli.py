import io
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from client.cli import call


def _dartboard(*arguments: str, stdin: str | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "client.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, input=stdin, cwd=cwd, check=False)


@pytest.fixture
def closed_url() -> str:
    """A URL at which no server listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_help_names_every_command_and_imports_no_torch() -> None:
    answer = _dartboard("--help")
    assert answer.returncode == 0
    for command in (
        "up",
        "demo",
        "test",
        "search",
        "evaluate",
        "watch",
        "genotype",
        "download",
        "jobs",
        "cancel",
        "run",
        "bench",
    ):
        assert f" {command} " in answer.stdout
    code = "import client.cli, sys; assert not {'torch', 'sqlalchemy', 'celery'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_command_starts_without_the_benchmarks() -> None:
    code = "import sys; sys.modules['benchmarks'] = None; from client.cli import call; sys.exit(call(['--help']))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert " run " in answer.stdout
    assert " bench " not in answer.stdout


def test_a_service_that_is_not_there_ends_with_3_and_says_how_to_start_one(closed_url: str) -> None:
    answer = _dartboard("jobs", "--url", closed_url)
    assert answer.returncode == 3
    assert closed_url in answer.stderr
    assert "dartboard up" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_url_that_is_none_ends_with_3() -> None:
    assert _dartboard("jobs", "--url", "not a url").returncode == 3


def test_unknown_options_and_commands_end_with_2() -> None:
    assert _dartboard("jobs", "--colour").returncode == 2
    assert _dartboard("paint").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "stdin", "says"),
    [
        (("run", "-"), '{"dataset": "x"}', "unknown data set"),
        (("run", "-"), "[]", "no JSON object"),
        (("run", "-"), '{"dataset": "digits", "epochs": 0}', "epochs: must be greater than or equal to 1; got 0"),
        (("run", "-"), '{"dataset": "digits", "epochs": "x"}', 'epochs: must be a valid integer; got "x"'),
        (
            ("run", "-"),
            '{"dataset": "digits", "space": "dart"}',
            "space: \"dart\" is not possible; did you mean 'darts'?",
        ),
        (
            ("run", "-"),
            '{"dataset": "digits", "epoch": 3}',
            "epoch: unknown field; did you mean 'epochs'?; allowed: epochs, ",
        ),
        (("run", "-"), '{"dataset": "digits", "epoch": 3}', " more"),
        (("run", "-"), '{"dataset": "digit"}', "unknown data set 'digit'; did you mean 'digits'?"),
        (("run", "-"), '{"dataset": "CIFAR10"}', "unknown data set 'CIFAR10'; did you mean 'cifar10'?"),
        (("genotype", "DART_V2"), "", "did you mean 'DARTS_V2'?"),
        (("run", "-"), '{"genotype": "DARTS_V2"}', "dataset: is required"),
        (("run", "-"), '{"family": "cat"}', "family: 'cat' is neither 'cnn' nor 'rnn'"),
        (
            ("import", "x.pt", "--genotype=DARTS", "--family=cnn", "--mean=1", "-o", "y.pt"),
            "",
            "mean and std go together",
        ),
        (("import", "x.pt", "--genotype=DARTS", "--family=cnn", "--mean=nan", "--std=1", "-o", "y.pt"), "", "got NaN"),
        (("jobs", "--limit", "x"), "", '--limit\': must be a valid integer; got "x"'),
        (("search", "--family", "rn"), "", "\"rn\" is not possible; did you mean 'rnn'?; allowed: cnn, rnn"),
    ],
)
def test_a_bad_value_is_refused_with_field_value_allowed_values_and_the_nearest_name(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    stdin: str,
    says: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
    code = call(arguments)
    _, err = capsys.readouterr()
    assert code == 2, err
    assert says in err
    for raw in ("Traceback", "Extra inputs", "Input should", "Field required", "Value error", "unable to parse"):
        assert raw not in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--to", "pytorch", "-o", "x.onnx"), "x.onnx: the ending says the format; give one of .py"),
        (("--to", "keras", "-o", "x.py"), '"keras" is not possible; allowed: onnx, safetensors, pytorch'),
        (("-o", "x.tflite"), "give one of .onnx, .safetensors, .py"),
        (("-o", "x.py", "--raw-images"), "x.py: raw images are for .onnx"),
        (("-o", "x.py"), "net.pt is not a file of torch.save"),
    ],
)
def test_an_export_that_cannot_be_is_refused_and_writes_nothing(
    arguments: tuple[str, ...],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.pt").write_text("no checkpoint")
    assert call(("export", "net.pt", *arguments)) == 2
    assert says in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["net.pt"]


def test_run_searches_without_any_service(tmp_path: Path) -> None:
    spec = {
        "kind": "search",
        "dataset": "digits",
        "epochs": 1,
        "channels": 2,
        "layers": 3,
        "nodes": 1,
        "batch_size": 512,
    }
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    answer = _dartboard("run", "spec.json", "--json", "-o", "last.pt", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    [epoch] = [json.loads(line) for line in answer.stdout.splitlines()]
    assert epoch["epoch"] == 1
    assert len(epoch["alphas"]["normal"]) == 2
    assert (tmp_path / "last.pt").stat().st_size > 1000


def test_an_id_that_is_none_ends_with_2_and_a_word(closed_url: str) -> None:
    for arguments in (("watch", "a b"), ("cancel", "a/b"), ("evaluate", sys.executable)):
        answer = _dartboard(*arguments, "--url", closed_url)
        assert answer.returncode == 2, answer.stderr
        assert "Traceback" not in answer.stderr
