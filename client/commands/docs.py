"""`dartboard docs`: builds the pages under docs/ as a static site."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from client.commands.testing import require
from client.output import print_text

_ROOT = Path(__file__).resolve().parents[2]


def docs(
    out: Annotated[Path, typer.Option(help="Folder of the site, emptied first.", show_default="build/site")] = _ROOT
    / "build"
    / "site",
) -> None:
    """Build the documentation site in build/site; a broken link is an error."""
    require("mkdocs", "material")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out.resolve())]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    if subprocess.run(command, cwd=_ROOT, env=environment, check=False).returncode != 0:
        raise typer.Exit(1)
    print_text(str(out / "index.html"))
