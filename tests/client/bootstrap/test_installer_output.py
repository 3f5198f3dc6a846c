"""Progress and reasons of failures, read from the output of pip and uv."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest

from client.bootstrap import Progress, failure

pytestmark = pytest.mark.light


def test_progress_names_the_downloads_that_go_on_and_knows_when_packages_change() -> None:
    progress = Progress(StringIO())
    said = "$ .venv/bin/uv pip install\nResolved 92 packages in 1.87s\nDownloading torch (507.3MiB)\n"
    said += "Downloading numpy (16.9MiB)\n"
    progress.read(said)
    assert progress.line() == "installing 92 packages, downloading torch (507.3MiB) and 1 more ... 0s"
    progress.read(said := said + " Downloaded torch\n")
    assert progress.line() == "installing 92 packages, downloading numpy (16.9MiB) ... 0s"
    assert not progress.changing
    progress.read(said + " Downloaded numpy\n")
    assert progress.line() == "installing 92 packages ... 0s"
    assert progress.changing
    progress.read("$ .venv/bin/python -m pip\n")
    assert not progress.changing
    progress.read("  Downloading uv-0.13.9-py3-none-any.whl (17.6 MB)\nInstalling collected packages: uv\n")
    assert progress.changing
    progress.read("$ .venv/bin/python -m pip\n")
    progress.read("$ .venv/bin/uv pip uninstall torch\n")
    assert progress.changing


def test_progress_without_a_terminal_is_a_line_for_each_phase() -> None:
    shown = StringIO()
    progress = Progress(shown)
    said = ""
    for line in ("Using Python\n", "Resolved 2 packages in 1s\n", "Prepared 2 packages in 1s\n", " + a==1\n"):
        progress.read(said := said + line)
        progress.show()
    assert [line.split()[0] for line in shown.getvalue().splitlines()] == ["preparing", "installing"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "error: Request failed after 3 retries in 9s\n  cause: Failed to fetch: https://x/simple/y/\n"
            "  cause: dns error\n",
            "cannot reach the package index (dns error)",
        ),
        ("ERROR: No matching distribution found for uv==1\n", "uv==1"),
        ("ERROR: ... (from versions: none)\nERROR: No matching distribution found for uv==1\n", "cannot be reached"),
        (
            "WARNING: Retrying after NewConnectionError\nERROR: No matching distribution found for x\n",
            "cannot reach the package index (NewConnectionError)",
        ),
        ("ERROR: Could not install: [Errno 28] No space left on device\n", "the disk is full"),
        (
            "error: Failed to write to the client cache\n  cause: No space left on device (os error 28)\n",
            "the disk is full",
        ),
        (
            "error: No solution found\n  cause: Because torch==2.14.1 has no wheels with a matching tag\n",
            "torch==2.14.1",
        ),
        ("error: Failed to download `x==1`\n  cause: Hash mismatch for `x==1`\n", "`x==1`: Hash mismatch"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES\n", "HASHES"),
        ("", "no output"),
    ],
)
def test_the_reason_of_a_failure_is_found_in_the_output_of_pip_and_uv(said: str, reason: str) -> None:
    assert reason in failure(said, Path("/log"))


def test_a_long_wait_without_a_terminal_has_a_line_within_three_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("client.bootstrap.time.monotonic", lambda: clock[0])
    shown = StringIO()
    progress = Progress(shown)
    for _ in range(40):
        progress.show()
        clock[0] += 0.25
    assert len(shown.getvalue().splitlines()) >= 3
