"""Postgres and Valkey: real ones, in temporary directories."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from client.local.data_directory import DataDirectory
from client.local.identity import unprivileged_identity
from client.local.postgres import Postgres
from client.local.valkey import Valkey
from darts_core.runtime.errors import StackError
from darts_core.runtime.process import Spawner
from tests.support.databases import plain
from tests.support.processes import Watch

Supervisor = Callable[..., "subprocess.Popen[str]"]

IDENTITIES = ["namespace", "nobody"] if os.geteuid() == 0 else [unprivileged_identity()]


@pytest.fixture(params=IDENTITIES)
def postgres(request: pytest.FixtureRequest, data: DataDirectory, spawner: Spawner) -> Iterator[Postgres]:
    server = Postgres(data, spawner, identity=request.param)
    yield server
    server.stop()


@pytest.fixture
def valkey(data: DataDirectory, spawner: Spawner) -> Iterator[Valkey]:
    server = Valkey(data, spawner)
    yield server
    server.stop()


def connect(server: Postgres) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(plain(server.url), autocommit=True)


def ask(server: Valkey, *commands: str) -> str:
    """The answers to the commands, after logging in."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        password = server.url.split(":")[2].split("@")[0]
        connection.sendall("".join(f"{line}\r\n" for line in (f"AUTH {password}", *commands, "QUIT")).encode())
        return b"".join(iter(lambda: connection.recv(4096), b"")).decode()


def test_postgres_keeps_its_data_over_a_restart(data: DataDirectory, spawner: Spawner, postgres: Postgres) -> None:
    postgres.start()
    with connect(postgres) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (7)")
    postgres.stop()
    again = Postgres(data, spawner, identity=postgres.process.command.identity)
    again.start()
    with connect(again) as connection:
        assert connection.execute("SELECT n FROM kept").fetchall() == [(7,)]
    again.stop()


def test_postgres_takes_no_connection_with_a_wrong_password(postgres: Postgres, data: DataDirectory) -> None:
    postgres.start()
    wrong = plain(postgres.url).replace(data.secrets.postgres_password, "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_servers_listen_on_loopback_only(postgres: Postgres, valkey: Valkey) -> None:
    postgres.start()
    valkey.start()
    listening = [
        connection.laddr.ip
        for server in (postgres, valkey)
        for connection in psutil.Process(server.process.pid).net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1", "127.0.0.1"]


def test_no_secret_is_in_any_argument_or_log(postgres: Postgres, valkey: Valkey, data: DataDirectory) -> None:
    postgres.start()
    valkey.start()
    shown = "".join(Path(f"/proc/{server.process.pid}/cmdline").read_text() for server in (postgres, valkey))
    shown += "".join(path.read_text() for path in data.logs.iterdir())
    assert "listen_addresses" in shown
    assert not any(secret in shown for secret in vars(data.secrets).values())


def test_stopped_postgres_ends_by_itself_with_a_clean_shutdown(postgres: Postgres) -> None:
    postgres.start()
    idle = connect(postgres)  # an open session does not hold it up
    postgres.stop()
    assert postgres.process.code == 0
    assert "database system is shut down" in postgres.process.log_tail()
    idle.close()


def test_postgres_starts_over_a_pid_file_that_names_a_stranger(
    data: DataDirectory, spawner: Spawner, postgres: Postgres
) -> None:
    postgres.start()
    postgres.stop()
    (postgres.directory / "postmaster.pid").write_text(f"{os.getppid()}\n{postgres.directory}\n0\n5432\n\n\n")
    again = Postgres(data, spawner, identity=postgres.process.command.identity)
    again.start()
    again.stop()
    assert again.process.code == 0


def test_killed_postgres_starts_again_on_its_port_with_its_data(postgres: Postgres) -> None:
    postgres.start()
    with connect(postgres) as connection:
        connection.execute("CREATE TABLE kept (n int)")
    postgres.process.kill()
    assert postgres.process.wait(20)
    postgres.start()
    with connect(postgres) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_initdb_that_was_killed_is_begun_again(postgres: Postgres, data: DataDirectory) -> None:
    (data.path / "postgres.new" / "base").mkdir(parents=True)
    (data.path / "postgres.new" / "PG_VERSION").write_text("18\n")
    postgres.start()
    assert not (data.path / "postgres.new").exists()


def test_password_file_is_gone_after_initdb(postgres: Postgres, data: DataDirectory) -> None:
    postgres.start()
    holding = [
        path for path in data.path.iterdir() if path.is_file() and data.secrets.postgres_password in path.read_text()
    ]
    assert holding == [data.path / "secrets.json"]


def test_lost_secrets_file_is_an_error_that_names_it(data: DataDirectory, spawner: Spawner, postgres: Postgres) -> None:
    postgres.start()
    postgres.stop()
    data.release()
    (data.path / "secrets.json").unlink()
    changed = DataDirectory(data.path)
    again = Postgres(changed, spawner, identity=postgres.process.command.identity)
    with pytest.raises(StackError, match=r"secrets\.json"):
        again.start()
    again.stop()
    changed.release()


def test_postgres_that_cannot_start_shows_its_last_words(postgres: Postgres) -> None:
    postgres.start()
    postgres.stop()
    (postgres.directory / "PG_VERSION").write_text("12\n")
    broken = Postgres(postgres._data, postgres._spawner, identity=postgres.process.command.identity)
    with pytest.raises(StackError) as failed:
        broken.start()
    assert "initialized by PostgreSQL version 12" in str(failed.value)
    assert str(broken.process.log) in str(failed.value)
    broken.stop()


def test_valkey_keeps_its_data_over_a_kill(valkey: Valkey) -> None:
    valkey.start()
    assert ask(valkey, "SET kept 7", "WAITAOF 1 0 5000").startswith("+OK\r\n+OK\r\n*2\r\n:1")
    valkey.process.kill()
    assert valkey.process.wait(20)
    valkey.start()
    assert "$1\r\n7\r\n" in ask(valkey, "GET kept")


def test_valkey_answers_nothing_without_its_password(valkey: Valkey) -> None:
    valkey.start()
    with socket.create_connection(("127.0.0.1", valkey.port), timeout=10) as connection:
        connection.sendall(b"PING\r\n")
        assert connection.recv(100).startswith(b"-NOAUTH")


@pytest.mark.parametrize(
    "command",
    [
        "CONFIG SET dir /",
        "CONFIG GET requirepass",
        "SHUTDOWN",
        "FLUSHALL",
        "ACL LIST",
        "SAVE",
        "KEYS *",
        "REPLICAOF 127.0.0.1 1",
        "MODULE LIST",
        "MONITOR",
    ],
)
def test_the_password_of_valkey_opens_no_command_of_an_administrator(valkey: Valkey, command: str) -> None:
    valkey.start()
    assert "-NOPERM" in ask(valkey, command)
    assert valkey.answers()


def test_valkey_works_in_a_directory_with_spaces_and_quotes(tmp_path: Path, spawner: Spawner) -> None:
    data = DataDirectory(tmp_path / """a "b" 'c' \\ d""")
    valkey = Valkey(data, spawner)
    valkey.start()
    assert (valkey.directory / "appendonlydir").is_dir()
    valkey.stop()
    data.release()


SUPERVISOR = """
import sys
from pathlib import Path
from client.local.data_directory import DataDirectory
from client.local.identity import unprivileged_identity
from client.local.postgres import Postgres
from darts_core.runtime.process import Spawner
from client.local.valkey import Valkey

data, spawner = DataDirectory(Path(sys.argv[1])), Spawner()
servers = Postgres(data, spawner, identity=sys.argv[2]), Valkey(data, spawner)
for server in servers:
    server.start()
print(*(server.process.pid for server in servers), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("identity", IDENTITIES)
def test_killed_supervisor_leaves_no_server_behind_and_its_data_opens_again(
    tmp_path: Path, supervisor: Supervisor, watch: Watch, identity: str, spawner: Spawner
) -> None:
    killed = supervisor(SUPERVISOR, str(tmp_path / "data"), identity)
    assert killed.stdout is not None
    for pid in map(int, killed.stdout.readline().split()):
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            watch.add(process.pid)
    killed.send_signal(signal.SIGKILL)
    # At once, while they are still ending: the next one waits for them itself.
    data = DataDirectory(tmp_path / "data") if killed.wait(20) else pytest.fail("not killed")
    again = Postgres(data, spawner, identity=identity), Valkey(data, spawner)
    for server in again:
        server.start()
    assert watch.all_ended()
    for server in again:
        server.stop()
    data.release()
