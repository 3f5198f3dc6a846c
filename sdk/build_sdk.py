"""Builds the distribution `dartboard-sdk`, in which `dartboard` is the only top-level package.

In the repository `client`, `darts_core` and `api.schemas` are packages at the top. Installed so, they would meet a
project's own `api` or `client`. So they are copied into `dartboard._packages`, and their imports of each other are
rewritten to that place; `dartboard` itself is the folder beside this file.
"""

import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import setuptools.build_meta

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
HOME = "dartboard._packages"
PACKAGES = ("api", "client", "darts_core")
# Parts that need the service's own code or the repository.
LEFT_OUT = ("client/bootstrap.py",)
EXTRAS = {
    "torch": ["torch", "torchvision", "numpy", "pillow"],
    "onnx": ["onnx", "onnxscript"],
    "tensorboard": ["tensorboardX", "numpy"],
    "mlflow": ["mlflow-skinny"],
    "wandb": ["wandb"],
}

_FROM = re.compile(rf"^(\s*)from ({'|'.join(PACKAGES)})(?=[. ])", re.MULTILINE)
_IMPORT = re.compile(rf"^(\s*)import ({'|'.join(PACKAGES)})(?=[. ]|$)", re.MULTILINE)
# A module's name as a string: of a lazy import, of a program for `python -m`, of a logger.
_NAME = re.compile(r"""(["'])(darts_core)(?=\1|\.[a-z_.]+\1)""")


def build_wheel(folder: str, settings: Any = None, metadata: str | None = None) -> str:
    """PEP 517."""
    with _tree():
        return setuptools.build_meta.build_wheel(folder, settings)


def build_sdist(folder: str, settings: Any = None) -> str:
    """PEP 517. The archive is an ordinary setuptools project."""
    with _tree():
        return setuptools.build_meta.build_sdist(folder, settings)


def rewritten(source: str) -> str:
    """A module's source with its imports of our packages pointing into `dartboard`."""
    if _IMPORT.search(source):
        raise ValueError(f"`import {', '.join(PACKAGES)}` cannot be moved: write `from ... import ...`")
    return _NAME.sub(rf"\1{HOME}.\2", _FROM.sub(rf"\1from {HOME}.\2", source))


@contextmanager
def _tree() -> Iterator[None]:
    """An ordinary project in a temporary folder, which is the current one meanwhile."""
    with tempfile.TemporaryDirectory(prefix="dartboard-sdk-") as name:
        tree = Path(name)
        shutil.copytree(HERE / "dartboard", tree / "dartboard", ignore=shutil.ignore_patterns("__pycache__"))
        home = tree / "dartboard" / "_packages"
        for package in PACKAGES:
            ignored = shutil.ignore_patterns("__pycache__", *(Path(part).name for part in LEFT_OUT))
            source = ROOT / package
            if package == "api":  # what goes over the wire, and nothing of the service
                (home / "api").mkdir(parents=True)
                shutil.copy(source / "__init__.py", home / "api")
                shutil.copytree(source / "schemas", home / "api" / "schemas", ignore=ignored)
            else:
                shutil.copytree(source, home / package, ignore=ignored)
        (home / "__init__.py").touch()
        for module in tree.rglob("*.py"):
            module.write_text(rewritten(module.read_text(encoding="utf-8")), encoding="utf-8")
        (tree / "pyproject.toml").write_text(_project(), encoding="utf-8")
        shutil.copy(ROOT / "LICENSE", tree)
        with chdir(tree):
            yield


def _project() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    fields = {name: project[name] for name in ("version", "requires-python", "license", "dependencies")}
    lines = [
        'name = "dartboard-sdk"',
        'description = "Dartboard\'s SDK and command, for use with a service elsewhere."',
    ]
    lines += [f"{name} = {_toml(value)}" for name, value in fields.items()]
    extras = [f"{name} = {_toml(needed)}" for name, needed in EXTRAS.items()]
    return "\n".join(
        [
            '[build-system]\nrequires = ["setuptools>=80"]\nbuild-backend = "setuptools.build_meta"\n',
            "[project]",
            *lines,
            "\n[project.optional-dependencies]",
            *extras,
            f'\n[project.scripts]\ndartboard = "{HOME}.client.cli:main"',
            '\n[tool.setuptools.packages.find]\ninclude = ["dartboard*"]',
            '\n[tool.setuptools.package-data]\n"*" = ["py.typed", "*.cpp", "*.h"]\n',
        ]
    )


def _toml(value: str | list[str]) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return f"[{', '.join(map(_toml, value))}]"
