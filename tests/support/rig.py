"""The real operational store with a clock that is moved by hand, and the steps that events take through it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Table, func, select
from support.builders import a_value, an_enrichment, an_entry, an_event
from support.clock import ManualClock

from enrichment_dagster.domain.echoes import OwnMarks
from enrichment_dagster.domain.eligibility import InboxRules
from enrichment_dagster.domain.event import Event
from enrichment_dagster.domain.outcome import Outcome
from enrichment_dagster.ports import (
    AttemptKey,
    AttemptRequest,
    BatchHandOver,
    Enrichment,
    Lease,
    OutboxEntry,
    WriteRecord,
)
from enrichment_dagster.store.committer import GroupCommitter
from enrichment_dagster.store.database import Database, open_postgres, open_sqlite
from enrichment_dagster.store.dispatch import DispatchStore
from enrichment_dagster.store.health import HealthStore
from enrichment_dagster.store.journal import SqlJournal
from enrichment_dagster.store.ledger import Begun, Policies, SqlLedger
from enrichment_dagster.store.tables import journal as journal_table
from enrichment_dagster.store.tables import kept_bodies, work
from enrichment_dagster.store.work import SqlWorkStore

LANE = "lead_created"
NO_MARKS = OwnMarks()
KEY = AttemptKey("apollo", "person", "email:jane.doe@acme.com")


class Rig:
    """``place``: the folder of the SQLite files, or a Postgres URL. Open a second one to be another process."""

    def __init__(
        self,
        place: Path | str,
        clock: ManualClock | None = None,
        policies: Policies | None = None,
        marks: OwnMarks = NO_MARKS,
    ) -> None:
        self.place = place
        self.clock = clock or ManualClock()
        self.journal_database, self.ops = open_databases(place)
        self.journal = SqlJournal(self.journal_database)
        self.committer = GroupCommitter(self.ops, "ops")
        self.work = SqlWorkStore(self.ops, self.committer, self.clock)
        self.policies = policies or Policies()
        self.ledger = SqlLedger(self.committer, self.clock, self.policies)
        self.dispatch = DispatchStore(self.journal_database, self.ops, self.clock, marks=marks)
        self.health = HealthStore(self.journal_database, self.ops, self.clock)

    def rule(self, **rules: InboxRules) -> None:
        """Let events of one subject stand to each other like this from now on, by event type."""
        self.dispatch = DispatchStore(self.journal_database, self.ops, self.clock, rules)

    def another(self) -> Rig:
        """The same store as another process sees it."""
        return Rig(self.place, self.clock, self.policies)

    def limit(self, policies: Policies) -> None:
        """Use other limits and budgets from now on."""
        self.policies = policies
        self.ledger = SqlLedger(self.committer, self.clock, policies)

    def close(self) -> None:
        self.committer.close()
        self.journal.close()
        self.ops.dispose()

    # --- steps -------------------------------------------------------------------------------------------------------

    async def receive(self, *numbers: int, **changes: Any) -> list[Event]:
        events = [an_event(number, at=self.clock.now(), **changes) for number in numbers]
        await self.journal.append(events)
        return events

    async def due(self, *numbers: int, **changes: Any) -> list[Event]:
        events = await self.receive(*numbers, **changes)
        self.dispatch.pump()
        return events

    def assign(self, max_batch: int = 500) -> BatchHandOver | None:
        groups = self.dispatch.due_groups(LANE, max_batch)
        return self.dispatch.assign(LANE, groups[0], max_batch) if groups else None

    def start(self, batch: BatchHandOver | None, owner: str = "run-1") -> Lease:
        assert batch is not None
        lease = self.work.lease(batch.batch_id, owner)
        assert lease is not None
        return lease

    async def leased(self, *numbers: int, owner: str = "run-1") -> Lease:
        await self.due(*numbers)
        return self.start(self.assign(), owner)

    def results(self, lease: Lease, outcome: Outcome = Outcome.ENRICHED, **changes: Any) -> list[Enrichment]:
        return [
            an_enrichment(item, outcome, values=(a_value(),), outbox=an_entry(item), **changes)
            for item in self.work.open_items(lease.batch_id)
        ]

    async def conclude(self, lease: Lease, enrichments: Sequence[Enrichment] | None = None, **changes: Any) -> None:
        found = self.results(lease, **changes) if enrichments is None else enrichments
        await self.work.conclude(lease, found, [], self.clock.now())

    async def begin(self, key: AttemptKey = KEY, event_id: str = "evt_1", **changes: Any) -> Begun:
        given: dict[str, Any] = {"reserve_micros": 20_000, "lease_seconds": 15.0}
        return await self.ledger.begin(AttemptRequest(key, event_id, **{**given, **changes}))

    async def claim(self, owner: str = "run-1", **changes: Any) -> list[OutboxEntry]:
        given: dict[str, Any] = {"work_ids": None, "limit": 500, "lease_seconds": 60.0}
        return await self.work.claim_deliveries(owner, **{**given, **changes})

    async def delivered(self, entry: OutboxEntry, status: str = "written", owner: str = "run-1") -> None:
        await self.work.record_deliveries(owner, [WriteRecord(entry, status, self.clock.now())], [])

    # --- looking -----------------------------------------------------------------------------------------------------

    def rows(self, table: Table, *where: Any) -> list[dict[str, Any]]:
        database = self.journal_database if table in {journal_table, kept_bodies} else self.ops
        with database.read() as connection:
            return [dict(row) for row in connection.execute(select(table).where(*where)).mappings()]

    def states(self) -> dict[str, int]:
        """How many pieces of work are in each state."""
        with self.ops.read() as connection:
            found = connection.execute(select(work.c.state, func.count()).group_by(work.c.state))
            return {state: n for state, n in found.all()}  # noqa: C416 - rows are no pairs for dict()

    def crash(self, batch: BatchHandOver) -> None:
        """A worker takes the batch and dies; a tick frees it."""
        self.start(batch, f"run-{self.clock.monotonic()}")
        self.clock.advance(31)
        self.dispatch.release([batch.batch_id])


def open_databases(place: Path | str) -> tuple[Database, Database]:
    if isinstance(place, str):
        return open_postgres(place), open_postgres(place)
    return open_sqlite(place / "journal.db"), open_sqlite(place / "ops.db")
