"""An installation in a temporary folder, and events that run through its real stores with hand-made results."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from support.empty_stores import put_empty_stores

from enrichment_dagster.cli import main
from enrichment_dagster.composition import Stores, open_stores
from enrichment_dagster.domain.event import Event, RecordRef
from enrichment_dagster.domain.fields import FieldValue, RejectedValue
from enrichment_dagster.domain.keys import dedup_key, event_id
from enrichment_dagster.domain.outcome import MissingReason, Outcome
from enrichment_dagster.ports import (
    Answer,
    AttemptKey,
    AttemptRequest,
    CachePolicy,
    DeliveryRetry,
    Enrichment,
    FollowUp,
    Opened,
    OutboxEntry,
    RawValue,
    Settlement,
    WriteRecord,
)
from enrichment_dagster.settings import Settings, load_settings
from enrichment_dagster.store.committer import GroupCommitter
from enrichment_dagster.store.journal import SqlJournal
from enrichment_dagster.store.ledger import SqlLedger
from enrichment_dagster.store.work import SqlWorkStore

ROOT = Path(__file__).parents[2]
EMAIL, EMAIL_SUBJECT = "jane.doe@acme.com", "email:jane.doe@acme.com"
FIRST_NAME, BAD_PHONE = "Jane", "'12 - no phone'"
SECRETS = {
    "APOLLO_API_KEY": "apollo-key-0001",
    "CLEARBIT_API_KEY": "clearbit-key-0001",
    "ZEROBOUNCE_API_KEY": "zerobounce-key-0001",
    "HUBSPOT_ACCESS_TOKEN": "hubspot-token-0001",
    "SALESFORCE_CLIENT_ID": "salesforce-id-0001",
    "SALESFORCE_CLIENT_SECRET": "salesforce-secret-0001",
    "HUBSPOT_CLIENT_SECRET": "test-client-secret-0001",
    "SALESFORCE_FLOW_SECRET": "flow-secret-0001",
    "ENRICH_API_KEY": "enrich-key-0001",
}


class PastClock:
    """Starts in the past and is moved by hand, so that a story ends before the command line looks at it."""

    def __init__(self, seconds_ago: float) -> None:
        self.moment = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=seconds_ago)

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.move(seconds)

    def timer(self, seconds: float) -> asyncio.Future[None]:
        return asyncio.ensure_future(self.sleep(seconds))

    def move(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


def environment(home: Path, **changes: str) -> dict[str, str]:
    return {
        **SECRETS,
        "ENRICHMENT_CONFIG": str(ROOT / "enrichment.yaml"),
        "ENRICHMENT_HOME": str(home),
        "COLUMNS": "200",
        **changes,
    }


def call(env: Mapping[str, str], *words: str, stdin: bytes | None = None) -> Result:
    """Run the command line in this process, with nothing of ours left over in the environment."""
    scrubbed = {
        name: None for name in os.environ if name in SECRETS or name.startswith("ENRICHMENT_") or name.endswith("_URL")
    }
    return CliRunner().invoke(main, list(words), env={**scrubbed, **env}, input=stdin)


@dataclass
class Installation:
    """Stores of one installation, and the steps that events take through them."""

    home: Path
    clock: PastClock = field(default_factory=lambda: PastClock(30))

    def __post_init__(self) -> None:
        self.settings: Settings = load_settings(environment(self.home))
        put_empty_stores(self.home)
        self.stores: Stores = open_stores(self.settings, self.clock)
        self.journal = SqlJournal(self.stores.journal)
        self.committer = GroupCommitter(self.stores.ops, "ops")
        self.work = SqlWorkStore(self.stores.ops, self.committer, self.clock)
        self.ledger = SqlLedger(self.committer, self.clock)
        self.dispatch = self.stores.dispatch()

    def close(self) -> None:
        self.committer.close()
        self.journal.close()
        self.stores.close()

    async def receive(self, number: int = 1246978, **changes: Any) -> Event:
        now = self.clock.now()
        key = dedup_key("hubspot", number, str(now))
        given: dict[str, Any] = {
            "event_id": event_id(key),
            "dedup_key": key,
            "event_type": "lead_created",
            "source": "hubspot",
            "subject": RecordRef("hubspot", "contact", str(number)),
            "occurred_at": now - timedelta(seconds=1.5),
            "received_at": now,
            "sender_event_id": "3816279480",
            "attributes": {"portalId": "62515", "company": "Acme Secret Corp"},
        }
        event = Event(**{**given, **changes})
        await self.journal.append([event])
        return event

    async def buy(self, event: Event, request_id: str = "req-1") -> bool:
        """Pay for a hit at Apollo and a failure at Clearbit; False where the cache has Apollo's answer."""
        hit = await self._begin(event, "apollo", "person")
        if hit is None:
            return False
        self.clock.move(0.2)
        answer = Answer((RawValue("first_name", FIRST_NAME, 0.9),), request_id)
        key = AttemptKey("apollo", "person", EMAIL_SUBJECT)
        found = Settlement(hit, key, "hit", answer=answer, http_status=200, latency_ms=200, cost_micros=20_000)
        await self.ledger.settle(replace(found, cache=CachePolicy(86_400, 86_400)))
        miss = await self._begin(event, "clearbit", "combined")
        self.clock.move(0.3)
        key = AttemptKey("clearbit", "combined", EMAIL_SUBJECT)
        assert miss is not None
        await self.ledger.settle(Settlement(miss, key, "error", "throttled", http_status=429, latency_ms=300))
        return True

    async def _begin(self, event: Event, provider: str, purpose: str) -> str | None:
        key = AttemptKey(provider, purpose, EMAIL_SUBJECT)
        begun = await self.ledger.begin(AttemptRequest(key, event.event_id, reserve_micros=20_000, lease_seconds=10))
        return begun.attempt_id if isinstance(begun, Opened) else None

    async def enrich(
        self, event: Event, *, follow_up: bool = True, outcome: Outcome = Outcome.PARTIAL, request_id: str = "req-1"
    ) -> OutboxEntry:
        """Pump, assign, buy and conclude as a run does; a CRM write is owed afterwards."""
        self.dispatch.pump()
        self.clock.move(1)
        group = self.dispatch.due_groups("lead_created", 500)[0]
        batch = self.dispatch.assign("lead_created", group, 500)
        assert batch is not None
        self.clock.move(2)
        lease = self.work.lease(batch.batch_id, "run-0001")
        assert lease is not None
        (item,) = self.work.open_items(batch.batch_id)
        started = self.clock.now()
        fetched = self.clock.now()
        cost = 20_000 if await self.buy(event, request_id) else 0
        entry = OutboxEntry(
            f"out-{event.event_id}",
            item.work_id,
            event.event_id,
            event.subject,
            {"firstname": FIRST_NAME, "jobtitle": "CTO"},
            {"enrichment_status": "Partial"},
        )
        enrichment = Enrichment(
            item,
            outcome,
            "",
            started,
            values=(
                FieldValue("email", EMAIL, "hubspot", EMAIL_SUBJECT, fetched),
                FieldValue(
                    "first_name",
                    FIRST_NAME,
                    "apollo",
                    EMAIL_SUBJECT,
                    fetched,
                    0.9,
                    expires_at=fetched + timedelta(days=1),
                    cost_micros=cost,
                    request_id=request_id,
                ),
            ),
            rejected=(RejectedValue("phone", BAD_PHONE, "apollo", "not_a_phone"),),
            missing={"title": MissingReason.NO_DATA, "industry": MissingReason.PROVIDER_DOWN},
            cost_micros=cost,
            follow_up=FollowUp(self.clock.now() + timedelta(seconds=300), 1) if follow_up else None,
            outbox=entry,
        )
        self.clock.move(0.5)
        await self.work.conclude(lease, [enrichment], [], self.clock.now())
        return entry

    async def deliver(self, entry: OutboxEntry, *, status: str = "written", reason: str = "") -> None:
        await self._claim(entry)
        self.clock.move(0.25)
        written = {"firstname": FIRST_NAME, "enrichment_status": "Partial"} if status == "written" else {}
        record = WriteRecord(entry, status, self.clock.now(), written, {"jobtitle": "filled"}, reason)
        await self.work.record_deliveries("run-0001", [record], [])

    async def put_off(self, entry: OutboxEntry) -> None:
        await self._claim(entry)
        retry = DeliveryRetry(entry, "throttled", self.clock.now() + timedelta(hours=1))
        await self.work.record_deliveries("run-0001", [], [retry])

    async def _claim(self, entry: OutboxEntry) -> None:
        claimed: Sequence[OutboxEntry] = await self.work.claim_deliveries(
            "run-0001", work_ids=[entry.work_id], limit=10, lease_seconds=60
        )
        assert [item.outbox_id for item in claimed] == [entry.outbox_id]
