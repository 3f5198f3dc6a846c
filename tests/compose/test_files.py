"""The compose files, without starting anything."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from tests.support.compose import CPU, MAIN, ROOT, S3, TLS, WORKER, Engine

# An engine that is not there yet is started first.
pytestmark = pytest.mark.timeout(1200)

_OVER = [over for count in range(4) for over in combinations([CPU, TLS, S3], count)]
_SETTINGS = {
    "ARTIFACTS_URL": "s3://bucket/prefix",
    "DARTBOARD_HOST": "dartboard.example.com",
    "DARTBOARD_URL": "https://dartboard.example.com",
    "DARTBOARD_BROKER_URL": "rediss://:word@dartboard.example.com:6380/0",
    "DARTBOARD_WORKER_KEY": "key",
}


class _Loader(yaml.SafeLoader):
    """Takes `!reset` of compose for nothing."""


_Loader.add_constructor("!reset", lambda *_: None)


@pytest.mark.parametrize("profile", ["", "monitoring"])
@pytest.mark.parametrize("files", [*([MAIN, *over] for over in _OVER), [WORKER], [WORKER, CPU]])
def test_compose_takes_every_combination_of_files(engine: Engine, files: list[str], profile: str) -> None:
    chosen = [part for file in files for part in ("-f", file)]
    said = engine.run(
        "docker", "compose", *chosen, "config", "-q", environment={**_SETTINGS, "COMPOSE_PROFILES": profile}
    )
    assert said == ""


def test_hadolint_finds_nothing_to_say_about_the_dockerfile() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    found = subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


@pytest.mark.parametrize("file", [MAIN, TLS, WORKER])
def test_every_service_has_a_limit_on_its_processes(file: str) -> None:
    services = yaml.load((ROOT / file).read_text(), _Loader)["services"]
    own = {name: service for name, service in services.items() if "image" in service}
    assert own
    for name, service in own.items():
        assert service["deploy"]["resources"]["limits"]["pids"] >= 128, name
