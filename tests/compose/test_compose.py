"""`docker compose up`, as an operator lives with it: one stack from its first start to its upgrade.

The tests build on one another, in the order in which they stand here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from api.schemas.jobs import AttemptOut, JobOut
from client.events import Event
from client.sdk import Dartboard
from tests.support.compose import (
    CPU,
    READ_KEY,
    ROOT,
    TLS,
    URL,
    VERSION,
    WORKER,
    Engine,
    Project,
    checkpoint_hash,
)
from tests.support.eventually import eventually
from tests.support.small_search import SEARCH, until

pytestmark = pytest.mark.timeout(1200)

# The other host's network, and the first host's address in it.
BETWEEN = "dartboard-test-between"
GATEWAY = "10.213.77.1"
# A name that Caddy makes a certificate for itself.
HOST = "dartboard.local"
PROMETHEUS_PORT = "18476"
DASHBOARD = ROOT / "deploy/grafana/dashboards/dartboard.json"
_DOWNGRADE = """
from alembic import command
from api.migrate import alembic_config
command.downgrade(alembic_config(), "-1")
"""
_REACH = """
import socket, sys
for host in sys.argv[1:]:
    try:
        socket.create_connection((host, 5432), 3)
    except OSError:
        print("no")
"""


def attempts(key: str, job: JobOut) -> list[AttemptOut]:
    """Of the job, the first one first."""
    answer = httpx.get(f"{URL}/searches/{job.id}/attempts", headers={"Authorization": f"Bearer {key}"})
    return [AttemptOut.model_validate(item) for item in reversed(answer.json()["items"])]


def test_the_api_image_has_no_torch_and_less_than_400_mb(
    engine: Engine, images: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = {name: int(engine.docker("image", "inspect", "-f", "{{.Size}}", tag)) for name, tag in images.items()}
    with capsys.disabled():
        print("\nimage sizes:", ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in sizes.items()))
    assert sizes["api"] < 400e6
    look = "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is not None)"
    engine.docker("run", "--rm", "--network=none", images["api"], "python", "-c", look)


def test_without_a_key_there_is_only_the_way_to_health(stack: Project) -> None:
    answers = [httpx.get(f"{URL}{path}").status_code for path in ("/readyz", "/jobs", "/workers")]
    assert answers == [200, 401, 401]


@pytest.mark.parametrize("service", ["api", "worker", "postgres", "valkey"])
def test_a_service_has_no_more_rights_than_it_needs(stack: Project, service: str) -> None:
    container = stack.inspect(service)
    host = container["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Memory"] > 0
    assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "5"}
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert container["State"]["Health"]["Status"] == "healthy"
    user = stack.engine.docker("exec", container["Id"], "id", "-u").strip()
    assert user != "0"
    published = [p["HostIp"] for ports in container["NetworkSettings"]["Ports"].values() for p in ports or []]
    assert set(published) == ({"127.0.0.1"} if service == "api" else set())


def test_a_search_streams_while_it_runs(searched: tuple[UUID, list[Event]], dartboard: Dartboard) -> None:
    job, events = searched
    assert dartboard.job(job).status == "succeeded"
    assert [e.data["epoch"] for e in events if e.kind == "epoch"] == [1, 2, 3]
    assert [e.sequence for e in events[:-1]] == list(range(1, len(events)))
    assert events[-1].kind == "end"


def test_curl_gets_the_checkpoint_that_it_was_told_of(
    stack: Project, key: str, trained: JobOut, tmp_path: Path
) -> None:
    found = httpx.head(f"{URL}/evaluations/{trained.id}/checkpoint", headers={"Authorization": f"Bearer {key}"})
    assert found.headers["ETag"] == f'"{checkpoint_hash(stack, URL, key, trained.id, tmp_path)}"'


def test_a_search_succeeds_though_worker_api_and_database_are_killed(stack: Project, dartboard: Dartboard) -> None:
    job = dartboard.submit("search", {**SEARCH, "epochs": 12})
    events = dartboard.follow(job)
    # Epochs are stored and replayed to later readers; steps reach only the readers of the moment.
    until(events, lambda e: e.kind == "epoch" and e.data["epoch"] == 2)
    before = {service: stack.inspect(service)["RestartCount"] for service in ("worker", "api")}
    stack.kill_main("worker")
    until(events, lambda e: e.kind == "epoch" and e.data["epoch"] == 4)
    stack.kill_main("api")
    until(events, lambda e: e.kind == "epoch" and e.data["epoch"] == 6)
    stack.compose("restart", "postgres")
    epochs = [e.data["epoch"] for e in events if e.kind == "epoch"]
    assert dartboard.job(job.id).status == "succeeded"
    assert epochs == [7, 8, 9, 10, 11, 12]
    assert [e.epoch for e in dartboard.epochs(job.id)] == list(range(1, 13))
    assert {service: stack.inspect(service)["RestartCount"] for service in before} == {
        s: n + 1 for s, n in before.items()
    }


@pytest.fixture(scope="module")
def open_to_others(stack: Project, debian: str) -> Iterator[Project]:
    """The same stack as others reach it: HTTPS by Caddy, the broker by its TLS port."""
    engine = stack.engine
    engine.docker("network", "rm", BETWEEN, check=False)
    engine.docker("network", "create", "--subnet=10.213.77.0/24", f"--gateway={GATEWAY}", BETWEEN)
    settings = {
        "DARTBOARD_HOST": HOST,
        "DARTBOARD_BROKER_PORT": f"{GATEWAY}:6380",
        "DARTBOARD_PROMETHEUS_PORT": PROMETHEUS_PORT,
        "DEBIAN_IMAGE": debian,
        "GATEWAY": GATEWAY,
    }
    main = stack.over(TLS, "tests/compose/debian.yml", **settings)
    main.up()
    yield main
    engine.docker("network", "rm", BETWEEN, check=False)


@pytest.fixture(scope="module")
def other_host(
    open_to_others: Project, key: str, secrets: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """A project of its own on a network of its own, from which HTTPS and the broker's TLS port are reached."""
    main, folder = open_to_others, tmp_path_factory.mktemp("host")
    broker, authority = folder / "broker.crt", folder / "authority.crt"
    broker.write_text(main.compose("exec", "-T", "valkey", "cat", "/run/dartboard/broker.crt"))
    made = ("exec", main.container("caddy"), "cat", "/data/caddy/pki/authorities/local/root.crt")
    authority.write_text(eventually(lambda: main.engine.docker(*made, check=False)))
    worker_key = main.shell("docker compose exec -T api python -m api.keys create --role worker --owner other-host")
    settings = {
        "DARTBOARD_VERSION": VERSION,
        "DARTBOARD_URL": f"https://{HOST}",
        "DARTBOARD_BROKER_URL": f"rediss://:{secrets['valkey/password']}@{HOST}:6380/0"
        "?ssl_cert_reqs=required&ssl_ca_certs=/run/dartboard/broker.crt",
        "DARTBOARD_WORKER_KEY": worker_key.strip(),
        "DARTBOARD_WORKER_NAME": "other-host",
        "DARTBOARD_BROKER_CERTIFICATE": str(broker),
        "AUTHORITY": str(authority),
        "BETWEEN": BETWEEN,
        "GATEWAY": GATEWAY,
        "OMP_NUM_THREADS": "1",
    }
    host = Project(main.engine, "dartboard-test-host", [WORKER, CPU, "tests/compose/host.yml"], settings)
    host.up()
    yield host
    host.remove()


def test_a_host_that_computes_cannot_reach_the_database(stack: Project, other_host: Project) -> None:
    [network] = stack.inspect("postgres")["NetworkSettings"]["Networks"].values()
    for container in (stack.container("worker"), other_host.container("worker")):
        said = stack.engine.docker("exec", container, "python", "-c", _REACH, "postgres", network["IPAddress"])
        assert said.split() == ["no", "no"]


def test_a_job_of_a_host_that_is_cut_off_ends_on_the_other_one(
    stack: Project, other_host: Project, key: str, dartboard: Dartboard
) -> None:
    def workers() -> dict[str, JobOut]:
        now = [dartboard.job(job.id) for job in jobs]
        return {job.worker: job for job in now if job.worker and job.status == "running"}

    jobs = [dartboard.submit("search", {**SEARCH, "epochs": 8, "seed": seed}) for seed in (1, 2)]
    far = eventually(lambda: found if len(found := workers()) == 2 else None)["other-host"]
    until(dartboard.follow(far), lambda e: e.kind == "step")
    other_host.engine.docker("network", "disconnect", BETWEEN, other_host.container("worker"))
    assert [dartboard.wait(job).status for job in jobs] == ["succeeded", "succeeded"]
    tried = [a.worker for a in attempts(key, far)]
    assert tried[0] == "other-host"
    assert tried[-1] != "other-host"


def test_prometheus_gets_all_that_alerts_and_dashboard_ask_for(open_to_others: Project) -> None:
    url = f"http://127.0.0.1:{PROMETHEUS_PORT}/api/v1"

    def answer(path: str, **query: str) -> Any:
        return httpx.get(f"{url}/{path}", params=query).raise_for_status().json()["data"]

    def all_are_up() -> bool:
        targets = answer("targets")["activeTargets"]
        return len(targets) == 3 and all(target["health"] == "up" for target in targets)

    def evaluated() -> Any:
        rules = [rule for group in answer("rules")["groups"] for rule in group["rules"]]
        return rules if all(rule["health"] != "unknown" for rule in rules) else None

    open_to_others.up("prometheus")
    eventually(all_are_up)
    rules = eventually(evaluated)
    assert {rule["name"]: rule["lastError"] for rule in rules if rule["health"] != "ok"} == {}
    asked = [rule["query"] for rule in rules] + _expressions(json.loads(DASHBOARD.read_text()))
    named = {name for expression in asked for name in re.findall(r"dartboard_\w+", expression)}
    known = set(answer("label/__name__/values"))
    # Counters of what has not happened have no series yet, and there is no GPU whose load could be told.
    assert named - known <= {"dartboard_worker_device_utilisation_ratio"}
    for expression in asked:
        answer("query", query=expression)
    open_to_others.compose("rm", "--force", "--stop", "prometheus")


def _expressions(part: Any) -> list[str]:
    """What a dashboard asks Prometheus for."""
    if isinstance(part, list):
        return [found for item in part for found in _expressions(item)]
    if isinstance(part, dict):
        return [part["expr"]] if "expr" in part else _expressions(list(part.values()))
    return []


def test_down_and_up_with_the_tables_of_the_version_before_loses_nothing(
    open_to_others: Project, key: str, dartboard: Dartboard, trained: JobOut, tmp_path: Path
) -> None:
    stack = open_to_others
    before = checkpoint_hash(stack, URL, key, trained.id, tmp_path)
    running = dartboard.submit("search", {**SEARCH, "epochs": 3})
    until(dartboard.follow(running), lambda e: e.kind == "epoch")
    stack.compose("stop", "worker")
    given_back = attempts(key, running)[0]
    stack.compose("down")
    stack.up("postgres")
    stack.compose("run", "-T", "--rm", "--no-deps", "migrate", "python", "-c", _DOWNGRADE)
    stack.up()
    assert stack.shell(READ_KEY).strip() == key
    assert checkpoint_hash(stack, URL, key, trained.id, tmp_path) == before
    assert dartboard.wait(running).status == "succeeded"
    assert given_back.status == "released"
    assert [e.epoch for e in dartboard.epochs(running.id)] == [1, 2, 3]


def test_no_secret_is_in_an_image_a_log_or_what_docker_tells_of_a_container(
    stack: Project, secrets: dict[str, str], images: dict[str, str], tmp_path: Path
) -> None:
    words = {text for name, text in secrets.items() if name.endswith(("_key", "_KEY", "password"))}
    assert len(words) == 7
    patterns = tmp_path / "patterns"
    # What is known to be in a layer has to be found there, or nothing would be.
    control = (ROOT / "api/app.py").read_text().splitlines()[0]
    patterns.write_text("\n".join([control, *sorted(words)]))
    engine = stack.engine
    told = [stack.compose("logs", "--no-color")]
    containers = engine.docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={stack.name}").split()
    told += [engine.docker("inspect", name) for name in containers]
    told += [engine.docker("history", "--no-trunc", tag) for tag in images.values()]
    assert [word for word in words if any(word in text for text in told)] == []
    search = f"docker save {' '.join(images.values())} | grep -aFo -f {patterns} | sort -u"
    assert engine.run("bash", "-c", search).splitlines() == [control]
