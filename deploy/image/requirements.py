"""Writes what an image installs: `requirements.py LIST [TORCH [INDEX]]` makes requirements.txt and torch.txt here.

LIST: one of the project's lists of packages with hashes, by the extras that it is of (api,telemetry). TORCH: `cuda`
takes torch from it, `cpu` the same version's build without CUDA from INDEX and nowhere else, `wheels` whatever torch
and torchvision are handed in as wheels. Of the last two the list has no hashes: they go into torch.txt, as arguments of
pip, which is empty otherwise.
"""

import re
import sys
from pathlib import Path

BUILD = Path(__file__).resolve().parent
WHEELS = Path("/wheels")
# What a build without CUDA replaces.
_CUDA = re.compile(r"(torch|torchvision|triton|cuda-.*|nvidia-(?!ml-py).*)")


def main(lists: str, torch: str = "cuda", index: str = "") -> None:
    """Write both files. Exits with a message for a TORCH that there is not."""
    entries = re.split(
        r"^(?=\S)", (BUILD / "requirements" / f"{lists.replace(',', '-')}.txt").read_text(), flags=re.MULTILINE
    )
    arguments: list[str] = []
    if torch == "cpu":
        pins = [re.split(r"[\s;]", entry)[0] for entry in entries if _name(entry) in ("torch", "torchvision")]
        arguments = ["--index-url", index, *(f"{pin}+cpu" for pin in pins)]
    elif torch == "wheels":
        arguments = [str(wheel) for wheel in sorted(WHEELS.glob("torch*.whl"))]
    elif torch != "cuda":
        sys.exit(f"TORCH={torch}: cuda, cpu or wheels")
    if arguments:
        entries = [entry for entry in entries if not _CUDA.fullmatch(_name(entry))]
    (BUILD / "torch.txt").write_text("\n".join(arguments))
    (BUILD / "requirements.txt").write_text(f"--find-links {WHEELS}\n" + "".join(entries))


def _name(entry: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", entry)[0]


if __name__ == "__main__":
    main(*sys.argv[1:])
