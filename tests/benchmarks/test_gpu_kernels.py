"""What the kernels of a search step take of a GPU, and how many a step launches. Needs no GPU."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from typing import Any

import pytest

ON_LINUX = sys.platform == "linux" and platform.machine() == "x86_64"
pytestmark = pytest.mark.skipif(not ON_LINUX, reason="Triton and its assembler come for x86-64 Linux")

# Bytes of a thread in memory: for an occupancy that its tables prefer, the assembler of sm_80 keeps up to four numbers
# there in some variants, outside the innermost loops.
MOST_STACK = 16

# Of a first-order step of 3 cells with 4 nodes: Triton's kernels, and torch's operations. Of the usual 8 cells they are
# 1,488 and 497. Lower the bound with the number: without a graph a GPU waits for the launches.
MOST_LAUNCHES = (598, 230)

# Of a first-order step of a recurrent search with 8 nodes on windows of 35 words: likewise.
MOST_RECURRENT_LAUNCHES = (1_260, 1_475)


# A loop in a loop: what is at 0010, 0060 and 0080 is not in the inner one.
ASSEMBLY = """
        /*0000*/                   MOV R1, c[0x0][0x28] ;       /* 0x00000a0000017a02 */
        /*0010*/                   STL [R1], R15 ;              /* 0x0000000f01007387 */
        /*0020*/              @!P0 BRA 0x80 ;                   /* 0x0000005000008947 */
        /*0030*/                   LDL.LU R14, [R1+0x4] ;       /* 0x0000040001007983 */
        /*0040*/                   STL [R1+0x4], R14 ;          /* 0x0000040e01007387 */
        /*0050*/               @P1 BRA 0x30 ;                   /* 0xffffffd000001947 */
        /*0060*/                   LDL R0, [R1] ;               /* 0x0000000001007983 */
        /*0070*/               @P2 BRA 0x20 ;                   /* 0xffffffa000001947 */
        /*0080*/                   LDL R0, [R1] ;               /* 0x0000000001007983 */
        /*0090*/                   BRA 0x90 ;                   /* 0xfffffff000007947 */
"""


@pytest.mark.slow
@pytest.mark.parametrize("channels", [16, 36])
@pytest.mark.parametrize("capability", [80, 90])
def test_no_kernel_spills_in_a_loop(channels: int, capability: int) -> None:
    """Cells of 16 to 144 channels, in float32, TF32 and bf16."""
    rows = compiled("--channels", str(channels), "--capability", str(capability))
    kernels = {row["kernel"] for row in rows}
    assert {"_apply", "_sums", "_convolve", "_towards_input", "_towards_weight", "_fold", "_gradient"} <= kernels
    assert {row["channels"] for row in rows if row["kernel"] == "_apply"} == ({16, 32, 64} if channels == 16 else {64})
    assert {row["kernel"]: row["stack"] for row in rows if row["stack"] > MOST_STACK} == {}
    assert {row["kernel"]: row["looped"] for row in rows if row["looped"]} == {}
    assert all(row["registers"][1] <= 255 for row in rows)


def test_instructions_on_the_stack_are_counted_in_innermost_loops() -> None:
    from benchmarks.gpu_kernels import looped

    assert looped(ASSEMBLY) == 2


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90])
def test_no_kernel_of_recurrent_cells_spills(capability: int) -> None:
    """For texts of 10, 256 and 1024 columns."""
    rows = compiled("--family", "rnn", "--capability", str(capability))
    kernels, widths = ("_begin", "_mix", "_begin_backward", "_mix_backward"), (16, 256, 1024)
    assert {(row["kernel"], row["channels"]) for row in rows} == {(name, width) for name in kernels for width in widths}
    assert {row["kernel"]: row["stack"] for row in rows if row["stack"]} == {}


def compiled(*options: str) -> list[dict[str, Any]]:
    """The rows of `dartboard bench gpu-kernels`, in a process that does not interpret Triton's kernels."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "client.cli", "bench", "gpu-kernels", "--json", *options]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    rows: list[dict[str, Any]] = json.loads(answer.stdout)
    return rows


def test_a_search_step_launches_no_more_than_it_did() -> None:
    from benchmarks.launches import launches_of_step

    found = launches_of_step(channels=4, layers=3, image=8)
    kernels, operations = MOST_LAUNCHES
    assert 400 < len(found.kernels) <= kernels
    assert found.operations.total() <= operations


def test_a_search_step_of_a_recurrent_cell_launches_no_more_than_it_did() -> None:
    from benchmarks.recurrent_launches import launches_of_recurrent_step

    found = launches_of_recurrent_step()
    kernels, operations = MOST_RECURRENT_LAUNCHES
    assert len(found.kernels) == kernels
    assert found.operations.total() <= operations
