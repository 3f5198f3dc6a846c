"""Runs the same searches undisturbed and under faults, and counts losses."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeVar
from uuid import UUID, uuid4

from api.schemas.jobs import URGENT
from benchmarks.chaos.caretaker import Caretaker
from benchmarks.chaos.faults import Fault, FullDisk, Target, all_faults, small_disks
from benchmarks.chaos.files import wrong_files
from benchmarks.chaos.injector import Injector
from benchmarks.chaos.ledger import Alphas, Ledger, Watched, read, undelivered
from benchmarks.chaos.receiver import Receiver, receiving
from benchmarks.chaos.watching import Watcher
from client.errors import ServiceUnreachableError
from client.local.stack import LocalStack
from client.sdk import Dartboard

T = TypeVar("T")
_ENVIRONMENT: Final = {
    "DARTBOARD_LEASE_SECONDS": "4",
    "DARTBOARD_STEP_EVENT_SECONDS": "0.2",
    "DARTBOARD_PREEMPT_REMAINING_SECONDS": "0",
    "DARTBOARD_PREEMPT_AGAIN_SECONDS": "0",
    "DARTBOARD_WEBHOOK_HOSTS": "127.0.0.1",
    "DARTBOARD_WEBHOOK_RETRY_SECONDS": "0.2",
    "OMP_NUM_THREADS": "1",
}
# Longer than any pause between two tries of a message.
_MESSAGES_SECONDS: Final = 120.0
_UNDISTURBED_SECONDS: Final = 900.0
_PROJECT: Final = "chaos"
_USAGE_ERROR: Final = 1e-3
# Small, but with both cells and every primitive. No number of kills makes a job give up.
_SPEC: Final[dict[str, Any]] = {
    "dataset": "digits",
    "channels": 2,
    "layers": 3,
    "nodes": 1,
    "batch_size": 128,
    "max_attempts": 100,
}


@dataclass
class Outcome:
    """Faults and losses of a run."""

    seed: int
    seconds: float = 0.0
    jobs: int = 0
    succeeded: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    passed_over: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    resumed: int = 0
    lost_attempts: int = 0
    compute_seconds: float = 0.0
    usage_seconds: float = 0.0
    epochs_expected: int = 0
    epochs_stored: int = 0
    duplicates: int = 0
    alpha_mismatches: int = 0
    wrong_files: int = 0
    events_stored: int = 0
    events_missed: int = 0
    events_doubled: int = 0
    events_out_of_order: int = 0
    events_unknown: int = 0
    watchers_connected: int = 0
    extended: int = 0
    messages_stored: int = 0
    ends_untold: int = 0
    messages_missed: int = 0
    messages_unknown: int = 0
    messages_unsigned: int = 0
    statuses: dict[str, int] = field(default_factory=dict)

    @property
    def nothing_lost(self) -> bool:
        wrong = (
            self.duplicates,
            self.alpha_mismatches,
            self.wrong_files,
            self.events_missed,
            self.events_doubled,
            self.ends_untold,
            self.messages_missed,
            self.messages_unknown,
            self.messages_unsigned,
        )
        return (
            (self.succeeded, self.epochs_stored) == (self.jobs, self.epochs_expected)
            and not any(wrong)
            and not self.events_out_of_order
            and not self.events_unknown
            and self.usage_error <= _USAGE_ERROR
        )

    @property
    def usage_error(self) -> float:
        """The difference of `GET /usage` to the sum of attempts, as a part of that."""
        return abs(self.usage_seconds - self.compute_seconds) / max(self.compute_seconds, 1e-9)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def run(
    *,
    seed: int,
    searches: int = 12,
    epochs: int = 6,
    workers: int = 2,
    minutes: float = 0.0,
    faults: Sequence[Fault] | None = None,
    shortest: float = 2.0,
    longest: float = 6.0,
    patience: float = 900.0,
    data: Path | None = None,
    say: Callable[[str], None],
) -> Outcome:
    """Run the searches undisturbed, then repeatedly under faults until `minutes` are over, at least once.

    Every second search is submitted with fewer epochs and extended when it has ended. A webhook is told of all ends.

    seed: of the order of faults; the searches' own seeds are 0, 1, 2, ... faults: by default all kinds that this
    machine supports. shortest, longest: seconds between two faults. patience: seconds per round before an unfinished
    job counts as lost. data: an empty folder, kept afterwards with its logs; excludes full disks, whose mounts end with
    the run.
    """
    outcome = Outcome(seed)
    chosen = all_faults() if faults is None else list(faults)
    outcome.left_out = {fault.name: reason for fault in chosen if (reason := fault.missing())}
    if data is not None:
        outcome.left_out |= {f.name: "the data are kept" for f in chosen if isinstance(f, FullDisk)}
    chosen = [fault for fault in chosen if fault.name not in outcome.left_out]
    for name, reason in outcome.left_out.items():
        say(f"left out: {name}: {reason}")
    with ExitStack() as open_things:
        folder = data or Path(open_things.enter_context(TemporaryDirectory()))
        if any(isinstance(fault, FullDisk) for fault in chosen):
            open_things.enter_context(small_disks(folder))
        stack = open_things.enter_context(LocalStack(folder, port=0, workers=workers, environment=_ENVIRONMENT))
        dartboard = open_things.enter_context(Dartboard(stack.url))
        specs = [{**_SPEC, "epochs": epochs, "seed": i} for i in range(searches)]
        say(f"{searches} searches of {epochs} epochs, undisturbed")
        undisturbed = _undisturbed(stack, dartboard, specs)
        receiver = open_things.enter_context(receiving())
        receiver.secret = dartboard.add_webhook(receiver.url).secret
        say(f"the same under faults, drawn from seed {seed}")
        jobs: dict[UUID, int] = {}
        watchers: list[Watcher] = []

        def submit(number: int, **fields: Any) -> Watcher:
            watcher = _submit(dartboard, number, {**specs[number], "project": _PROJECT, **fields})
            jobs[watcher.job_id] = number
            watchers.append(watcher)
            return watcher

        target = Target(stack, folder, lambda draw: submit(draw.randrange(searches), priority=URGENT).job_id)
        for fault in chosen:
            fault.prepare(target)
        began = time.monotonic()
        caretaker = Caretaker(stack.url)
        open_things.callback(caretaker.leave)
        caretaker.start()

        def tell(event: str) -> None:
            say(f"{time.monotonic() - began:6.1f} s {event}")

        with Injector(target, chosen, seed, shortest=shortest, longest=longest, say=tell) as injector:
            for number in count(1):
                batch = [submit(i) for i in range(searches)]
                _await(batch, patience)
                tell(f"round {number} is over")
                if time.monotonic() - began >= 60 * minutes or not all(w.ended for w in batch):
                    break
        _await(watchers, patience)  # an urgent search may go on
        outcome.seconds = round(time.monotonic() - began, 1)
        outcome.faults = {fault.name: injector.struck[fault.name] for fault in chosen}
        outcome.passed_over = {fault.name: injector.passed_over[fault.name] for fault in chosen}
        outcome.resumed = caretaker.resumed
        _until_answered(dartboard.workers)  # the last fault may have killed the database
        # Until tomorrow, since a clock that was set back leaves attempts in the future.
        used = dartboard.usage("project", until=datetime.now(UTC) + timedelta(days=1)).rows
        outcome.usage_seconds = sum(row.compute_seconds for row in used if row.project == _PROJECT)
        ledger = _settled(_database(stack), jobs)
        _count(outcome, ledger, jobs, undisturbed, epochs, watchers)
        _count_messages(outcome, ledger, receiver)
        outcome.wrong_files = len(wrong_files(target, jobs))
    return outcome


def _undisturbed(stack: LocalStack, dartboard: Dartboard, specs: list[dict[str, Any]]) -> list[Alphas]:
    watchers = [_submit(dartboard, number, spec) for number, spec in enumerate(specs)]
    _await(watchers, _UNDISTURBED_SECONDS)
    for watcher in watchers:
        ended = dartboard.job(watcher.job_id)
        wanted = ("succeeded", 1 + watcher.extended, watcher.extend_to is not None)
        if (ended.status, ended.attempt, watcher.extended) != wanted:
            raise RuntimeError(f"an undisturbed search is {ended.status} after attempt {ended.attempt}: {ended.error}")
    ledger = read(_database(stack), [watcher.job_id for watcher in watchers])
    for watcher in watchers:
        dartboard.delete(watcher.job_id)
    return [ledger.alphas(watcher.job_id) for watcher in watchers]


def _submit(dartboard: Dartboard, number: int, spec: dict[str, Any]) -> Watcher:
    """spec: with all epochs; a search of an odd number begins with half of them."""
    key, epochs = str(uuid4()), spec["epochs"]
    extended = number % 2 == 1 and epochs > 1
    asked = {**spec, "epochs": epochs // 2} if extended else spec
    job = _until_answered(lambda: dartboard.submit("search", asked, idempotency_key=key))
    watcher = Watcher(dartboard.url, job.id, epochs if extended else None)
    watcher.start()
    return watcher


def _settled(database_url: str, jobs: Collection[UUID]) -> Ledger:
    """The final state, once no message is waiting or the time is over."""
    deadline = time.monotonic() + _MESSAGES_SECONDS
    while undelivered(database_url) and time.monotonic() < deadline:
        time.sleep(0.5)
    return read(database_url, jobs)


def _await(watchers: Sequence[Watcher], patience: float) -> None:
    """Wait for the ends of the jobs."""
    deadline = time.monotonic() + patience
    for watcher in watchers:
        watcher.join(max(0.0, deadline - time.monotonic()))
    for watcher in watchers:
        watcher.give_up()


def _until_answered(ask: Callable[[], T]) -> T:
    """Retry while the service is down, as a user's script would. Raises ServiceUnreachableError after two minutes."""
    deadline = time.monotonic() + 120
    while True:
        try:
            return ask()
        except ServiceUnreachableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)


def _database(stack: LocalStack) -> str:
    return stack.processes["api"].command.environment["DATABASE_URL"]


def _count(
    outcome: Outcome,
    ledger: Ledger,
    jobs: dict[UUID, int],
    undisturbed: list[Alphas],
    epochs: int,
    watchers: list[Watcher],
) -> None:
    outcome.jobs = len(jobs)
    outcome.statuses = dict(Counter(ledger.statuses.values()))
    outcome.succeeded = outcome.statuses.get("succeeded", 0)
    outcome.lost_attempts = ledger.lost_attempts
    outcome.compute_seconds = ledger.compute_seconds
    outcome.epochs_expected = len(jobs) * epochs
    # Jobs created twice and epochs reported twice both count as doubled.
    outcome.duplicates = ledger.all_jobs - len(jobs)
    watched = Watched()
    for job_id, number in jobs.items():
        stored = ledger.epochs[job_id]
        outcome.epochs_stored += len(stored)
        outcome.duplicates += len(stored) - len(ledger.alphas(job_id))
        outcome.duplicates += sum(times - 1 for times in ledger.epoch_events(job_id).values())
        outcome.alpha_mismatches += sum(alphas != undisturbed[number].get(epoch) for epoch, alphas in stored)
        outcome.events_stored += len(ledger.events[job_id])
    for watcher in watchers:
        watched.add(watcher.seen, ledger.events[watcher.job_id])
    outcome.events_missed, outcome.events_doubled = watched.missed, watched.doubled
    outcome.events_out_of_order, outcome.events_unknown = watched.out_of_order, watched.unknown
    outcome.watchers_connected = sum(watcher.connections for watcher in watchers)
    outcome.extended = sum(watcher.extended for watcher in watchers)


def _count_messages(outcome: Outcome, ledger: Ledger, receiver: Receiver) -> None:
    outcome.messages_stored = len(ledger.messages)
    told = sum(type_ == "job.succeeded" for type_ in ledger.messages.values())
    outcome.ends_untold = abs(outcome.succeeded + outcome.extended - told)
    outcome.messages_missed = len(ledger.messages.keys() - receiver.received)
    outcome.messages_unknown = len(receiver.received - ledger.messages.keys())
    outcome.messages_unsigned = receiver.unsigned
