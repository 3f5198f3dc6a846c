import asyncio
import re
import socket
import threading
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from api.schemas.jobs import JobOut
from api.schemas.worker import LogReport, Release
from benchmarks.stream_readers import read
from client.events import Event
from client.local.stack import LocalStack
from tests.support.service import Bench, Service


def _follow(bench: Bench, job: JobOut, after: int = 0) -> tuple[threading.Thread, list[Event]]:
    seen: list[Event] = []
    thread = threading.Thread(target=lambda: seen.extend(bench.dartboard.follow(job, after)), daemon=True)
    thread.start()
    return thread, seen


def test_watchers_that_join_at_any_time_see_every_event_once_and_in_order(bench: Bench) -> None:
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


def test_a_watcher_that_comes_back_by_id_gets_the_rest(bench: Bench) -> None:
    job = bench.submit()
    training = bench.claim()
    for epoch in (1, 2, 3):
        training.report(epoch)
    training.finish()
    thread, seen = _follow(bench, job, after=4)
    thread.join(timeout=20)
    assert [e.sequence for e in seen] == [5, 6, 7, 8, 9, 9]


def test_a_watcher_that_has_seen_everything_of_an_ended_job_still_gets_the_end(bench: Bench) -> None:
    job = bench.submit()
    bench.dartboard.cancel(job.id)
    assert [(e.kind, e.sequence) for e in bench.dartboard.follow(job, after=2)] == [("end", 2)]


def test_epoch_events_equal_the_epochs_list(bench: Bench) -> None:
    job = bench.submit(epochs=1)
    training = bench.claim()
    training.report(1)
    training.finish()
    [told] = [e.data for e in bench.dartboard.follow(job) if e.kind == "epoch"]
    [listed] = bench.dartboard.epochs(job.id)
    assert told == listed.model_dump(mode="json", exclude={"created_at"})


def test_a_sequence_that_does_not_exist_yet_skips_nothing(bench: Bench) -> None:
    job = bench.submit()
    thread, seen = _follow(bench, job, after=1_000_000)
    bench.dartboard.cancel(job.id)
    thread.join(timeout=20)
    assert [e.kind for e in seen][-1] == "end"


def test_the_stream_of_a_deleted_job_ends(bench: Bench) -> None:
    job = bench.submit()
    watchers = [_follow(bench, job) for _ in range(3)]
    bench.dartboard.cancel(job.id)
    bench.dartboard.delete(job.id)
    for thread, _ in watchers:
        thread.join(timeout=20)
        assert not thread.is_alive()


def test_fifty_watchers_of_one_job_get_every_event_once_and_in_order(bench: Bench, service: Service) -> None:
    place, results = urlsplit(service.url), []
    job = bench.submit()

    def watch() -> None:
        results.append(asyncio.run(read(str(place.hostname), place.port or 0, job.links["events"], 50)))

    watching = threading.Thread(target=watch)
    watching.start()
    training = bench.claim()
    for epoch in (1, 2, 3):
        training.report(epoch)
    training.finish()
    watching.join(timeout=30)
    told = results[0]
    assert (told["refused"], told["without_end"], told["incomplete"], told["events"]) == (0, 0, 0, 9)


def _reported(bench: Bench, lines: int, length: int) -> None:
    """Log lines in one report of an attempt of their own."""
    line = {"time": "2026-01-01T00:00:00Z", "message": "x" * length}
    attempt = bench.claim().attempt
    attempt.report_logs(LogReport.model_validate({"n": 1, "lines": [line] * lines}))
    attempt.release(Release(n=2, reason="shutdown"))


def test_a_watcher_that_does_not_read_is_cut_off_and_misses_nothing_when_it_comes_back(
    bench: Bench, service: Service
) -> None:
    job = bench.submit(max_attempts=100)
    place = urlsplit(service.url)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(20)
        slow.connect((place.hostname, place.port))
        slow.sendall(f"GET {job.links['events']} HTTP/1.1\r\nHost: {place.hostname}\r\n\r\n".encode())
        first = slow.recv(200)
        for lines, length in [(70, 50_000)] * 4 + [(1000, 1)] * 2:
            # More than the buffers of both ends take, then more than may wait for a reader.
            _reported(bench, lines, length)
        kept = first + _read_to_its_end(slow)
    assert b"event: end" not in kept
    last = int(re.findall(rb"\nid: (\d+)\n\n", kept)[-1])
    bench.dartboard.cancel(job.id)
    rest = [event.sequence for event in bench.dartboard.follow(job, after=last)]
    assert rest == [*range(last + 1, rest[-1] + 1), rest[-1]]
    assert rest[-1] - last > 2000
    assert "ASGI" not in (service.data / "logs" / "api.log").read_text()


def test_streams_end_in_order_when_the_service_stops(tmp_path: Path) -> None:
    with ExitStack() as streams:
        with LocalStack(tmp_path, port=0, workers=0) as stack:
            http = streams.enter_context(httpx.Client(base_url=stack.url, timeout=20))
            job = http.post("/searches", json={"dataset": "digits"}).json()["id"]
            paths = (f"/searches/{job}/events", f"/events?job={job}", "/events?active=true")
            open_ = [streams.enter_context(http.stream("GET", path)) for path in paths]
            pieces = [stream.iter_text() for stream in open_]
            assert all(map(next, pieces))
            log = stack.processes["api"].log
        # A connection that was broken off would raise.
        assert "event: end" not in "".join("".join(rest) for rest in pieces)
    assert log is not None
    told = log.read_text()
    assert "ASGI" not in told
    assert "running task" not in told


def _read_to_its_end(connection: socket.socket) -> bytes:
    kept = b""
    try:
        while block := connection.recv(1 << 20):
            kept += block
    except ConnectionResetError:
        pass
    return kept
