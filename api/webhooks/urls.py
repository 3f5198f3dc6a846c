"""Parses the URLs of webhooks as browsers do, which leaves one spelling of each host."""

from __future__ import annotations

from typing import Final

import httpcore
from pydantic import ValidationError
from pydantic_core import Url

_PORTS: Final = {"https": 443, "http": 80}


def parse(text: str) -> Url:
    """Raises ValueError, with a sentence on what to give instead."""
    try:
        url = Url(text)
    except ValidationError as error:
        raise ValueError(
            f"this is not a URL ({error.errors()[0]['ctx']['error']}): give a whole one, such as https://…"
        ) from None
    if url.scheme not in _PORTS:
        raise ValueError("give a URL that begins with https:// or http://")
    if url.port == 0:
        raise ValueError("0 is not a port: give one from 1 to 65535")
    if url.username or url.password:
        raise ValueError("leave out the name and password: every message is signed instead")
    return url


def host_of(url: Url) -> str:
    """Its name or address; an IPv6 address without brackets."""
    return (url.host or "").strip("[]")


def port_of(url: Url) -> int:
    return url.port or _PORTS[url.scheme]


def authority_of(url: Url) -> str:
    """What a `Host` header says."""
    return f"{url.host}" if port_of(url) == _PORTS[url.scheme] else f"{url.host}:{url.port}"


def target_of(url: Url) -> httpcore.URL:
    """For httpcore, without the fragment."""
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return httpcore.URL(scheme=url.scheme, host=host_of(url), port=port_of(url), target=path)
