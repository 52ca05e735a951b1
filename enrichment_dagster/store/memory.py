"""What is stored of subjects beside their records: who is left alone, what is proven wrong, what is still fresh."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, delete, select

from enrichment_dagster.clock import Clock
from enrichment_dagster.domain.fields import FieldValue
from enrichment_dagster.ports import Recollection
from enrichment_dagster.store.database import Database, from_ms, to_ms
from enrichment_dagster.store.prepared import Query
from enrichment_dagster.store.result_rows import stored_value
from enrichment_dagster.store.rows import dialect_insert
from enrichment_dagster.store.tables import field_values, invalid_values, suppressions

MAX_REASON = 200
_OLDEST_SECONDS = 1.0

_KEYS: BindParameter[Any] = bindparam("b_keys", expanding=True)
_SUPPRESSED = Query(select(suppressions.c.subject).where(suppressions.c.subject.in_(_KEYS)))
_WRONG = Query(
    select(invalid_values.c.subject, invalid_values.c.field, invalid_values.c.value).where(
        invalid_values.c.subject.in_(_KEYS)
    )
)
_FRESH = (
    select(field_values)
    .where(
        field_values.c.subject_key.in_(_KEYS),
        field_values.c.fetched_at_ms >= bindparam("b_since_ms"),
        field_values.c.precedence > 0,
        field_values.c.chosen,
        ~field_values.c.stale,
    )
    .order_by(field_values.c.fetched_at_ms, field_values.c.value_id)
)
_ANY = Query(select(select(suppressions.c.subject).exists(), select(invalid_values.c.subject).exists()))


class SqlMemory:
    """``ports.Memory`` on the operational store. Whether anything is listed at all is looked up once a second."""

    def __init__(self, ops: Database, clock: Clock) -> None:
        self._ops = ops
        self._clock = clock
        self._looked_at = float("-inf")
        self._listed = False

    async def recall(self, keys: Collection[str], fresh_since: datetime | None) -> Recollection:
        """Return what is stored of these subjects; values only where it is said since when they count."""
        if not keys or (fresh_since is None and not self._anything_listed()):
            return Recollection()
        names = sorted(keys)
        with self._ops.read() as connection:
            return Recollection(
                suppressed=frozenset(name for (name,) in _SUPPRESSED.rows(connection, b_keys=names)),
                wrong=_wrong(connection, names),
                values={} if fresh_since is None else _fresh(connection, names, fresh_since),
            )

    def _anything_listed(self) -> bool:
        now = self._clock.monotonic()
        if now - self._looked_at >= _OLDEST_SECONDS:
            self._looked_at = now
            with self._ops.read() as connection:
                self._listed = any(any(row) for row in _ANY.rows(connection))
        return self._listed


def _wrong(connection: Connection, keys: list[str]) -> dict[str, tuple[tuple[str, str], ...]]:
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for subject, name, value in _WRONG.rows(connection, b_keys=keys):
        found[subject] = (*found.get(subject, ()), (name, value))
    return found


def _fresh(connection: Connection, keys: Sequence[str], since: datetime) -> dict[str, tuple[FieldValue, ...]]:
    """Return the newest value of each field of each subject."""
    newest: dict[str, dict[str, FieldValue]] = {}
    for row in connection.execute(_FRESH, {"b_keys": keys, "b_since_ms": to_ms(since)}).mappings():
        newest.setdefault(row["subject_key"], {})[row["field"]] = stored_value(row)
    return {subject: tuple(values.values()) for subject, values in newest.items()}


# --- the suppression list --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Suppression:
    """A subject that is left alone: a person, a company with all its people, or one record."""

    subject: str
    reason: str
    since: datetime


class SuppressionList:
    """Who must not be enriched; operators keep it. Effective for events that are worked on from a second later on."""

    def __init__(self, ops: Database, clock: Clock) -> None:
        self._ops = ops
        self._clock = clock

    def add(self, subjects: Sequence[str], reason: str = "") -> None:
        """Leave these subjects alone from now on; one that is listed already gets the new reason."""
        rows: list[Mapping[str, Any]] = [
            {"subject": name, "reason": reason[:MAX_REASON], "since_ms": to_ms(self._clock.now())} for name in subjects
        ]
        if not rows:
            return
        with self._ops.write() as connection:
            make = dialect_insert(connection, suppressions)
            change = {"reason": make.excluded.reason}
            connection.execute(make.on_conflict_do_update(index_elements=["subject"], set_=change), rows)

    def remove(self, subjects: Sequence[str]) -> int:
        """Take subjects off the list; returns how many were on it."""
        with self._ops.write() as connection:
            return connection.execute(delete(suppressions).where(suppressions.c.subject.in_(subjects))).rowcount

    def newest(self, limit: int) -> list[Suppression]:
        """Return the newest entries."""
        statement = select(suppressions).order_by(suppressions.c.since_ms.desc(), suppressions.c.subject).limit(limit)
        with self._ops.read() as connection:
            return [Suppression(r.subject, r.reason, from_ms(r.since_ms)) for r in connection.execute(statement)]
