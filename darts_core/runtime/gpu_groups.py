"""Divides a machine's GPUs into groups; one worker per group takes the jobs that ask for that many GPUs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from darts_core.runtime.errors import BadSettingError
from darts_core.runtime.gpus import visible_gpus

VARIABLE = "DARTBOARD_GPUS"
_MOST = 64  # per job, as the API accepts them
_HOW = f"write the sizes of the groups, as in {VARIABLE}=2,1,1, or leave it out for one worker on each GPU"


@dataclass(frozen=True)
class GpuGroup:
    """The devices of one worker. `devices` as in CUDA_VISIBLE_DEVICES, none on a machine without GPUs."""

    size: int
    devices: tuple[str, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of the group's worker."""
        pinned = {"CUDA_VISIBLE_DEVICES": ",".join(self.devices)} if self.devices else {}
        return {VARIABLE: str(self.size), **pinned}


def groups_of(environment: Mapping[str, str]) -> list[GpuGroup]:
    """This machine's groups, as configured in the environment. Raises BadSettingError."""
    return plan(visible_gpus(environment), environment.get(VARIABLE))


def plan(devices: Sequence[str], wanted: str | None) -> list[GpuGroup]:
    """Plan groups of the given sizes, in device order; by default one GPU each.

    devices: as in CUDA_VISIBLE_DEVICES. Remaining devices stay unused. Without devices, each group computes on the CPU,
    in as many processes as its size. Raises BadSettingError when there are too few devices.
    """
    sizes = _sizes(wanted) if wanted and wanted.strip() else [1] * max(1, len(devices))
    if not devices:
        return [GpuGroup(size) for size in sizes]
    if sum(sizes) > len(devices):
        raise BadSettingError(
            f"{VARIABLE}={wanted} wants {sum(sizes)} GPUs, and this machine has {len(devices)}: {', '.join(devices)}; "
            f"{VARIABLE}={_that_fit(sizes, len(devices))} would fit, or leave it out for one worker on each"
        )
    left = list(devices)
    return [GpuGroup(size, _allocate(left, size, wanted)) for size in sizes]


def _allocate(left: list[str], size: int, wanted: str | None) -> tuple[str, ...]:
    """The first suitable devices among those left."""
    # CUDA shows a process only one slice of a split GPU, however many are named.
    fitting = left if size == 1 else [device for device in left if not device.startswith("MIG-")]
    if len(fitting) < size:
        raise BadSettingError(
            f"{VARIABLE}={wanted}: a group of {size} needs whole GPUs, and {len(fitting)} of {', '.join(left)} are: a "
            f"process can use one slice of a split GPU. Name groups of several first, or give slices groups of 1"
        )
    taken = tuple(fitting[:size])
    left[:] = [device for device in left if device not in taken]
    return taken


def _sizes(wanted: str) -> list[int]:
    sizes = []
    for part in wanted.split(","):
        text = part.strip()
        if not (text.isdecimal() and 1 <= int(text) <= _MOST):
            cpu = "; to compute on the CPU, set CUDA_VISIBLE_DEVICES to nothing" if text == "0" else ""
            raise BadSettingError(f"{VARIABLE}={wanted}: {text!r} is not a number from 1 to {_MOST}; {_HOW}{cpu}")
        sizes.append(int(text))
    return sizes


def _that_fit(sizes: Sequence[int], devices: int) -> str:
    fitting = []
    for size in sizes:
        if here := min(size, devices):
            fitting.append(str(here))
        devices -= here
    return ",".join(fitting)
