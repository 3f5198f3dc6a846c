"""`python -m api.provision FOLDER`: what is secret in a deployment, made once, in one folder for each service.

Each container sees its own folder alone: only the API's has the way into the database, and none has more than it
needs. What is there already stays; `--renew api/admin_key` makes that one file again.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from pathlib import Path
from typing import Final

from api.auth.hashing import new_secret
from api.schemas.secret import weakness

# Everything else is derived from these, at every start.
_MADE: Final = {
    "api/admin_key": lambda: new_secret().text,
    "api/metrics_key": lambda: new_secret().text,
    "api/DARTBOARD_WORKER_KEY": lambda: secrets.token_urlsafe(32),
    "postgres/password": lambda: secrets.token_hex(24),
    "valkey/password": lambda: secrets.token_hex(24),
    "monitoring/grafana_password": lambda: secrets.token_urlsafe(18),
}
_VALKEY: Final = """\
bind * -::*
# Its password opens no command that reconfigures or empties it.
user default on >{password} ~* &* +@all -@admin -@dangerous
dir /data
appendonly yes
save ""
"""


class WeakSecretError(Exception):
    """A stored secret is empty or short."""


def main() -> int:
    """Make what is missing; say which files, never what is in them."""
    parser = argparse.ArgumentParser(prog="python -m api.provision", description="The secrets of a deployment.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--renew", choices=sorted(_MADE), help="make this one again")
    arguments = parser.parse_args()
    try:
        for name in provision(arguments.folder, renew=arguments.renew):
            print(f"made {name}")
    except WeakSecretError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"cannot write {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def provision(folder: Path, *, renew: str | None = None) -> list[str]:
    """Make what is missing under the folder, and the file `renew` anew. The names of what was made. Raises OSError and
    WeakSecretError."""
    made = [name for name in _MADE if name == renew or not (folder / name).is_file()]
    for name in made:
        _write(folder / name, _MADE[name]())
    for name in _MADE:
        if problem := weakness((folder / name).read_text().strip()):
            raise WeakSecretError(f"{folder / name} {problem}; `--renew {name}` makes it again")
    for name, text in _derived({name: (folder / name).read_text() for name in _MADE}).items():
        _write(folder / name, text)
    return made


def _derived(made: dict[str, str]) -> dict[str, str]:
    """What follows from the secrets: addresses with passwords in them, copies for those who need them."""
    broker = f"redis://:{made['valkey/password']}@valkey:6379/0"
    return {
        "api/DATABASE_URL": f"postgresql+psycopg://dartboard:{made['postgres/password']}@postgres:5432/dartboard",
        "api/REDIS_URL": broker,
        "worker/REDIS_URL": broker,
        "worker/DARTBOARD_WORKER_KEY": made["api/DARTBOARD_WORKER_KEY"],
        "valkey/valkey.conf": _VALKEY.format(password=made["valkey/password"]),
        "monitoring/metrics_key": made["api/metrics_key"],
    }


def _write(path: Path, text: str) -> None:
    """Write atomically. Every user who can enter the folder may read: its services run as users of their own."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.new")
    with aside.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.chmod(0o444)
    aside.replace(path)


if __name__ == "__main__":
    sys.exit(main())
