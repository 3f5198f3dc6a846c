"""Chooses the user for a server that refuses to run as root."""

import os
import pwd
import subprocess
import sys
from functools import cache
from pathlib import Path

from darts_core.runtime.errors import StackError
from darts_core.runtime.launcher import NOBODY, REFUSED
from darts_core.runtime.process import LAUNCHER, plain_environment


@cache
def unprivileged_identity() -> str:
    """`self` for a normal user; else `namespace` where allowed, and for root also `nobody`. Raises StackError."""
    root = os.geteuid() == 0
    if not root and _has_name(os.geteuid()):
        return "self"
    reasons = []
    for identity in ("namespace", "nobody") if root else ("namespace",):
        tried = subprocess.run(
            [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), "9", identity, "true"],
            env=plain_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if tried.returncode != REFUSED:
            return identity
        reasons.append(tried.stderr.strip())
    who = "root" if root else f"user {os.geteuid()}, who has no name on this machine"
    raise StackError(
        f"Postgres refuses to run as {who}, and no other name can be taken here ({'; '.join(reasons)}): "
        "start as a normal user, or set DATABASE_URL to a Postgres server of yours."
    )


def _has_name(user: int) -> bool:
    """Whether the user is in the passwd database; in a container started with a numeric user it often is not."""
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True


def hand_over(directory: Path, identity: str) -> None:
    """Change the owner of everything under `directory` to the identity's user on disk. Root only."""
    if os.geteuid() != 0:
        return
    owner = NOBODY if identity == "nobody" else 0  # in the namespace `nobody` is root on disk
    if directory.stat().st_uid == owner:
        return
    # The directory last: after a kill the next start sees the old owner and finishes.
    for path in sorted(directory.rglob("*"), reverse=True):
        os.chown(path, owner, owner, follow_symlinks=False)
    os.chown(directory, owner, owner)
