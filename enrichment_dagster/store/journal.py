"""The journal: received events, append-only. Only intake writes it, so an acknowledgement never waits for a batch."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from enrichment_dagster.domain.event import Event
from enrichment_dagster.ports import KeptBody, Visitor
from enrichment_dagster.settings import Settings
from enrichment_dagster.store.committer import GroupCommitter
from enrichment_dagster.store.database import Database, to_ms
from enrichment_dagster.store.migrate import open_journal_database
from enrichment_dagster.store.prepared import Query, insertion, insertion_of_new
from enrichment_dagster.store.rows import event_columns, upsert
from enrichment_dagster.store.tables import journal, kept_bodies, known_visitors

_KEYS_AT_ONCE = 1_000  # databases take some 30,000 parameters; a group of requests may hold more events
_LOCK_KEY = 7_310_001  # any constant: names the journal among Postgres' advisory locks


class SqlJournal:
    """The journal in SQLite or Postgres (``ports.Journal``)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._committer = GroupCommitter(database, "journal")

    async def append(self, events: Sequence[Event]) -> list[bool]:
        """Store the events in one commit; False marks one that was there already."""
        return await self._committer.submit(_append, events)

    async def keep(self, body: KeptBody) -> None:
        """Store a body that can't be read."""
        await self._committer.submit(_keep, body)

    async def remember(self, visitors: Sequence[Visitor]) -> None:
        """Store who visitors are (``ports.VisitorStore``)."""
        await self._committer.submit(_remember, visitors)

    async def emails(self, source: str, visitors: Sequence[str]) -> Mapping[str, str]:
        """Return the addresses of those of a source's visitors who are known."""
        return await asyncio.to_thread(self._emails, source, visitors)

    def _emails(self, source: str, visitors: Sequence[str]) -> dict[str, str]:
        known = select(known_visitors.c.visitor, known_visitors.c.email).where(
            known_visitors.c.source == source, known_visitors.c.visitor.in_(visitors)
        )
        with self._database.read() as connection:
            return {row.visitor: row.email for row in connection.execute(known)}

    def last_seq(self) -> int:
        """Return the position of the newest event, 0 when there is none; also proves that the journal answers."""
        with self._database.read() as connection:
            return int(connection.execute(select(func.coalesce(func.max(journal.c.seq), 0))).scalar_one())

    def close(self) -> None:
        """Commit what is under way and close the database."""
        self._committer.close()
        self._database.dispose()


def _append(connection: Connection, requests: Sequence[Sequence[Event]]) -> list[list[bool]]:
    if connection.dialect.name == "postgresql":
        # Sequence numbers must become visible in order: the pump reads past a watermark.
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK_KEY)))
    rows: dict[str, dict[str, Any]] = {}
    for events in requests:
        for event in events:
            rows.setdefault(event.dedup_key, _row(event))
    new = _insert_new(connection, rows) if rows else set()
    answers: list[list[bool]] = []
    for events in requests:
        answer = []
        for event in events:
            answer.append(event.dedup_key in new)
            new.discard(event.dedup_key)  # a second one in the same group is a duplicate
        answers.append(answer)
    return answers


_KNOWN = Query(select(journal.c.dedup_key).where(journal.c.dedup_key.in_(bindparam("b_dedup_keys", expanding=True))))


def _insert_new(connection: Connection, rows: Mapping[str, dict[str, Any]]) -> set[str]:
    """Store the rows, given by dedup key, that are not there yet; returns their keys.

    Nobody else writes between the look and the insertion: SQLite's writer is alone, and on Postgres it has the lock.
    """
    new, keys = set(rows), list(rows)
    for first in range(0, len(keys), _KEYS_AT_ONCE):
        some = keys[first : first + _KEYS_AT_ONCE]
        new.difference_update(key for (key,) in _KNOWN.rows(connection, b_dedup_keys=some))
    insertion_of_new(journal).run(connection, [row for key, row in rows.items() if key in new])
    return new


def _row(event: Event) -> dict[str, Any]:
    return {
        **event_columns(event),
        "dedup_key": event.dedup_key,
        "skip_reason": event.skip_reason,
        "reserved_until_ms": None if event.reserved_until is None else to_ms(event.reserved_until),
    }


def _keep(connection: Connection, bodies: Sequence[KeptBody]) -> list[None]:
    rows = [
        {
            "source": body.source,
            "reason": body.reason,
            "detail": body.detail,
            "body": body.body,
            "received_at_ms": to_ms(body.received_at),
        }
        for body in bodies
    ]
    insertion(kept_bodies).run(connection, rows)
    return [None] * len(bodies)


def _remember(connection: Connection, requests: Sequence[Sequence[Visitor]]) -> list[None]:
    # One row for each: Postgres refuses a statement that would change a row twice.
    rows = {
        (one.source, one.visitor): {"source": one.source, "visitor": one.visitor, "email": one.email}
        for visitors in requests
        for one in visitors
    }
    connection.execute(upsert(connection, known_visitors, ("source", "visitor"), ("email",)), list(rows.values()))
    return [None] * len(requests)


def open_journal(settings: Settings) -> SqlJournal:
    """Open the journal of this installation, creating or upgrading its schema."""
    return SqlJournal(open_journal_database(settings))
