"""Senders with known secrets, signed requests and a journal in memory. Written without the product's own verifier."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from enrichment_dagster.domain.event import Event
from enrichment_dagster.domain.triggers import TriggerRules, Triggers
from enrichment_dagster.intake.hubspot import HubSpot
from enrichment_dagster.intake.proof.hubspot import SignatureV3
from enrichment_dagster.intake.proof.shared_secret import SharedSecret
from enrichment_dagster.intake.salesforce_flow import SalesforceFlow
from enrichment_dagster.intake.sender import Parsed, RawRequest, Sender
from enrichment_dagster.ports import KeptBody

SAMPLES = Path(__file__).parents[1] / "data" / "samples"
NOW = datetime(2026, 9, 21, 18, 0, 0, tzinfo=UTC)
URL = "https://enrich.example.com/webhooks/hubspot"
HUBSPOT_SECRET = "test-client-secret-0001"
FLOW_SECRET = "flow-secret-0001"
LEADS = Triggers({"lead_created": TriggerRules()})
ALL = Triggers(
    {
        "lead_created": TriggerRules(),
        "contact_associated": TriggerRules(),
        "opportunity_stage_changed": TriggerRules(),
        "website_visit": TriggerRules(pages=("/pricing*",)),
        "intent_signal": TriggerRules(min_score=60.0),
        "data_quality": TriggerRules(problems=("hard_bounce", "disconnected", "job_change")),
    }
)


def milliseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def hubspot_sender(*secrets: str, url: str = URL, triggers: Triggers = LEADS) -> HubSpot:
    keys = tuple(secret.encode() for secret in secrets or (HUBSPOT_SECRET,))
    return HubSpot(SignatureV3(keys, url.encode(), timedelta(seconds=300)), triggers)


def flow_sender(*secrets: str, triggers: Triggers = LEADS) -> SalesforceFlow:
    keys = tuple(secret.encode() for secret in secrets or (FLOW_SECRET,))
    return SalesforceFlow(SharedSecret(keys, "X-Enrichment-Secret"), triggers)


def read(sender: Sender, body: bytes, headers: Mapping[str, str] = {}, query: str = "", now: datetime = NOW) -> Parsed:
    """What a sender makes of a body, whoever sent it."""
    return sender.parse(RawRequest("POST", headers, body, query), now)


def signature(body: bytes, timestamp: str, secret: str = HUBSPOT_SECRET, url: str = URL) -> str:
    message = b"POST" + url.encode() + body + timestamp.encode()
    return base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest()).decode()


def hubspot_headers(body: bytes, at: datetime = NOW, secret: str = HUBSPOT_SECRET) -> dict[str, str]:
    timestamp = str(milliseconds(at))
    return {
        "content-type": "application/json",
        "x-hubspot-request-timestamp": timestamp,
        "x-hubspot-signature-v3": signature(body, timestamp, secret),
    }


def flow_headers(secret: str = FLOW_SECRET) -> dict[str, str]:
    return {"content-type": "application/json", "x-enrichment-secret": secret}


def contact_creation(object_id: Any = 1246978, **changes: Any) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(sample("hubspot-webhook-contact-creation.json"))[0]
    return {**event, "objectId": object_id, **changes}


def flow_body(**changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(sample("salesforce-flow-http-callout.json"))
    return {**body, **changes}


def encode(value: Any) -> bytes:
    return json.dumps(value).encode()


class FixedClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self.moment = now
        self.seconds = 0.0

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.move(seconds)

    def timer(self, seconds: float) -> asyncio.Future[None]:
        return asyncio.ensure_future(self.sleep(seconds))

    def move(self, seconds: float) -> None:
        self.seconds += seconds
        self.moment += timedelta(seconds=seconds)


class MemoryJournal:
    """ports.Journal in memory; fails as long as ``failure`` is set."""

    def __init__(self) -> None:
        self.events: dict[str, Event] = {}
        self.kept: list[KeptBody] = []
        self.failure: Exception | None = None
        self.calls: list[str] = []

    async def append(self, events: Sequence[Event]) -> list[bool]:
        self._call("append")
        fresh = []
        for event in events:
            fresh.append(event.dedup_key not in self.events)
            self.events.setdefault(event.dedup_key, event)
        return fresh

    async def keep(self, body: KeptBody) -> None:
        self._call("keep")
        self.kept.append(body)

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.failure is not None:
            raise self.failure


async def asgi_call(
    app: Any, path: str, body: bytes | Sequence[bytes], headers: Mapping[str, str], method: str = "POST"
) -> tuple[int, dict[str, str], Any]:
    """Call an ASGI application; several chunks are delivered one by one. The app sees a disconnect afterwards."""
    chunks = [body] if isinstance(body, bytes) else list(body)
    incoming = [{"type": "http.request", "body": c, "more_body": i + 1 < len(chunks)} for i, c in enumerate(chunks)]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return incoming.pop(0) if incoming else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    raw_headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path.partition("?")[0],
        "raw_path": path.partition("?")[0].encode(),
        "query_string": path.partition("?")[2].encode(),
        "root_path": "",
        "scheme": "http",
        "headers": raw_headers,
        "server": ("testserver", 80),
        "client": ("testclient", 1),
        "state": {},
    }
    await app(scope, receive, send)
    answer = b"".join(message.get("body", b"") for message in sent[1:])
    answer_headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answer_headers, json.loads(answer) if answer else None
