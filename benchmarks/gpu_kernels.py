"""Compiles the kernels of a search step for GPUs that need not be there, and reads what each takes of one."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import MockTensor

from benchmarks.launches import Launch, launches_of_step
from benchmarks.recurrent_launches import launches_of_measuring, launches_of_recurrent_step
from darts_core.errors import KernelError

PRECISIONS: Final = ("float32", "tf32", "bf16")
_WARP: Final = 32
_USAGE: Final = re.compile(r"REG:(\d+) STACK:(\d+) SHARED:(\d+)")
_INSTRUCTION: Final = re.compile(r"/\*([0-9a-f]{4,})\*/ +(?:@!?\w+ +)?(\w+)(.*?);")
_TARGET: Final = re.compile(r"0x([0-9a-f]+) *$")


@dataclass(frozen=True)
class Usage:
    """What a compiled kernel takes. channels: the padded width of its tiles or rows, where it has one; 0 otherwise.

    registers: of a thread. stack: bytes of a thread in memory, the spilled registers among them. looped: instructions
    in innermost loops that read or write these. shared: bytes of a program.
    """

    kernel: str
    capability: int
    precision: str
    channels: int
    warps: int
    registers: int
    stack: int
    looped: int
    shared: int


def usages(
    channels: Sequence[int], capabilities: Sequence[int], precisions: Sequence[str] = PRECISIONS
) -> Iterator[Usage]:
    """Compile every variant of the kernels that first-order steps on CIFAR's images launch.

    channels: of the first cells; later ones have two and four times as many. capabilities: 80 for sm_80, and so on.
    Raises KernelError where Triton interprets its kernels.
    """
    of_precisions = {
        precision: [
            launch
            for each in channels
            for launch in launches_of_step(channels=each, layers=3, nodes=2, precision=precision).kernels
        ]
        for precision in precisions
    }
    return _usages(of_precisions, capabilities)


def recurrent_usages(columns: Sequence[int], capabilities: Sequence[int]) -> Iterator[Usage]:
    """Compile every variant of the kernels that first-order steps of a recurrent search, and measuring, launch.

    columns: of the text. The other arguments, and the error, are those of `usages`.
    """
    found = [
        launch
        for each in columns
        for launches in (launches_of_recurrent_step(batch=each, nodes=2, length=2), launches_of_measuring(batch=each))
        for launch in launches.kernels
    ]
    return _usages({"float32": found}, capabilities)


def _usages(of_precisions: Mapping[str, Sequence[Launch]], capabilities: Sequence[int]) -> Iterator[Usage]:
    if knobs.runtime.interpret:
        raise KernelError("TRITON_INTERPRET is set: Triton then compiles nothing; unset it")
    target = _Target()
    driver.set_active(target)
    seen: set[tuple[int, str]] = set()
    for precision, found in of_precisions.items():
        for capability in capabilities:
            target.capability = capability
            for name, tile, compiled in _compiled(found):
                if (capability, compiled.hash) not in seen:  # most kernels know nothing of TF32
                    seen.add((capability, compiled.hash))
                    yield Usage(name, capability, precision, tile, compiled.metadata.num_warps, *_read(compiled))


def summarised(found: Iterable[Usage]) -> list[dict[str, Any]]:
    """A row for each kernel, capability and width: the most that any variant takes."""
    rows: dict[tuple[str, int, int], list[Usage]] = {}
    for usage in found:
        rows.setdefault((usage.kernel, usage.channels, usage.capability), []).append(usage)
    return [
        {
            "kernel": kernel,
            "channels": channels or None,
            "capability": capability,
            "variants": len(variants),
            "registers": [min(each.registers for each in variants), max(each.registers for each in variants)],
            "stack": max(each.stack for each in variants),
            "looped": max(each.looped for each in variants),
            "shared": max(each.shared for each in variants),
            "warps": max(each.warps for each in variants),
        }
        for (kernel, channels, capability), variants in sorted(rows.items())
    ]


def _compiled(found: Iterable[Launch]) -> Iterator[tuple[str, int, Any]]:
    """Name, width and binary of each launch's variant."""
    for launch in found:
        compiled = launch.kernel.warmup(*_mocked(launch.arguments), grid=(1,), **launch.options)
        width = launch.options.get("CHANNELS") or launch.options.get("ROW", 0)
        yield launch.kernel.__name__, width, compiled


def _mocked(argument: Any) -> Any:
    """Put tensors in the place of their types."""
    return tuple(map(_mocked, argument)) if isinstance(argument, tuple) else MockTensor.wrap_dtype(argument)


def _read(compiled: Any) -> tuple[int, int, int, int]:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        usage = _USAGE.search(_dumped(file.name, "--dump-resource-usage"))
        assert usage is not None
        registers, stack, _ = map(int, usage.groups())
        in_loops = looped(_dumped(file.name, "--dump-sass")) if stack else 0
    return registers, stack, in_loops, compiled.metadata.shared


def _dumped(name: str, what: str) -> str:
    return subprocess.run([knobs.nvidia.cuobjdump.path, what, name], capture_output=True, text=True, check=True).stdout


def looped(assembly: str) -> int:
    """Count the instructions of innermost loops that read or write the stack: a branch back closes a loop."""
    loops, stack = [], []
    for address, operation, operands in _INSTRUCTION.findall(assembly):
        here = int(address, 16)
        if operation in ("LDL", "STL"):
            stack.append(here)
        elif operation == "BRA" and (target := _TARGET.search(operands)) and int(target[1], 16) < here:
            loops.append((int(target[1], 16), here))
    innermost = [
        (start, end)
        for start, end in loops
        if not any(start <= a and b <= end for a, b in loops if (a, b) != (start, end))
    ]
    return sum(any(start <= each <= end for start, end in innermost) for each in stack)


class _Target:
    """A driver that only tells for which GPU to compile."""

    capability = 0

    def get_current_device(self) -> int:
        """A number of its own for each capability, since Triton keeps binaries by device."""
        return self.capability

    def get_current_stream(self, device: int) -> int:
        """None is needed."""
        return 0

    def get_current_target(self) -> GPUTarget:
        """The GPU."""
        return GPUTarget("cuda", self.capability, _WARP)
