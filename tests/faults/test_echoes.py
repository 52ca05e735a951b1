"""Everything that we write comes back as an event, and none of it starts an enrichment.

HubSpot's webhooks come signed to a real gateway. Salesforce's changes have no feed yet: the test puts into the journal
what one will say. ENRICHMENT_TEST_ECHO_LEADS sets how many leads are enriched; ``make soak`` takes 2,000.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from inprocess import LANE, Pipeline, quick, running_pipeline
from sqlalchemy import delete, select, update
from support.gateway import serve_in_thread

from enrichment_dagster.clock import SystemClock
from enrichment_dagster.composition import open_warehouse, project
from enrichment_dagster.domain.echoes import CAUSALITY_DEPTH, OWN_WRITE
from enrichment_dagster.domain.edges import ASSOCIATION_REMOVED
from enrichment_dagster.domain.event import Event, RecordRef
from enrichment_dagster.domain.keys import dedup_key, event_id
from enrichment_dagster.domain.triggers import UNSUPPORTED
from enrichment_dagster.gateway.app import create_app
from enrichment_dagster.gateway.deps import GatewayDeps, Limits
from enrichment_dagster.intake.registry import build_senders
from enrichment_dagster.sandbox.config import SandboxConfig
from enrichment_dagster.sandbox.echo import DELIVERY, EchoTarget
from enrichment_dagster.store.tables import outbox, own_writes, work
from enrichment_dagster.supervise.environment import Ports, sandbox_variables

LEADS = int(os.environ.get("ENRICHMENT_TEST_ECHO_LEADS", "200"))
WORLD = SandboxConfig(people=3 * LEADS, companies=LEADS)
CRMS = ("hubspot.", "salesforce.")
OUR_CLIENT, ANOTHER = ";client=enrichment-dagster", ";client=DataLoader"
DAY = timedelta(hours=24)


def unhurried(config: dict[str, Any]) -> None:
    """As shipped, without the vendors' rate limits: they would make a test of 2,000 leads take minutes."""
    for provider in config["providers"].values():
        provider.pop("limits", None)


@contextmanager
def echoing(pipeline: Pipeline) -> Iterator[None]:
    """HubSpot's webhooks go to a gateway until the end of the block; then all of them have been taken."""
    settings, variables = pipeline.settings, sandbox_variables(Ports())
    deps = GatewayDeps(
        senders=build_senders(settings),
        journal=pipeline.journal,
        clock=SystemClock(),
        limits=Limits(max_body_bytes=settings.config.intake.max_body_bytes),
    )
    state, path = pipeline.sandbox.state, "/webhooks/hubspot"
    with serve_in_thread(create_app(deps)) as gateway:
        state.echo.target = EchoTarget(
            url=f"http://127.0.0.1:{gateway.port}{path}",
            secret=variables["HUBSPOT_CLIENT_SECRET"],
            signed_url=f"{variables['ENRICHMENT_PUBLIC_URL']}{path}",
        )
        yield
        give_up = time.monotonic() + 30
        while state.callbacks.waiting and time.monotonic() < give_up:
            time.sleep(0.02)
        state.echo.target = None
    assert state.counters.as_data()["callbacks"][DELIVERY].keys() == {"delivered"}


def business_people(pipeline: Pipeline, count: int) -> list[Any]:
    """Return people whose addresses no rule skips."""
    found = [person for person in pipeline.sandbox.world.all_people if person.is_business]
    return found[:count]


def new_records(pipeline: Pipeline, count: int) -> list[RecordRef]:
    """Create records as forms do, by turns in HubSpot and in Salesforce, and receive their events."""
    state, refs = pipeline.sandbox.state, []
    for number, who in enumerate(business_people(pipeline, count)):
        if number % 2:
            fields = {"Email": who.email, "FirstName": who.first_name, "LastName": who.last_name}
            refs.append(RecordRef("salesforce", "lead", state.salesforce.create(fields).id))
        else:
            fields = {"email": who.email, "firstname": who.first_name, "lastname": who.last_name}
            refs.append(RecordRef("hubspot", "contact", state.hubspot.create(fields).id))
    pipeline.receive(*refs)
    return refs


def by_record(writes: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for write in writes:
        found.setdefault(write["id"], {})[write["field"]] = write["new"]
    return found


def change_event(record_id: str, source: str, object_type: str = "lead", **attributes: Any) -> Event:
    """An event of a lead that happens now, and that would be enriched."""
    now = datetime.now(UTC)
    key = dedup_key(source, record_id, str(now), str(attributes))
    return Event(
        event_id=event_id(key),
        dedup_key=key,
        event_type=LANE,
        source=source,
        subject=RecordRef("salesforce", object_type, record_id),
        occurred_at=now,
        received_at=now,
        attributes=attributes,
    )


def salesforce_changes(changed: dict[str, dict[str, Any]], client: str = "") -> list[Event]:
    """What a change data feed will say: the changed fields of each record, and maybe through which client."""
    origin = f"com/salesforce/api/rest/62.0{client}"
    return [
        change_event(record_id, "salesforce_cdc", changeType="UPDATE", changeOrigin=origin, changed=fields)
        for record_id, fields in changed.items()
    ]


def works_after(pipeline: Pipeline, skip: int) -> list[Any]:
    """Return the work of all events but the first ones, in their order."""
    statement = select(work).where(work.c.kind == "event", work.c.seq > skip).order_by(work.c.seq)
    with pipeline.stores.ops.read() as connection:
        return list(connection.execute(statement).mappings())


def events_of(pipeline: Pipeline, refs: list[RecordRef]) -> dict[str, str]:
    """Return the events that came first, by record."""
    with pipeline.stores.ops.read() as connection:
        found = connection.execute(select(work.c.subject_id, work.c.event_id).where(work.c.seq <= len(refs)))
        return {record_id: name for record_id, name in found}  # noqa: C416 - rows are no pairs for dict()


def test_all_that_we_write_comes_back_and_costs_nothing(tmp_path: Path) -> None:
    """HubSpot's app id is not configured: values alone tell. Of Salesforce's changes half name us as their author."""
    with running_pipeline(tmp_path, unhurried, WORLD) as pipeline:
        pipeline.faults(**{"*": {"latency": 0}})
        refs = new_records(pipeline, LEADS)
        with echoing(pipeline):
            report = pipeline.run()
        assert report.outcomes.total() == LEADS
        assert report.outcomes["enriched"] + report.outcomes["partial"] > 0.9 * LEADS
        log = pipeline.sandbox.state.writes.as_data()
        told = [write for write in log if write["system"] == "hubspot" and write["new"] != write["old"]]
        changed = by_record(write for write in log if write["system"] == "salesforce")
        marked = dict(list(changed.items())[: len(changed) // 2])
        unmarked = {name: fields for name, fields in changed.items() if name not in marked}
        pipeline.append([*salesforce_changes(marked, OUR_CLIENT), *salesforce_changes(unmarked, ANOTHER)])

        bought = provider_calls(pipeline)
        assert pipeline.run().outcomes.total() == 0
        assert provider_calls(pipeline) == bought
        assert pipeline.sandbox.state.writes.as_data() == log

        works, first = works_after(pipeline, LEADS), events_of(pipeline, refs)
        assert len(works) == len(told) + len(changed)
        assert len(told) > 5 * len(changed) > 0
        assert Counter((row["outcome"], row["reason"]) for row in works) == {("skipped", OWN_WRITE): len(works)}
        assert all(row["caused_by"] == first[row["subject_id"]] for row in works)
        assert_counted(pipeline, {LANE: len(changed), UNSUPPORTED: len(told)})
        assert_not_recognised_without_notes(pipeline, unmarked)


def provider_calls(pipeline: Pipeline) -> int:
    calls = pipeline.sandbox.state.counters.as_data()["calls"]
    return sum(count for name, count in calls.items() if not name.startswith(CRMS))


def assert_counted(pipeline: Pipeline, expected: dict[str, int]) -> None:
    """The status and the warehouse say how many, and what it would have cost."""
    loops = pipeline.stores.loops()
    prevented, rate = loops.prevented(DAY), loops.write_rate(DAY, limit=1)
    assert {name: found.own_write for name, found in prevented.items()} == expected
    assert prevented[UNSUPPORTED].saved_micros == 0
    assert prevented[LANE].saved_micros > 10_000 * expected[LANE]
    assert (rate.writes, rate.records_over) == (LEADS, 0)
    project(pipeline.settings, pipeline.stores)
    sql = "SELECT event_type, sum(own_writes)::INTEGER, sum(saved_usd) FROM loops GROUP BY ALL"
    rows = open_warehouse(pipeline.settings).query(sql).rows()
    assert {name: count for name, count, _ in rows} == expected
    assert sum(saved for _, _, saved in rows) == pytest.approx(prevented[LANE].saved_micros / 1_000_000, abs=0.001)


def assert_not_recognised_without_notes(pipeline: Pipeline, changed: dict[str, dict[str, Any]]) -> None:
    """It is the notes that do it: without them the same events are work."""
    with pipeline.stores.ops.write() as connection:
        connection.execute(delete(own_writes))
    pipeline.append(salesforce_changes(changed, ANOTHER))
    pipeline.stores.dispatch().pump()
    assert sum(group.count for group in pipeline.stores.dispatch().due_groups(LANE, 500)) == len(changed)


def without_cooldown(config: dict[str, Any]) -> None:
    """Else that would stop the flow first."""
    quick(config)
    config["event_types"][LANE]["policy"]["cooldown_seconds"] = 0


def test_a_flow_that_fires_on_every_update_is_stopped_after_one_round(tmp_path: Path) -> None:
    """It clears the status again and names the lead, no more: nothing but its cause gives it away."""
    with running_pipeline(tmp_path, without_cooldown) as pipeline:
        pipeline.faults(**{"*": {"latency": 0}})
        leads = [pipeline.lead(who.index, "salesforce") for who in business_people(pipeline, 3)]
        state, rounds, seen = pipeline.sandbox.state, [], 0
        for _ in range(4):
            pipeline.run()
            writes = state.writes.as_data(seen)
            seen += len(writes)
            updated = sorted({write["id"] for write in writes})
            rounds.append(len(updated))
            for record_id in updated:
                state.salesforce.records[record_id].fields["Enrichment_Status__c"] = None
            pipeline.append([change_event(record_id, "salesforce_flow") for record_id in updated])
        assert rounds == [3, 3, 0, 0], "each lead is written once more, for the flow may have had its reasons"
        for lead in leads:
            found = [row for row in works_after(pipeline, 0) if row["subject_id"] == lead.record_id]
            assert [(row["reason"], row["depth"]) for row in found] == [("", 0), ("", 1), (CAUSALITY_DEPTH, 2)]
        assert pipeline.stores.loops().refused(DAY) == 3


def no_waiting(config: dict[str, Any]) -> None:
    """Every event has its turn at once."""
    quick(config)
    for name in ("contact_associated", "data_quality"):
        config["event_types"][name]["policy"].update(debounce_seconds=0, cooldown_seconds=0)


def after_job_change(pipeline: Pipeline) -> list[Any]:
    """Pump what came back and return its work; none of it may start anything."""
    assert pipeline.run("contact_associated").outcomes.total() == 0
    return [row for row in works_after(pipeline, 0) if row["event_type"] == "contact_associated"]


def test_a_contact_that_we_moved_to_another_company_starts_nothing(tmp_path: Path) -> None:
    """HubSpot reports the association while ours is half written, and once more when it is complete."""
    with running_pipeline(tmp_path, no_waiting) as pipeline:
        pipeline.faults(**{"*": {"latency": 0}})
        state = pipeline.sandbox.state
        old, new = (state.accounts.companies["hubspot", index] for index in (3, 0))
        record = state.hubspot.create({"email": "dana.reyes@northwind-parts.com"})
        state.links.put("contact", record.id, old)
        contact = RecordRef("hubspot", "contact", record.id)
        pipeline.receive_event("data_quality", contact, problem="job_change")
        pipeline.faults(**{"*": {"latency": 0}, "hubspot__contact_association_label": {"error_rate": 1}})
        with echoing(pipeline):
            pipeline.run("data_quality")
        assert state.links.primary("contact", contact.record_id) == old
        found = after_job_change(pipeline)
        assert [(row["attributes"]["company_id"], row["reason"]) for row in found] == [(new, OWN_WRITE)]

        pipeline.faults(**{"*": {"latency": 0}})
        with pipeline.stores.ops.write() as connection:
            connection.execute(update(outbox).values(next_at_ms=0))
        with echoing(pipeline):
            pipeline.deliver()
        assert state.links.primary("contact", contact.record_id) == new
        told = {(row["attributes"]["company_id"], row["reason"]) for row in after_job_change(pipeline)}
        assert told == {(new, OWN_WRITE), (old, ASSOCIATION_REMOVED)}
        (cause,) = (row for row in works_after(pipeline, 0) if row["event_type"] == "data_quality")
        caused = {row["caused_by"] for row in after_job_change(pipeline) if row["reason"] == OWN_WRITE}
        assert caused == {cause["event_id"]}


def test_an_account_that_we_gave_to_a_salesforce_contact_is_known_again(tmp_path: Path) -> None:
    """Its change data feed reports the id, which the owed delivery did not know yet; a person's later choice counts."""
    with running_pipeline(tmp_path, no_waiting) as pipeline:
        pipeline.faults(**{"*": {"latency": 0}})
        state = pipeline.sandbox.state
        old, new, other = (state.accounts.companies["salesforce", index] for index in (3, 0, 5))
        record = state.stores["salesforce", "contact"].create(
            {"Email": "dana.reyes@northwind-parts.com", "AccountId": old}
        )
        contact = RecordRef("salesforce", "contact", record.id)
        pipeline.receive_event("data_quality", contact, problem="job_change")
        pipeline.run("data_quality")
        assert record.fields["AccountId"] == new
        events = [
            change_event(
                record.id, "salesforce_cdc", contact.object_type, changeType="UPDATE", changed={"AccountId": account}
            )
            for account in (new, other)
        ]
        pipeline.append(events)
        pipeline.stores.dispatch().pump()
        reasons = {row["event_id"]: row["reason"] for row in works_after(pipeline, 1)}
        assert [reasons[event.event_id] for event in events] == [OWN_WRITE, ""]
