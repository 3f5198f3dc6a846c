"""What an image installs: `requirements.py EXTRA [TORCH [INDEX]]` writes requirements.txt and pins.txt beside itself.

EXTRA: of pyproject.toml, whose dependencies come first, or several with commas between them. TORCH: `cuda` takes torch
as the package index has it, `cpu` from INDEX, whose builds of the same version go before, `wheels` whatever torch and
torchvision are handed in as wheels.
"""

import re
import sys
import tomllib
from pathlib import Path

BUILD = Path(__file__).resolve().parent
WHEELS = Path("/wheels")


def main(extra: str, torch: str = "cuda", index: str = "") -> None:
    """Write both files. Exits with a message for a TORCH that there is not."""
    project = tomllib.loads((BUILD / "pyproject.toml").read_text())["project"]
    extras = [project["optional-dependencies"][name] for name in extra.split(",")]
    wanted = [*project["dependencies"], *(line for lines in extras for line in lines)]
    pins = (BUILD / "constraints.txt").read_text().splitlines()
    options = ["-c pins.txt"]
    if torch == "cpu":
        options.append(f"--extra-index-url {index}")
    elif torch == "wheels":
        wanted = [line for line in wanted if not _is_torch(line)]
        pins = [line for line in pins if not _is_torch(line)]
        wanted += [str(wheel) for wheel in sorted(WHEELS.glob("torch*.whl"))]
    elif torch != "cuda":
        sys.exit(f"TORCH={torch}: cuda, cpu or wheels")
    options.append(f"--find-links {WHEELS}")
    (BUILD / "requirements.txt").write_text("\n".join([*options, *wanted, ""]))
    (BUILD / "pins.txt").write_text("\n".join([*pins, ""]))


def _is_torch(line: str) -> bool:
    return re.match(r"(torch|torchvision)\b(?!-)", line) is not None


if __name__ == "__main__":
    main(*sys.argv[1:])
