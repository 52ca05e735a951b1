"""Where a client may connect: the host and port of its base URL, and no private network behind a public name."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import aiohttp
import httpx
from aiohttp.abc import ResolveResult

from enrichment_dagster.errors import ConfigurationError

_MAX_PORT = 65_535
_FORBIDDEN_IN_PATH = frozenset("?#\\\r\n\t ")


class EgressRefusedError(OSError):
    """A connection was not opened, because its address is not one that this client may reach."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The scheme, host and port that a client is bound to, with the path that all its calls begin with."""

    text: str  # "https://api.example.com" or "http://127.0.0.1:8080/vendor"
    host: str
    port: int | None

    def url(self, path: str, query: str = "") -> httpx.URL:
        """Return the URL of a call; an empty path stands for the base URL itself. ``query`` is encoded already.

        Raises:
            EgressRefusedError: the path would lead away from this origin.
        """
        checked = _checked(self, path)
        return CheckedUrl(f"{checked}?{query}" if query else checked)


@lru_cache(maxsize=1_000)
def _checked(origin: Origin, path: str) -> str:
    """Return the URL of a path below an origin, with all its characters as they go over the wire."""
    if (
        (path and not path.startswith("/"))
        or path.startswith("//")
        or "/.." in path
        or "/./" in f"{path}/"  # would be taken out, and with it a segment
        or not _FORBIDDEN_IN_PATH.isdisjoint(path)
    ):
        raise EgressRefusedError("the path is not one below the base URL")
    url = httpx.URL(f"{origin.text}{path}")
    if (url.host, url.port) != (origin.host, origin.port):
        raise EgressRefusedError("the URL leads to another host")
    return str(url)


class CheckedUrl(httpx.URL):
    """A URL in its final form. httpx takes 40 us to parse one, so it does that only where somebody looks into it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        """Return it as it goes over the wire."""
        return self._text

    def __getattr__(self, name: str) -> Any:
        """Parse it at the first look into it."""
        if name != "_uri_reference":
            raise AttributeError(name)
        super().__init__(self._text)
        return self._uri_reference


def parse_origin(system: str, base_url: str) -> Origin:
    """Check a base URL.

    Raises:
        ConfigurationError: it is no http(s) URL, holds credentials or a query, or would send secrets unencrypted.
    """
    try:
        url = httpx.URL(base_url.strip().rstrip("/"))
    except httpx.InvalidURL:
        raise ConfigurationError([f"{system}: the base URL is not a URL"]) from None
    if url.scheme not in {"http", "https"} or not url.host or not 0 <= (url.port or 0) <= _MAX_PORT:
        raise ConfigurationError([f"{system}: the base URL must begin with https:// and name a host (and port)"])
    if url.userinfo or url.query or url.fragment:
        raise ConfigurationError([f"{system}: the base URL may not hold credentials, a query or a fragment"])
    if url.scheme == "http" and not _is_near(url.host):
        raise ConfigurationError([f"{system}: the base URL must be https:// (keys would travel unencrypted)"])
    return Origin(text=str(url).rstrip("/"), host=url.host, port=url.port)


def _is_near(host: str) -> bool:
    """Say whether a host is this machine, or a literal address of a private network that the operator typed."""
    if host == "localhost":
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return False


def may_connect(address: str) -> bool:
    """Say whether an address that DNS gave may be connected to: a public one, or this machine."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return ip.is_global or ip.is_loopback


class GuardedResolver(aiohttp.ThreadedResolver):
    """The system's resolver, refusing private addresses. aiohttp does not resolve literal addresses: those pass."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host.

        Raises:
            EgressRefusedError: one of them is private.
        """
        found = await super().resolve(host, port, family)
        if not all(may_connect(entry["host"]) for entry in found):
            raise EgressRefusedError("the name resolves to a private address")
        return found


_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# IETF protocol assignments and the site-local addresses of old: Python takes some of them for public.
_SPECIAL = (ipaddress.ip_network("192.0.0.0/24"), ipaddress.ip_network("fec0::/10"))


def is_public(host: str) -> bool:
    """Say whether a host is a public address, or a name, of which only the resolver knows where it leads."""
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host != "localhost" and not host.endswith((".localhost", ".local", ".internal"))
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ipaddress.ip_address(ip.packed[-4:]) if ip in _NAT64 else None)
        ip = inner or ip
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _SPECIAL)


class PublicResolver(GuardedResolver):
    """Refuses this machine as well: for URLs that others have named."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host.

        Raises:
            EgressRefusedError: one of them is not public.
        """
        found = await super().resolve(host, port, family)
        if not all(is_public(entry["host"]) for entry in found):
            raise EgressRefusedError("the name resolves to an address that is not public")
        return found
