"""Projects that `./dartboard` installs, and calls of it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.support.processes import CODE

MISSING = f"a-package-from-the-index==1 --hash=sha256:{64 * '0'}\n"
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "dartboard"
version = "{version}"
dependencies = [{dependencies}]
optional-dependencies = {{ api = [], worker = [], local = [], dev = [] }}
scripts = {{ dartboard = "program:main" }}
"""
# Builds the wheel by hand, so that uv has nothing to fetch. The program tells its arguments, folder and version.
BACKEND = """
import os, pathlib, signal, time, tomllib, zipfile
def build_editable(folder, settings=None, metadata=None):
    if pathlib.Path("slow").exists():
        if pathlib.Path("deaf").exists(): os.kill(os.getppid(), signal.SIGSTOP)
        with open("slow", "w") as pipe: pipe.write(str(os.getpid()))
        time.sleep(600)
    project = tomllib.loads(pathlib.Path("pyproject.toml").read_text())["project"]
    version = project["version"]
    needs = "".join(f"Requires-Dist: {need}\\n" for need in project["dependencies"])
    extras = "".join(f"Provides-Extra: {extra}\\n" for extra in project["optional-dependencies"])
    info, name = f"dartboard-{version}.dist-info", f"dartboard-{version}-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.writestr("program.py", f"import os, sys\\ndef main(): print(sys.argv[1:], os.getcwd(), {version!r})\\n")
        head = f"Metadata-Version: 2.1\\nName: dartboard\\nVersion: {version}\\n"
        wheel.writestr(f"{info}/METADATA", head + needs + extras)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\\ndartboard = program:main\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""


def make_project(root: Path, uv_wheel: Path) -> Path:
    (root / "client").mkdir(parents=True)
    shutil.copy(CODE / "dartboard", root)
    shutil.copy(CODE / "client" / "bootstrap.py", root / "client")
    (root / "backend.py").write_text(BACKEND)
    (root / "constraints.txt").write_text("torch==2.14.1\n")
    lock(root, "")
    installer = (CODE / "requirements" / "installer.txt").read_text()
    (root / "requirements" / "installer.txt").write_text(f"--find-links {uv_wheel}\n--no-index\n{installer}")
    configure(root)
    return root


def configure(root: Path, version: str = "1", dependencies: str = "") -> None:
    (root / "pyproject.toml").write_text(PROJECT.format(version=version, dependencies=dependencies))


def environment(**extra: str) -> dict[str, str]:
    """Without the machine's own pip settings and caches; no index answers on the discard port of loopback."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "0",
        "XDG_CACHE_HOME": os.devnull,
        "DARTBOARD_PYTHON": sys.executable,
        "DARTBOARD_INSTALL_GB": "0.1",
        **extra,
    }


def call(
    command: Path, *arguments: str, cwd: Path | str | None = None, **extra: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(command), *arguments],
        cwd=cwd,
        env=environment(**extra),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def first_line(process: subprocess.Popen[str]) -> str:
    """Of its standard error."""
    assert process.stderr is not None
    return process.stderr.readline()


def wheel(folder: Path, name: str, version: str) -> str:
    """A package of one empty module; its line for a requirements file."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}.py", "")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "".join(f"{entry},,\n" for entry in (*file.namelist(), f"{info}/RECORD")))
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def lock(root: Path, user: str, dev: str = "") -> None:
    (root / "requirements").mkdir(exist_ok=True)
    (root / "requirements" / "user.txt").write_text(user)
    (root / "requirements" / "dev.txt").write_text(user + dev)


def has(root: Path, package: str) -> bool:
    return any((root / ".venv").glob(f"lib/python*/site-packages/{package}-*.dist-info"))
