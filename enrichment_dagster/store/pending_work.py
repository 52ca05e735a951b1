"""The work that a late answer makes: one piece for each event that waited, limited to what the answer is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
_LONGEST_WORK_ID = 60


def answer_work_id(work_id: str, attempt_id: str) -> str:
    """Return the id of the work that takes an answer up: the same for the event and for its follow-ups."""
    for suffix in _SUFFIXES:
        work_id = work_id.partition(suffix)[0]
    # A replay's own suffix leaves room for one digit less.
    return f"{work_id}{ANSWER_SUFFIX}{attempt_id[:_DIGITS]}"[:_LONGEST_WORK_ID]


@dataclass(frozen=True, slots=True)
class _Other:
    """Another answer that the same work waited for."""

    lookup: str
    state: str
    taken_up: Row | None  # its finished work


def make_answer_work(connection: Connection, attempt_id: str, rev: int, now_ms: int) -> None:
    """Make the work of all that wait for an attempt which has just been answered or given up; repeats change nothing.

    The caller holds the revision's lock.
    """
    waiters = _waiters(connection, attempt_id)
    if not waiters:
        return
    ended = connection.execute(select(pending_answers).where(pending_answers.c.attempt_id == attempt_id)).mappings()
    answer, others = ended.one(), _others(connection, attempt_id, [row["work_id"] for row in waiters])
    rows: dict[str, dict[str, Any]] = {}
    for waiter in waiters:
        scope = _scope(waiter, answer, others.get(waiter["work_id"], []))
        if scope is not None:
            row = _row(waiter, attempt_id, scope, rev, now_ms)
            rows.setdefault(row["work_id"], row)
    if rows:
        connection.execute(dialect_insert(connection, work).on_conflict_do_nothing(), list(rows.values()))


def _waiters(connection: Connection, attempt_id: str) -> Sequence[Row]:
    """Return the work that waits, the latest first: of an event and its follow-ups, that one knows best."""
    statement = (
        select(work)
        .join(pending_waiters, pending_waiters.c.work_id == work.c.work_id)
        .where(pending_waiters.c.attempt_id == attempt_id)
        .order_by(work.c.finished_at_ms.desc(), work.c.work_id)
    )
    return connection.execute(statement).mappings().all()


def _others(connection: Connection, attempt_id: str, work_ids: Sequence[str]) -> dict[str, list[_Other]]:
    """Return the other answers that each work waited for."""
    statement = (
        select(pending_waiters.c.work_id, pending_answers)
        .join(pending_answers, pending_answers.c.attempt_id == pending_waiters.c.attempt_id)
        .where(pending_waiters.c.work_id.in_(work_ids), pending_waiters.c.attempt_id != attempt_id)
        .order_by(pending_answers.c.created_at_ms, pending_answers.c.attempt_id)
    )
    rows = connection.execute(statement).mappings().all()
    ids = {answer_work_id(row["work_id"], row["attempt_id"]) for row in rows}
    done = select(work).where(work.c.work_id.in_(ids), work.c.state == "done")
    finished = {row["work_id"]: row for row in connection.execute(done).mappings()} if ids else {}
    found: dict[str, list[_Other]] = {}
    for row in rows:
        taken_up = finished.get(answer_work_id(row["work_id"], row["attempt_id"]))
        found.setdefault(row["work_id"], []).append(_Other(row["lookup"], row["state"], taken_up))
    return found


def _scope(waiter: Row, answer: Row, others: Sequence[_Other]) -> dict[str, Any] | None:
    """Return what the work is limited to; None where it had nothing to tell, because another answer is still to come.

    Answers that came at the same time are told together: else the last one would call the others' fields pending.
    """
    states = {answer["state"], *(other.state for other in others)}
    given_up, to_come = "expired" in states, bool(states & {"opened", "waiting"})
    if answer["state"] == "expired" and to_come:
        return None
    own = [answer["lookup"]] if answer["state"] == "answered" else []
    untold = [other.lookup for other in others if other.state == "answered" and other.taken_up is None]
    reasons = _latest_missing(waiter, others)
    if given_up and not to_come:
        pending, timeout = str(MissingReason.PENDING), str(MissingReason.TIMEOUT)
        reasons = {field: timeout if reason == pending else reason for field, reason in reasons.items()}
    return {"lookups": [*own, *untold] or [NO_LOOKUP], "reasons": reasons}


def _latest_missing(waiter: Row, others: Sequence[_Other]) -> dict[str, str]:
    told = [waiter, *(other.taken_up for other in others if other.taken_up is not None)]
    return dict(max(told, key=lambda row: row["finished_at_ms"] or 0)["missing"])


def _row(waiter: Row, attempt_id: str, scope: Mapping[str, Any], rev: int, now_ms: int) -> dict[str, Any]:
    return {
        **{name: waiter[name] for name in _COPIED},
        "work_id": answer_work_id(waiter["work_id"], attempt_id),
        "kind": str(WorkKind.ANSWER),
        "day": from_ms(now_ms).date().isoformat(),
        "state": "due",
        "due_at_ms": now_ms,
        "scope": dict(scope),
        "rev": rev,
    }
