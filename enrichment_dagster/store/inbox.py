"""Whose turn it is among the events of one subject: decided in the transaction that makes a batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, case, func, select, update

from enrichment_dagster.domain.edges import ASSOCIATION_REMOVED
from enrichment_dagster.domain.eligibility import History, InboxRules, Turn, Waiting, judge
from enrichment_dagster.domain.outcome import Outcome
from enrichment_dagster.ports import WorkKind
from enrichment_dagster.store.database import from_ms, to_ms
from enrichment_dagster.store.rows import Row, next_rev
from enrichment_dagster.store.tables import work

_Key = tuple[str, str, str, str]
"""A record and the matter that its events are about."""

_ENRICHED = tuple(str(found) for found in (Outcome.ENRICHED, Outcome.PARTIAL, Outcome.UNCHANGED))
_SETTLED = (*_ENRICHED, str(Outcome.FAILED))
_MOVED_ON = ("stage_not_configured", ASSOCIATION_REMOVED)
"""Reasons of events that make older ones stale all the same: a stage that nobody configured, the end of a link."""

_NEXT_LOOK = timedelta(seconds=5)
_OWN_SUBJECT = ("api", "request")  # a request that names no record has a subject of its own

CANDIDATE = (
    work.c.work_id,
    work.c.event_id,
    work.c.kind,
    work.c.seq,
    work.c.subject_system,
    work.c.subject_type,
    work.c.subject_id,
    work.c.matter,
    work.c.occurred_at_ms,
    work.c.received_at_ms,
    work.c.due_at_ms,
)
"""What a batch is made of, and what turns are decided by."""


def in_turn(
    connection: Connection, event_type: str, rules: InboxRules, due: Sequence[Row], now: datetime
) -> tuple[list[Row], int]:
    """Return the due work that has its turn, and how many events are over.

    What is over ends here with its reason. What waits for another event of its subject is looked at again a little
    later. Only events are judged: their follow-ups and replays were decided on before.
    """
    asked = [row for row in due if row["kind"] == str(WorkKind.EVENT) and _subject(row)[:2] != _OWN_SUBJECT]
    if not asked:
        return list(due), 0
    turns = _turns(connection, event_type, rules, asked, to_ms(now))
    over = {work_id: reason for turn in turns.values() for work_id, reason in turn.skip.items()}
    _end(connection, over, to_ms(now))
    taken = {turn.take for turn in turns.values()}
    judged = {row["work_id"] for row in asked}
    _look_again(connection, (name for turn in turns.values() for name in turn.wait), to_ms(now + _NEXT_LOOK))
    _look_again(connection, taken - judged, to_ms(now))  # of another day: its own batch takes it at once
    return [row for row in due if row["work_id"] not in judged or row["work_id"] in taken], len(over)


def _turns(
    connection: Connection, event_type: str, rules: InboxRules, asked: Sequence[Row], now_ms: int
) -> dict[_Key, Turn]:
    subjects = {_subject(row) for row in asked}
    keys = {_key(row) for row in asked}
    # Rows that another transaction has in hand are passed over: to wait for them could be to wait for each other.
    others = select(*CANDIDATE).where(_events_of(event_type, subjects), work.c.state == "due")
    found = connection.execute(others.with_for_update(skip_locked=True)).mappings().all()
    waiting: dict[_Key, list[Waiting]] = {}
    for row in {row["work_id"]: row for row in (*found, *asked)}.values():
        if _counts(row, rules, now_ms):
            waiting.setdefault(_key(row), []).append(_waiting(row))
    in_work = _in_work(connection, event_type, subjects)
    past = _past(connection, event_type, subjects)
    return {
        key: judge(waiting[key], History(*past.get(key, (None, None)), key in in_work), rules)
        for key in keys
        if key in waiting
    }


def _counts(row: Row, rules: InboxRules, now_ms: int) -> bool:
    """Say whether an event waits for its turn: it is due, or waits for nothing but the end of its window."""
    own_window = row["received_at_ms"] + round(rules.debounce.total_seconds() * 1_000)
    return bool(row["due_at_ms"] <= now_ms or (rules.debounce and row["due_at_ms"] <= own_window))


def _in_work(connection: Connection, event_type: str, subjects: set[tuple[str, str, str]]) -> set[_Key]:
    statement = select(*_KEY).where(_events_of(event_type, subjects), work.c.state == "assigned")
    return {_key(row) for row in connection.execute(statement).mappings()}


_KEY = (work.c.subject_system, work.c.subject_type, work.c.subject_id, work.c.matter)


def _past(
    connection: Connection, event_type: str, subjects: set[tuple[str, str, str]]
) -> dict[_Key, tuple[datetime | None, datetime | None]]:
    """Return, of each subject and matter, the newest event that was settled and the end of the last enrichment."""
    settled = work.c.outcome.in_(_SETTLED) | work.c.reason.in_(_MOVED_ON)
    statement: Select[Any] = (
        select(
            *_KEY,
            func.max(case((settled, work.c.occurred_at_ms))),
            func.max(case((work.c.outcome.in_(_ENRICHED), work.c.finished_at_ms))),
        )
        .where(_events_of(event_type, subjects), work.c.state == "done")
        .group_by(*_KEY)
    )
    return {
        (system, kind, record, matter): (_moment(newest), _moment(enriched))
        for system, kind, record, matter, newest, enriched in connection.execute(statement)
    }


def _events_of(event_type: str, subjects: set[tuple[str, str, str]]) -> Any:
    """Select the events of these records; each part has few values but the last, so the index serves it."""
    systems, kinds, ids = ({subject[n] for subject in subjects} for n in range(3))
    return (
        work.c.subject_system.in_(sorted(systems))
        & work.c.subject_type.in_(sorted(kinds))
        & work.c.subject_id.in_(sorted(ids))
        & (work.c.event_type == event_type)
        & (work.c.kind == str(WorkKind.EVENT))
    )


def _end(connection: Connection, over: Mapping[str, str], now_ms: int) -> None:
    if not over:
        return
    rev = next_rev(connection)
    by_reason: dict[str, list[str]] = {}
    for work_id, reason in over.items():
        by_reason.setdefault(reason, []).append(work_id)
    for reason, work_ids in by_reason.items():
        mine = work.c.work_id.in_(work_ids) & (work.c.state == "due")
        connection.execute(
            update(work)
            .where(mine)
            .values(
                state="done",
                outcome=str(Outcome.SKIPPED),
                reason=reason,
                started_at_ms=now_ms,
                finished_at_ms=now_ms,
                rev=rev,
            )
        )


def _look_again(connection: Connection, work_ids: Iterable[str], at_ms: int) -> None:
    ids = sorted(filter(None, work_ids))
    if ids:
        connection.execute(update(work).where(work.c.work_id.in_(ids), work.c.state == "due").values(due_at_ms=at_ms))


def _subject(row: Row) -> tuple[str, str, str]:
    return (row["subject_system"], row["subject_type"], row["subject_id"])


def _key(row: Row) -> _Key:
    return (*_subject(row), row["matter"])


def _waiting(row: Row) -> Waiting:
    return Waiting(row["work_id"], row["seq"], from_ms(row["occurred_at_ms"]), from_ms(row["received_at_ms"]))


def _moment(ms: int | None) -> datetime | None:
    return None if ms is None else from_ms(ms)
