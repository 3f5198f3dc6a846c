"""Keeps webhooks away from private addresses, by the address that is connected to, not by its name."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

import httpcore

_NAT64: Final = IPv6Network("64:ff9b::/96")
_SocketOptions = Iterable[httpcore.SOCKET_OPTION]


class RefusedAddressError(Exception):
    """The host has no address, or one that webhooks may not reach."""


class Addresses:
    """Resolves hosts. allowed: hosts that may have any address, by name as in the URL."""

    def __init__(self, allowed: Collection[str] = ()) -> None:
        self._allowed = {host.lower() for host in allowed}

    async def resolve(self, host: str, port: int) -> str:
        """An address of the host. Raises RefusedAddressError, also if only one of several is private."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise RefusedAddressError(f"the host {host} is not known here") from error
        addresses = [str(each[4][0]) for each in found]
        if host.lower() not in self._allowed:
            for address in addresses:
                if not is_public(address):
                    raise RefusedAddressError(
                        f"{host} is at {address}, which is not a public address: an admin may allow the host with "
                        "DARTBOARD_WEBHOOK_HOSTS"
                    )
        return addresses[0]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet's, also where it carries an IPv4 address in it."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address) and (inner := _inner(ip)) is not None:
        ip = inner
    return ip.is_global and not ip.is_multicast


def _inner(ip: IPv6Address) -> IPv4Address | None:
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to the address that was checked: a name that changes its address in between gains nothing."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses, self._backend = addresses, httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the base class's
        local_address: str | None = None,
        socket_options: _SocketOptions | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises RefusedAddressError besides httpcore's errors."""
        address = await self._addresses.resolve(host, port)
        return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
