"""Spans of the API, as a collector receives them over OTLP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from client.local.stack import LocalStack

pytestmark = pytest.mark.stack


class Collector(ThreadingHTTPServer):
    """Keeps the spans that it is sent."""

    def __init__(self) -> None:
        self.spans: Queue[Span] = Queue()
        super().__init__(("127.0.0.1", 0), Received)


class Received(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(self.server, Collector)
        if self.path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        self.server.spans.put(span)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_request_is_a_span_whose_trace_the_log_line_names(collector: Collector, tmp_path: Path) -> None:
    told = {
        "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with LocalStack(tmp_path, port=0, workers=0, environment=told) as stack:
        missing = "/searches/01a205b3-86db-75d5-876d-2e6e6daa6d20"
        assert httpx.get(f"{stack.url}{missing}", headers={"X-Request-ID": "traced"}).status_code == 404
        while (span := collector.spans.get(timeout=30)).name != "GET /searches/{job_id}":
            pass
        lines = [json.loads(line) for line in (tmp_path / "logs" / "api.log").read_text().splitlines()]
    [line] = [line for line in lines if line.get("request") == "traced" and line["event"] == "request"]
    assert (line["trace_id"], line["span_id"]) == (span.trace_id.hex(), span.span_id.hex())
