"""Starts Dartboard's services in order, keeps them running, and stops them in reverse order."""

import http.client
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from types import FrameType
from typing import Any, Self

from client.local.data_directory import DataDirectory
from client.local.environments import Surroundings, inherited
from client.local.log_files import keep_small
from client.local.ports import Reservation, loopback
from client.local.postgres import Postgres
from client.local.startup import failure
from client.local.valkey import Valkey
from darts_core.runtime.cpu_threads import share_of
from darts_core.runtime.errors import BadSettingError, StackError
from darts_core.runtime.gpu_groups import groups_of
from darts_core.runtime.process import Command, Process, Spawner
from darts_core.runtime.supervision import keep_running

CODE = Path(__file__).resolve().parents[2]  # where api/, worker/ and migrations/ are
_POLL = 0.05  # seconds between two requests of /readyz
_LOG_PAUSE = 1.0  # seconds between two checks of the logs' size
_STOPS_UP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Commands:
    """The programs of the stack. `--host H --port P` is appended to the API's."""

    migrate: Sequence[str] = (sys.executable, "-m", "api.migrate")
    api: Sequence[str] = (sys.executable, "-m", "api")
    worker: Sequence[str] = (sys.executable, "-m", "worker")


class LocalStack:
    """API, workers, Postgres and Valkey on this machine; `DATABASE_URL` and `REDIS_URL` select other servers.

    workers: how many; by default one per group of GPUs (DARTBOARD_GPUS), or one on the CPU. A worker takes the jobs
    that ask for exactly as many GPUs as it has. environment: overrides this process's own. report: called with one line
    for each restart of a child. stage: called with the current step of the start.
    """

    def __init__(
        self,
        data: Path,
        *,
        port: int = 8000,
        host: str = "127.0.0.1",
        workers: int | None = None,
        environment: Mapping[str, str] | None = None,
        commands: Commands | None = None,
        report: Callable[[str], None] | None = None,
        stage: Callable[[str], None] | None = None,
        ready_within: float = 60.0,
        worker_grace: float = 30.0,
    ) -> None:
        """ready_within: seconds for the API's start. worker_grace: seconds for a worker to save its job."""
        self.processes: dict[str, Process] = {}
        self.url = ""
        self._path, self._host, self._port = data, loopback(host), port
        self._environment = inherited(environment)
        self._workers = workers
        self._commands = commands or Commands()
        self._tell = report or (lambda line: None)
        self._stage = stage or (lambda name: None)
        self._ready_within, self._worker_grace = ready_within, worker_grace
        self._stopping = threading.Event()
        self._stop_lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._releases: list[Callable[[], None]] = []
        self._data: DataDirectory | None = None
        self._started = False
        self._signals_seen = 0
        self._handlers: dict[signal.Signals, Any] = {}
        # A signal handler may not set an Event, whose lock the main thread may hold; it writes to this socket instead.
        self._woken, self._wake = socket.socketpair()

    def start(self) -> str:
        """Start everything; returns the URL once the API is ready and the workers run. Raises StackError."""
        if self._started:
            raise RuntimeError("a stack starts once; make a new one")
        self._started = True
        try:
            return self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the workers, which save their jobs, then API, Valkey and Postgres. Idempotent."""
        with self._stop_lock:
            self._stopping.set()
            self._wake.send(b"s")
            try:
                self._stop_each(name for name in self.processes if name.startswith("worker-"))
                for name in ("api", "migrate", "valkey", "postgres"):
                    self._stop_each(known for known in self.processes if known == name)
                for thread in self._threads:
                    thread.join()
            finally:
                while self._releases:
                    self._releases.pop()()
                while self._handlers:
                    signal.signal(*self._handlers.popitem())

    def wait(self) -> None:
        """Block until SIGINT, SIGTERM or SIGHUP (main thread only), or until `stop` in another thread.

        A second signal, also during `stop`, kills API and workers at once.
        """
        if threading.current_thread() is threading.main_thread():
            for number in _STOPS_UP:
                self._handlers.setdefault(number, signal.signal(number, self._on_signal))
        self._woken.recv(1)

    def hurry(self) -> None:
        """Kill API and workers. Safe in a signal handler."""
        for name, process in self.processes.items():
            if name == "api" or name.startswith("worker-"):
                process.grace = 0.0
                process.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> str:
        reserved = self._reserve()
        self._releases.append(reserved.release)
        data = self._data = DataDirectory(self._path)
        self._releases.append(data.release)
        address = f"[{self._host}]" if ":" in self._host else self._host
        self.url = f"http://{address}:{reserved.port}"
        data.announce(self.url)
        spawner = Spawner()
        self._releases.append(spawner.close)

        surroundings = self._start_servers(data, spawner)
        self._migrate(data, spawner, surroundings)
        self._start_api(data, spawner, surroundings, reserved)
        self._start_workers(data, spawner, surroundings)
        for process in self.processes.values():
            self._threads.append(keep_running(process, self._stopping, self._report))
        logs = threading.Thread(target=self._keep_logs_small, args=(data,), name="logs", daemon=True)
        logs.start()
        self._threads.append(logs)
        return self.url

    def _reserve(self) -> Reservation:
        """The API's port, before the data directory exists; a directory in use is the better reason for a refusal."""
        try:
            return Reservation(self._port, self._host)
        except BadSettingError:
            if (self._path.expanduser() / "lock").exists():
                DataDirectory(self._path).release()
            raise

    def _start_servers(self, data: DataDirectory, spawner: Spawner) -> Surroundings:
        """Start Postgres and Valkey in parallel, unless external ones are configured."""
        database, broker = self._environment.get("DATABASE_URL"), self._environment.get("REDIS_URL")
        servers: list[Postgres | Valkey] = []
        postgres_is_new = False
        if not database:
            servers.append(postgres := Postgres(data, spawner))
            postgres_is_new = not postgres.directory.exists()
            database = postgres.url
            self._releases.append(postgres.release)
        if not broker:
            servers.append(valkey := Valkey(data, spawner))
            broker = valkey.url
            self._releases.append(valkey.release)
        new = " (creating the database, once)" if postgres_is_new else ""
        self._stage(f"starting Postgres and Valkey{new}")
        for server in servers:
            self.processes[server.process.name] = server.process
        with ThreadPoolExecutor(max_workers=2) as both:
            # A list: both are submitted before the first result is awaited.
            for started in [both.submit(server.start) for server in servers]:
                started.result()
        keys, own = data.secrets, "postgres" in self.processes
        return Surroundings(
            self._environment, data.path, self.url, database, broker, keys.worker_key, keys.webhook_key, own
        )

    def _migrate(self, data: DataDirectory, spawner: Spawner, surroundings: Surroundings) -> None:
        self._stage("bringing the database's tables up to date")
        command = Command(self._commands.migrate, surroundings.for_api(), CODE)
        migrate = self.processes["migrate"] = Process("migrate", command, data.log("migrate"), spawner)
        migrate.start()
        migrate.wait()
        if migrate.code != 0:
            raise failure(migrate, data.secrets)
        del self.processes["migrate"]

    def _start_api(
        self, data: DataDirectory, spawner: Spawner, surroundings: Surroundings, address: Reservation
    ) -> None:
        self._stage("starting the API")
        arguments = [*self._commands.api, "--host", address.host, "--port", str(address.port)]
        command = Command(arguments, surroundings.for_api(), CODE)
        api = self.processes["api"] = Process("api", command, data.log("api"), spawner)
        api.start()
        deadline = time.monotonic() + self._ready_within
        while (answer := _readiness(address)) != "":
            if api.wait(_POLL) or time.monotonic() > deadline:
                raise failure(api, data.secrets, f"\n  GET {self.url}/readyz: {answer}")

    def _start_workers(self, data: DataDirectory, spawner: Spawner, surroundings: Surroundings) -> None:
        self._stage("starting the workers")
        groups = groups_of(self._environment)
        count = self._workers if self._workers is not None else len(groups)
        share = share_of(self._environment, count)
        for number, group in enumerate(islice(cycle(groups), count), 1):
            name = f"worker-{number}"
            data.directory(f"workers/{number}")
            command = Command(self._commands.worker, surroundings.for_worker(number, group) | share, CODE)
            worker = Process(name, command, data.log(name), spawner, grace=self._worker_grace)
            self.processes[name] = worker
            worker.start()

    def _stop_each(self, names: Iterable[str]) -> None:
        """Stop these in parallel."""
        processes = [self.processes[name] for name in names]
        if processes:
            with ThreadPoolExecutor(max_workers=len(processes)) as together:
                list(together.map(Process.stop, processes))

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._signals_seen += 1
        self._wake.send(b"s")
        if self._signals_seen > 1:
            self.hurry()

    def _report(self, line: str) -> None:
        if self._data is not None:
            # The terminal gets the line even when the disk is full.
            with suppress(OSError), (self._data.logs / "supervisor.log").open("a") as file:
                file.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}\n")
        self._tell(line)

    def _keep_logs_small(self, data: DataDirectory) -> None:
        while not self._stopping.wait(_LOG_PAUSE):
            keep_small(data.logs)


def _readiness(address: Reservation) -> str:
    """Empty when the API is ready, else its answer."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=5.0)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        body = response.read(1000).decode(errors="replace")
        return "" if response.status == 200 else f"{response.status} {body}"
    except (OSError, http.client.HTTPException) as error:
        return f"no answer ({error})"
    finally:
        connection.close()


__all__ = ["Commands", "LocalStack", "StackError"]
