"""The build of torch, with CUDA or without."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.bootstrap import has_gpu, unreachable, without_cuda
from tests.support.installed import call, has, lock, wheel

pytestmark = pytest.mark.slow


@pytest.fixture
def torches(ready: Path, tmp_path: Path) -> dict[str, str]:
    """pip's settings: an index with both builds of torch; what the build with CUDA asks for is there, too."""
    links = tmp_path / "links"
    names = {"torch": "2.14.1", "torchvision": "0.29.1", "triton": "3", "nvidia_cublas": "13", "nvidia_ml_py": "13"}
    lock(ready, "".join(wheel(links, name, version) for name, version in names.items()))
    (ready / "constraints.txt").write_text("torch==2.14.1\ntorchvision==0.29.1\n")
    for name in ("torch", "torchvision"):
        wheel(links, name, f"{names[name]}+cpu")
    return {"PIP_FIND_LINKS": str(links), "PIP_NO_INDEX": "1"}


def test_torch_without_cuda_is_taken_where_the_index_has_it_and_the_other_one_on_demand(
    ready: Path, torches: dict[str, str]
) -> None:
    first = call(ready / "dartboard", DARTBOARD_TORCH="cpu" if has_gpu() else "auto", **torches)
    assert "torch for CPUs; DARTBOARD_TORCH=cuda takes the other one" in first.stderr
    assert [has(ready, name) for name in ("torch", "triton", "nvidia_cublas", "nvidia_ml_py")] == [1, 0, 0, 1]
    assert call(ready / "dartboard", **torches).stderr == ""
    other = call(ready / "dartboard", DARTBOARD_TORCH="cuda", **torches)
    assert other.returncode == 0, other.stderr
    assert [has(ready, name) for name in ("triton", "nvidia_cublas")] == [1, 1]
    assert list((ready / ".venv").glob("lib/python*/site-packages/torch-2.14.1.dist-info"))
    assert call(ready / "dartboard", DARTBOARD_TORCH="cuda", **torches).stderr == ""


@pytest.mark.skipif(has_gpu(), reason="with a GPU the build with CUDA is no second choice")
def test_an_index_without_builds_for_cpus_gives_the_other_one_and_is_named(ready: Path, tmp_path: Path) -> None:
    links = tmp_path / "links"
    lock(ready, wheel(links, "torch", "2.14.1"))
    told = call(ready / "dartboard", PIP_FIND_LINKS=str(links), PIP_NO_INDEX="1")
    assert told.returncode == 0
    assert "the index in use has no build for CPUs, DARTBOARD_TORCH=cpu takes it from https://" in told.stderr


def test_a_build_for_cpus_that_is_nowhere_is_refused_with_the_way_out(ready: Path) -> None:
    lock(ready, f"torch==2.14.1 --hash=sha256:{64 * '0'}\n")
    index = {"DARTBOARD_TORCH": "cpu", "DARTBOARD_TORCH_INDEX": "http://127.0.0.1:9/whl"}
    refused = call(ready / "dartboard", **index)
    assert refused.returncode == 1
    reason = "cannot reach http://127.0.0.1:9: Connection refused"
    for said in (refused.stderr, (ready / ".venv" / "install.log").read_text()):
        assert f"DARTBOARD_TORCH=cpu: {reason}" in said
    assert "DARTBOARD_TORCH=cuda" in refused.stderr


def test_an_index_whose_name_does_not_resolve_is_named() -> None:
    said = (
        "error: Request failed after 3 retries in 10.8s\n"
        "  cause: Failed to fetch: https://download.pytorch.org/whl/cpu/torch/\n"
        "  cause: error sending request for url (https://download.pytorch.org/whl/cpu/torch/)\n"
        "  cause: client error (Connect)\n"
        "  cause: dns error\n"
        "  cause: failed to lookup address information: Name or service not known\n"
    )
    assert unreachable(said) == "cannot reach https://download.pytorch.org: its name does not resolve"
    assert unreachable("error: No solution found when resolving dependencies\n") == ""


def test_requirements_without_cuda_keep_all_else() -> None:
    lines = ["a==1 \\\n    --hash=sha256:1\n", "torch==2 ; sys_platform == 'linux' \\\n    --hash=sha256:2\n"]
    lines += ["nvidia-cudnn-cu13==9 \\\n    --hash=sha256:3\n", "nvidia-ml-py==13 \\\n    --hash=sha256:4\n"]
    assert without_cuda("".join(lines)) == lines[0] + lines[3]
