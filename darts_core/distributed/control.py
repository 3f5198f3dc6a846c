"""Shares one control among all ranks."""

from __future__ import annotations

from darts_core.distributed.group import Group
from darts_core.files.checkpoints import Checkpoint
from darts_core.training.control import Control, Progress


class SharedControl:
    """Broadcasts the answers of rank 0's control, so that all ranks stop between the same two steps."""

    def __init__(self, control: Control, group: Group) -> None:
        self._control, self._group = control, group

    def should_stop(self) -> bool:
        """Rank 0's answer; a collective call."""
        return self._group.agree(self._group.leads and self._control.should_stop())

    def progress(self, progress: Progress) -> None:
        """On rank 0 only."""
        if self._group.leads:
            self._control.progress(progress)

    def keep(self, checkpoint: Checkpoint) -> None:
        """On rank 0 only."""
        if self._group.leads:
            self._control.keep(checkpoint)


def shared(control: Control, group: Group) -> Control:
    """The control for this rank's loop."""
    return control if group.size == 1 else SharedControl(control, group)
