"""Manages the directory of all local state: data, secrets, logs. One supervisor at a time."""

import contextlib
import fcntl
import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from api.schemas.secret import weakness
from darts_core.runtime.errors import StackError

_BYTES: Final = 24


@dataclass(frozen=True)
class Secrets:
    """Passwords of the local servers, the workers' key and the one that encrypts webhooks, generated once per
    directory.
    """

    postgres_password: str = field(repr=False)
    broker_password: str = field(repr=False)
    worker_key: str = field(repr=False)
    webhook_key: str = field(default_factory=lambda: secrets.token_hex(_BYTES), repr=False)

    def redact(self, text: str) -> str:
        """Replace every secret in a text, for messages that quote a log."""
        for secret in asdict(self).values():
            text = text.replace(secret, "***")
        return text


def stored_secrets(path: Path) -> Secrets | None:
    """Secrets of a folder that may be in use; None when it has none."""
    try:
        return Secrets(**json.loads((path / "secrets.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def serving(path: Path) -> str | None:
    """The URL of the service that runs with a folder's data; None when none runs."""
    try:
        with (path / "lock").open(encoding="utf-8") as file:
            holder = json.load(file)
            os.kill(int(holder["pid"]), 0)
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return str(holder["url"]) or None
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        pass
    return None


class DataDirectory:
    """A locked data directory. Raises StackError when another supervisor holds it or it is not writable."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path.chmod(0o700)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StackError(
                f"Cannot use {self.path} for local data ({error.strerror}): choose another directory with --data."
            ) from error
        try:
            self._take_lock()
            self.logs = self.directory("logs")
            self.secrets = self._secrets()
        except OSError as error:
            os.close(self._lock)
            raise StackError(
                f"Cannot write in {self.path} ({error.strerror}): make room or choose another directory with --data."
            ) from error
        except BaseException:
            os.close(self._lock)
            raise

    def directory(self, name: str) -> Path:
        """A private subdirectory, created if missing."""
        path = self.path / name
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    def log(self, name: str) -> Path:
        """A new log file; the previous one becomes NAME.log.1, and older ones are deleted."""
        path = self.logs / f"{name}.log"
        with contextlib.suppress(FileNotFoundError):
            path.replace(path.with_suffix(".log.1"))
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        return path

    def announce(self, url: str) -> None:
        """Record our URL for a second supervisor that finds the directory in use."""
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, json.dumps({"pid": os.getpid(), "url": url}).encode(), 0)

    def release(self) -> None:
        """Release the directory. Idempotent."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(self._holder()) from None
        self.announce("")

    def _holder(self) -> str:
        try:
            holder = json.loads(os.pread(self._lock, 4096, 0))
            pid, url = int(holder["pid"]), str(holder["url"])
        except (
            ValueError,
            KeyError,
            TypeError,
        ):  # locked, but its supervisor has not announced itself yet
            return f"{self.path} is in use by another `dartboard up`. Choose another directory with --data."
        at = f", serving {url}" if url else ", still starting"
        return (
            f"{self.path} is in use by another `dartboard up` (pid {pid}{at}). Use that one, "
            f"stop it with `kill {pid}`, or choose another directory with --data."
        )

    def _secrets(self) -> Secrets:
        path = self.path / "secrets.json"
        try:
            stored = json.loads(path.read_text())
            found = Secrets(**stored)
            if weak := [name for name, secret in asdict(found).items() if weakness(secret)]:
                raise ValueError(weak)
            if stored != asdict(found):  # of a version without webhooks
                _write(path, found)
            return found
        except FileNotFoundError:
            pass
        except (ValueError, TypeError, AttributeError):
            raise StackError(
                f"{path} cannot be read as secrets, or one of them is empty or short. Restore it from a copy, or "
                "choose another directory with --data: "
                "the database in this one opens only with the password in that file."
            ) from None
        made = Secrets(*(secrets.token_hex(_BYTES) for _ in range(3)))
        _write(path, made)
        return made


def _write(path: Path, made: Secrets) -> None:
    """Write aside and rename: a kill leaves either the previous file or a complete one."""
    aside = path.with_suffix(".new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(asdict(made), file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
