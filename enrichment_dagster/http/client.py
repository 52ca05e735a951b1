"""One remote system: every call has a deadline, a capped body, one origin, and errors without secrets."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import aiohttp
import httpx

from enrichment_dagster.errors import ConfigurationError, RemoteError
from enrichment_dagster.http.body import read_body
from enrichment_dagster.http.call import NO_TEXTS, Call, Text, revealed, secret_texts
from enrichment_dagster.http.egress import parse_origin
from enrichment_dagster.http.failures import BodyTooLargeError, Failure, NotJsonError, classify
from enrichment_dagster.http.patience import Patience
from enrichment_dagster.http.redact import redact, vendor_message
from enrichment_dagster.http.retry_after import parse_reset, parse_retry_after
from enrichment_dagster.http.statuses import Rule, rule_for
from enrichment_dagster.http.transport import build_transport

MAX_BODY_BYTES = 2_000_000
MAX_CONNECTIONS = 100
_OK, _TOO_MANY = range(200, 300), 429
_NO_RULES: Mapping[int, Rule] = MappingProxyType({})
_BASE_HEADERS = {"accept": "application/json", "accept-encoding": "gzip, deflate", "user-agent": "enrichment-dagster"}
_EXPECTED = (
    httpx.HTTPError,
    httpx.InvalidURL,
    aiohttp.ClientError,
    OSError,
    TimeoutError,
    ValueError,
    BodyTooLargeError,
    NotJsonError,
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a system answered. ``body`` is decoded JSON, or None where there was none."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: Any | None = field(repr=False)


class RemoteClient:
    """The way to one remote system, with its own connection pool. ``error`` is what its failures are raised as.

    ``headers`` and ``params`` go with every call, ``fields`` into every body that is a JSON object.
    ``body_counts`` False: the status says all, and what comes with a success may be anything.
    """

    def __init__(
        self,
        system: str,
        base_url: str,
        *,
        error: type[RemoteError],
        headers: Mapping[str, Text] = NO_TEXTS,
        params: Mapping[str, Text] = NO_TEXTS,
        fields: Mapping[str, Text] = NO_TEXTS,
        statuses: Mapping[int, Rule] = _NO_RULES,
        max_body_bytes: int = MAX_BODY_BYTES,
        body_counts: bool = True,
        max_connections: int = MAX_CONNECTIONS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.system = system
        self._origin = parse_origin(system, base_url)
        self._error = error
        self._headers = {**_BASE_HEADERS, **_checked(system, headers)}
        self._params = dict(params)
        self._fields = dict(fields)
        # All that ever went out, to be masked.
        self._secrets = set(secret_texts(self._headers, self._params, self._fields))
        self._statuses = statuses
        self._max_body_bytes = max_body_bytes
        self._body_counts = body_counts
        self._transport = transport or build_transport(max_connections)

    def __repr__(self) -> str:
        """Show where the client leads, and nothing that it carries."""
        return f"RemoteClient({self.system!r}, {self._origin.text!r})"

    async def aclose(self) -> None:
        """Close the pool."""
        await self._transport.aclose()

    async def request(
        self,
        method: str,
        path: str,
        *,
        timeout_seconds: float,
        params: Mapping[str, Text] = NO_TEXTS,
        json: Any = None,
        headers: Mapping[str, Text] = NO_TEXTS,
        accept: Container[int] = _OK,
    ) -> Reply:
        """Make one call and return its reply if the status is accepted.

        Raises:
            RemoteError: of the client's kind; there was no reply, or its status is not in ``accept``.
        """
        reply = await self.exchange(Call(method, path, timeout_seconds, params, headers, json))
        if reply.status not in accept:
            raise self.refusal(reply)
        return reply

    async def exchange(self, call: Call) -> Reply:
        """Make one call and return its reply, whatever its status.

        Raises:
            RemoteError: of the client's kind; there was no reply that could be read.
        """
        self._secrets.update(call.secrets())
        outcome = await self._attempt(call)
        if isinstance(outcome, Failure):  # raised here, outside of any handler: no inner exception hangs on to it
            raise self._error(outcome.reason, transient=outcome.transient, maybe_sent=outcome.maybe_sent)
        return outcome

    def refusal(self, reply: Reply) -> RemoteError:
        """Return the error that a reply's status stands for, with the vendor's message and the wait it asks for."""
        rule = rule_for(reply.status, self._statuses)
        return self._error(
            rule.reason,
            self.show(vendor_message(reply.body)),
            transient=rule.transient,
            http_status=reply.status,
            retry_after_seconds=self.wait_of(reply),
        )

    @staticmethod
    def wait_of(reply: Reply) -> float | None:
        """Return for how long the system asks to be left alone."""
        now = datetime.now(UTC)
        wait = parse_retry_after(reply.headers.get("retry-after"), now)
        if wait is None and reply.status == _TOO_MANY:
            return parse_reset(reply.headers.get("x-ratelimit-reset"), now)
        return wait

    def show(self, text: str) -> str:
        """Return a vendor's text as it may be shown: short, without our keys and without e-mail addresses."""
        return redact(text, self._secrets)

    async def _attempt(self, call: Call) -> Reply | Failure:
        """Make the call. Failures are returned: an exception from here would carry URLs in its message and frames."""
        try:
            async with Patience(call.timeout_seconds):
                return await self._send(call.build(self._origin, self._headers, self._params, self._fields))
        except _EXPECTED as error:
            return classify(error)

    async def _send(self, request: httpx.Request) -> Reply:
        response = await self._transport.handle_async_request(request)
        try:
            body = await read_body(response, self._max_body_bytes, counts=self._body_counts)
            return Reply(response.status_code, response.headers, body)
        finally:
            await response.aclose()


def _checked(system: str, headers: Mapping[str, Text]) -> Mapping[str, Text]:
    """Return headers that can be sent.

    Raises:
        ConfigurationError: a value has a line break or is not ASCII: a key was pasted wrongly.
    """
    wrong = [name for name, value in revealed(headers).items() if not (value.isascii() and value.isprintable())]
    if wrong:
        raise ConfigurationError([f"{system}: the key in {name} has characters that no key has" for name in wrong])
    return headers
