"""Reading the operational store for checks and status: counts and times, never values of people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Text, case, cast, exists, func, or_, select

from enrichment_dagster.clock import Clock
from enrichment_dagster.domain.event import Lane
from enrichment_dagster.domain.latency import Journey
from enrichment_dagster.domain.outcome import Outcome
from enrichment_dagster.ports import REFUSED, REFUSED_PROPERTY, ROUTING_SUFFIX, WorkKind
from enrichment_dagster.store.database import Database, from_ms, to_ms
from enrichment_dagster.store.rows import REV, WATERMARK, Row
from enrichment_dagster.store.tables import (
    attempts,
    beats,
    counters,
    crm_writes,
    field_values,
    journal,
    kept_bodies,
    outbox,
    pending_answers,
    provider_states,
    quarantine,
    work,
)

PROJECTOR_BEAT = "projector"
_STATIONS = ("occurred", "received", "started", "finished", "delivered")
_FOUND = (str(Outcome.ENRICHED), str(Outcome.PARTIAL), str(Outcome.UNCHANGED))
# What a rule ends without a run ends at once: a thousand page views of strangers would hide ten late enrichments.
_NOT_SKIPPED_AS_IT_CAME = or_(work.c.outcome.is_(None), work.c.outcome != str(Outcome.SKIPPED), work.c.run_id != "")


@dataclass(frozen=True, slots=True)
class Balance:
    """The invariant in numbers: received = terminal + dead + in flight."""

    received: int
    terminal: int
    dead: int
    in_flight: int

    @property
    def holds(self) -> bool:
        """Say whether every received event is accounted for."""
        return self.received == self.terminal + self.dead + self.in_flight


class HealthStore:
    """Questions that checks, status pages and alerts ask of the operational store."""

    def __init__(self, journal_database: Database, ops: Database, clock: Clock) -> None:
        self._journal = journal_database
        self._ops = ops
        self._clock = clock

    def journeys(self, event_type: str, window: timedelta) -> list[Journey]:
        """Return the events that were received in the window, and all that are still on their way.

        Those that a rule ended before a run had them are left out.
        """
        since = to_ms(self._clock.now() - window)
        owed = exists().where(outbox.c.work_id == work.c.work_id, outbox.c.state == "owed")
        # Not the whole rows: six lanes are looked at three times a minute, and their steps and attributes are long.
        statement = select(*(work.c[f"{name}_at_ms"] for name in _STATIONS), owed.label("owed")).where(
            work.c.event_type == event_type,
            work.c.kind == str(WorkKind.EVENT),
            _NOT_SKIPPED_AS_IT_CAME,
            (work.c.received_at_ms >= since) | (work.c.state != "done") | owed,
        )
        with self._ops.read() as connection:
            found = [_journey(row) for row in connection.execute(statement).mappings()]
            watermark = _counter(connection, WATERMARK)
        return [*found, *self._unpumped(event_type, watermark)]

    def _unpumped(self, event_type: str, watermark: int) -> list[Journey]:
        columns = select(journal.c.occurred_at_ms, journal.c.received_at_ms)
        statement = columns.where(journal.c.seq > watermark, journal.c.event_type == event_type)
        with self._journal.read() as connection:
            return [
                Journey(from_ms(occurred), from_ms(received), None, None, None, awaits_delivery=False)
                for occurred, received in connection.execute(statement)
            ]

    def routings(self, event_type: str, window: timedelta) -> tuple[list[Journey], int]:
        """Return the way of each lead that the gateway took in the window, from its receipt to its record being told.

        The number counts those whose reservation ran out: their way ends where the standard lane's does. What a rule
        keeps from being enriched is left out where nobody routed it.
        """
        now_ms = to_ms(self._clock.now())
        statement = _routings(event_type, to_ms(self._clock.now() - window))
        journeys, ran_out = [], 0
        with self._ops.read() as connection:
            for row in connection.execute(statement).mappings():
                if row["routed"] is None:
                    if row["outcome"] == str(Outcome.SKIPPED):
                        continue
                    ran_out += row["state"] != "due" or row["due_at_ms"] <= now_ms
                journeys.append(_journey(row))
        return journeys, ran_out

    def missing_fields(self, event_type: str, window: timedelta) -> list[list[str]]:
        """Return, for each event enriched in the window, its fields that stayed empty."""
        since = to_ms(self._clock.now() - window)
        statement = select(work.c.missing).where(
            work.c.event_type == event_type,
            work.c.finished_at_ms >= since,
            work.c.outcome.in_(_FOUND),
            work.c.kind != str(WorkKind.ROUTING),  # it wants a few fields only, the event's own work wants all
        )
        with self._ops.read() as connection:
            return [list(missing) for missing in connection.execute(statement).scalars()]

    def stored_and_quarantined(self, event_type: str, window: timedelta) -> tuple[int, dict[str, int]]:
        """Return how many values events of the window brought, and those that were set aside by ``provider.field``."""
        since = to_ms(self._clock.now() - window)
        recent = (work.c.event_type == event_type) & (work.c.received_at_ms >= since)
        stored = select(func.count()).select_from(work).join(field_values, field_values.c.work_id == work.c.work_id)
        bad = (
            select(quarantine.c.provider, quarantine.c.field, func.count())
            .join(work, work.c.work_id == quarantine.c.work_id)
            .where(recent)
            .group_by(quarantine.c.provider, quarantine.c.field)
        )
        with self._ops.read() as connection:
            counts = {f"{provider}.{name}": n for provider, name, n in connection.execute(bad)}
            return int(connection.execute(stored.where(recent)).scalar_one()), counts

    def balance(self) -> Balance:
        """Return the account of all received events."""
        is_event = work.c.kind == str(WorkKind.EVENT)
        by_state = (
            select(work.c.state, work.c.outcome, func.count()).where(is_event).group_by(work.c.state, work.c.outcome)
        )
        with self._ops.read() as connection:
            rows = connection.execute(by_state).all()
            watermark = _counter(connection, WATERMARK)
        with self._journal.read() as connection:
            received = int(connection.execute(select(func.count()).select_from(journal)).scalar_one())
            unpumped = select(func.count()).where(journal.c.seq > watermark)
            waiting = int(connection.execute(unpumped).scalar_one())
        dead = sum(n for state, outcome, n in rows if state == "done" and outcome == str(Outcome.DEAD))
        done = sum(n for state, _, n in rows if state == "done")
        open_events = sum(n for state, _, n in rows if state != "done")
        return Balance(received, done - dead, dead, open_events + waiting)

    def outcomes(self) -> dict[str, int]:
        """Return the events that ended, by outcome."""
        statement = (
            select(work.c.outcome, func.count())
            .where(work.c.kind == str(WorkKind.EVENT), work.c.state == "done")
            .group_by(work.c.outcome)
        )
        with self._ops.read() as connection:
            return {str(outcome): n for outcome, n in connection.execute(statement)}

    def owed(self) -> dict[str, Any]:
        """Return what is owed to CRMs: how much, since when, and why it was put off."""
        statement = (
            select(outbox.c.last_reason, func.count(), func.min(outbox.c.created_at_ms))
            .where(outbox.c.state == "owed")
            .group_by(outbox.c.last_reason)
        )
        now = self._clock.now()
        with self._ops.read() as connection:
            rows = connection.execute(statement).all()
        oldest = min((created for _, _, created in rows), default=None)
        age = 0.0 if oldest is None else max(0.0, (now - from_ms(oldest)).total_seconds())
        reasons = {reason: n for reason, n, _ in rows if reason}
        return {"entries": sum(n for _, n, _ in rows), "oldest_seconds": round(age, 1), "reasons": reasons}

    def crm_refused(self, window: timedelta) -> dict[str, int]:
        """Return how often CRMs refused a record of the window altogether, or one of its properties, by their words."""
        refused_in_part = cast(crm_writes.c.kept, Text).like(f"%{REFUSED_PROPERTY}%")
        statement = select(crm_writes.c.status, crm_writes.c.reason, crm_writes.c.kept).where(
            crm_writes.c.written_at_ms >= to_ms(self._clock.now() - window),
            or_(crm_writes.c.status == "rejected", refused_in_part),
        )
        found: Counter[str] = Counter()
        with self._ops.read() as connection:
            for status, reason, kept in connection.execute(statement):
                words = [why for why in kept.values() if why.startswith(REFUSED_PROPERTY)]
                found.update([reason] if status == "rejected" else [w.removeprefix(REFUSED_PROPERTY) for w in words])
        return dict(found.most_common())

    def spend_micros(self, window: timedelta) -> dict[str, int]:
        """Return the cost of the window's settled calls by provider."""
        since = to_ms(self._clock.now() - window)
        statement = (
            select(attempts.c.provider, func.sum(attempts.c.cost_micros))
            .where(attempts.c.settled_at_ms >= since)
            .group_by(attempts.c.provider)
        )
        with self._ops.read() as connection:
            return {provider: int(total) for provider, total in connection.execute(statement)}

    def provider_states(self) -> dict[str, Any]:
        """Return what all processes know of each provider that was ever called, as it is stored."""
        with self._ops.read() as connection:
            rows = connection.execute(select(provider_states.c.provider, provider_states.c.state))
            return {provider: state for provider, state in rows}  # noqa: C416 - rows are no pairs for dict()

    def pending_answers(self) -> dict[str, Any]:
        """Return what providers still owe us: how many answers, and since when, by lookup."""
        statement = (
            select(pending_answers.c.lookup, func.count(), func.min(pending_answers.c.created_at_ms))
            .where(pending_answers.c.state == "waiting")
            .group_by(pending_answers.c.lookup)
        )
        now = self._clock.now()
        with self._ops.read() as connection:
            rows = connection.execute(statement).all()
        oldest = min((created for _, _, created in rows), default=None)
        age = 0.0 if oldest is None else max(0.0, (now - from_ms(oldest)).total_seconds())
        return {
            "waiting": sum(n for _, n, _ in rows),
            "oldest_seconds": round(age, 1),
            "lookups": {lookup: n for lookup, n, _ in rows},
        }

    def kept_bodies(self) -> dict[str, int]:
        """Return how many unreadable bodies are kept, by reason."""
        statement = select(kept_bodies.c.reason, func.count()).group_by(kept_bodies.c.reason)
        with self._journal.read() as connection:
            return {reason: int(count) for reason, count in connection.execute(statement)}

    def rev(self) -> int:
        """Return the newest revision: what a projector that is up to date has reached."""
        with self._ops.read() as connection:
            return _counter(connection, REV)

    def projected_rev(self) -> int:
        """Return the revision that the warehouse has reached, as the last projector noted it."""
        with self._ops.read() as connection:
            detail = connection.execute(select(beats.c.detail).where(beats.c.name == PROJECTOR_BEAT)).scalar()
        return int(detail["rev"]) if detail else 0

    def unprojected_since(self, projected_rev: int) -> datetime | None:
        """Return when the oldest work ended that the warehouse, which has reached this revision, does not show yet."""
        ended = func.min(func.coalesce(work.c.delivered_at_ms, work.c.finished_at_ms))
        with self._ops.read() as connection:
            found = connection.execute(select(ended).where(work.c.rev > projected_rev, work.c.state == "done")).scalar()
        return None if found is None else from_ms(found)

    def refused(self, window: timedelta) -> dict[str, dict[str, int]]:
        """Return the senders that had a request refused in the window: how many by reason, since the gateway began."""
        since, mine = to_ms(self._clock.now() - window), beats.c.name.startswith(REFUSED, autoescape=True)
        statement = select(beats.c.name, beats.c.detail).where(mine, beats.c.at_ms >= since).order_by(beats.c.name)
        with self._ops.read() as connection:
            return {name.removeprefix(REFUSED): dict(found) for name, found in connection.execute(statement)}

    def last_beats(self) -> dict[str, datetime]:
        """Return when each process or loop was last alive."""
        with self._ops.read() as connection:
            found = connection.execute(select(beats.c.name, beats.c.at_ms))
            return {name: from_ms(at_ms) for name, at_ms in found if not name.startswith(REFUSED)}


def _routings(event_type: str, since_ms: int) -> Any:
    """Select the events of the routing lane with the times of their routing, or their own where there is none."""
    routed = work.alias("routed")
    joined = work.outerjoin(routed, routed.c.work_id == work.c.event_id + ROUTING_SUFFIX)
    told_by = func.coalesce(routed.c.work_id, work.c.work_id)

    def either(name: str) -> Any:
        return case((routed.c.work_id.is_not(None), routed.c[name]), else_=work.c[name]).label(name)

    return (
        select(
            routed.c.work_id.label("routed"),
            work.c.state,
            work.c.outcome,
            work.c.due_at_ms,
            work.c.received_at_ms,
            work.c.received_at_ms.label("occurred_at_ms"),  # the gateway answers for what happens from then on
            *(either(name) for name in ("started_at_ms", "finished_at_ms", "delivered_at_ms")),
            exists().where(outbox.c.work_id == told_by, outbox.c.state == "owed").label("owed"),
        )
        .select_from(joined)
        .where(
            work.c.event_type == event_type,
            work.c.kind == str(WorkKind.EVENT),
            work.c.lane == str(Lane.ROUTING),
            work.c.received_at_ms >= since_ms,
        )
    )


def _counter(connection: Connection, name: str) -> int:
    return int(connection.execute(select(counters.c.n).where(counters.c.name == name)).scalar_one())


def _journey(row: Row) -> Journey:
    def at(name: str) -> datetime | None:
        return None if row[name] is None else from_ms(row[name])

    return Journey(
        occurred_at=from_ms(row["occurred_at_ms"]),
        received_at=from_ms(row["received_at_ms"]),
        started_at=at("started_at_ms"),
        finished_at=at("finished_at_ms"),
        delivered_at=at("delivered_at_ms"),
        awaits_delivery=bool(row["owed"]),
    )
