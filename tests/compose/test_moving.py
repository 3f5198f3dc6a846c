"""A second installation beside the first: from its backup, with new secrets, with a bucket."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from moto.server import ThreadedMotoServer

from api.schemas.jobs import JobOut
from client.sdk import Dartboard
from tests.support.compose import MAIN, READ_KEY, ROOT, S3, URL, Project, checkpoint_hash

pytestmark = pytest.mark.timeout(1200)

PORT = "18475"
ELSEWHERE = f"http://127.0.0.1:{PORT}"
_BACKUP = """\
docker compose exec -T postgres pg_dump -U dartboard -Fc dartboard > monday.dump
docker compose exec -T api tar -C /artifacts -c . > monday-files.tar
"""
_RESTORE = """\
docker compose run --rm -T --no-deps api tar -C /artifacts -x < monday-files.tar
docker compose up -d --wait postgres
docker compose exec -T postgres pg_restore -U dartboard -d dartboard --no-owner < monday.dump
"""
_RENEW = "docker compose run --rm setup python -m api.provision /secrets --renew "
_SECRETS = ["api/DARTBOARD_WORKER_KEY", "api/admin_key", "api/metrics_key", "valkey/password", "postgres/password"]
_ALTER = (
    "docker compose exec -T postgres sh -c "
    """'psql -U dartboard -c "alter role dartboard password '"'"'$(cat /run/dartboard/password)'"'"'"'"""
)


@pytest.fixture
def elsewhere(stack: Project) -> Iterator[Project]:
    """A second installation, which has nothing yet."""
    made = Project(stack.engine, "dartboard-test-elsewhere", [MAIN], {**stack.settings, "DARTBOARD_PORT": PORT})
    made.remove()
    yield made
    made.remove()


def in_folder(lines: str, folder: Path) -> str:
    """The documentation's lines, with their files in this folder."""
    assert lines in (ROOT / "docs/operations.md").read_text()
    return lines.replace("monday", f"{folder}/monday")


def test_a_backup_is_restored_into_a_new_installation(
    stack: Project, elsewhere: Project, key: str, trained: JobOut, tmp_path: Path
) -> None:
    before = checkpoint_hash(stack, URL, key, trained.id, tmp_path)
    stack.shell(in_folder(_BACKUP, tmp_path))
    elsewhere.shell(in_folder(_RESTORE, tmp_path))
    elsewhere.up("api")
    new_key = elsewhere.shell(READ_KEY).strip()
    assert new_key != key
    with Dartboard(URL, key) as here, Dartboard(ELSEWHERE, new_key) as there:
        assert [job.id for job in there.jobs()] == [job.id for job in here.jobs()]
        assert there.epochs(trained.id) == here.epochs(trained.id)
    assert checkpoint_hash(elsewhere, ELSEWHERE, new_key, trained.id, tmp_path) == before


def test_every_secret_can_be_made_anew(elsewhere: Project) -> None:
    elsewhere.up("api")
    documented = (ROOT / "docs/operations.md").read_text()
    assert _RENEW in documented
    before = elsewhere.shell(READ_KEY).strip()
    for name in _SECRETS:
        assert f"`{name}`" in documented
        assert elsewhere.shell(f"{_RENEW}{name}").strip() == f"created {name}"
    assert _ALTER in documented
    elsewhere.shell(_ALTER)
    elsewhere.compose("up", "-d", "--wait", "--no-build", "--force-recreate", "migrate", "postgres", "valkey", "api")
    now = elsewhere.shell(READ_KEY).strip()
    assert now != before
    with Dartboard(ELSEWHERE, now) as sdk:
        keys = list(sdk.keys())
    assert sorted(str(key.owner) for key in keys) == ["admin", "admin", "prometheus", "prometheus"]
    answer = httpx.get(f"{ELSEWHERE}/readyz").json()
    assert (answer["database"], answer["broker"]) == ("ok", "ok")


@pytest.fixture
def s3(stack: Project) -> Iterator[str]:
    """A server that speaks S3, at the address by which containers reach this machine; its URL."""
    address = "{{(index .IPAM.Config 0).Gateway}}"
    server = ThreadedMotoServer(stack.engine.docker("network", "inspect", "-f", address, "bridge").strip(), 0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def test_artifacts_lie_in_a_bucket_instead(
    stack: Project, elsewhere: Project, s3: str, key: str, trained: JobOut, tmp_path: Path
) -> None:
    httpx.put(f"{s3}/bucket", timeout=60).raise_for_status()
    aws = {"ENDPOINT_URL": s3, "REGION": "us-east-1", "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}
    settings = {f"AWS_{name}": value for name, value in aws.items()}
    there = elsewhere.over(S3, ARTIFACTS_URL="s3://bucket/prefix", **settings)
    there.up("api")
    there_key = there.shell(READ_KEY).strip()
    with Dartboard(URL, key) as sdk:
        file = sdk.download_checkpoint(trained.id, tmp_path)
    with Dartboard(ELSEWHERE, there_key) as sdk:
        kept = sdk.upload_checkpoint(file)
    again = httpx.get(f"{ELSEWHERE}{kept.download}", headers={"Authorization": f"Bearer {there_key}"})
    assert again.content == file.read_bytes()
    assert there.compose("exec", "-T", "api", "find", "/artifacts", "-type", "f") == ""
    listed = httpx.get(f"{s3}/bucket?list-type=2", timeout=60).text
    assert re.findall(r"<Key>(prefix/)", listed) == ["prefix/"]
    assert re.findall(r"<Size>(\d+)</Size>", listed) == [str(kept.size)]
