"""Creates the secrets of a deployment once, in one folder per service: `python -m api.provision FOLDER`.

Each container sees only its own folder, and only the API's contains access to the database. Existing files are kept;
`--renew api/admin_key` replaces one.
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

# All other files are derived from these at every start.
_SECRETS: Final = {
    "api/admin_key": lambda: new_secret().text,
    "api/metrics_key": lambda: new_secret().text,
    "api/DARTBOARD_WORKER_KEY": lambda: secrets.token_urlsafe(32),
    "api/DARTBOARD_WEBHOOK_KEY": lambda: secrets.token_urlsafe(32),
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
    """A stored secret is empty or too short."""


def main() -> int:
    """Create missing secrets and print their file names, but never their contents."""
    parser = argparse.ArgumentParser(prog="python -m api.provision", description="The secrets of a deployment.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--renew", choices=sorted(_SECRETS), help="replace this secret")
    arguments = parser.parse_args()
    try:
        for name in provision(arguments.folder, renew=arguments.renew):
            print(f"created {name}")
    except WeakSecretError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"cannot write {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def provision(folder: Path, *, renew: str | None = None) -> list[str]:
    """Create the secrets missing from the folder and replace `renew`; returns the names of the new files.

    Raises OSError and WeakSecretError.
    """
    created = [name for name in _SECRETS if name == renew or not (folder / name).is_file()]
    for name in created:
        _write(folder / name, _SECRETS[name]())
    for name in _SECRETS:
        if problem := weakness((folder / name).read_text().strip()):
            raise WeakSecretError(f"{folder / name} {problem}; `--renew {name}` replaces it")
    for name, text in _derived({name: (folder / name).read_text() for name in _SECRETS}).items():
        _write(folder / name, text)
    return created


def _derived(values: dict[str, str]) -> dict[str, str]:
    """The files derived from the secrets: URLs with passwords, and copies for other services."""
    broker = f"redis://:{values['valkey/password']}@valkey:6379/0"
    return {
        "api/DATABASE_URL": f"postgresql+psycopg://dartboard:{values['postgres/password']}@postgres:5432/dartboard",
        "api/REDIS_URL": broker,
        "worker/REDIS_URL": broker,
        "worker/DARTBOARD_WORKER_KEY": values["api/DARTBOARD_WORKER_KEY"],
        "valkey/valkey.conf": _VALKEY.format(password=values["valkey/password"]),
        "monitoring/metrics_key": values["api/metrics_key"],
    }


def _write(path: Path, text: str) -> None:
    """Write atomically and readable for all users that can enter the folder, since each service has a user of
    its own.
    """
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
