"""The work that a late answer makes: one piece for each event that waited, limited to what the answer is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from enrichment_dagster.domain.outcome import MissingReason
from enrichment_dagster.ports import WorkKind
from enrichment_dagster.store.database import from_ms
from enrichment_dagster.store.rows import Row, dialect_insert
from enrichment_dagster.store.tables import pending_answers, pending_waiters, work

ANSWER_SUFFIX = "/answer-"
NO_LOOKUP = "none"
"""In a scope in place of a lookup's name, which has a dot: nobody is to be asked again, only the status is told."""

_SUFFIXES = ("/gap-", ANSWER_SUFFIX)
_COPIED = (
    "seq",
    "event_id",
    "event_type",
    "source",
    "lane",
    "subject_system",
    "subject_type",
    "subject_id",
    "sender_event_id",
    "attributes",
    "occurred_at_ms",
    "received_at_ms",
    "tries",
)
_DIGITS = 8


def answer_work_id(work_id: str, attempt_id: str) -> str:
    """Return the id of the work that takes an answer up: the same for the event and for its follow-ups."""
    for suffix in _SUFFIXES:
        work_id = work_id.partition(suffix)[0]
    return f"{work_id}{ANSWER_SUFFIX}{attempt_id[:_DIGITS]}"


def make_answer_work(connection: Connection, attempt_id: str, rev: int, now_ms: int) -> None:
    """Make the work of all that wait for an attempt which has just been answered or given up; repeats change nothing.

    The caller holds the revision's lock.
    """
    waiters = _finished_waiters(connection, attempt_id)
    if not waiters:
        return
    ended = connection.execute(select(pending_answers).where(pending_answers.c.attempt_id == attempt_id)).mappings()
    answer = ended.one()
    others = _other_states(connection, attempt_id, [row["work_id"] for row in waiters])
    rows: dict[str, dict[str, Any]] = {}
    for waiter in waiters:
        states = {answer["state"], *others.get(waiter["work_id"], ())}
        if answer["state"] == "expired" and states & {"opened", "waiting"}:
            continue  # another answer is still to come: the last one tells the status
        row = _row(waiter, answer, _reasons(waiter["missing"], states), rev, now_ms)
        rows.setdefault(row["work_id"], row)
    if rows:
        connection.execute(dialect_insert(connection, work).on_conflict_do_nothing(), list(rows.values()))


def _finished_waiters(connection: Connection, attempt_id: str) -> Sequence[Row]:
    """Return the work that waits, the latest first: of an event and its follow-ups, that one knows best."""
    statement = (
        select(work)
        .join(pending_waiters, pending_waiters.c.work_id == work.c.work_id)
        .where(pending_waiters.c.attempt_id == attempt_id)
        .order_by(work.c.finished_at_ms.desc(), work.c.work_id)
    )
    return connection.execute(statement).mappings().all()


def _other_states(connection: Connection, attempt_id: str, work_ids: Sequence[str]) -> dict[str, set[str]]:
    """Return the states of the other answers that the same work waited for."""
    statement = (
        select(pending_waiters.c.work_id, pending_answers.c.state)
        .join(pending_answers, pending_answers.c.attempt_id == pending_waiters.c.attempt_id)
        .where(pending_waiters.c.work_id.in_(work_ids), pending_waiters.c.attempt_id != attempt_id)
    )
    found: dict[str, set[str]] = {}
    for work_id, state in connection.execute(statement):
        found.setdefault(work_id, set()).add(state)
    return found


def _reasons(missing: Mapping[str, str], states: set[str]) -> dict[str, str]:
    """Return why fields are missing: what was pending is a timeout once one answer was given up and none is to come."""
    if "expired" not in states or states & {"opened", "waiting"}:
        return dict(missing)
    pending, timeout = str(MissingReason.PENDING), str(MissingReason.TIMEOUT)
    return {field: timeout if reason == pending else reason for field, reason in missing.items()}


def _row(waiter: Row, answer: Row, reasons: Mapping[str, str], rev: int, now_ms: int) -> dict[str, Any]:
    lookup = NO_LOOKUP if answer["state"] == "expired" else answer["lookup"]
    return {
        **{name: waiter[name] for name in _COPIED},
        "work_id": answer_work_id(waiter["work_id"], answer["attempt_id"]),
        "kind": str(WorkKind.ANSWER),
        "day": from_ms(now_ms).date().isoformat(),
        "state": "due",
        "due_at_ms": now_ms,
        "scope": {"lookups": [lookup], "reasons": dict(reasons)},
        "rev": rev,
    }
