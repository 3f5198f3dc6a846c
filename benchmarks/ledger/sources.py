"""Gives a comparison its runs: done where the store lacks them, or stored ones alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Literal, NamedTuple, Protocol

from benchmarks.ledger.protocol import ProtocolError
from benchmarks.ledger.runs import run_missing
from benchmarks.ledger.store import Run, Store, key_of, spec_of
from benchmarks.oracle.data import checksum, opened
from darts_core.configs import AnyConfig, SearchConfig

RunsOf = Callable[[Sequence[AnyConfig]], Sequence[Run]]
"""Gives the runs of resolved specs, in their order."""


class Searches(Protocol):
    """A protocol of searches."""

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """The one that searches."""

    def firsts(self, dataset: str) -> Sequence[SearchConfig]:
        """The resolved specs of the first search of each of its methods."""


class Source(NamedTuple):
    """The data set's name in the specs, and what gives their runs."""

    dataset: str
    runs_of: RunsOf


@contextmanager
def running(
    protocol: Searches, store: Store, dataset: str, *, processes: int, say: Callable[[str], None]
) -> Iterator[Source]:
    """Yield a source that does the runs that the store lacks. Raises DartboardError for unknown images."""
    with opened(dataset) as (name, root):
        run = partial(run_missing, store=store, images=checksum(name, root), data_root=root, device=protocol.device)
        yield Source(name, partial(run, processes=processes, say=say))


def stored(protocol: Searches, store: Store) -> Source:
    """A source of stored runs, which raises ProtocolError where the store lacks one."""
    for dataset, images in store.images():
        if any(store.get(key_of(spec_of(search), images)) is not None for search in protocol.firsts(dataset)):
            return Source(dataset, partial(_stored, store, images))
    raise ProtocolError(f"{store.path} has no run of the protocol: give its images with --dataset to run them")


def _stored(store: Store, images: str, configs: Sequence[AnyConfig]) -> list[Run]:
    found = [store.get(key_of(spec_of(config), images)) for config in configs]
    runs = [run for run in found if run is not None]
    if missing := len(found) - len(runs):
        raise ProtocolError(
            f"{store.path} lacks {missing} of the protocol's {len(found)} runs: "
            "give its images with --dataset to run them"
        )
    return runs
