"""An event as a run leaves it behind, written straight into the tables: steps, disputed values, late answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, update
from support.story import EMAIL_SUBJECT, Installation

from enrichment_dagster.cli.words import iso
from enrichment_dagster.domain.event import Event
from enrichment_dagster.engine.protection import CallReport, ProviderPolicy, ProviderState, Verdict, observe
from enrichment_dagster.store.database import to_ms
from enrichment_dagster.store.tables import attempts, field_values, pending_answers, provider_states, work

STEP: dict[str, Any] = {"reason": "", "cached": False, "stale": False, "hedge": False, "cost_micros": 0}
STEP |= {"latency_ms": 0, "fields": [], "fetched_at": None}


def a_step(lookup: str, result: str, **changes: Any) -> dict[str, Any]:
    return {"lookup": lookup, "result": result, **STEP, **changes}


async def decided(installation: Installation, *steps: dict[str, Any], **changes: Any) -> Event:
    """Receive an event and end its work with these steps."""
    event = await installation.receive()
    installation.dispatch.pump()
    now_ms = to_ms(installation.clock.now())
    done = {"state": "done", "outcome": "partial", "started_at_ms": now_ms, "finished_at_ms": now_ms}
    with installation.stores.ops.write() as connection:
        connection.execute(
            update(work)
            .where(work.c.work_id == event.event_id)
            .values({**done, "steps": list(steps), "missing": {"phone": "pending"}, **changes})
        )
    return event


def hours_before(installation: Installation, hours: float) -> str | None:
    return iso(installation.clock.now() - timedelta(hours=hours))


def follow_up(installation: Installation, event: Event, suffix: str, **changes: Any) -> str:
    """Add a follow-up of an event."""
    work_id = f"{event.event_id}/{suffix}"
    with installation.stores.ops.write() as connection:
        row = dict(connection.execute(work.select().where(work.c.work_id == event.event_id)).mappings().one())
        connection.execute(insert(work).values({**row, "work_id": work_id, "steps": [], **changes}))
    return work_id


def said(installation: Installation, event: Event, provider: str, value: Any, **changes: Any) -> None:
    """Store what a provider said of the title."""
    row = {"work_id": event.event_id, "event_id": event.event_id, "subject_key": EMAIL_SUBJECT, "field": "title"}
    row |= {"value": value, "provider": provider, "confidence": 0.6, "request_id": "", "cost_micros": 0, "rev": 1}
    row |= {"fetched_at_ms": to_ms(installation.clock.now())}
    with installation.stores.ops.write() as connection:
        connection.execute(insert(field_values).values({**row, **changes}))


def awaited(installation: Installation, event: Event, **changes: Any) -> None:
    """Store a call for a phone number that is answered later."""
    now = installation.clock.now()
    call = {"attempt_id": "late-1", "provider": "apollo", "purpose": "phone", "subject_key": EMAIL_SUBJECT}
    call |= {"event_id": event.event_id, "state": "pending", "reserved_micros": 160_000, "sent_at_ms": to_ms(now)}
    call |= {"lease_until_ms": to_ms(now), "rev": 1, "role": "hedge", "units": 8, "cost_micros": 160_000}
    answer = {"attempt_id": "late-1", "token_hash": "0" * 64, "lookup": "apollo.phone", "query": {}, "polls": 2}
    answer |= {"state": "waiting", "created_at_ms": to_ms(now), "expires_at_ms": to_ms(now + timedelta(hours=1))}
    with installation.stores.ops.write() as connection:
        connection.execute(insert(attempts).values(call))
        connection.execute(insert(pending_answers).values({**answer, **changes}))


def failing(calls: int, *, lifetime_calls: int = 0) -> ProviderState:
    """A provider whose calls of the last seconds have all failed."""
    now, state = datetime.now(UTC).timestamp(), ProviderState(lifetime_calls=lifetime_calls)
    for number in range(calls):
        at = now - 3 * (1 - (number + 1) / calls)
        state = observe(state, ProviderPolicy(), CallReport("person", Verdict.FAILURE, 100), now=at)
    return state


def provider_state(installation: Installation, provider: str, state: ProviderState) -> None:
    """Store what all processes know of a provider."""
    row = {"provider": provider, "state": state.to_json(), "changed_at_ms": 0}
    with installation.stores.ops.write() as connection:
        connection.execute(insert(provider_states).values(row))
