"""Money per provider and UTC day, and the kill switch: shared by all processes, effective with the next paid call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, case, delete, func, select

from enrichment_dagster.clock import Clock
from enrichment_dagster.store.database import Database, from_ms, to_ms
from enrichment_dagster.store.prepared import Change, Query, insert_of
from enrichment_dagster.store.rows import dialect_insert
from enrichment_dagster.store.tables import attempts, spending, spending_stops

TOTAL = ""
"""The key of all providers together."""

ALL = "all"
"""The name under which a stop holds for every provider."""

MAX_REASON = 200
_OPEN = ("sent", "pending")


@dataclass(frozen=True, slots=True)
class Spent:
    """One provider's money of a day, in millionths of a US dollar. ``provider`` is ``TOTAL`` for all together."""

    provider: str
    held_micros: int = 0  # spent and reserved: what counts against budgets
    reserved_micros: int = 0  # of it, for calls that have not ended
    calls: int = 0
    hits: int = 0
    cost_micros: int = 0  # what the day's calls have cost so far


@dataclass(frozen=True, slots=True)
class Stop:
    """A switch that an operator has thrown. ``provider`` is ``ALL`` for every provider."""

    provider: str
    reason: str
    stopped_at: datetime


_HELD = Query(
    select(spending.c.provider, spending.c.micros).where(
        spending.c.day == bindparam("b_day"), spending.c.provider.in_(bindparam("b_providers", expanding=True))
    )
)
_STOPPED = Query(select(spending_stops.c.provider))


def held(connection: Connection, providers: Iterable[str], day: str) -> dict[str, int]:
    """Return what is spent and reserved on a UTC day by each of these providers and, under ``TOTAL``, by all."""
    names = {*providers, TOTAL}
    rows = _HELD.rows(connection, b_day=day, b_providers=sorted(names))
    found = {provider: int(micros) for provider, micros in rows}
    return {name: found.get(name, 0) for name in names}


def hold(connection: Connection, changes: Mapping[str, int], day: str) -> None:
    """Add to what is held on a UTC day, by provider; the row of all together follows. Negative amounts give back."""
    amounts = {provider: micros for provider, micros in changes.items() if micros}
    if not amounts:
        return
    amounts[TOTAL] = sum(amounts.values())
    # Always in the same order, so that two transactions can't wait for each other.
    rows = [{"provider": name, "day": day, "micros": amounts[name]} for name in sorted(amounts)]
    _ADD.run(connection, rows)


def _add(dialect: str) -> Any:
    make = insert_of(dialect, spending)
    return make.on_conflict_do_update(
        index_elements=["provider", "day"], set_={"micros": spending.c.micros + make.excluded.micros}
    )


_ADD = Change(_add)


def stopped(connection: Connection) -> frozenset[str]:
    """Return the providers that may not be called; ``ALL`` among them stands for every one."""
    return frozenset(provider for (provider,) in _STOPPED.rows(connection))


def is_stopped(provider: str, stops: frozenset[str]) -> bool:
    """Say whether the switches that are thrown hold for a provider."""
    return provider in stops or ALL in stops


def day_of(moment: datetime) -> str:
    """Return the UTC day to whose budget a moment belongs."""
    return moment.astimezone(UTC).date().isoformat()


class SpendingStore:
    """What operators ask of the money, and their switch."""

    def __init__(self, ops: Database, clock: Clock) -> None:
        self._ops = ops
        self._clock = clock

    def today(self) -> list[Spent]:
        """Return the present UTC day by provider, all together first; that row is there even if nothing was spent."""
        now = self._clock.now().astimezone(UTC)
        midnight = datetime(now.year, now.month, now.day, tzinfo=UTC)
        with self._ops.read() as connection:
            amounts = _amounts(connection, day_of(now))
            calls = _calls(connection, midnight)
        total = Spent(
            TOTAL,
            amounts.get(TOTAL, 0),
            *(sum(column) for column in zip((0, 0, 0, 0), *calls.values(), strict=True)),
        )
        names = sorted({*amounts, *calls} - {TOTAL})
        return [total, *(Spent(name, amounts.get(name, 0), *calls.get(name, (0, 0, 0, 0))) for name in names)]

    def held_today(self) -> int:
        """Return what all providers together have spent and reserved today; quicker than ``today``."""
        with self._ops.read() as connection:
            return held(connection, (), day_of(self._clock.now()))[TOTAL]

    def stop(self, name: str, reason: str = "") -> None:
        """Keep every process from calling a provider, or all under the name ``ALL``, from its next call on.

        A stop that is there already gets the new reason, of which 200 characters are kept.
        """
        row = {
            "provider": name,
            "reason": reason[:MAX_REASON],
            "stopped_at_ms": to_ms(self._clock.now()),
        }
        with self._ops.write() as connection:
            make = dialect_insert(connection, spending_stops)
            update = {"reason": make.excluded.reason}
            connection.execute(make.on_conflict_do_update(index_elements=["provider"], set_=update), row)

    def resume(self, name: str) -> bool:
        """Take a stop away; False where there was none of this name. Stops of other names stay."""
        with self._ops.write() as connection:
            gone = connection.execute(delete(spending_stops).where(spending_stops.c.provider == name))
            return bool(gone.rowcount)

    def stops(self) -> list[Stop]:
        """Return what is stopped, the oldest stop first."""
        statement = select(spending_stops).order_by(spending_stops.c.stopped_at_ms, spending_stops.c.provider)
        with self._ops.read() as connection:
            return [Stop(row.provider, row.reason, from_ms(row.stopped_at_ms)) for row in connection.execute(statement)]


def _amounts(connection: Connection, day: str) -> dict[str, int]:
    statement = select(spending.c.provider, spending.c.micros).where(spending.c.day == day)
    return {provider: int(micros) for provider, micros in connection.execute(statement)}


def _calls(connection: Connection, midnight: datetime) -> dict[str, tuple[int, int, int, int]]:
    """Return reserved money, calls, hits and cost of the calls that were sent that day."""
    is_open = attempts.c.state.in_(_OPEN)
    statement = (
        select(
            attempts.c.provider,
            func.sum(case((is_open, attempts.c.reserved_micros), else_=0)),
            func.count(),
            func.sum(case((attempts.c.state == "hit", 1), else_=0)),
            func.sum(case((is_open, 0), else_=attempts.c.cost_micros)),
        )
        .where(attempts.c.sent_at_ms >= to_ms(midnight), attempts.c.sent_at_ms < to_ms(midnight + timedelta(days=1)))
        .group_by(attempts.c.provider)
    )
    return {
        provider: (int(reserved), int(calls), int(hits), int(cost))
        for provider, reserved, calls, hits, cost in connection.execute(statement)
    }
