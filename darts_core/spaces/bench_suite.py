"""The nine spaces of DARTS-Bench-Suite (arXiv:2507.16533): DARTS' in three networks, with three sets of operations.

The paper names sizes and sets; all else is from the authors' code, `scripts/benchsuite_experiments` and the package
`confopt` of github.com/automl/ConfigurableOptimizer:

- `regular` and `all_skip` have DARTS' operations, `no_skip` has them without `skip_connect`.
- In `all_skip` each edge adds a skip-connection of weight 1 to its weighted operations: the identity, or at stride 2 a
  factorized reduction of its own. So does each edge of the network that retrains a cell, where drop-path drops both.
- Reduction cells are DARTS', at one and two thirds of the network, so that the only cell of `single_cell` is one, of 52
  channels. Its normal cell is not trained.
- Each node keeps its two strongest edges, as in DARTS. Of the eight nodes of `single_cell` the output concatenates the
  last four, since the number of joined nodes stays at its default. A node before them may be read by none.

Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from darts_core.primitives import CNN_PRIMITIVES
from darts_core.spaces.darts import without
from darts_core.spaces.space import Space

_SHAPES: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "wide": ("4 cells with 18 channels", {"fields": {"channels": 18, "layers": 4}}),
    "deep": ("18 cells with 7 channels", {"fields": {"channels": 7, "layers": 18}}),
    "single-cell": (
        "one reduction cell of 8 nodes with 26 channels, which puts out the last 4",
        {"fields": {"channels": 26, "layers": 1}, "nodes": 8, "outputs": 4},
    ),
}


def _spaces() -> Iterator[Space]:
    source = "arXiv:2507.16533"
    for shape, (network, sizes) in _SHAPES.items():
        name, title = f"bench-{shape}", f"DARTS-Bench-Suite, {shape.replace('-', ' ')}"
        space, end = "The space of DARTS", f"in a network of {network}."
        yield Space(name, title, source, f"{space} {end}", CNN_PRIMITIVES, **sizes)
        yield Space(
            f"{name}-no-skip",
            f"{title} without skip-connections",
            source,
            f"{space} without skip-connections, {end}",
            without("skip_connect"),
            **sizes,
        )
        yield Space(
            f"{name}-all-skip",
            f"{title} with skip-connections on all edges",
            source,
            f"{space} with a skip-connection of weight 1 besides the operations of each edge, {end}",
            CNN_PRIMITIVES,
            edge_skips=True,
            **sizes,
        )


SPACES: Final = tuple(_spaces())
