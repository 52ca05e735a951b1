"""Our own writes to CRM records: noted before they are sent, so that what the CRM reports of them is known again.

A delivery is noted in the transaction that claims it: the CRM's report may come before the delivery is recorded, for a
webhook is quick and a process may die. What was written is confirmed when it is recorded; what was not written is
forgotten then, for a person may be the one who enters that value.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, case, delete, select, update

from enrichment_dagster.clock import Clock
from enrichment_dagster.domain.echoes import (
    Echo,
    OwnMarks,
    OwnWrite,
    fingerprints,
    is_ours,
    judge,
    may_be_echo,
)
from enrichment_dagster.domain.event import Event, RecordRef
from enrichment_dagster.ports import WriteRecord
from enrichment_dagster.store.database import Database, from_ms, to_ms
from enrichment_dagster.store.prepared import insert_of
from enrichment_dagster.store.rows import Row
from enrichment_dagster.store.tables import own_writes, work

KEPT = timedelta(days=7)

_EQUAL = "equal"  # why a property was not written: it has our value already


def note(connection: Connection, claimed: Sequence[Row], now_ms: int) -> None:
    """Note what these deliveries may write, before anything of it is sent. ``claimed`` are rows of the outbox."""
    depths = _depths(connection, {row["event_id"] for row in claimed})
    rows = [
        {
            **{name: row[name] for name in ("outbox_id", "event_id", "system", "object_type", "record_id")},
            "depth": depths.get(row["event_id"], 0),
            "fingerprints": fingerprints(_ref(row), {**row["fill"], **row["assign"]}),
            "claims": 1,
            "noted_at_ms": now_ms,
            "claimed_at_ms": now_ms,
        }
        for row in claimed
    ]
    connection.execute(_note_statement(connection.dialect.name), rows)


def confirm(connection: Connection, done: Sequence[WriteRecord]) -> None:
    """Keep of each delivery what was written; of one that wrote nothing, and never can have, nothing.

    Where an earlier claim came to no end, what it may have written is what stands in the record now: all of it, or the
    fields without the company, which HubSpot takes by a call of its own.
    """
    written = [_written(item) for item in done if item.status == "written"]
    if written:
        connection.execute(_CONFIRM, written)
    if unwritten := [item.entry.outbox_id for item in done if item.status != "written"]:
        connection.execute(_FORGET_UNWRITTEN, {"b_ids": unwritten})
    if in_place := [_kept(item, _in_place(item)) for item in done if item.status == "already_there"]:
        connection.execute(_KEEP, in_place)


def recognise(connection: Connection, events: Sequence[Event], marks: OwnMarks) -> dict[str, Echo]:
    """Return what these events have to do with our writes, by event id; those that have nothing are left out."""
    asked = [event for event in events if may_be_echo(event) or is_ours(event, marks)]
    if not asked:
        return {}
    writes = _writes_to(connection, {event.subject for event in asked})
    found = {event.event_id: judge(event, writes.get(event.subject, ()), marks) for event in asked}
    return {name: echo for name, echo in found.items() if echo is not None}


class SqlOwnWrites:
    """Our writes as those see them who are outside of a delivery (``ports.OwnWrites``)."""

    def __init__(self, ops: Database, clock: Clock, marks: OwnMarks) -> None:
        self._ops = ops
        self._clock = clock
        self._marks = marks

    async def caused(self, events: Sequence[Event]) -> frozenset[str]:
        """Return the ids of the events that our writes caused and nothing may be bought for."""
        asked = [event for event in events if may_be_echo(event) or is_ours(event, self._marks)]
        return await asyncio.to_thread(self._refused, asked) if asked else frozenset()

    def _refused(self, events: Sequence[Event]) -> frozenset[str]:
        with self._ops.read() as connection:
            found = recognise(connection, events, self._marks)
        return frozenset(name for name, echo in found.items() if echo.reason)

    def forget_old(self) -> int:
        """Delete what no event will come of any more; returns how many writes."""
        before = to_ms(self._clock.now() - KEPT)
        with self._ops.write() as connection:
            return connection.execute(delete(own_writes).where(own_writes.c.claimed_at_ms < before)).rowcount


@cache
def _note_statement(dialect: str) -> Any:
    make = insert_of(dialect, own_writes)
    again = {"claims": own_writes.c.claims + 1, "claimed_at_ms": make.excluded.claimed_at_ms}
    return make.on_conflict_do_update(index_elements=["outbox_id"], set_=again)


_FORGET_UNWRITTEN = delete(own_writes).where(
    own_writes.c.outbox_id.in_(bindparam("b_ids", expanding=True)), own_writes.c.claims == 1
)
_KEEP = (
    update(own_writes)
    .where(own_writes.c.outbox_id == bindparam("b_outbox_id"))
    .values(fingerprints=bindparam("b_fingerprints"))
)
# What is written now was not there before: the earlier claims have not written it. What is in place they may have.
_CONFIRM = _KEEP.values(
    fingerprints=case(
        (own_writes.c.claims > 1, bindparam("b_with_earlier", type_=own_writes.c.fingerprints.type)),
        else_=bindparam("b_fingerprints", type_=own_writes.c.fingerprints.type),
    ),
    noted_at_ms=own_writes.c.claimed_at_ms,
    written_at_ms=bindparam("b_at_ms"),
)
_DEPTHS = select(work.c.event_id, work.c.depth).where(
    work.c.work_id.in_(bindparam("b_event_ids", expanding=True)), work.c.depth > 0
)
_TO_RECORDS = select(own_writes).where(own_writes.c.record_id.in_(bindparam("b_records", expanding=True)))


def _kept(item: WriteRecord, properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"b_outbox_id": item.entry.outbox_id, "b_fingerprints": fingerprints(item.entry.ref, properties)}


def _written(item: WriteRecord) -> dict[str, Any]:
    earlier = _kept(item, {**_in_place(item), **item.written})
    return {**_kept(item, item.written), "b_with_earlier": earlier["b_fingerprints"], "b_at_ms": to_ms(item.at)}


def _in_place(item: WriteRecord) -> dict[str, Any]:
    owed = {**item.entry.fill, **item.entry.assign}
    return {name: owed[name] for name, why in item.kept.items() if why == _EQUAL and name in owed}


def _depths(connection: Connection, event_ids: set[str]) -> dict[str, int]:
    rows = connection.execute(_DEPTHS, {"b_event_ids": sorted(event_ids)})
    return {event_id: depth for event_id, depth in rows}  # noqa: C416 - rows are no pairs for dict()


def _writes_to(connection: Connection, refs: set[RecordRef]) -> dict[RecordRef, list[OwnWrite]]:
    found: dict[RecordRef, list[OwnWrite]] = {}
    rows = connection.execute(_TO_RECORDS, {"b_records": sorted({ref.record_id for ref in refs})})
    for row in rows.mappings():
        found.setdefault(_ref(row), []).append(_own_write(row))
    return found


def _ref(row: Row) -> RecordRef:
    return RecordRef(row["system"], row["object_type"], row["record_id"])


def _own_write(row: Row) -> OwnWrite:
    last = max(row["claimed_at_ms"], row["written_at_ms"] or 0)
    return OwnWrite(row["event_id"], row["depth"], row["fingerprints"], from_ms(row["noted_at_ms"]), from_ms(last))
