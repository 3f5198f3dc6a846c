"""Estimates the memory of a training run from its network's shapes. Imports no torch.

Tensors kept by autograd are counted exactly; allocator overhead and scratch space are measured factors
(docs/performance.md reports the error).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["cpu", "cuda"]

# Overhead on top of what the backward pass keeps: scratch space, gradients of activations, fragmentation; on CPUs also
# the copies made by dilated convolutions.
_OVERHEAD: Final[dict[Kind, float]] = {"cpu": 1.4, "cuda": 1.15}
# Of the libraries' kernels, independent of the network.
_LIBRARIES: Final[dict[Kind, int]] = {"cpu": 128 * 2**20, "cuda": 256 * 2**20}
# Weight, gradient, momentum and a step's temporary copy; second order adds the virtual weights, their gradient, the
# training gradient and the saved weights.
_COPIES: Final = {1: 4, 2: 8}
# The buffer in which ranks exchange the gradient of all weights, a copy of it, and those of the library: a guess.
_EXCHANGED: Final = 1
_EXCHANGE: Final[dict[Kind, int]] = {"cpu": 0, "cuda": 256 * 2**20}
# Maps of the size of the largest cell output held by a forward pass without gradients.
_MEASURED_MAPS: Final = 4
# In a fused search cell the maps of four edges exist at the same time.
_FUSED_MEASURED_MAPS: Final = 12


@dataclass(frozen=True)
class MemoryNeed:
    """In bytes. fixed: independent of the batch. per_image: per image of a batch part. measuring: of the evaluation
    passes. graph: whether CUDA graphs launch steps and evaluation passes, which keep the memory of one each.
    """

    fixed: int
    per_image: int
    measuring: int
    graph: bool = False

    def of(self, images: int, called: int = 0) -> int:
        """Bytes for training on parts of so many images, with evaluation between the epochs.

        called: images of a part in steps that the graph does not launch, as in a pass's last, smaller batch.
        """
        if not self.graph:
            return self.fixed + max(images * self.per_image, self.measuring)
        # The last batch of an evaluation pass is called, too.
        return self.fixed + images * self.per_image + self.measuring + max(called * self.per_image, self.measuring)

    def fitting(self, free: int) -> int:
        """The largest even number of images per part that fits in so much memory, whatever is left over for a pass's
        last batch; 0 when none does.
        """
        left = free - self.fixed - (self.measuring if self.graph else 0)
        if left < self.measuring:
            return 0
        images = left // self.per_image
        if self.graph:
            images = min(images // 2, (left - self.measuring) // self.per_image)
        return images // 2 * 2


def memory_need(
    *,
    training_bytes: int,
    largest_map: int,
    joined: int = 0,
    parameters: int,
    measured_images: int,
    kind: Kind = "cpu",
    order: Literal[1, 2] = 1,
    activation_bytes: int = 4,
    weight_bytes: int = 4,
    fused: bool = False,
    graph: bool = False,
    ranks: int = 1,
) -> MemoryNeed:
    """training_bytes, parameters: of the profile. largest_map: elements of the largest cell output.

    joined: elements that the backward pass of an image holds besides, in a cell whose inputs are one source.
    measured_images: batch size of the evaluation passes. order: of the alpha gradient. activation_bytes, weight_bytes:
    per element. fused: whether search cells are fused. graph: see `MemoryNeed`. ranks: devices that share each batch.
    """
    per_image = activation_bytes * (training_bytes / 4 * _OVERHEAD[kind] + joined)
    measured_maps = _FUSED_MEASURED_MAPS if fused else _MEASURED_MAPS
    copies, libraries = _COPIES[order], _LIBRARIES[kind]
    if ranks > 1:
        copies, libraries = copies + _EXCHANGED, libraries + _EXCHANGE[kind]
    return MemoryNeed(
        fixed=libraries + weight_bytes * parameters * copies,
        per_image=max(1, round(per_image)),
        measuring=measured_maps * activation_bytes * largest_map * measured_images,
        graph=graph,
    )
