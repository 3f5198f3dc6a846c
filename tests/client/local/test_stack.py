"""The supervision of LocalStack, with small programs in the places of API and worker; tests/e2e has the real ones."""

import json
import queue
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import psutil
import psycopg
import pytest

from client.local.stack import Commands, LocalStack
from darts_core.runtime.backoff import Backoff
from darts_core.runtime.errors import StackError
from tests.support.databases import plain
from tests.support.processes import Announcements, Watch

Supervisor = Callable[..., subprocess.Popen[str]]
MakeStack = Callable[..., LocalStack]
Reports: TypeAlias = "queue.SimpleQueue[str]"

# Each says in the pipe that it's there and when it's asked to stop.
API = """
import http.server, json, os, signal, sys
def say(line): os.write(pipe, (line + "\\n").encode())
pipe = os.open(sys.argv[1], os.O_WRONLY)
status = int(sys.argv[2])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(status if self.path == "/readyz" else 200)
        self.end_headers()
        self.wfile.write(json.dumps(dict(os.environ)).encode() if self.path == "/environment" else b"database: asleep")
def stop(*_): say("api stops"); os._exit(0)
signal.signal(signal.SIGTERM, stop)
host, port = sys.argv[sys.argv.index("--host") + 1], int(sys.argv[sys.argv.index("--port") + 1])
http.server.ThreadingHTTPServer((host, port), Handler).serve_forever()
"""
WORKER = """
import json, os, signal, sys
def say(line): os.write(pipe, (line + "\\n").encode())
pipe = os.open(sys.argv[1], os.O_WRONLY)
def stop(*_):
    say("worker stops")
    if sys.argv[2] == "stubborn": return
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
wanted = ("DATABASE_URL", "DARTBOARD_API_KEY", "PGHOST", "REDIS_URL", "DARTBOARD_URL", "DARTBOARD_WORKER_KEY",
          "DARTBOARD_WORKER_NAME", "DARTBOARD_WORKER_STATE", "DARTBOARD_DATA_ROOT", "DARTBOARD_POOLS",
          "CUDA_VISIBLE_DEVICES", "DARTBOARD_GPUS")
say(json.dumps({name: os.environ.get(name) for name in wanted}))
while True: signal.pause()
"""
ELSEWHERE = {
    "DATABASE_URL": "postgresql+psycopg://u:p@192.0.2.1/d",
    "REDIS_URL": "redis://192.0.2.1/0",
    "CUDA_VISIBLE_DEVICES": "",
}


def commands(
    announcements: Announcements, *, migrate: str = "pass", status: int = 200, worker: str = "willing", api: str = API
) -> Commands:
    run, pipe = (sys.executable, "-c"), str(announcements.path)
    return Commands((*run, migrate), (*run, api, pipe, str(status)), (*run, WORKER, pipe, worker))


@pytest.fixture
def reports() -> Reports:
    return queue.SimpleQueue()


@pytest.fixture
def make(tmp_path: Path, announcements: Announcements, reports: Reports) -> Iterator[MakeStack]:
    """Makes stacks on servers that exist elsewhere, so that only API and worker are started."""
    made: list[LocalStack] = []

    def make(*, environment: dict[str, str] | None = None, **options: Any) -> LocalStack:
        options = {"port": 0, "commands": commands(announcements), "report": reports.put, **options}
        made.append(LocalStack(tmp_path / "data", environment=ELSEWHERE | (environment or {}), **options))
        return made[-1]

    yield make
    for stack in made:
        stack.stop()


def get(url: str) -> bytes:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as answer:
        content: bytes = answer.read()
        return content


def test_started_stack_has_ready_api_and_migrated_real_servers(tmp_path: Path, announcements: Announcements) -> None:
    environment = {"DATABASE_URL": "", "REDIS_URL": "", "CUDA_VISIBLE_DEVICES": "", "PGHOST": "192.0.2.1"}
    stack = LocalStack(tmp_path / "data", port=0, environment=environment, commands=commands(announcements))
    with stack:
        told = json.loads(get(f"{stack.url}/environment"))
        assert "PGHOST" not in told
        with psycopg.connect(plain(told["DATABASE_URL"])) as connection:
            assert connection.info.dbname == "dartboard"
        assert list(stack.processes) == ["postgres", "valkey", "api", "worker-1"]
        assert all(process.running for process in stack.processes.values())
    assert not any(process.running for process in stack.processes.values())


def test_worker_is_told_the_service_and_nothing_of_the_database(make: MakeStack, announcements: Announcements) -> None:
    stack = make(environment={"DARTBOARD_API_KEY": "mine", "PGHOST": "192.0.2.1"})
    stack.start()
    told = json.loads(announcements.next())
    assert [told[name] for name in ("DATABASE_URL", "DARTBOARD_API_KEY", "PGHOST")] == [None, None, None]
    assert told["DARTBOARD_URL"] == stack.url
    assert told["REDIS_URL"] == ELSEWHERE["REDIS_URL"]
    assert told["DARTBOARD_WORKER_NAME"].endswith("-1")
    assert told["DARTBOARD_POOLS"] == "default"
    assert Path(told["DARTBOARD_WORKER_STATE"]).is_dir()


def test_api_and_worker_share_the_worker_key(make: MakeStack, announcements: Announcements) -> None:
    stack = make()
    stack.start()
    key = json.loads(get(f"{stack.url}/environment"))["DARTBOARD_WORKER_KEY"]
    assert key
    assert json.loads(announcements.next())["DARTBOARD_WORKER_KEY"] == key


def test_postgres_variables_of_the_user_reach_the_api_only_with_their_own_database(make: MakeStack) -> None:
    stack = make(environment={"PGSSLMODE": "require"})
    stack.start()
    assert json.loads(get(f"{stack.url}/environment"))["PGSSLMODE"] == "require"


def test_servers_given_by_url_are_used_and_none_is_started(make: MakeStack) -> None:
    stack = make()
    stack.start()
    assert set(stack.processes) == {"api", "worker-1"}
    assert json.loads(get(f"{stack.url}/environment"))["DATABASE_URL"] == ELSEWHERE["DATABASE_URL"]


def test_each_group_of_the_visible_gpus_gets_a_worker(make: MakeStack, announcements: Announcements) -> None:
    make(environment={"CUDA_VISIBLE_DEVICES": "3,5,6", "DARTBOARD_GPUS": "2,1"}).start()
    told = [json.loads(announcements.next()) for _ in range(2)]
    shares = {worker["DARTBOARD_GPUS"]: worker["CUDA_VISIBLE_DEVICES"] for worker in told}
    assert shares == {"2": "3,5", "1": "6"}


def test_each_visible_gpu_gets_a_worker_of_its_own(make: MakeStack, announcements: Announcements) -> None:
    make(environment={"CUDA_VISIBLE_DEVICES": "3,5"}).start()
    told = [json.loads(announcements.next()) for _ in range(2)]
    assert sorted(worker["CUDA_VISIBLE_DEVICES"] for worker in told) == ["3", "5"]
    assert len({worker["DARTBOARD_WORKER_STATE"] for worker in told}) == 2


@pytest.mark.parametrize("name", ["api", "worker-1"])
def test_killed_child_is_started_again_and_said_so(make: MakeStack, reports: Reports, name: str) -> None:
    stack = make()
    stack.start()
    first = stack.processes[name].pid
    stack.processes[name].kill()
    assert reports.get(timeout=20).startswith(f"{name} ended (exit code -9")
    assert stack.processes[name].pid not in (None, first)


def test_child_that_keeps_ending_is_started_at_longer_and_longer_intervals(
    make: MakeStack, announcements: Announcements, reports: Reports
) -> None:
    mayfly = Commands(commands(announcements).migrate, commands(announcements).api, ("false",))
    make(commands=mayfly).start()
    said = [reports.get(timeout=20) for _ in range(3)]
    assert [line.rsplit("after ")[1] for line in said] == ["0.2 s", "0.4 s", "0.8 s"]


def test_child_is_started_again_though_its_end_can_be_reported_neither_on_disk_nor_at_the_terminal(
    make: MakeStack, announcements: Announcements, tmp_path: Path
) -> None:
    def fail(_: str) -> None:
        raise OSError("no terminal")

    stack = make(report=fail)
    stack.start()
    (tmp_path / "data" / "logs" / "supervisor.log").mkdir()
    for _ in range(3):
        announcements.next()  # the worker is there
        stack.processes["worker-1"].kill()


def test_child_that_cannot_be_started_for_an_unforeseen_reason_is_tried_again(
    make: MakeStack, announcements: Announcements, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = make()
    stack.start()
    announcements.next()
    worker = stack.processes["worker-1"]
    with monkeypatch.context() as patched:

        def refuse() -> bool:
            raise RuntimeError("can't start new thread")

        patched.setattr(worker, "start", refuse)
        worker.kill()
        assert reports.get(timeout=20).endswith("not started again yet: can't start new thread")
    announcements.next()


def test_workers_stop_before_the_api(make: MakeStack, announcements: Announcements) -> None:
    stack = make()
    stack.start()
    announcements.next()  # the worker is there
    stack.stop()
    assert [announcements.next(), announcements.next()] == ["worker stops", "api stops"]


def test_worker_that_does_not_stop_is_killed_after_its_grace(make: MakeStack, announcements: Announcements) -> None:
    stack = make(commands=commands(announcements, worker="stubborn"), worker_grace=0.1)
    stack.start()
    announcements.next()
    stack.stop()
    assert stack.processes["worker-1"].code == -signal.SIGKILL


def test_stack_that_waits_to_restart_a_child_stops_at_once(
    make: MakeStack, announcements: Announcements, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = threading.Event()

    def an_hour(_: Backoff) -> float:
        waits.set()
        return 3600.0

    monkeypatch.setattr(Backoff, "pause", an_hour)
    stack = make(commands=Commands(commands(announcements).migrate, commands(announcements).api, ("false",)))
    stack.start()
    assert waits.wait(20)
    stack.stop()  # pytest's time limit is far below the hour


def test_taken_port_is_refused_before_anything_starts(make: MakeStack, taken_port: int, tmp_path: Path) -> None:
    with pytest.raises(StackError, match=f"Port {taken_port}"):
        make(port=taken_port).start()
    assert not (tmp_path / "data").exists()


def test_host_that_others_can_reach_is_refused(make: MakeStack) -> None:
    with pytest.raises(StackError, match="loopback"):
        make(host="0.0.0.0")


def test_second_stack_on_the_directory_is_refused_with_the_url_of_the_first(make: MakeStack) -> None:
    first = make()
    first.start()
    with pytest.raises(StackError, match=first.url):
        make().start()


def test_refused_second_stack_leaves_the_first_one_alone(make: MakeStack) -> None:
    first = make()
    first.start()
    second = make()
    with pytest.raises(StackError):
        second.start()
    second.stop()
    assert get(f"{first.url}/readyz")


def test_failed_migration_shows_its_last_lines_and_log(
    make: MakeStack, announcements: Announcements, tmp_path: Path
) -> None:
    failing = commands(announcements, migrate="raise SystemExit('no such revision: 42')")
    stack = make(commands=failing)
    with pytest.raises(StackError) as failed:
        stack.start()
    assert "migrate ended with exit code 1" in str(failed.value)
    assert "no such revision: 42" in str(failed.value)
    assert str(tmp_path / "data" / "logs" / "migrate.log") in str(failed.value)


def test_failed_start_gives_the_directory_back(make: MakeStack, announcements: Announcements) -> None:
    with pytest.raises(StackError):
        make(commands=commands(announcements, migrate="raise SystemExit(1)")).start()
    make().start()


def test_secrets_in_a_log_are_not_shown_in_the_error(make: MakeStack, announcements: Announcements) -> None:
    leaking = "import os; raise SystemExit('key ' + os.environ['DARTBOARD_WORKER_KEY'])"
    with pytest.raises(StackError, match=r"key \*\*\*"):
        make(commands=commands(announcements, migrate=leaking)).start()


def test_api_that_does_not_get_ready_is_stopped_and_its_reason_shown(
    make: MakeStack, announcements: Announcements
) -> None:
    stack = make(commands=commands(announcements, status=503), ready_within=2.0)
    with pytest.raises(StackError, match="503 database: asleep"):
        stack.start()
    assert not stack.processes["api"].running


def test_api_that_ends_is_reported_without_waiting(make: MakeStack, announcements: Announcements) -> None:
    began = time.monotonic()
    with pytest.raises(StackError, match="api ended with exit code 1"):
        make(commands=commands(announcements, api="raise SystemExit('no')")).start()
    assert time.monotonic() - began < 20


def test_stop_in_another_thread_ends_wait(make: MakeStack) -> None:
    import threading

    stack = make()
    stack.start()
    waiting = threading.Thread(target=stack.wait)
    waiting.start()
    stack.stop()
    waiting.join(20)
    assert not waiting.is_alive()


SUPERVISOR = """
import json, sys
from pathlib import Path
from client.local.stack import Commands, LocalStack

data, given = Path(sys.argv[1]), json.loads(sys.argv[2])
stack = LocalStack(data, port=0, commands=Commands(*given["commands"]), environment=given["environment"])
with stack:
    print(*(process.pid for process in stack.processes.values()), flush=True)
    stack.wait()
"""


def supervise(
    supervisor: Supervisor, data: Path, watch: Watch, using: Commands, environment: dict[str, str]
) -> subprocess.Popen[str]:
    """A stack in a process of its own, with all its processes watched."""
    given = {"commands": [using.migrate, using.api, using.worker], "environment": environment}
    process = supervisor(SUPERVISOR, str(data), json.dumps(given))
    assert process.stdout is not None
    pids = process.stdout.readline().split()
    assert pids, "it did not start"
    for pid in map(int, pids):
        for child in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            watch.add(child.pid)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_stops_everything_cleanly(
    supervisor: Supervisor, tmp_path: Path, announcements: Announcements, watch: Watch, number: signal.Signals
) -> None:
    own = {"DATABASE_URL": "", "REDIS_URL": "", "CUDA_VISIBLE_DEVICES": ""}
    process = supervise(supervisor, tmp_path / "data", watch, commands(announcements), own)
    announcements.next()
    process.send_signal(number)
    assert process.wait(20) == 0
    assert watch.all_ended(0)
    assert announcements.next() == "worker stops"
    assert "database system is shut down" in (tmp_path / "data" / "logs" / "postgres.log").read_text()


def test_second_signal_ends_a_worker_that_takes_its_time(
    supervisor: Supervisor, tmp_path: Path, announcements: Announcements, watch: Watch
) -> None:
    stubborn = commands(announcements, worker="stubborn")
    process = supervise(supervisor, tmp_path / "data", watch, stubborn, ELSEWHERE)
    announcements.next()
    process.send_signal(signal.SIGINT)
    assert announcements.next() == "worker stops"
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 0  # its grace is 30 s
    assert watch.all_ended(0)


def test_killed_supervisor_leaves_no_process_behind(
    supervisor: Supervisor, tmp_path: Path, announcements: Announcements, watch: Watch
) -> None:
    own = {"DATABASE_URL": "", "REDIS_URL": "", "CUDA_VISIBLE_DEVICES": ""}
    stubborn = commands(announcements, worker="stubborn")
    process = supervise(supervisor, tmp_path / "data", watch, stubborn, own)
    announcements.next()
    process.kill()
    assert watch.all_ended()
