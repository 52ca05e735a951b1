"""The gateway's side of the operational store: results of the routing lane (``ports.RoutingStore``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, update

from enrichment_dagster.ports import RoutingConclusion, WorkKind
from enrichment_dagster.store.committer import GroupCommitter
from enrichment_dagster.store.database import Database, to_ms
from enrichment_dagster.store.dispatch import pump_into
from enrichment_dagster.store.pending import register_waiters
from enrichment_dagster.store.result_rows import outbox_row, quarantine_rows, step_as_json, value_rows
from enrichment_dagster.store.rows import dialect_insert, event_columns, next_rev
from enrichment_dagster.store.tables import field_values, outbox, quarantine, work


@dataclass(frozen=True, slots=True)
class _Batch:
    conclusions: Sequence[RoutingConclusion]
    finished_at: datetime


class SqlRoutingStore:
    """Stores what the gateway found."""

    def __init__(self, journal: Database, committer: GroupCommitter, owner: str) -> None:
        self._journal = journal
        self._committer = committer
        self._owner = owner
        self._handler = self._conclude_all

    async def conclude(self, conclusions: Sequence[RoutingConclusion], finished_at: datetime) -> None:
        """Store results and outbox, and hand the events on or end them, in one transaction."""
        await self._committer.submit(self._handler, _Batch(conclusions, finished_at))

    def _conclude_all(self, connection: Connection, batches: Sequence[_Batch]) -> list[None]:
        for batch in batches:
            # The events are in the journal; here they become work, if no tick was quicker.
            while pump_into(connection, self._journal, batch.finished_at):
                pass
            self._conclude(connection, batch.conclusions, to_ms(batch.finished_at))
        return [None] * len(batches)

    def _conclude(self, connection: Connection, conclusions: Sequence[RoutingConclusion], now_ms: int) -> None:
        rev = next_rev(connection)
        found = [item.enrichment for item in conclusions]
        tables: tuple[tuple[Any, list[dict[str, Any]]], ...] = (
            (work, [self._routing_row(item, now_ms, rev) for item in conclusions]),
            (field_values, [row for item in found for row in value_rows(item, rev)]),
            (quarantine, [row for item in found for row in quarantine_rows(item, rev, now_ms)]),
            (outbox, [outbox_row(item.outbox, now_ms) for item in found if item.outbox]),
        )
        for table, rows in tables:
            if rows:
                connection.execute(dialect_insert(connection, table).on_conflict_do_nothing(), rows)
        awaited = [(attempt, item.item.work_id) for item in found for attempt in item.awaits]
        if awaited:
            register_waiters(connection, awaited, rev, now_ms)
        self._hand_on(connection, [item for item in conclusions if item.goes_on], now_ms, rev)
        self._end(connection, [item for item in conclusions if not item.goes_on], now_ms, rev)

    def _routing_row(self, item: RoutingConclusion, now_ms: int, rev: int) -> dict[str, Any]:
        enrichment = item.enrichment
        decision = enrichment.routing
        return {
            **event_columns(enrichment.item.event),
            **self._ended(item, now_ms),
            "work_id": enrichment.item.work_id,
            "seq": 0,
            "kind": str(WorkKind.ROUTING),
            "day": enrichment.item.event.received_at.date().isoformat(),
            "due_at_ms": to_ms(enrichment.item.event.received_at),
            "routing": None if decision is None else {**asdict(decision), "reasons": list(decision.reasons)},
            "rev": rev,
        }

    def _ended(self, item: RoutingConclusion, now_ms: int) -> dict[str, Any]:
        enrichment = item.enrichment
        return {
            "state": "done",
            "run_id": self._owner,
            "started_at_ms": to_ms(enrichment.started_at),
            "finished_at_ms": now_ms,
            "outcome": str(enrichment.outcome),
            "reason": enrichment.reason,
            "missing": {name: str(reason) for name, reason in enrichment.missing.items()},
            "cost_micros": enrichment.cost_micros,
            "steps": [step_as_json(step) for step in enrichment.steps],
        }

    def _hand_on(self, connection: Connection, items: Sequence[RoutingConclusion], now_ms: int, rev: int) -> None:
        """Give up the reservation: the standard lane may take the event at once."""
        if items:
            rows = [{"b_id": item.enrichment.item.event.event_id, "b_now": now_ms, "b_rev": rev} for item in items]
            connection.execute(_HAND_ON, rows)

    def _end(self, connection: Connection, items: Sequence[RoutingConclusion], now_ms: int, rev: int) -> None:
        rows = [
            {"b_id": item.enrichment.item.event.event_id, "b_rev": rev, **_prefixed(self._ended(item, now_ms))}
            for item in items
        ]
        if rows:
            connection.execute(_END, rows)


def _prefixed(values: dict[str, Any]) -> dict[str, Any]:
    return {f"b_{name}": value for name, value in values.items()}


_RESERVED = (work.c.work_id == bindparam("b_id")) & (work.c.state == "due")
_HAND_ON = update(work).where(_RESERVED).values(due_at_ms=bindparam("b_now"), rev=bindparam("b_rev"))
_END = (
    update(work)
    .where(_RESERVED)
    .values(
        {
            name: bindparam(f"b_{name}")
            for name in (
                "state",
                "run_id",
                "started_at_ms",
                "finished_at_ms",
                "outcome",
                "reason",
                "missing",
                "cost_micros",
                "steps",
                "rev",
            )
        }
    )
)
