"""`dartboard methods`: lists the search methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from client.options import DEFAULT_URL, Json, Key, Url, Wide

if TYPE_CHECKING:
    from api.schemas.methods import MethodFieldOut


def list_methods(json: Json = False, wide: Wide = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """List the search methods, with the fields that `dartboard search --set` takes for each."""
    from client.output import print_json, print_listing
    from client.sdk import Dartboard
    from client.tables import Column, Listing

    with Dartboard(url, key) as dartboard:
        methods = dartboard.methods()
    if json:
        print_json({"items": [method.model_dump(mode="json") for method in methods]})
        return
    listing = Listing(
        Column("method"),
        Column("title", 3),
        Column("families"),
        Column("orders"),
        Column("GPUs", 1),
        Column("cost", 1),
        Column("source", 2),
        Column("fields"),
    )
    for method in methods:
        listing.add(
            method.name,
            method.title,
            ", ".join(method.families),
            ", ".join(map(str, method.orders)),
            "any" if method.most_gpus is None else f"{method.most_gpus}",
            method.cost,
            method.source,
            ", ".join([*map(_shown, method.fields), *(f"{name}={value:g}" for name, value in method.defaults.items())]),
        )
    print_listing(listing, wide=wide)


def _shown(field: MethodFieldOut) -> str:
    default = field.rule if field.default is None else field.default
    return f"{field.name}={default:g}" if isinstance(default, float) else f"{field.name}={default}"
