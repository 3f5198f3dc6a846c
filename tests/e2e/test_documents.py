"""Every command of README.md and docs/ runs as it is written, or says why not, and then names options that there are.

Three things alone differ from the text: the service's address, sizes (small searches and retrainings), and where the
command comes from. An answer of 400 or more fails its line.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import typer.main
from PIL import Image

from api.schemas.jobs import JobOut
from client.cli import app
from client.errors import ProblemError
from client.local.stack import LocalStack
from client.sdk import Dartboard
from tests.support.documents import PAGES, ROOT, Block, blocks
from tests.support.small_search import SEARCH

pytestmark = pytest.mark.slow

SHELL: Final = [block for page in PAGES for block in blocks(page, "sh")]
RUN: Final = [page for page in PAGES if any(block.reason is None for block in blocks(page, "sh"))]
_CELL: Final = '"channels":4,"layers":3,"nodes":2,"batch_size":128'
_SIZES: Final = {
    '"dataset":"digits"': f'"dataset":"digits",{_CELL}',
    '"dataset":"python-docs"': '"dataset":"python-docs","epochs":1,"hidden_size":8,"nodes":3,"batch_size":256',
    r"{\"search_id\"": r"{\"epochs\":1,\"channels\":4,\"layers\":3,\"search_id\"",
}
_ADDRESSES: Final = re.compile(r"\b(?:localhost|127\.0\.0\.1|dartboard\.example):8000\b")
# A stream of all jobs does not end by itself.
_PREAMBLE: Final = """
set -euo pipefail
curl() {
    case $* in
        */events\\?*) command curl --max-time 3 "$@" || [ $? -eq 28 ] ;;
        *) command curl "$@" ;;
    esac
}
"""


@pytest.fixture(scope="module")
def searches(stack: LocalStack) -> Iterator[tuple[JobOut, JobOut]]:
    """Two jobs to speak of, ended; what the pages queue is cancelled afterwards."""
    with Dartboard(stack.url) as dartboard:
        first, second = (dartboard.submit("search", {**SEARCH, "epochs": 1, "seed": seed}) for seed in (0, 1))
        yield dartboard.wait(first), dartboard.wait(second)


@pytest.fixture
def folder(tmp_path: Path, data: Path) -> Path:
    """Where the pages' user stands: the command, the service's data, and files of their names."""
    (tmp_path / "dartboard").write_text(f'#!/bin/sh\nexec {sys.executable} -m client.cli "$@"\n')
    (tmp_path / "dartboard").chmod(0o755)
    (tmp_path / ".dartboard").symlink_to(data)
    (tmp_path / ".curlrc").write_text("fail-with-body\nsilent\nshow-error\n")
    for number in range(300):
        kind = tmp_path / "flowers" / ("rose" if number % 2 else "daisy")
        kind.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), (number % 256, 80 * (number % 2), 40)).save(kind / f"{number}.png")
    with tarfile.open(tmp_path / "flowers.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "flowers", "flowers")
    with zipfile.ZipFile(tmp_path / "flowers.zip", "w") as zipped:
        for image in (tmp_path / "flowers").rglob("*.png"):
            zipped.write(image, image.relative_to(tmp_path))
    with tarfile.open(tmp_path / "novels.tar.gz", "w:gz") as archive:
        for part in ("train", "valid", "test"):
            text = ("the cat sat on the mat and the dog lay on the rug\n" * 40).encode()
            entry = tarfile.TarInfo(f"{part}.txt")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    return tmp_path


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_the_commands_of_a_page_run_as_they_are_written(
    page: Path, stack: LocalStack, searches: tuple[JobOut, JobOut], folder: Path
) -> None:
    written = [block for block in blocks(page, "sh") if block.reason is None]
    script = _PREAMBLE + "".join(f"echo '#### {block}' >&2\n{_here(block.text, stack.url)}" for block in written)
    first, second = (str(job.id) for job in searches)
    with Dartboard(stack.url) as dartboard:
        key = dartboard.create_key("admin", "reader").key
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        "PYTHONPATH": str(ROOT),
        "CURL_HOME": str(folder),
        "DARTBOARD_URL": stack.url,
        "URL": stack.url,
        "KEY": key,
        "ID": first,
        "OTHER": second,
    }
    ran = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=280
    )
    with Dartboard(stack.url) as dartboard:
        for job in dartboard.jobs():
            if not job.status.ended:
                with contextlib.suppress(ProblemError):  # ended in between, perhaps with its study
                    dartboard.cancel(job.id)
    assert ran.returncode == 0, f"{ran.stderr[-3000:]}\n{ran.stdout[-3000:]}"


def _here(text: str, url: str) -> str:
    for written, small in _SIZES.items():
        text = text.replace(written, small)
    return _ADDRESSES.sub(urlsplit(url).netloc, text)


@pytest.mark.parametrize("block", [block for block in SHELL if block.reason], ids=str)
def test_a_block_that_is_not_run_names_commands_and_options_that_there_are(block: Block) -> None:
    joined = block.text.replace("\\\n", " ")
    for line in joined.splitlines():
        if found := re.search(r"\./dartboard ([^|&#<>\n]+)", line):
            _parse(shlex.split(re.sub(r"\$\([^)]*\)|;.*", "", found.group(1))))


def _parse(arguments: list[str]) -> None:
    """Fails for a command or an option that there is not."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("dartboard", [], resilient_parsing=True)
    while arguments and hasattr(command, "get_command"):
        name, *rest = arguments
        found = command.get_command(context, name)
        assert found is not None, f"there is no command {name!r}"
        command, arguments = found, rest
        context = command.make_context(name, [], parent=context, resilient_parsing=True)
    known = {"--help", "-h", *(name for each in command.params for name in (*each.opts, *each.secondary_opts))}
    given = {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}
    assert given <= known, f"{command.name} has no {given - known}"


def test_a_command_that_there_is_not_is_found() -> None:
    with pytest.raises(AssertionError, match="no command 'serach'"):
        _parse(["serach", "--epochs", "3"])


def test_an_option_that_there_is_not_is_found() -> None:
    with pytest.raises(AssertionError, match="search has no"):
        _parse(["search", "--epoks", "3"])


def test_every_block_of_commands_runs_or_has_its_reason() -> None:
    assert [str(block) for block in SHELL if block.reason is not None and len(block.reason) < 10] == []
    untagged = [
        f"{page.name}: {line}"
        for page in PAGES
        for line in re.findall(r"^```\w*\n(?:\./dartboard|curl|docker) .*", page.read_text(), re.MULTILINE)
        if not line.startswith("```sh")
    ]
    assert untagged == []
