"""Ports: loopback only, clear when taken, kept once reserved."""

import socket

import pytest

from client.local.ports import Reservation, loopback
from darts_core.runtime.errors import StackError

pytestmark = pytest.mark.light


def test_taken_port_is_refused_with_its_number_and_way_out(taken_port: int) -> None:
    with pytest.raises(StackError, match=rf"Port {taken_port} .*in use.*--port"):
        Reservation(taken_port)


def test_impossible_port_is_refused() -> None:
    with pytest.raises(StackError, match="70000"):
        Reservation(70000)


def test_reserved_port_is_not_given_to_a_second_reservation() -> None:
    reserved = Reservation()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", reserved.port))
    reserved.release()


def test_server_of_ours_may_listen_on_a_reserved_port() -> None:
    reserved = Reservation()
    with socket.create_server(("127.0.0.1", reserved.port)) as server:
        socket.create_connection(("127.0.0.1", reserved.port), timeout=5).close()
        server.accept()[0].close()
    reserved.release()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_address_that_others_can_reach_is_refused(host: str) -> None:
    with pytest.raises(StackError, match="loopback"):
        loopback(host)


@pytest.mark.parametrize(("host", "address"), [("localhost", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("::1", "::1")])
def test_loopback_address_is_taken(host: str, address: str) -> None:
    assert loopback(host) == address
