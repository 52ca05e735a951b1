"""What the CRMs themselves do: a lead appears, its record is created, the webhook goes to the gateway.

Retries follow the senders: HubSpot repeats on a connection failure, after 5 s without an answer and on any 4xx or 5xx,
up to ten times over 24 h; here the ten waits are compressed to about a minute and may be set. A Salesforce Flow
callout is not repeated.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from random import Random
from time import monotonic, time
from typing import Any, Literal

import aiohttp
import orjson

from enrichment_dagster.sandbox.signing import build_flow_delivery, build_hubspot_delivery, contact_creation

HUBSPOT_TIMEOUT_SECONDS = 5.0
FLOW_TIMEOUT_SECONDS = 10.0
HUBSPOT_RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 15.0)


@dataclass(frozen=True, slots=True)
class TrafficConfig:
    """Where the leads come from, where they go, how many and how fast.

    `hubspot_signed_url` is the public address HubSpot would sign, where it differs from the one that is called.
    A `rate` of 0 sends all at once. The same seed gives the same order of systems and duplicates.
    """

    sandbox_url: str
    hubspot_url: str = ""
    flow_url: str = ""
    hubspot_secret: str = ""
    flow_secret: str = ""
    hubspot_signed_url: str = ""
    rate: float = 1.0
    count: int = 10
    hubspot_share: float = 0.5
    duplicate_share: float = 0.0
    seed: int = 7
    first_person: int = 0
    max_in_flight: int = 100
    hubspot_retry_seconds: tuple[float, ...] = HUBSPOT_RETRY_SECONDS
    flow_retry_seconds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class LeadSent:
    """One webhook delivery and how it ended; status 0 means that no answer came."""

    system: Literal["hubspot", "salesforce"]
    record_id: str
    email: str
    person: int
    created_ms: int
    duplicate: bool
    status: int
    attempts: int
    answer_seconds: float
    event_id: int | None

    @property
    def accepted(self) -> bool:
        """Whether the gateway took it."""
        return 200 <= self.status < 300


@dataclass(slots=True)
class TrafficSummary:
    """Totals of one stream."""

    sent: int = 0
    accepted: int = 0
    duplicates: int = 0
    retries: int = 0
    failed: list[LeadSent] = field(default_factory=list)

    def add(self, lead: LeadSent) -> None:
        """Count one delivery."""
        self.sent += 1
        self.accepted += lead.accepted
        self.duplicates += lead.duplicate
        self.retries += lead.attempts - 1
        if not lead.accepted:
            self.failed.append(lead)


@dataclass(frozen=True, slots=True)
class _Planned:
    """One lead to come: when, where, and whether it is delivered twice."""

    number: int
    due_seconds: float
    hubspot: bool
    duplicated: bool


class LeadTraffic:
    """Sends a paced stream of new leads. The pace does not depend on how fast the gateway answers."""

    def __init__(self, config: TrafficConfig) -> None:
        self._config = config

    async def run(self, on_sent: Callable[[LeadSent], None] | None = None) -> TrafficSummary:
        """Send all leads and wait for their deliveries; `on_sent` is called after each."""
        summary = TrafficSummary()
        async for lead in self.stream():
            summary.add(lead)
            if on_sent is not None:
                on_sent(lead)
        return summary

    async def stream(self) -> AsyncIterator[LeadSent]:
        """Every delivery as it ends."""
        done: asyncio.Queue[LeadSent | None] = asyncio.Queue()
        sending = asyncio.create_task(self._send_all(done))
        try:
            while (lead := await done.get()) is not None:
                yield lead
            await sending
        finally:
            sending.cancel()

    def plan(self) -> list[_Planned]:
        """The leads of this stream, from the seed."""
        config, rng = self._config, Random(f"lead-traffic:{self._config.seed}")
        interval = 1 / config.rate if config.rate > 0 else 0.0
        return [
            _Planned(
                number=number,
                due_seconds=number * interval,
                hubspot=rng.random() < config.hubspot_share,
                duplicated=rng.random() < config.duplicate_share,
            )
            for number in range(config.count)
        ]

    async def _send_all(self, done: asyncio.Queue[LeadSent | None]) -> None:
        start = monotonic()
        room = asyncio.Semaphore(self._config.max_in_flight)
        connector = aiohttp.TCPConnector(limit=self._config.max_in_flight)
        try:
            async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
                for planned in self.plan():
                    await asyncio.sleep(max(0.0, start + planned.due_seconds - monotonic()))
                    group.create_task(self._one(session, planned, room, done))
        finally:
            done.put_nowait(None)

    async def _one(
        self,
        session: aiohttp.ClientSession,
        planned: _Planned,
        room: asyncio.Semaphore,
        done: asyncio.Queue[LeadSent | None],
    ) -> None:
        """Create one record and deliver its event, a second time if the plan says so."""
        async with room:
            record = await self._create(session, planned)
            for duplicate in (False, True) if planned.duplicated else (False,):
                done.put_nowait(await self._deliver(session, planned, record, duplicate=duplicate))

    async def _create(self, session: aiohttp.ClientSession, planned: _Planned) -> dict[str, Any]:
        path = "hubspot/contacts" if planned.hubspot else "salesforce/leads"
        person = orjson.dumps({"person": self._config.first_person + planned.number})
        async with session.post(f"{self._config.sandbox_url}/_sandbox/{path}", data=person) as answer:
            answer.raise_for_status()
            record: dict[str, Any] = orjson.loads(await answer.read())
            return record

    async def _deliver(
        self, session: aiohttp.ClientSession, planned: _Planned, record: dict[str, Any], *, duplicate: bool
    ) -> LeadSent:
        waits = self._config.hubspot_retry_seconds if planned.hubspot else self._config.flow_retry_seconds
        begun = monotonic()
        status, attempt = 0, 0
        for attempt, wait in enumerate((*waits, math.inf)):
            status = await self._post(session, planned, record, attempt)
            if 200 <= status < 300 or wait == math.inf:
                break
            await asyncio.sleep(wait)
        return LeadSent(
            system="hubspot" if planned.hubspot else "salesforce",
            record_id=record["id"],
            email=record["email"],
            person=record["person"],
            created_ms=record["created_ms"],
            duplicate=duplicate,
            status=status,
            attempts=attempt + 1,
            answer_seconds=monotonic() - begun,
            event_id=_event_id(record) if planned.hubspot else None,
        )

    async def _post(
        self, session: aiohttp.ClientSession, planned: _Planned, record: dict[str, Any], attempt: int
    ) -> int:
        """One attempt; a retry is signed anew, as HubSpot does."""
        config = self._config
        if planned.hubspot:
            event = contact_creation(int(record["id"]), _event_id(record), record["created_ms"], attempt=attempt)
            signed_url = config.hubspot_signed_url or config.hubspot_url
            headers, body = build_hubspot_delivery([event], config.hubspot_secret, signed_url, int(time() * 1000))
            return await _status(session, config.hubspot_url, headers, body, HUBSPOT_TIMEOUT_SECONDS)
        headers, body = build_flow_delivery(
            record["id"], record["email"], record["company"], record["created_ms"], config.flow_secret
        )
        return await _status(session, config.flow_url, headers, body, FLOW_TIMEOUT_SECONDS)


def _event_id(record: dict[str, Any]) -> int:
    """HubSpot's event id: the same at every retry and duplicate of one creation."""
    return int(record["id"]) % 10_000_000_000


async def _status(
    session: aiohttp.ClientSession, url: str, headers: dict[str, str], body: bytes, timeout_seconds: float
) -> int:
    """The HTTP status of one call, 0 when no answer came."""
    try:
        timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        async with session.post(url, data=body, headers=headers, timeout=timeout) as answer:
            await answer.read()
            return answer.status
    except (aiohttp.ClientError, TimeoutError):
        return 0
