"""DrNAS with progressive stages (arXiv:2006.10355), section 3.3: partial channels, then wider and fewer operations."""

from __future__ import annotations

from typing import ClassVar

from darts_core.methods.drnas import DrNas


class ProgressiveDrNas(DrNas):
    """DrNAS in stages. Each keeps the strongest operations of the one before, at their weights, on more channels."""

    carries_over: ClassVar[bool] = True

    @property
    def partial(self) -> int:
        """K of the stage."""
        return self.stage.partial
