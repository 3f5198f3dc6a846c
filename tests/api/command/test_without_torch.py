"""Every command where torch is missing or broken: the cause and the way out, or done without it; never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest

from tests.support.command_tree import COMMANDS, STARTS_AT_ONCE, filled, sensible

pytestmark = pytest.mark.slow

CALLED: Final = [command for command in COMMANDS if command not in STARTS_AT_ONCE]
NEED_TORCH: Final = {
    "run",
    "export",
    "import",
    "predict",
    *(f"bench {name}" for name in ("language-models", "rnn-step", "search-step", "evaluation-step")),
    "bench second-order-error",
}
# One process for all: each would spend seconds on its imports.
_CALLS: Final = """
import contextlib, io, json, sys
from client.cli import call
for line in json.load(sys.stdin):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = call(line)
    print(json.dumps([code, said.getvalue()]))
"""


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        ("ModuleNotFoundError(\"No module named 'torch'\", name='torch')", "needs torch, which is not installed: "),
        (
            "ImportError('libcudart.so: not found', name='torch')",
            "torch is installed and cannot be loaded (libcudart.so: not found); install it again: ",
        ),
    ],
)
def test_a_command_that_needs_torch_names_it_and_the_way_out(tmp_path: Path, raised: str, says: str) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "torch.py").write_text(f"raise {raised}\n")
    (tmp_path / "spec.json").write_text('{"dataset": "digits", "epochs": 1}')
    lines = [filled(command, sensible(tmp_path, str(uuid4()))) for command in CALLED]
    lines[CALLED.index("run")] = ["run", str(tmp_path / "spec.json")]
    lines[CALLED.index("export")] = ["export", str(tmp_path / "file"), "-o", str(tmp_path / "out.onnx")]
    lines[CALLED.index("import")] = filled("import", sensible(tmp_path, "DARTS"))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(tmp_path / "first"), *filter(None, sys.path))),
        "DARTBOARD_URL": "http://127.0.0.1:1",
    }
    done = subprocess.run(
        [sys.executable, "-c", _CALLS],
        input=json.dumps(lines),
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outcomes = dict(zip(CALLED, map(json.loads, done.stdout.splitlines()), strict=True))
    told = {command for command, (_, said) in outcomes.items() if says in said}
    assert told >= NEED_TORCH, outcomes
    for command, (code, said) in outcomes.items():
        assert "Traceback" not in said, (command, said)
        assert "bug in dartboard" not in said, (command, said)
        assert code in (0, 1, 2, 3), (command, said)
        if command in told:
            assert code == 1, (command, said)
            assert "pip install '.[worker]' in a copy of Dartboard's repository" in said, (command, said)
    assert "Traceback" not in done.stderr
