"""Reports whether a search computes by the GPU kernels, and why not."""

from __future__ import annotations

from typing import Protocol

from darts_core.distributed.group import ALONE, Group
from darts_core.kernels import gpu


class Kernels(Protocol):
    """Kernels that a run enables: `darts_core.kernels.gpu` or its `recurrent`."""

    def available(self) -> bool: ...

    def failure(self) -> str | None: ...

    def disable(self, failure: str | None = None) -> None: ...


class KernelUse:
    """What the reports of a search tell of the GPU kernels; nothing if it does not want them."""

    def __init__(self, *, wanted: bool, group: Group = ALONE, kernels: Kernels = gpu) -> None:
        """A collective call if they are wanted."""
        self._wanted, self._kernels = wanted, kernels
        self._everywhere = wanted and group.all_agree(kernels.available())
        self._told: str | None = None

    def metrics(self) -> dict[str, float]:
        """`gpu_kernels`: 1 if the kernels compute on all GPUs of the run, else 0."""
        return {"gpu_kernels": float(self._everywhere and self._kernels.available())} if self._wanted else {}

    def warnings(self) -> tuple[str, ...]:
        """Why the kernels do not compute, if no earlier report told it."""
        failure = self._kernels.failure()
        if failure is None and not self._everywhere:
            failure = "the GPU kernels failed their self-test on another GPU of the run"
        if not self._wanted or failure in (None, self._told):
            return ()
        self._told = failure
        return (f"{failure}; torch's own operations compute, which takes longer",)
