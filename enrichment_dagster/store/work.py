"""The batch's side of the operational store: lease, terminal transaction, outbox (``ports.WorkStore``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from enrichment_dagster.clock import Clock
from enrichment_dagster.domain.dispatch import LEASE
from enrichment_dagster.domain.event import Lane, RecordRef
from enrichment_dagster.domain.fields import FieldValue
from enrichment_dagster.errors import LeaseLost
from enrichment_dagster.ports import (
    Deferral,
    DeliveryRetry,
    Employer,
    Enrichment,
    Lease,
    OutboxEntry,
    Scope,
    WorkItem,
    WorkKind,
    WriteRecord,
)
from enrichment_dagster.store.committer import GroupCommitter, Handler, each
from enrichment_dagster.store.database import Database, to_ms
from enrichment_dagster.store.edges import store_edges
from enrichment_dagster.store.own_writes import confirm, note
from enrichment_dagster.store.pending import register_waiters
from enrichment_dagster.store.prepared import Change, insertion_of_new
from enrichment_dagster.store.result_rows import earlier_values, ended_parameters, result_rows, step_as_json
from enrichment_dagster.store.rows import Row, event_columns, event_from_row, next_rev
from enrichment_dagster.store.tables import (
    batches,
    crm_writes,
    outbox,
    work,
)

RENEW_EVERY_SECONDS = 10.0

_CONTINUES = (WorkKind.GAP_FILL, WorkKind.ANSWER)
"""Work that goes on where earlier work of the same event ended."""


@dataclass(frozen=True, slots=True)
class _Conclusion:
    lease: Lease
    enrichments: Sequence[Enrichment]
    deferrals: Sequence[Deferral]
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class _Claim:
    owner: str
    work_ids: tuple[str, ...] | None
    limit: int
    lease_seconds: float


@dataclass(frozen=True, slots=True)
class _Deliveries:
    owner: str
    done: Sequence[WriteRecord]
    retries: Sequence[DeliveryRetry]


class SqlWorkStore:
    """A batch's work and what it owes to CRMs, each change in one transaction."""

    def __init__(self, ops: Database, committer: GroupCommitter, clock: Clock) -> None:
        self._ops = ops
        self._committer = committer
        self._clock = clock
        self._renew: Handler[Lease, Lease] = each(self._renew_one)
        self._conclude: Handler[_Conclusion, None] = each(_conclude)
        self._claim = each(self._claim_some)
        self._record = each(_record_deliveries)

    def lease(self, batch_id: str, owner: str) -> Lease | None:
        """Take a batch; None when it is finished or another run holds it.

        The same owner may take it again: that is a run that Dagster re-executed or a step that was repeated.
        """
        now = self._clock.now()
        free = (batches.c.lease_until_ms < to_ms(now)) | (batches.c.owner == owner) | (batches.c.owner == "")
        statement = (
            update(batches)
            .where(batches.c.batch_id == batch_id, batches.c.state == "open", free)
            .values(
                owner=owner,
                token=batches.c.token + 1,
                starts=batches.c.starts + 1,
                started_attempt=batches.c.attempt,
                lease_until_ms=to_ms(now + LEASE),
            )
            .returning(batches.c.token)
        )
        with self._ops.write() as connection:
            token = connection.execute(statement).scalar()
        return None if token is None else Lease(batch_id, owner, token, now + LEASE)

    def open_items(self, batch_id: str) -> list[WorkItem]:
        """Return the batch's events that have no final state, oldest first."""
        statement = select(work).where(work.c.batch_id == batch_id, work.c.state == "assigned").order_by(work.c.seq)
        with self._ops.read() as connection:
            rows = connection.execute(statement).mappings().all()
            earlier = earlier_values(connection, [row["event_id"] for row in rows if _goes_on(row)])
            return [_item(row, earlier.get(row["event_id"], ())) for row in rows]

    async def renew(self, lease: Lease) -> Lease:
        """Extend the lease, or raise ``LeaseLost``."""
        return await self._committer.submit(self._renew, lease)

    async def conclude(
        self, lease: Lease, enrichments: Sequence[Enrichment], deferrals: Sequence[Deferral], finished_at: datetime
    ) -> None:
        """Store results and final states in one transaction, or raise ``LeaseLost``."""
        await self._committer.submit(self._conclude, _Conclusion(lease, enrichments, deferrals, finished_at))

    async def claim_deliveries(
        self, owner: str, *, work_ids: Sequence[str] | None, limit: int, lease_seconds: float
    ) -> list[OutboxEntry]:
        """Lease outbox entries that are due, at most one per record, oldest first, and note them as own writes."""
        ids = None if work_ids is None else tuple(work_ids)
        return await self._committer.submit(self._claim, _Claim(owner, ids, limit, lease_seconds))

    async def record_deliveries(
        self, owner: str, done: Sequence[WriteRecord], retries: Sequence[DeliveryRetry]
    ) -> None:
        """Store how deliveries ended, in one transaction."""
        await self._committer.submit(self._record, _Deliveries(owner, done, retries))

    def _renew_one(self, connection: Connection, lease: Lease) -> Lease | LeaseLost:
        until = self._clock.now() + LEASE
        mine = (batches.c.batch_id == lease.batch_id) & (batches.c.token == lease.token) & (batches.c.state == "open")
        statement = update(batches).where(mine).values(lease_until_ms=to_ms(until))
        if connection.execute(statement).rowcount != 1:
            return LeaseLost(lease.batch_id)
        return replace(lease, until=until)

    def _claim_some(self, connection: Connection, claim: _Claim) -> list[OutboxEntry]:
        now_ms = to_ms(self._clock.now())
        due = _claimable(claim, now_ms)
        rows = connection.execute(due.with_for_update(skip_locked=True)).mappings().all()
        if rows:
            connection.execute(
                update(outbox)
                .where(outbox.c.outbox_id.in_([row["outbox_id"] for row in rows]))
                .values(owner=claim.owner, lease_until_ms=now_ms + round(claim.lease_seconds * 1_000))
            )
            note(connection, rows, now_ms)
        return [_entry(row) for row in rows]


def _claimable(claim: _Claim, now_ms: int) -> Any:
    """Select what may be delivered: due, unleased, and first in its record's line.

    The line has a strict order, so that exactly one entry of a record is first, whoever asks and at whatever moment.
    """
    ahead = outbox.alias("ahead")
    same_record = (
        (ahead.c.system == outbox.c.system)
        & (ahead.c.object_type == outbox.c.object_type)
        & (ahead.c.record_id == outbox.c.record_id)
        & (ahead.c.state == "owed")
        & (ahead.c.outbox_id != outbox.c.outbox_id)
    )
    same_moment = (ahead.c.created_at_ms == outbox.c.created_at_ms) & (ahead.c.outbox_id < outbox.c.outbox_id)
    older = (ahead.c.created_at_ms < outbox.c.created_at_ms) | same_moment | (ahead.c.lease_until_ms >= now_ms)
    statement = (
        select(outbox)
        .where(
            outbox.c.state == "owed",
            outbox.c.next_at_ms <= now_ms,
            outbox.c.lease_until_ms < now_ms,
            ~select(ahead.c.outbox_id).where(same_record, older).exists(),
        )
        .order_by(outbox.c.created_at_ms, outbox.c.outbox_id)
        .limit(claim.limit)
    )
    return statement if claim.work_ids is None else statement.where(outbox.c.work_id.in_(claim.work_ids))


def _goes_on(row: Row) -> bool:
    """Say whether earlier work of the same event may have found something: a follow-up, or a lead that was routed."""
    return row["kind"] in _CONTINUES or row["lane"] == Lane.ROUTING


def _item(row: Row, earlier: Sequence[FieldValue] = ()) -> WorkItem:
    scope = row["scope"] or {}
    return WorkItem(
        work_id=row["work_id"],
        kind=WorkKind(row["kind"]),
        event=event_from_row(row),
        tries=row["tries"],
        deferrals=row["deferrals"],
        scope=Scope(tuple(scope.get("lookups", ())), scope.get("reasons", {})),
        earlier=tuple(earlier),
    )


def _entry(row: Row) -> OutboxEntry:
    return OutboxEntry(
        outbox_id=row["outbox_id"],
        work_id=row["work_id"],
        event_id=row["event_id"],
        ref=RecordRef(row["system"], row["object_type"], row["record_id"]),
        fill=row["fill"],
        assign=row["assign"],
        tries=row["tries"],
        replace=row["replace"],
        employer=None if row["employer"] is None else Employer(**row["employer"]),
    )


# --- the terminal transaction ----------------------------------------------------------------------------------------

_FINISH = Change(
    update(work)
    .where(
        work.c.work_id == bindparam("b_work_id"),
        work.c.batch_id == bindparam("b_batch_id"),
        work.c.state == "assigned",
    )
    .values(ended_parameters())
)


_HOLDER = (
    select(batches.c.token)
    .where(batches.c.batch_id == bindparam("b_batch_id"), batches.c.state == "open")
    .with_for_update()
)


def _conclude(connection: Connection, conclusion: _Conclusion) -> LeaseLost | None:
    lease = conclusion.lease
    if connection.execute(_HOLDER, {"b_batch_id": lease.batch_id}).scalar() != lease.token:
        return LeaseLost(lease.batch_id)
    rev, now_ms = next_rev(connection), to_ms(conclusion.finished_at)
    for table, rows in _result_rows(conclusion.enrichments, rev, now_ms):
        insertion_of_new(table).run(connection, rows)
    store_edges(connection, conclusion.enrichments, rev)
    _FINISH.run(connection, [_finished(item, lease, now_ms, rev) for item in conclusion.enrichments])
    awaited = [(attempt, item.item.work_id) for item in conclusion.enrichments for attempt in item.awaits]
    if awaited:
        register_waiters(connection, awaited, rev, now_ms)
    for deferral in conclusion.deferrals:
        _defer(connection, lease, deferral, rev)
    _finish_batch(connection, lease.batch_id, now_ms)
    return None


def _result_rows(enrichments: Sequence[Enrichment], rev: int, now_ms: int) -> list[tuple[Any, list[dict[str, Any]]]]:
    return [
        *result_rows(enrichments, rev, now_ms),
        (work, [_follow_up_row(item, rev) for item in enrichments if item.follow_up]),
    ]


_GAP = "/gap-"


def _follow_up_row(item: Enrichment, rev: int) -> dict[str, Any]:
    event, follow_up = item.item.event, item.follow_up
    assert follow_up is not None
    return {
        # A replay has follow-ups of its own: under the first enrichment's ids they would be taken for repeats.
        "work_id": f"{item.item.work_id.partition(_GAP)[0]}{_GAP}{follow_up.tries}",
        "seq": 0,
        "kind": str(WorkKind.GAP_FILL),
        **event_columns(event),
        "day": follow_up.due_at.date().isoformat(),
        "state": "due",
        "due_at_ms": to_ms(follow_up.due_at),
        "tries": follow_up.tries,
        "rev": rev,
    }


def _finished(item: Enrichment, lease: Lease, now_ms: int, rev: int) -> dict[str, Any]:
    return {
        "b_work_id": item.item.work_id,
        "b_batch_id": lease.batch_id,
        "b_state": "done",
        "b_run_id": lease.owner,
        "b_started_at_ms": to_ms(item.started_at),
        "b_finished_at_ms": now_ms,
        "b_outcome": str(item.outcome),
        "b_reason": item.reason,
        "b_missing": {name: str(reason) for name, reason in item.missing.items()},
        "b_cost_micros": item.cost_micros,
        "b_steps": [step_as_json(step) for step in item.steps],
        "b_rev": rev,
    }


def _defer(connection: Connection, lease: Lease, deferral: Deferral, rev: int) -> None:
    mine = (
        (work.c.work_id == deferral.item.work_id) & (work.c.batch_id == lease.batch_id) & (work.c.state == "assigned")
    )
    values = {
        "state": "due",
        "batch_id": None,
        "deferrals": deferral.item.deferrals + 1,
        "due_at_ms": to_ms(deferral.due_at),
        "reason": deferral.reason,
        "rev": rev,
    }
    connection.execute(update(work).where(mine).values(values))


def _finish_batch(connection: Connection, batch_id: str, now_ms: int) -> None:
    left = select(work.c.work_id).where(work.c.batch_id == batch_id, work.c.state == "assigned").exists()
    connection.execute(
        update(batches)
        .where(batches.c.batch_id == batch_id, batches.c.state == "open", ~left)
        .values(state="finished", finished_at_ms=now_ms)
    )


# --- deliveries ------------------------------------------------------------------------------------------------------


def _record_deliveries(connection: Connection, deliveries: _Deliveries) -> None:
    if deliveries.done:
        _record_done(connection, deliveries.owner, deliveries.done)
    for retry in deliveries.retries:
        mine = (outbox.c.outbox_id == retry.entry.outbox_id) & (outbox.c.owner == deliveries.owner)
        connection.execute(
            update(outbox)
            .where(mine, outbox.c.state == "owed")
            .values(
                tries=retry.entry.tries + 1,
                last_reason=retry.reason,
                next_at_ms=to_ms(retry.next_at),
                owner="",
                lease_until_ms=0,
            )
        )


_SETTLE_OUTBOX = Change(
    update(outbox)
    .where(outbox.c.outbox_id == bindparam("b_outbox_id"), outbox.c.state == "owed")
    .values(state=bindparam("b_state"), last_reason=bindparam("b_reason"), owner="", lease_until_ms=0)
)
_SETTLE_WORK = Change(
    update(work)
    .where(work.c.work_id == bindparam("b_work_id"))
    .values(delivered_at_ms=bindparam("b_at_ms"), rev=bindparam("b_rev"))
)


def _record_done(connection: Connection, owner: str, done: Sequence[WriteRecord]) -> None:
    rev = next_rev(connection)
    insertion_of_new(crm_writes).run(connection, [_write_row(item, rev) for item in done])
    settled = [
        {
            "b_outbox_id": item.entry.outbox_id,
            "b_state": "rejected" if item.status == "rejected" else "done",
            "b_reason": item.reason,
        }
        for item in done
    ]
    _SETTLE_OUTBOX.run(connection, settled)
    delivered = [
        {"b_work_id": item.entry.work_id, "b_at_ms": to_ms(item.at), "b_rev": rev}
        for item in done
        if item.status != "rejected"
    ]
    _SETTLE_WORK.run(connection, delivered)
    confirm(connection, done)


def _write_row(item: WriteRecord, rev: int) -> dict[str, Any]:
    entry = item.entry
    return {
        "outbox_id": entry.outbox_id,
        "work_id": entry.work_id,
        "event_id": entry.event_id,
        "system": entry.ref.system,
        "object_type": entry.ref.object_type,
        "record_id": entry.ref.record_id,
        "status": item.status,
        "written": dict(item.written),
        "kept": dict(item.kept),
        "reason": item.reason,
        "written_at_ms": to_ms(item.at),
        "rev": rev,
    }
