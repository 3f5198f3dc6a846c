"""Answers of the API, as errors that tell a worker how to go on."""

from __future__ import annotations

import httpx
import pytest

from worker.api_client import (
    DamagedError,
    RangeError,
    RefusedError,
    StoreFullError,
    SupersededError,
    UnreachableError,
    WorkerApi,
    WorkerApiError,
)

pytestmark = pytest.mark.light

STATUSES = {
    UnreachableError: (429, 500, 502, 503, 504),
    SupersededError: (403, 409),
    DamagedError: (410,),
    RangeError: (416,),
    StoreFullError: (507,),
    RefusedError: (302, 400, 401, 404, 413, 422),
}


@pytest.mark.parametrize(("error", "status"), [(error, status) for error in STATUSES for status in STATUSES[error]])
@pytest.mark.parametrize("body", ['{"detail": "no room"}', "no room"])
def test_each_status_has_its_error(error: type[WorkerApiError], status: int, body: str) -> None:
    answer = httpx.Response(status, text=body, request=httpx.Request("POST", "http://api/worker/claim"))
    with WorkerApi("http://api", "key") as api, pytest.raises(error, match="no room") as raised:
        api.check(answer)
    assert raised.type is error


@pytest.mark.parametrize("status", [200, 201, 204, 206])
def test_a_success_is_no_error(status: int) -> None:
    with WorkerApi("http://api", "key") as api:
        api.check(httpx.Response(status))


def test_a_port_without_a_server_is_unreachable() -> None:
    with WorkerApi("http://127.0.0.1:9", "key") as api:
        with pytest.raises(UnreachableError, match="ConnectError"):
            api.send("GET", "/")
        with pytest.raises(UnreachableError, match="ConnectError"), api.stream("/"):
            pass
