"""Defines what the networks of all genotypes have in common."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from darts_core.distributed.group import ALONE, Group


class RetrainedNetwork(nn.Module):
    """Base class of evaluation networks; maps images (N, channels, H, W) to logits (N, classes)."""

    def with_auxiliary(self, x: Tensor, drawn: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return the logits and the auxiliary head's logits; None without a head or in evaluation mode.

        drawn: of `draw_paths`, if they were drawn before.
        """
        return self(x), None

    def compile_cells(self, images: int) -> None:
        """Compile the cells' training passes on batches of so many images, each when it first comes up."""
        raise NotImplementedError

    def set_noise(self, source: torch.Generator) -> None:
        """Set the generator of every `noise` operation. source: on the network's device."""

    @property
    def has_noise(self) -> bool:
        """Whether a cell has the operation `noise`."""
        return False

    def set_drop_path(self, probability: float, generator: torch.Generator | None = None, group: Group = ALONE) -> None:
        """Set probability, generator and group of drop-path. Networks without paths to drop have none."""

    @property
    def drops_paths(self) -> bool:
        """Whether drop-path has a probability above 0."""
        return False

    def draw_paths(self, images: int) -> Tensor | None:
        """Draw the numbers (paths, images) by which a pass drops paths; None where it drops none."""
        return None
