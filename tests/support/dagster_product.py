"""The product inside this process: its stores, its Dagster definitions, and the emulated CRMs around it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.request import Request, urlopen

import dagster as dg
from support.builders import an_event

from assets.lanes import LANES, Lane
from enrichment_dagster import composition, resources
from enrichment_dagster.definitions import defs
from enrichment_dagster.domain.event import Event, RecordRef
from enrichment_dagster.journey.report import build_explanation
from enrichment_dagster.ports import BatchHandOver
from enrichment_dagster.sandbox import RunningSandbox
from enrichment_dagster.settings import Settings
from enrichment_dagster.store.explain import ExplainStore
from enrichment_dagster.store.journal import open_journal
from enrichment_dagster.store.warehouse_query import read_query

EVENT_TYPE, ASSET = "lead_created", "lead_enrichment"


@dataclass
class Product:
    sandbox: RunningSandbox
    instance: dg.DagsterInstance
    logging_configured: list[str]
    events: int = 0

    @property
    def settings(self) -> Settings:
        return resources._opened()[0]

    @property
    def stores(self) -> composition.Stores:
        return resources._opened()[1]

    def close(self) -> None:
        self.stores.close()

    # --- the CRM's side ----------------------------------------------------------------------------------------------

    def control(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(f"{self.sandbox.url}/_sandbox/{path}", data=data), timeout=10) as answer:
            return json.load(answer)

    def new_contact(self, person: int, **properties: str) -> str:
        return str(self.control("hubspot/contacts", {"person": person, "properties": properties})["id"])

    def contact(self, record_id: str) -> dict[str, Any]:
        return self.control(f"crm/hubspot/records/{record_id}")["fields"]

    def writes(self) -> int:
        return len(self.control("crm/writes")["writes"])

    def provider_calls(self) -> int:
        calls = self.control("counters")["calls"]
        return sum(count for name, count in calls.items() if not name.startswith(("hubspot", "salesforce")))

    # --- our side ----------------------------------------------------------------------------------------------------

    def receive(self, *record_ids: str, at: datetime | None = None, **changes: Any) -> list[Event]:
        at = at or datetime.now(UTC)
        subjects = [RecordRef("hubspot", "contact", name) for name in record_ids]
        given = {"attributes": {}, **changes}
        events = [an_event(int(ref.record_id), at=at, subject=ref, **given) for ref in subjects]
        journal = open_journal(self.settings)
        asyncio.run(journal.append(events))
        journal.close()
        return events

    def leads(self, count: int, **more: Any) -> list[str]:
        """Create contacts in the CRM and receive their events."""
        ids = [self.new_contact(person) for person in range(count)]
        self.receive(*ids, **more)
        return ids

    def event(self, event_type: str, subject: RecordRef, *, seconds_ago: float = 120, **attributes: Any) -> Event:
        """Receive an event that waits for nothing more."""
        self.events += 1
        at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
        given = {"at": at, "event_type": event_type, "subject": subject, "attributes": attributes}
        event = an_event(900_000 + self.events, **given)
        journal = open_journal(self.settings)
        asyncio.run(journal.append([event]))
        journal.close()
        return event

    def assign(self, event_type: str = EVENT_TYPE) -> BatchHandOver:
        batch = self.assign_or_none(event_type)
        assert batch is not None
        return batch

    def assign_or_none(self, event_type: str) -> BatchHandOver | None:
        dispatch = self.stores.dispatch()
        dispatch.pump()
        groups = dispatch.due_groups(event_type, 500)
        return dispatch.assign(event_type, groups[0], 500) if groups else None

    def run_batch(self, batch: BatchHandOver, **options: Any) -> dg.ExecuteInProcessResult:
        lane = next(lane for lane in LANES if lane.event_type == batch.event_type)
        return self.run(batch.day, lane=lane, batch_id=batch.batch_id, **options)

    def run(
        self, day: str, *, warehouse: bool = False, lane: Lane = LANES[0], **config: Any
    ) -> dg.ExecuteInProcessResult:
        """Run the lane's job; without the warehouse's step, which takes most of its time, unless it is asked for."""
        only = None if warehouse else [dg.AssetKey(lane.asset), dg.AssetKey("crm_writeback")]
        return defs.resolve_job_def(lane.job).execute_in_process(
            run_config={"ops": {lane.asset: {"config": config}}} if config else None,
            partition_key=day,
            instance=self.instance,
            asset_selection=only,
        )

    def explain(self, event: Event) -> dict[str, Any]:
        """What ``enrichment explain --json`` says."""
        story = ExplainStore(self.stores.journal, self.stores.ops).story(event.event_id)
        assert story is not None
        return build_explanation(story, datetime.now(UTC), values=True)

    def outcomes(self) -> dict[str, int]:
        return self.stores.health().outcomes()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return read_query(composition.open_warehouse(self.settings), sql).rows


def metadata(result: dg.ExecuteInProcessResult, asset: str = ASSET) -> dict[str, Any]:
    (event,) = [event for event in result.get_asset_materialization_events() if event.asset_key == dg.AssetKey(asset)]
    return {name: value.value for name, value in event.materialization.metadata.items()}
