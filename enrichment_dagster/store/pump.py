"""The pump: journal rows past the watermark become work, in their order and each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Integer, bindparam, func, select, update

from enrichment_dagster.domain.echoes import OWN_WRITE, Echo, OwnMarks
from enrichment_dagster.domain.edges import ASSOCIATION_REMOVED
from enrichment_dagster.domain.eligibility import InboxRules, matter, proven_wrong
from enrichment_dagster.domain.keys import email_subject
from enrichment_dagster.domain.outcome import Outcome
from enrichment_dagster.domain.triggers import UNSUPPORTED_REASON
from enrichment_dagster.ports import WorkKind
from enrichment_dagster.store.database import Database, from_ms, to_ms
from enrichment_dagster.store.edges import end_removed
from enrichment_dagster.store.own_writes import recognise
from enrichment_dagster.store.prepared import Change, Query, insertion_of_new
from enrichment_dagster.store.result_rows import wrong_row
from enrichment_dagster.store.rows import WATERMARK, Row, event_from_row, next_rev
from enrichment_dagster.store.tables import counters, invalid_values, journal, work

NO_MARKS = OwnMarks()

_PUMP_ROWS = 200
_SHARED = ("event_id", "event_type", "source", "lane", "subject_system", "subject_type", "subject_id")
COPIED = (*_SHARED, "sender_event_id", "attributes", "occurred_at_ms", "received_at_ms")
"""The columns of an event that its work has too."""

_NO_ECHO = Echo("", "", 0)


_NEWEST = Query(select(func.coalesce(func.max(journal.c.seq), 0)))


def behind(journal_database: Database, copied_to: int) -> int:
    """Return how many journal rows there are past a watermark."""
    with journal_database.read() as connection:
        ((newest,),) = _NEWEST.rows(connection)
    return max(0, int(newest) - copied_to)


def pump_into(
    connection: Connection,
    journal_database: Database,
    now: datetime,
    rules: Mapping[str, InboxRules],
    marks: OwnMarks = NO_MARKS,
) -> int:
    """Copy the next journal rows past the watermark into ``work``, inside a transaction; returns how many.

    What our own writes caused is recognised here and ends at once.
    """
    copied_to = watermark(connection, lock=True)
    with journal_database.read() as source:
        past = _PAST_WATERMARK.rows(source, b_watermark=copied_to, b_rows=_PUMP_ROWS)
    rows = [dict(zip(_PUMPED, row, strict=True)) for row in past]
    if not rows:
        return 0
    rev, now_ms = next_rev(connection), to_ms(now)
    echoes = _echoes(connection, rows, marks)
    found = [_work_row(row, rev, now_ms, rules, echoes.get(row["event_id"], _NO_ECHO)) for row in rows]
    insertion_of_new(work).run(connection, found)
    _note_wrong(connection, rows, now_ms)
    end_removed(connection, [row for row in rows if row["skip_reason"] == ASSOCIATION_REMOVED], rev)
    _MOVE_WATERMARK.run(connection, [{"b_seq": rows[-1]["seq"]}])
    return len(rows)


_PUMPED = ("seq", *COPIED, "skip_reason", "reserved_until_ms")
_PAST_WATERMARK = Query(
    select(*(journal.c[name] for name in _PUMPED))
    .where(journal.c.seq > bindparam("b_watermark"))
    .order_by(journal.c.seq)
    .limit(bindparam("b_rows", type_=Integer))
)
_WATERMARK = select(counters.c.n).where(counters.c.name == WATERMARK)
_READ_WATERMARK, _LOCK_WATERMARK = Query(_WATERMARK), Query(_WATERMARK.with_for_update())
_MOVE_WATERMARK = Change(update(counters).where(counters.c.name == WATERMARK).values(n=bindparam("b_seq")))


def watermark(connection: Connection, *, lock: bool = False) -> int:
    """Return the place in the journal up to which all is copied; ``lock`` keeps other pumps away until the end."""
    ((seq,),) = (_LOCK_WATERMARK if lock else _READ_WATERMARK).rows(connection)
    return int(seq)


def _note_wrong(connection: Connection, rows: Sequence[Row], now_ms: int) -> None:
    """Remember at once what events prove wrong: other lanes must not bring it back before these events' own turn."""
    found = [
        wrong_row(subject, *wrong, str(row["attributes"]["problem"]), row["event_id"], now_ms)
        for row in rows
        if (wrong := proven_wrong(row["event_type"], row["attributes"])) is not None
        for subject in _known_as(row)
    ]
    insertion_of_new(invalid_values).run(connection, found)


def _known_as(row: Row) -> list[str]:
    """Return the keys that an event itself names its subject by."""
    record = f"{row['subject_system']}:{row['subject_type']}:{row['subject_id']}"
    said = row["attributes"]
    address = said.get("email") or (said["bad_value"] if said["bad_field"] == "email" else "")
    return [record, email_subject(address)] if "@" in str(address) else [record]


def _echoes(connection: Connection, rows: Sequence[Any], marks: OwnMarks) -> dict[str, Echo]:
    """Return what our own writes have to do with these events, by event id.

    What the door refused keeps its reason, but for types that are never enriched: among these are most of the changes
    that we make ourselves, and who looks at one wants to know that.
    """
    refused = {row["event_id"] for row in rows if row["skip_reason"]}
    asked = [event_from_row(row) for row in rows if row["skip_reason"] in {"", UNSUPPORTED_REASON}]
    found = recognise(connection, asked, marks)
    return {name: echo for name, echo in found.items() if echo.reason == OWN_WRITE or name not in refused}


def _work_row(row: Row, rev: int, now_ms: int, rules: Mapping[str, InboxRules], echo: Echo) -> dict[str, Any]:
    reason = echo.reason or row["skip_reason"]
    skipped = bool(reason)
    own = rules.get(row["event_type"])
    window_ms = 0 if own is None else round(own.debounce.total_seconds() * 1_000)
    return {
        **{name: row[name] for name in COPIED},
        "work_id": row["event_id"],
        "seq": row["seq"],
        "kind": str(WorkKind.EVENT),
        "day": from_ms(row["received_at_ms"]).date().isoformat(),
        "state": "done" if skipped else "due",
        "due_at_ms": row["reserved_until_ms"] or row["received_at_ms"] + window_ms,
        "matter": matter(row["event_type"], row["attributes"]),
        "started_at_ms": now_ms if skipped else None,
        "finished_at_ms": now_ms if skipped else None,
        "outcome": str(Outcome.SKIPPED) if skipped else None,
        "reason": reason,
        "caused_by": echo.caused_by,
        "depth": echo.depth,
        "rev": rev,
    }
