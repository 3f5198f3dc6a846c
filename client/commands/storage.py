"""`dartboard storage`: what files take of the disk, and what would free most."""

from __future__ import annotations

from client.options import DEFAULT_URL, Json, Key, Url, Wide


def storage(json: Json = False, wide: Wide = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Print what files take by owner, and what can be deleted, the largest first."""
    from client.output import console, print_json, print_listing
    from client.sdk import Dartboard
    from client.sizes import size
    from client.tables import Column, Listing

    with Dartboard(url, key) as dartboard:
        found = dartboard.storage()
    if json:
        print_json(found)
        return
    kinds = sorted({kind for each in found.owners for kind in each.jobs})
    jobs = [Column(kind, 2, number=True) for kind in kinds]
    others = Column("uploads", 1, number=True), Column("data sets", 1, number=True)
    listing = Listing("owner", Column("in all", number=True), *jobs, *others)
    for each in found.owners:
        sizes = (each.bytes, *(each.jobs.get(kind, 0) for kind in kinds), each.uploads, each.datasets)
        listing.add(each.owner or "–", *map(size, sizes))
    print_listing(listing, wide=wide)
    free = "" if found.free is None else f", {size(found.free)} are free"
    console.print(f"{size(found.bytes)} in all{free}")
    if found.spare:
        how = "dartboard retention preview --days 0"
        console.print(f"ended jobs can spare {size(found.spare)} of checkpoints: {how}")
    for worker in found.workers:
        room = "" if worker.free_bytes is None else f", {size(worker.free_bytes)} are free"
        console.print(f"worker {worker.name}: {size(worker.dataset_bytes)} of copies of data sets{room}")
    if found.frees_most:
        console.print("\nThe largest that can be deleted:")
        freeable = Listing(Column("frees", number=True), "what", Column("name", 2), Column("owner", 1), "command")
        for one in found.frees_most:
            freeable.add(size(one.bytes), one.kind, one.name or "", one.owner or "–", one.command)
        print_listing(freeable, wide=wide)
