"""Sends the worst bodies to every route and measures their cost and the delay of other requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx
import psutil

from benchmarks.hostile_bodies import Hostile, hostile_bodies
from client.local.stack import LocalStack

_PATIENCE_SECONDS: Final = 600.0
_MODULES: Final = ("api.checkpoints.inspect_child", "api.datasets.check_upload")


@dataclass(frozen=True)
class Cost:
    """One hostile request. Times in seconds, sizes in bytes. readyz: the longest answer of `/readyz` meanwhile."""

    route: str
    what: str
    sent: int
    status: int
    answer: int
    errors: int
    seconds: float
    memory: int
    readyz: float
    children: list[str] = field(default_factory=list)


def measure(*, data: Path | None, routes: str, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Cost of all bodies for the routes whose paths contain `routes`, on a separate service."""
    with TemporaryDirectory() as temporary, LocalStack(data or Path(temporary), port=0, workers=0) as stack:
        process = stack.processes["api"]
        assert process.pid is not None
        headers = {"X-API-Key": process.command.environment["DARTBOARD_WORKER_KEY"], "X-Attempt-Token": "t" * 40}
        with httpx.Client(base_url=stack.url, timeout=_PATIENCE_SECONDS) as http:
            found = []
            for hostile in hostile_bodies(http.get("/openapi.json").json()):
                if routes not in hostile.route:
                    continue
                cost = cost_of(http, hostile, headers if hostile.route.startswith("/worker") else {}, process.pid)
                say(f"{cost.seconds:7.3f} s, /readyz {1000 * cost.readyz:4.0f} ms: {cost.route}, {cost.what}")
                found.append(asdict(cost))
    return found


def worst_of_each_route(costs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per route, the body with the longest `/readyz`, with the route's largest answer and memory."""
    worst: dict[str, dict[str, Any]] = {}
    for cost in costs:
        known = worst.setdefault(cost["route"], cost)
        if cost["readyz"] > known["readyz"]:
            worst[cost["route"]] = cost
    for route, cost in worst.items():
        others = [c for c in costs if c["route"] == route]
        worst[route] = {**cost, **{name: max(c[name] for c in others) for name in ("answer", "memory")}}
    return list(worst.values())


def cost_of(http: httpx.Client, hostile: Hostile, headers: dict[str, str], pid: int) -> Cost:
    """Send the request while watching the API's process."""
    api = psutil.Process(pid)
    _forget_peak(pid)
    before = api.memory_info().rss
    with _Watcher(str(http.base_url), api) as watcher:
        began = time.perf_counter()
        sent = {**headers, "Content-Type": hostile.content_type}
        answer = http.request(hostile.method, hostile.url, content=hostile.body, headers=sent)
        seconds = time.perf_counter() - began
    problem = answer.json() if answer.headers.get("content-type", "").endswith("json") else {}
    return Cost(
        route=f"{hostile.method} {hostile.route}",
        what=hostile.what,
        sent=len(hostile.body),
        status=answer.status_code,
        answer=len(answer.content),
        errors=len(problem.get("errors", [])),
        seconds=round(seconds, 4),
        memory=max(0, _peak(pid) - before),
        readyz=round(watcher.longest, 4),
        children=sorted(watcher.children),
    )


class _Watcher:
    """Polls `/readyz`, and records the API's children."""

    def __init__(self, url: str, api: psutil.Process) -> None:
        self.longest, self.children = 0.0, set[str]()
        self._url, self._api, self._over = url, api, threading.Event()
        self._asked = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> _Watcher:
        self._thread.start()
        self._asked.wait(_PATIENCE_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=_PATIENCE_SECONDS) as http:
            http.get("/readyz")  # connect before the clock starts
            self._asked.set()
            while True:
                began = time.perf_counter()
                http.get("/readyz")
                self.longest = max(self.longest, time.perf_counter() - began)
                self._note_children()
                if self._over.wait(0.01):
                    return

    def _note_children(self) -> None:
        for child in self._api.children():
            try:
                self.children |= {module for module in _MODULES if module in child.cmdline()}
            except psutil.Error:  # already gone
                continue


def _forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _peak(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"process {pid} tells no peak of its memory")
