"""`dartboard spaces`: lists the search spaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from client.options import DEFAULT_URL, Json, Key, Url, Wide

if TYPE_CHECKING:
    from api.schemas.spaces import SpaceOut


def list_spaces(json: Json = False, wide: Wide = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """List the search spaces, which `dartboard search --space` takes."""
    from client.output import print_json, print_listing
    from client.sdk import Dartboard
    from client.tables import Column, Listing

    with Dartboard(url, key) as dartboard:
        spaces = dartboard.spaces()
    if json:
        print_json({"items": [space.model_dump(mode="json") for space in spaces]})
        return
    listing = Listing(
        Column("space"),
        Column("title", 3),
        Column("family", 1),
        Column("nodes", number=True),
        Column("channels", number=True),
        Column("layers", number=True),
        Column("preset", 2),
        Column("source", 2),
        Column("operations"),
    )
    for space in spaces:
        listing.add(
            space.name,
            space.title,
            space.family,
            *("" if size is None else f"{size}" for size in (space.nodes, space.channels, space.layers)),
            ", ".join(space.presets),
            space.source,
            ", ".join(space.primitives) + _remark(space),
        )
    print_listing(listing, wide=wide)


def _remark(space: SpaceOut) -> str:
    if space.edges:
        return " (not all on each edge)"
    return " (and a skip-connection besides)" if space.edge_skips else ""
