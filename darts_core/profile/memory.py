"""How much memory a training run needs, by arithmetic on its network's shapes. Imports no torch.

What autograd keeps is counted exactly; what an allocator and the layers' scratch space add to it is not, and is a
factor here, found by measuring (docs/performance.md says how far off).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["cpu", "cuda"]

# On top of what the backward pass keeps: scratch space, gradients of activations, what the allocator cannot reuse; on
# CPUs the copies that dilated convolutions make as well.
_OVERHEAD: Final[dict[Kind, float]] = {"cpu": 1.4, "cuda": 1.15}
# Of the libraries' kernels, whatever the network.
_LIBRARIES: Final[dict[Kind, int]] = {"cpu": 128 * 2**20, "cuda": 256 * 2**20}
# Weight, gradient, momentum, and a step's temporary copy; to second order also the virtual weights, their gradient, the
# training gradient and the weights that are put back.
_COPIES: Final = {1: 4, 2: 8}
# A pass without gradients holds about so many maps as large as the largest cell's output.
_MEASURED_MAPS: Final = 4
# In the fused arrangement of a search's cell all maps of four edges exist at the same time.
_FUSED_MEASURED_MAPS: Final = 12


@dataclass(frozen=True)
class MemoryNeed:
    """In bytes. fixed: whatever the batch. per_image: for each image of a batch's part. measuring: to measure."""

    fixed: int
    per_image: int
    measuring: int

    def of(self, images: int) -> int:
        """To train on parts of so many images, and to measure between the epochs."""
        return self.fixed + max(images * self.per_image, self.measuring)

    def fitting(self, free: int) -> int:
        """Images in a part that so much memory suffices for; an even number, 0 where it suffices for nothing."""
        if self.fixed + self.measuring > free:
            return 0
        return (free - self.fixed) // self.per_image // 2 * 2


def memory_need(
    *,
    training_bytes: int,
    largest_map: int,
    parameters: int,
    measured_images: int,
    kind: Kind = "cpu",
    order: Literal[1, 2] = 1,
    activation_bytes: int = 4,
    weight_bytes: int = 4,
    fused: bool = False,
) -> MemoryNeed:
    """training_bytes, parameters: of the profile. largest_map: numbers in the largest output of a cell.

    measured_images: batch of the passes that measure. order: of the alpha gradient. activation_bytes, weight_bytes: of
    one number. fused: a search network in the fused arrangement.
    """
    per_image = training_bytes * activation_bytes / 4 * _OVERHEAD[kind]
    measured_maps = _FUSED_MEASURED_MAPS if fused else _MEASURED_MAPS
    return MemoryNeed(
        fixed=_LIBRARIES[kind] + weight_bytes * parameters * _COPIES[order],
        per_image=max(1, round(per_image)),
        measuring=measured_maps * activation_bytes * largest_map * measured_images,
    )
