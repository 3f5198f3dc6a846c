"""A Docker engine, the images and their settings."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest

from api.schemas.jobs import JobOut
from client.events import Event
from client.sdk import Dartboard
from tests.support.compose import CPU, IMAGES, MAIN, PORT, READ_KEY, ROOT, URL, VERSION, Engine, Project, find_engine

POST_SEARCH = """\
KEY=$(docker compose exec -T api cat /run/dartboard/admin_key)
curl -H "Authorization: Bearer $KEY" localhost:8000/searches -d '{"dataset":"digits","epochs":3}'
"""
_READ = """
import json, pathlib
print(json.dumps({file.name: file.read_text() for file in pathlib.Path("/secrets").iterdir()}))
"""


@pytest.fixture(scope="session")
def engine() -> Engine:
    found = find_engine()
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.fixture(scope="session")
def images(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Both images, by target. torch comes from the index of CPU builds unless a wheel of one lies where pip looks."""
    wheels = tmp_path_factory.mktemp("wheels")
    for wheel in _cpu_wheels():
        shutil.copy(wheel, wheels)
    how = ["TORCH=wheels"] if any(wheels.iterdir()) else ["TORCH=cpu"]

    def build(target: str) -> None:
        arguments = [f"--build-arg={value}" for value in how if target == "worker"]
        engine.docker(
            "build",
            f"--target={target}",
            f"--tag={IMAGES[target]}",
            f"--build-context=wheels={wheels}",
            *arguments,
            str(ROOT),
        )

    with ThreadPoolExecutor() as pool:
        list(pool.map(build, IMAGES))
    return IMAGES


@pytest.fixture(scope="session")
def debian(engine: Engine) -> str:
    """An image with Caddy and Prometheus."""
    tag = f"dartboard-debian:{VERSION}"
    engine.docker("build", f"--tag={tag}", "--file=tests/compose/debian.Dockerfile", "tests/compose")
    return tag


def _cpu_wheels() -> list[Path]:
    folders = [Path(folder) for folder in os.environ.get("PIP_FIND_LINKS", "").split() if Path(folder).is_dir()]
    found = [sorted(f.glob(f"{name}-*+cpu-cp311-*.whl"))[-1:] for f in folders for name in ("torch", "torchvision")]
    return [wheel for wheels in found for wheel in wheels]


@pytest.fixture(scope="session")
def project(engine: Engine) -> Iterator[Project]:
    """The service on one host without a GPU."""
    settings = {
        "DARTBOARD_VERSION": VERSION,
        "DARTBOARD_PORT": PORT,
        "DARTBOARD_LEASE_SECONDS": "6",
        "OMP_NUM_THREADS": "1",
    }
    made = Project(engine, "dartboard-test", [MAIN, CPU, "tests/compose/overlay.yml"], settings)
    made.remove()  # what a run that was killed left
    yield made
    made.remove()


@pytest.fixture(scope="session")
def stack(project: Project, images: dict[str, str]) -> Project:
    project.up()
    return project


@pytest.fixture(scope="session")
def key(stack: Project) -> str:
    """As the README reads it."""
    return stack.shell(READ_KEY).strip()


@pytest.fixture(scope="session")
def dartboard(stack: Project, key: str) -> Iterator[Dartboard]:
    with Dartboard(URL, key) as sdk:
        yield sdk


@pytest.fixture(scope="session")
def secrets(stack: Project, images: dict[str, str]) -> dict[str, str]:
    """Every secret that the first start has made, by the volume and the file that it lies in."""
    found = {}
    for part in ("api", "worker", "postgres", "valkey", "monitoring"):
        volume = f"{stack.name}_secrets-{part}:/secrets:ro"
        files = json.loads(stack.engine.docker("run", "--rm", "-v", volume, images["api"], "python", "-c", _READ))
        found.update({f"{part}/{name}": text for name, text in files.items()})
    return found


@pytest.fixture(scope="session")
def searched(stack: Project, dartboard: Dartboard) -> tuple[UUID, list[Event]]:
    """The README's search, and what its stream said while it ran."""
    assert POST_SEARCH in (ROOT / "README.md").read_text()
    job = JobOut.model_validate_json(stack.shell(POST_SEARCH.replace("localhost:8000", URL)))
    return job.id, list(dartboard.follow(job))


@pytest.fixture(scope="session")
def trained(dartboard: Dartboard, searched: tuple[UUID, list[Event]]) -> JobOut:
    """The cell that was found, trained."""
    small = {"search_id": str(searched[0]), "epochs": 1, "channels": 4, "layers": 3}
    evaluation = dartboard.wait(dartboard.submit("evaluation", small))
    assert evaluation.status == "succeeded", evaluation.error
    return evaluation
