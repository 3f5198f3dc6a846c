"""Groups the columns of the alphas by the kind of operation that a fused cell computes together."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

_SEPARABLE: Final = {"sep_conv_3x3": 3, "sep_conv_5x5": 5, "sep_conv_7x7": 7}
_DILATED: Final = {"dil_conv_3x3": 3, "dil_conv_5x5": 5}
_POOLS: Final = ("max_pool_3x3", "avg_pool_3x3")
_OTHERS: Final = ("none", "noise", "skip_connect")


@dataclass(frozen=True)
class Columns:
    """Indices of a space's primitives by kind, each kind in the order of the space."""

    count: int
    separable: tuple[int, ...]
    dilated: tuple[int, ...]
    pools: tuple[int, ...]
    skip: int | None
    pool_names: tuple[str, ...]

    @classmethod
    def of(cls, primitives: Sequence[str], listed: Collection[str] | None = None) -> Columns | None:
        """Group the primitives; None if a fused cell does not support one of them. listed: those that an edge has."""
        if not set(primitives) <= {*_SEPARABLE, *_DILATED, *_POOLS, *_OTHERS}:
            return None

        def places(names: Sequence[str]) -> tuple[int, ...]:
            return tuple(i for i, name in enumerate(primitives) if name in names and (listed is None or name in listed))

        return cls(
            len(primitives),
            places(tuple(_SEPARABLE)),
            places(tuple(_DILATED)),
            places(_POOLS),
            next(iter(places(("skip_connect",))), None),
            tuple(primitives[i] for i in places(_POOLS)),
        )

    @property
    def used(self) -> tuple[int, ...]:
        """All operations but `none` and `noise`."""
        return (*self.separable, *self.dilated, *self.pools, *(() if self.skip is None else (self.skip,)))
