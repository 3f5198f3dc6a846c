import threading
from typing import Any

from client.following import Event


def _follow(bench: Any, job: Any, after: int = 0) -> tuple[threading.Thread, list[Event]]:
    seen: list[Event] = []
    thread = threading.Thread(target=lambda: seen.extend(bench.dartboard.follow(job, after)), daemon=True)
    thread.start()
    return thread, seen


def test_watchers_that_join_at_any_time_see_every_event_once_and_in_order(bench: Any) -> None:
    job = bench.submit(epochs=20)
    training = bench.claim()
    watchers = [_follow(bench, job)]
    for epoch in range(1, 21):
        training.report(epoch)
        if epoch % 5 == 0:
            watchers.append(_follow(bench, job))
    training.finish()
    watchers.append(_follow(bench, job))
    for thread, seen in watchers:
        thread.join(timeout=20)
        assert [e.sequence for e in seen if e.kind != "end"] == list(range(1, 44))
        assert seen[-1].kind == "end"


def test_a_watcher_that_comes_back_by_id_gets_the_rest(bench: Any) -> None:
    job = bench.submit()
    training = bench.claim()
    for epoch in (1, 2, 3):
        training.report(epoch)
    training.finish()
    thread, seen = _follow(bench, job, after=4)
    thread.join(timeout=20)
    assert [e.sequence for e in seen] == [5, 6, 7, 8, 9, 9]


def test_a_watcher_that_has_seen_everything_of_an_ended_job_still_gets_the_end(bench: Any) -> None:
    job = bench.submit()
    bench.dartboard.cancel(job.id)
    assert [(e.kind, e.sequence) for e in bench.dartboard.follow(job, after=2)] == [("end", 2)]


def test_epoch_events_carry_what_the_epochs_list_has(bench: Any) -> None:
    job = bench.submit(epochs=1)
    training = bench.claim()
    training.report(1)
    training.finish()
    [told] = [e.data for e in bench.dartboard.follow(job) if e.kind == "epoch"]
    [listed] = bench.dartboard.epochs(job.id)
    assert told == listed.model_dump(mode="json")


def test_a_sequence_that_does_not_exist_yet_skips_nothing(bench: Any) -> None:
    job = bench.submit()
    thread, seen = _follow(bench, job, after=1_000_000)
    bench.dartboard.cancel(job.id)
    thread.join(timeout=20)
    assert [e.kind for e in seen][-1] == "end"


def test_the_stream_of_a_deleted_job_ends(bench: Any) -> None:
    job = bench.submit()
    watchers = [_follow(bench, job) for _ in range(3)]
    bench.dartboard.cancel(job.id)
    bench.dartboard.delete(job.id)
    for thread, _ in watchers:
        thread.join(timeout=20)
        assert not thread.is_alive()
