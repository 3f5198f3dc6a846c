"""Files that are announced to be larger than any file may be."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest

from tests.support.service import Bench, Service

_CLAIMED = 10_000_000_000
_FORM = "multipart/form-data; boundary=edge"


def _answered(service: Service, request: str) -> bytes:
    """What comes back though only the head was sent, and not one byte of the body."""
    place = urlsplit(service.url)
    with socket.create_connection((place.hostname, place.port), timeout=20) as connection:
        connection.sendall(f"{request}Host: {place.hostname}\r\nContent-Length: {_CLAIMED}\r\n\r\n".encode())
        return connection.recv(1 << 16)


def _stored(service: Service) -> set[str]:
    return {str(path) for path in (service.data / "artifacts").rglob("*")}


@pytest.mark.parametrize("path", ["/datasets", "/checkpoints"])
def test_a_form_of_ten_gigabytes_is_refused_before_it_is_read(service: Service, path: str) -> None:
    before = _stored(service)
    answer = _answered(service, f"POST {path} HTTP/1.1\r\nContent-Type: {_FORM}\r\n")
    assert answer.startswith(b"HTTP/1.1 413")
    assert _stored(service) == before


def test_a_worker_s_file_of_ten_gigabytes_is_refused_before_it_is_read(bench: Bench, service: Service) -> None:
    bench.submit()
    training = bench.claim()
    before = _stored(service)
    path = f"/worker/attempts/{training.claimed.attempt_id}/files/large.pt"
    who = f"Authorization: Bearer {service.worker_key}\r\nX-Attempt-Token: {training.claimed.token}\r\n"
    answer = _answered(service, f"PUT {path} HTTP/1.1\r\n{who}")
    assert answer.startswith(b"HTTP/1.1 413")
    assert _stored(service) == before
