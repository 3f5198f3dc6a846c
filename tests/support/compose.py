"""A Docker engine, and a compose project on it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from uuid import UUID

ROOT: Final = Path(__file__).resolve().parents[2]
MAIN: Final = "docker-compose.yml"
WORKER: Final = "docker-compose.worker.yml"
CPU: Final = "docker-compose.cpu.yml"
TLS: Final = "docker-compose.tls.yml"
S3: Final = "docker-compose.s3.yml"
# The process that a container is there for: the child of its init, which alone could not be killed from inside.
_KILL_MAIN: Final = """
import os, signal
for process in filter(str.isdigit, os.listdir("/proc")):
    if open(f"/proc/{process}/stat").read().rpartition(")")[2].split()[1] == "1":
        os.kill(int(process), signal.SIGKILL)
"""


@dataclass(frozen=True)
class Engine:
    """A running Docker engine: the environment in which `docker` reaches it."""

    environment: Mapping[str, str] = field(repr=False)

    def run(self, *command: str, check: bool = True, environment: Mapping[str, str] | None = None) -> str:
        """What the command, run in the checkout, says on standard output. Fails with all it said."""
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**self.environment, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-8000:]}"
        return done.stdout

    def docker(self, *arguments: str, check: bool = True) -> str:
        return self.run("docker", *arguments, check=check)


def find_engine() -> Engine | str:
    """The engine that `docker` reaches, one that the tool of DARTBOARD_ENGINE_UP starts, or why there is none."""
    environment = dict(os.environ)
    if _answers(environment):
        return Engine(environment)
    tool = os.environ.get("DARTBOARD_ENGINE_UP")
    if not tool:
        return "no Docker engine with compose runs here, and DARTBOARD_ENGINE_UP names no tool that starts one"
    shell = 'environment=$("$0") && eval "$environment" && exec env -0'
    for _ in "12":  # it downloads, which may fail once
        told = subprocess.run(["bash", "-c", shell, tool], capture_output=True, text=True, check=False)
        if told.returncode == 0:
            break
    else:
        return f"{tool} has failed twice:\n{told.stderr[-2000:]}"
    environment = dict(line.split("=", 1) for line in told.stdout.split("\0") if line)
    assert _answers(environment), f"{tool} has run, and no Docker engine with compose answers"
    return Engine(environment)


def _answers(environment: Mapping[str, str]) -> bool:
    if shutil.which("docker", path=environment.get("PATH")) is None:
        return False
    asked = (["docker", "version"], ["docker", "compose", "version"])
    return all(subprocess.run(c, env=environment, capture_output=True, check=False).returncode == 0 for c in asked)


@dataclass(frozen=True)
class Project:
    """A compose project: files of the checkout, and what its `.env` would say."""

    engine: Engine
    name: str
    files: Sequence[str]
    settings: Mapping[str, str]

    def over(self, *files: str, **settings: str) -> Project:
        """The same project with further files and settings."""
        return replace(self, files=[*self.files, *files], settings={**self.settings, **settings})

    def shell(self, line: str) -> str:
        """A line as a reader of the documentation types it; the project follows from the environment."""
        environment = {"COMPOSE_PROJECT_NAME": self.name, "COMPOSE_FILE": ":".join(self.files), **self.settings}
        return self.engine.run("bash", "-ec", line, environment=environment)

    def compose(self, *arguments: str) -> str:
        return self.shell("docker compose " + " ".join(f"'{a}'" for a in arguments))

    def up(self, *services: str) -> None:
        self.compose("up", "-d", "--wait", "--wait-timeout", "240", "--no-build", "--pull", "never", *services)

    def kill_main(self, service: str) -> None:
        """`kill -9` to the service's process, as the kernel does it when memory runs out."""
        self.engine.docker("exec", self.container(service), "python", "-c", _KILL_MAIN)

    def container(self, service: str) -> str:
        return self.compose("ps", "--all", "--quiet", service).strip()

    def inspect(self, service: str) -> dict[str, Any]:
        [found] = json.loads(self.engine.docker("inspect", self.container(service)))
        return dict(found)

    def remove(self) -> None:
        """Everything of it, what it stored as well."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "1")


def checkpoint_hash(stack: Project, url: str, key: str, job: UUID, folder: Path) -> str:
    """Of the file that curl brings from the API at this address."""
    file = folder / "file.pt"
    stack.engine.run(
        "curl", "-fsS", "-H", f"Authorization: Bearer {key}", "-o", str(file), f"{url}/evaluations/{job}/checkpoint"
    )
    return hashlib.sha256(file.read_bytes()).hexdigest()


VERSION = "test"


IMAGES = {"api": f"dartboard-api:{VERSION}", "worker": f"dartboard-worker-cpu:{VERSION}"}


PORT = "18473"


URL = f"http://127.0.0.1:{PORT}"


READ_KEY = "docker compose exec -T api cat /run/dartboard/admin_key"
