"""The pipeline without Dagster: real stores, real adapters, real emulators; a tick and a run are two method calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fullstack import write_project
from sqlalchemy import select
from support.empty_stores import put_empty_stores

from enrichment_dagster.composition import deliver_owed, enrich_batch, open_stores
from enrichment_dagster.domain.event import Event, RecordRef
from enrichment_dagster.domain.keys import dedup_key, event_id
from enrichment_dagster.engine.batch import BatchReport
from enrichment_dagster.engine.delivery import DeliveryReport
from enrichment_dagster.sandbox.config import SandboxConfig
from enrichment_dagster.sandbox.faults import parse_plan
from enrichment_dagster.sandbox.server import RunningSandbox, running_sandbox
from enrichment_dagster.settings import load_settings
from enrichment_dagster.store.journal import SqlJournal
from enrichment_dagster.store.tables import attempts, outbox, work
from enrichment_dagster.supervise.environment import Ports, sandbox_variables

Change = Callable[[dict[str, Any]], None]

LANE = "lead_created"
FOLLOW_UP_SECONDS = 0.3


def quick(config: dict[str, Any]) -> None:
    """Follow-ups after a moment, short time limits, and no memory of errors that outlasts them."""
    lane = config["event_types"][LANE]
    lane["follow_up_seconds"] = [FOLLOW_UP_SECONDS, FOLLOW_UP_SECONDS]
    lane["lanes"]["standard"]["deadline_seconds"] = 4
    config["cache"]["error_seconds"] = FOLLOW_UP_SECONDS / 2
    config["retry"] = {"attempts": 2, "first_delay_seconds": 0.05, "max_delay_seconds": 0.2}
    for system in (*config["providers"].values(), *config["crm"].values()):
        system["timeout_seconds"] = 0.5


class Pipeline:
    """One installation in this process."""

    def __init__(self, folder: Path, sandbox: RunningSandbox, change: Change) -> None:
        config = write_project(folder / "project", change)
        urls = {
            name: f"{sandbox.url}/{name.removesuffix('_BASE_URL').lower()}" if name.endswith("_BASE_URL") else value
            for name, value in sandbox_variables(Ports()).items()
        }
        places = {"ENRICHMENT_CONFIG": str(config), "ENRICHMENT_HOME": str(folder / "home")}
        self.environment = {**urls, **places}  # for processes of this installation
        self.settings = load_settings(self.environment)
        put_empty_stores(self.settings.home)
        self.stores = open_stores(self.settings)
        self.journal = SqlJournal(self.stores.journal)
        self.sandbox = sandbox
        self._runs = 0

    def close(self) -> None:
        self.journal.close()
        self.stores.close()

    def faults(self, **endpoints: Any) -> None:
        """Replace the fault plan; ``__`` stands for the dot of an endpoint's name."""
        plan = {"seed": 7, "endpoints": {name.replace("__", "."): entry for name, entry in endpoints.items()}}
        self.sandbox.state.plan = parse_plan(plan)

    # --- steps -----------------------------------------------------------------------------------------------------

    def lead(self, person: int, system: str = "hubspot") -> RecordRef:
        """Create a CRM record as a form would, and receive its event."""
        who = self.sandbox.world.person(person)
        names = ("email", "firstname", "lastname") if system == "hubspot" else ("Email", "FirstName", "LastName")
        store = self.sandbox.state.hubspot if system == "hubspot" else self.sandbox.state.salesforce
        record = store.create(dict(zip(names, (who.email, who.first_name, who.last_name), strict=True)))
        ref = RecordRef(system, "contact" if system == "hubspot" else "lead", record.id)
        self.receive(ref)
        return ref

    def receive(self, *refs: RecordRef) -> list[bool]:
        """Take the events of records, in this order; False marks one that was there already."""
        now = datetime.now(UTC)
        keys = [dedup_key(ref.system, ref.record_id, "created") for ref in refs]
        events = [
            Event(
                event_id=event_id(key),
                dedup_key=key,
                event_type=LANE,
                source=ref.system,
                subject=ref,
                occurred_at=now,
                received_at=now,
                sender_event_id=ref.record_id,
                attributes={},
            )
            for key, ref in zip(keys, refs, strict=True)
        ]
        return self.append(events)

    def append(self, events: list[Event]) -> list[bool]:
        """Record events as intake does; False marks one that was there already."""
        return asyncio.run(self.journal.append(events))

    def receive_event(self, event_type: str, subject: RecordRef, **attributes: Any) -> None:
        """Take an event of any type that happens now."""
        now = datetime.now(UTC)
        key = dedup_key("test", event_type, subject.key, now.isoformat())
        event = Event(event_id(key), key, event_type, "test", subject, now, now, attributes=attributes)
        asyncio.run(self.journal.append([event]))

    def enrich(self, event_type: str = LANE) -> BatchReport:
        """Do what a tick and the first step of a run do."""
        total = BatchReport()
        for batch_id in self.assign(event_type=event_type):
            total.add(enrich_batch(self.settings, self.stores, event_type, batch_id, self._owner()))
        return total

    def assign(self, max_batch: int = 500, event_type: str = LANE) -> list[str]:
        """Do what ticks do: put all that is due into batches."""
        dispatch, batch_ids = self.stores.dispatch(), []
        dispatch.pump()
        while groups := dispatch.due_groups(event_type, max_batch):
            batch = dispatch.assign(event_type, groups[0], max_batch)
            if batch is not None:  # None: all of them end here, as skipped
                batch_ids.append(batch.batch_id)
        return batch_ids

    def deliver(self) -> DeliveryReport:
        """Do what the second step of a run does."""
        return deliver_owed(self.settings, self.stores, self._owner())

    def run(self, event_type: str = LANE) -> BatchReport:
        """Enrich what is due and write it back."""
        report = self.enrich(event_type)
        self.deliver()
        return report

    def _owner(self) -> str:
        self._runs += 1
        return f"run-{self._runs}"

    # --- what came of it -------------------------------------------------------------------------------------------

    def fields(self, ref: RecordRef) -> dict[str, Any]:
        """Return the CRM record as it is."""
        return dict(self.sandbox.state.stores[ref.system, ref.object_type].records[ref.record_id].fields)

    def works(self, ref: RecordRef) -> list[Any]:
        """Return the work on a record, the event first."""
        statement = select(work).where(work.c.subject_id == ref.record_id).order_by(work.c.tries)
        with self.stores.ops.read() as connection:
            return list(connection.execute(statement).mappings())

    def attempts(self, provider: str) -> list[Any]:
        """Return the calls to a provider."""
        statement = select(attempts).where(attempts.c.provider == provider).order_by(attempts.c.sent_at_ms)
        with self.stores.ops.read() as connection:
            return list(connection.execute(statement).mappings())

    def owed(self) -> list[Any]:
        """Return the deliveries that are owed."""
        with self.stores.ops.read() as connection:
            return list(connection.execute(select(outbox).where(outbox.c.state == "owed")).mappings())

    def make_due(self) -> None:
        """Let the waiting time of owed deliveries pass."""
        with self.stores.ops.write() as connection:
            connection.execute(outbox.update().where(outbox.c.state == "owed").values(next_at_ms=0, lease_until_ms=0))


def wait_follow_up() -> None:
    """Let the follow-up's waiting time pass."""
    time.sleep(FOLLOW_UP_SECONDS + 0.05)


SMALL_WORLD = SandboxConfig(people=400, companies=80)


@contextmanager
def running_pipeline(folder: Path, change: Change = quick, world: SandboxConfig = SMALL_WORLD) -> Iterator[Pipeline]:
    """Emulators in a thread, stores in a folder."""
    with running_sandbox(world) as sandbox:
        pipeline = Pipeline(folder, sandbox, change)
        try:
            yield pipeline
        finally:
            pipeline.close()
