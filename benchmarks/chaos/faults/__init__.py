"""The kinds of faults, one module each."""

from benchmarks.chaos.faults.checkpoints import DamagedCheckpoint, LateUpload
from benchmarks.chaos.faults.clocks import ClockStep
from benchmarks.chaos.faults.disks import FullDisk, small_disks
from benchmarks.chaos.faults.fault import Fault, Target
from benchmarks.chaos.faults.kills import Kill, KillWorkerChild
from benchmarks.chaos.faults.preemption import Preempt
from benchmarks.chaos.faults.stops import Stop


def all_faults() -> list[Fault]:
    """One instance of each kind."""
    return [
        *(Kill(name) for name in ("worker", "api", "valkey", "postgres")),
        KillWorkerChild(),
        *(Stop(name) for name in ("worker", "api", "valkey", "postgres")),
        *(FullDisk(name) for name in ("full_logs", "full_store", "full_database")),
        ClockStep(),
        LateUpload(),
        DamagedCheckpoint(),
        Preempt(),
    ]


__all__ = ["Fault", "FullDisk", "Target", "all_faults", "small_disks"]
