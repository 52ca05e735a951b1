"""The gateway's side of the operational store: results of the routing lane (``ports.RoutingStore``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, bindparam, select, update

from enrichment_dagster.domain.echoes import OwnMarks
from enrichment_dagster.domain.eligibility import InboxRules
from enrichment_dagster.ports import RoutingConclusion, WorkKind
from enrichment_dagster.store.committer import GroupCommitter, Handler, each
from enrichment_dagster.store.database import Database, to_ms
from enrichment_dagster.store.edges import store_edges
from enrichment_dagster.store.pending import register_waiters
from enrichment_dagster.store.prepared import Change, Query, insertion_of_new
from enrichment_dagster.store.pump import pump_into
from enrichment_dagster.store.result_rows import ended_parameters, result_rows, step_as_json
from enrichment_dagster.store.rows import event_columns, next_rev
from enrichment_dagster.store.tables import work


@dataclass(frozen=True, slots=True)
class _Batch:
    conclusions: Sequence[RoutingConclusion]
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class _Release:
    event_ids: Sequence[str]
    at: datetime


_Asked = TypeVar("_Asked", _Batch, _Release)


class SqlRoutingStore:
    """Stores what the gateway found."""

    def __init__(
        self,
        journal: Database,
        committer: GroupCommitter,
        owner: str,
        rules: Mapping[str, InboxRules],
        marks: OwnMarks,
    ) -> None:
        self._journal = journal
        self._rules = rules
        self._committer = committer
        self._owner = owner
        self._marks = marks
        self._conclude = each(self._conclude_batch)
        self._release = each(self._release_events)

    async def conclude(self, conclusions: Sequence[RoutingConclusion], finished_at: datetime) -> None:
        """Store results and outbox, and hand the events on or end them, in one transaction.

        Repeating it changes nothing.
        """
        await self._until_done(self._conclude, _Batch(conclusions, finished_at))

    async def release(self, event_ids: Sequence[str], at: datetime) -> None:
        """Give up the reservations of events that were not routed."""
        await self._until_done(self._release, _Release(event_ids, at))

    async def _until_done(self, handler: Handler[_Asked, bool], asked: _Asked) -> None:
        """Repeat a step until it says that it is done; calls that are to be sent have their turn between two."""
        while not await self._committer.submit(handler, asked):
            pass

    def _conclude_batch(self, connection: Connection, batch: _Batch) -> bool:
        """Do it; False: the journal has more events before these, so come again."""
        now_ms, items = to_ms(batch.finished_at), batch.conclusions
        event_ids = [item.enrichment.item.event.event_id for item in items]
        if not self._are_work(connection, event_ids, batch.finished_at):
            return False
        mine = _still_reserved(connection, event_ids)
        rev = next_rev(connection)
        ends = [self._ended(item, now_ms) for item in items]
        rows = [_routing_row(item, end, rev) for item, end in zip(items, ends, strict=True)]
        fresh = _insert_new(connection, rows)
        _store_results(connection, [item for item in items if item.enrichment.item.work_id in fresh], rev, now_ms)
        _hand_on(connection, [i.enrichment.item.event.event_id for i in items if i.goes_on], mine, now_ms, rev)
        ended = [
            # What it cost stands once, on the routing's own work.
            {"b_id": event_id, "b_rev": rev, **{f"b_{name}": v for name, v in end.items()}, "b_cost_micros": 0}
            for item, end in zip(items, ends, strict=True)
            if not item.goes_on and (event_id := item.enrichment.item.event.event_id) in mine
        ]
        _END.run(connection, ended)
        return True

    def _release_events(self, connection: Connection, release: _Release) -> bool:
        if not self._are_work(connection, release.event_ids, release.at):
            return False
        mine = _still_reserved(connection, release.event_ids)
        _hand_on(connection, release.event_ids, mine, to_ms(release.at), next_rev(connection))
        return True

    def _are_work(self, connection: Connection, event_ids: Sequence[str], now: datetime) -> bool:
        """Turn the journal's next events into work, if no tick was quicker; False: these are not among them yet.

        An import may have put thousands before them: one step in a transaction, so that it is a short one.
        """
        if _all_stored(connection, event_ids):
            return True
        copied = pump_into(connection, self._journal, now, self._rules, self._marks)
        return not copied or _all_stored(connection, event_ids)

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


def _routing_row(item: RoutingConclusion, end: Mapping[str, Any], rev: int) -> dict[str, Any]:
    event, decision = item.enrichment.item.event, item.enrichment.routing
    return {
        **event_columns(event),
        **end,
        "work_id": item.enrichment.item.work_id,
        "seq": 0,
        "kind": str(WorkKind.ROUTING),
        "day": event.received_at.date().isoformat(),
        "due_at_ms": to_ms(event.received_at),
        "routing": None if decision is None else decision.as_data(),
        "rev": rev,
    }


def _all_stored(connection: Connection, work_ids: Sequence[str]) -> bool:
    return not work_ids or len(_STORED.rows(connection, b_work_ids=list(work_ids))) == len(set(work_ids))


def _still_reserved(connection: Connection, event_ids: Sequence[str]) -> frozenset[str]:
    """Lock and return the events that no lane has taken or touched since they came.

    A row that a tick is just assigning is passed over, not waited for: the tick waits for the revision's counter, and
    the two would wait for each other.
    """
    found = _RESERVED.rows(connection, b_work_ids=list(event_ids)) if event_ids else ()
    return frozenset(work_id for (work_id,) in found)


def _insert_new(connection: Connection, rows: Sequence[dict[str, Any]]) -> frozenset[str]:
    """Store the routing's own work; returns what was not there yet. The revision's counter keeps others away."""
    if not rows:
        return frozenset()
    known = {work_id for (work_id,) in _STORED.rows(connection, b_work_ids=[row["work_id"] for row in rows])}
    new = [row for row in rows if row["work_id"] not in known]
    insertion_of_new(work).run(connection, new)
    return frozenset(row["work_id"] for row in new)


def _store_results(connection: Connection, items: Sequence[RoutingConclusion], rev: int, now_ms: int) -> None:
    found = [item.enrichment for item in items]
    for table, rows in result_rows(found, rev, now_ms):
        insertion_of_new(table).run(connection, rows)
    store_edges(connection, found, rev)
    awaited = [(attempt, item.item.work_id) for item in found for attempt in item.awaits]
    if awaited:
        register_waiters(connection, awaited, rev, now_ms)


def _hand_on(connection: Connection, event_ids: Iterable[str], mine: frozenset[str], now_ms: int, rev: int) -> None:
    """Give up reservations: the standard lane may take the events at once."""
    ids = sorted(mine.intersection(event_ids))
    _EARLIER.run(connection, [{"b_id": work_id, "b_now_ms": now_ms, "b_rev": rev} for work_id in ids])


_NAMED = work.c.work_id.in_(bindparam("b_work_ids", expanding=True))
_STORED = Query(select(work.c.work_id).where(_NAMED))
_RESERVED = Query(
    select(work.c.work_id)
    .where(_NAMED, work.c.state == "due", work.c.deferrals == 0, work.c.crashes == 0)
    .with_for_update(skip_locked=True)
)
_EARLIER = Change(
    update(work)
    .where(work.c.work_id == bindparam("b_id"), work.c.due_at_ms > bindparam("b_now_ms"))
    .values(due_at_ms=bindparam("b_now_ms"), rev=bindparam("b_rev"))
)
_END = Change(update(work).where(work.c.work_id == bindparam("b_id"), work.c.state == "due").values(ended_parameters()))
