"""What a failed exchange means: exception -> reason, transient, and whether the request may have left this machine.

httpx-aiohttp 0.2 turns a refused connection, a DNS failure, a full pool and a server that hangs up AFTER the request
all into ``httpx.ConnectTimeout``. Only aiohttp's own exception, the cause of httpx's, tells them apart, so that is what
this table reads. Everything that is not certain counts as sent: a paid call may have been served.
"""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp
import httpx

from enrichment_dagster.http.egress import EgressRefusedError


class BodyTooLargeError(Exception):
    """The reply is larger than we accept; the rest was not read."""


class NotJsonError(Exception):
    """A success came with a body that is not JSON (a maintenance page, a cut body)."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that brought no reply."""

    reason: str
    transient: bool
    maybe_sent: bool


_FAILURES: tuple[tuple[type[BaseException], Failure], ...] = (
    (EgressRefusedError, Failure("egress_refused", transient=False, maybe_sent=False)),
    (BodyTooLargeError, Failure("too_large", transient=False, maybe_sent=True)),
    (NotJsonError, Failure("malformed", transient=True, maybe_sent=True)),
    (httpx.DecodingError, Failure("malformed", transient=True, maybe_sent=True)),
    # aiohttp raises these four only while it opens a connection, before a byte of the request is written.
    (aiohttp.ConnectionTimeoutError, Failure("connect_timeout", transient=True, maybe_sent=False)),
    (aiohttp.ClientConnectorDNSError, Failure("dns", transient=True, maybe_sent=False)),
    (aiohttp.ClientSSLError, Failure("tls", transient=True, maybe_sent=False)),
    (aiohttp.ClientConnectorCertificateError, Failure("tls", transient=True, maybe_sent=False)),
    (aiohttp.ClientConnectorError, Failure("connect", transient=True, maybe_sent=False)),
    (TimeoutError, Failure("timeout", transient=True, maybe_sent=True)),
    (aiohttp.ClientResponseError, Failure("protocol", transient=True, maybe_sent=True)),
    (
        ValueError,
        Failure("protocol", transient=False, maybe_sent=True),
    ),  # a header or URL that can't be put on the wire
    (Exception, Failure("connection_lost", transient=True, maybe_sent=True)),
)
"""First match wins."""


def classify(error: Exception) -> Failure:
    """Return what an exception of the HTTP libraries means."""
    chain = _chain(error)
    for kind, failure in _FAILURES:
        if any(isinstance(link, kind) for link in chain):
            return failure
    raise AssertionError("the last row of the table matches everything")  # pragma: no cover


def _chain(error: BaseException) -> list[BaseException]:
    """Return the exception and its causes; aiohttp keeps the operating system's error in ``os_error`` or as a cause."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__
    return chain
