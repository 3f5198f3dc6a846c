"""Every command with silly arguments: an explanation and the documented exit code, never a traceback."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from client.failures import ExitCode
from tests.support.command import Caller, Furnished, Outcome
from tests.support.command_tree import COMMANDS, filled, kind_of, sensible, with_option
from tests.support.service import Service

# `verify` reads its file first, which is to be a capsule.
REMOTE: Final = [name for name in with_option("url") if name != "verify"]
NUMBERS: Final = [
    (name, parameter.opts[0])
    for name, command in COMMANDS.items()
    for parameter in command.params
    if kind_of(parameter) in (int, float)
]
FILES: Final = [
    name
    for name, command in COMMANDS.items()
    # One that may be left out is written.
    if any(p.param_type_name == "argument" and kind_of(p) is Path and p.required for p in command.params)
]


def explained(outcome: Outcome, code: int) -> None:
    assert outcome.code == code, outcome
    assert "Traceback" not in outcome.said, outcome.said
    assert "bug in dartboard" not in outcome.said, outcome.said
    assert "error: " in outcome.err, outcome


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_there_at_60_columns(called: Caller, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    outcome = called(*command.split(), "--help")
    assert outcome.code == 0
    assert "Usage: dartboard" in outcome.said
    assert max(map(len, outcome.said.splitlines())) <= 60


@pytest.mark.parametrize("command", COMMANDS)
def test_every_parameter_is_explained(command: str) -> None:
    bare = [p.name for p in COMMANDS[command].params if not p.help and p.name != "help"]
    assert not bare


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "test"])  # which hands options to pytest
def test_an_unknown_option_is_wrong_usage(called: Caller, command: str) -> None:
    explained(called(*command.split(), "--no-such-option"), ExitCode.USAGE)


def test_an_unknown_command_is_wrong_usage(called: Caller) -> None:
    explained(called("paint"), ExitCode.USAGE)


@pytest.mark.parametrize(
    ("command", "meant"),
    {
        "retrain": "'evaluate'",
        "upload": "'datasets add' or 'checkpoints add'",
        "serve": "'up'",
        "serach": "'search'",
    }.items(),
)
def test_an_unknown_command_is_answered_with_the_one_that_is_meant(called: Caller, command: str, meant: str) -> None:
    outcome = called(command)
    explained(outcome, ExitCode.USAGE)
    assert f"No such command '{command}'. Did you mean {meant}?" in outcome.err


def test_a_data_set_given_as_an_argument_is_answered_with_its_option(called: Caller) -> None:
    outcome = called("search", "my-images")
    explained(outcome, ExitCode.USAGE)
    assert "did you mean `--dataset my-images`?" in outcome.err
    assert "--dataset" not in called("jobs", "my-images").err


def test_a_genotypes_file_that_is_not_there_is_named_with_its_argument(called: Caller) -> None:
    assert "Invalid value for SOURCE: there is no file x.txt" in called("evaluate", "x.txt").err
    assert (
        "Invalid value for --genotype: there is no file x.txt"
        in called("checkpoints", "add", "a.pt", "--genotype", "x.txt").err
    )


@pytest.mark.parametrize("command", [name for name, c in COMMANDS.items() if any(p.required for p in c.params)])
def test_a_missing_argument_is_wrong_usage(called: Caller, command: str) -> None:
    explained(called(*command.split()), ExitCode.USAGE)


@pytest.mark.parametrize(("command", "option"), NUMBERS)
@pytest.mark.parametrize("value", ["x", ""])
def test_a_value_that_is_no_number_is_wrong_usage(
    called: Caller, tmp_path: Path, command: str, option: str, value: str
) -> None:
    line = filled(command, sensible(tmp_path, str(uuid4())))
    at = line.index("--")
    outcome = called(*line[:at], f"{option}={value}", *line[at:])
    explained(outcome, ExitCode.USAGE)


@pytest.mark.parametrize(("command", "option"), NUMBERS)
def test_a_negative_number_is_refused_here_or_by_the_service(
    at_service: Caller, tmp_path: Path, command: str, option: str
) -> None:
    line = filled(command, sensible(tmp_path, str(uuid4())))
    at = line.index("--")
    outcome = at_service(*line[:at], f"{option}=-5", *line[at:])
    explained(outcome, ExitCode.USAGE)


@pytest.mark.parametrize("command", FILES)
def test_a_file_that_is_not_there_is_wrong_usage_and_named(at_service: Caller, tmp_path: Path, command: str) -> None:
    def value(parameter: Any) -> str:
        if kind_of(parameter) is Path and parameter.param_type_name == "argument":
            return "no-such-file.pt"
        return sensible(tmp_path, "DARTS")(parameter)

    outcome = at_service(*filled(command, value))
    explained(outcome, ExitCode.USAGE)
    assert "no-such-file.pt" in outcome.err


URLS: Final = [
    "not a url",
    "http://[::1",
    "ftp://127.0.0.1",
    "http://x:99999",
    "",
    "http://",
    "//",
    "http://127.0.0.1:1/x",
]


@pytest.mark.parametrize("command", REMOTE)
def test_a_url_without_a_service_is_unreachable(called: Caller, tmp_path: Path, command: str) -> None:
    line = filled(command, sensible(tmp_path, str(uuid4())))
    words = len(command.split())
    explained(called(*line[:words], "--url=http://127.0.0.1:1", *line[words:]), ExitCode.UNREACHABLE)


@pytest.mark.parametrize("url", URLS)
def test_a_url_that_is_none_is_unreachable(called: Caller, url: str) -> None:
    explained(called("jobs", f"--url={url}"), ExitCode.UNREACHABLE)


@pytest.mark.parametrize("command", [c for c in REMOTE if any(p.metavar == "ID" for p in COMMANDS[c].params)])
@pytest.mark.parametrize("job_id", ["01a2285b-b030-714b-a1c0-bd65fe3a5de9", "no id\x1b[31m", "0" * 64])
def test_an_unknown_id_is_wrong_usage(at_service: Caller, tmp_path: Path, command: str, job_id: str) -> None:
    explained(at_service(*filled(command, sensible(tmp_path, job_id))), ExitCode.USAGE)


@pytest.fixture
def page() -> Iterator[str]:
    """The URL of another program, which answers every request with a page."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        content = b"<html>hello</html>"
        answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer % (len(content), content))

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("command", ["jobs", "workers", "datasets", "genotypes", "show 0123", "search", "logs 0123"])
def test_another_program_at_the_url_is_named_as_such(called: Caller, page: str, command: str) -> None:
    outcome = called(*command.split(), "--url", page)
    explained(outcome, ExitCode.UNREACHABLE)
    assert "not as Dartboard does" in outcome.err


@pytest.mark.parametrize("command", REMOTE)
def test_ctrl_c_ends_with_130(called: Caller, tmp_path: Path, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:

        def interrupt() -> None:
            connection, _ = silent.accept()
            connection.recv(1)
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt, daemon=True).start()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        line = filled(command, sensible(tmp_path, str(uuid4())))
        words = len(command.split())
        outcome = called(*line[:words], f"--url={url}", *line[words:])
    assert outcome.code == ExitCode.INTERRUPTED
    assert "Traceback" not in outcome.said


@pytest.mark.parametrize("command", ["up", "demo"])
@pytest.mark.parametrize("port", ["-1", "65536", "99999999999"])
def test_a_bad_port_is_wrong_usage(called: Caller, command: str, port: str) -> None:
    explained(called(command, f"--port={port}", "--data", "x"), ExitCode.USAGE)


@pytest.mark.parametrize("command", ["up", "demo"])
def test_a_port_in_use_is_wrong_usage(called: Caller, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        outcome = called(command, f"--port={taken.getsockname()[1]}", "--data", "x")
    explained(outcome, ExitCode.USAGE)
    assert "is in use by another program" in outcome.err
    assert "first start" not in outcome.err
    assert not Path("x").exists()


def test_dartboard_itself_at_the_port_is_named(called: Caller, service: Service) -> None:
    outcome = called("up", f"--port={urlsplit(service.url).port}", "--data", "x")
    explained(outcome, ExitCode.USAGE)
    assert "is in use by another Dartboard service" in outcome.err


def test_a_job_that_failed_ends_with_1(at_service: Caller, furnished: Furnished) -> None:
    explained(at_service("watch", str(furnished.failed.id)), ExitCode.FAILED)


def test_a_job_that_succeeded_ends_with_0(at_service: Caller, furnished: Furnished) -> None:
    assert at_service("watch", str(furnished.succeeded.id)).code == ExitCode.OK


@pytest.mark.parametrize(("module", "extra"), [("torch", "worker"), ("onnx", "onnx")])
def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    called: Caller, monkeypatch: pytest.MonkeyPatch, module: str, extra: str
) -> None:
    from client.failures import _not_installed

    error = ModuleNotFoundError(f"No module named {module!r}", name=module)
    assert f"pip install '.[{extra}]' in a copy of Dartboard's repository" in _not_installed(error)
