"""Paid calls, durable before they are sent: cache, singleflight between processes, protection and bill in one.

``begin`` and ``settle`` are the two moments of a call; each is one transaction together with whatever else is asked at
the same time. Both start by taking a revision, whose counter row stays locked: transactions of all processes come one
after the other, so that limits, breakers and budgets hold exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from enrichment_dagster.clock import Clock
from enrichment_dagster.engine.protection import CallReport, ProviderPolicy, verdict_of
from enrichment_dagster.ports import (
    AttemptRequest,
    Awaited,
    Cached,
    InFlight,
    Opened,
    Refused,
    Settlement,
)
from enrichment_dagster.store.admission import Admission
from enrichment_dagster.store.attempt_rows import (
    AttemptKeyRow,
    OpenAttempt,
    attempt_row,
    give_up_lost,
    key_of,
    open_attempts,
    pending_row,
)
from enrichment_dagster.store.cache import CacheEntry, read_cache, remember
from enrichment_dagster.store.committer import GroupCommitter
from enrichment_dagster.store.database import from_ms, to_ms
from enrichment_dagster.store.prepared import Change, Query, insertion
from enrichment_dagster.store.provider_states import ProviderStates, StateMemory
from enrichment_dagster.store.rows import insert_new, next_rev
from enrichment_dagster.store.spending import day_of, hold, is_stopped, stopped
from enrichment_dagster.store.tables import MAX_REQUEST_ID, attempts, pending_answers

Begun = Opened | Cached | InFlight | Awaited | Refused


@dataclass(frozen=True, slots=True)
class Policies:
    """What the configuration says of calls and money. Amounts are millionths of a US dollar per UTC day."""

    providers: Mapping[str, ProviderPolicy] = field(default_factory=dict)
    budgets: Mapping[str, int] = field(default_factory=dict)  # by provider; "" = all together

    def of(self, provider: str) -> ProviderPolicy:
        """Return a provider's policy; one that is not configured has no limits of its own."""
        return self.providers.get(provider) or _NO_LIMITS


_NO_LIMITS = ProviderPolicy()
_GIVE_UP_EVERY_SECONDS = 1.0


class SqlLedger:
    """``ports.AttemptLedger`` on the operational store."""

    def __init__(self, committer: GroupCommitter, clock: Clock, policies: Policies | None = None) -> None:
        self._committer = committer
        self._clock = clock
        self._policies = policies or Policies()
        self._memory = StateMemory()
        self._gave_up_at = float("-inf")
        # Bound once: the committer groups requests by handler.
        self._begin_handler = self._begin_all
        self._settle_handler = self.settle_all

    async def begin(self, request: AttemptRequest) -> Begun:
        """Return a fresh cached answer, or make the attempt row durable, or say why nothing may be sent."""
        remembered = self._remembered(request)
        return await self._committer.submit(self._begin_handler, request) if remembered is None else remembered

    async def settle(self, settlement: Settlement) -> None:
        """Store how the attempt ended and remember its answer."""
        await self._committer.submit(self._settle_handler, settlement, patient=True)

    async def is_stopped(self, provider: str) -> bool:
        """Say whether an operator has stopped paid calls to a provider, or all of them."""
        if self._committer.reader.is_quick:
            return is_stopped(provider, self._committer.reader.rows(stopped))
        return await self._committer.submit(_are_stopped, provider)

    def _remembered(self, request: AttemptRequest) -> Begun | None:
        """Return what the cache makes of a request, if that can be told at once: others' commits take milliseconds."""
        key, reader = key_of(request.key), self._committer.reader
        if not reader.is_quick:
            return None
        found = reader.rows(lambda connection: read_cache(connection, {key}))
        return _from_cache(found.get(key), self._clock.now())

    # --- begin -------------------------------------------------------------------------------------------------------

    def _begin_all(self, connection: Connection, requests: Sequence[AttemptRequest]) -> Sequence[Begun]:
        now = self._clock.now()
        keys = {key_of(request.key) for request in requests}
        cached = read_cache(connection, keys)
        answers = _all_from_cache(requests, cached, now)
        if None not in answers:
            return [answer for answer in answers if answer is not None]
        rev = next_rev(connection)
        if connection.dialect.name != "sqlite":  # whose writer is alone
            # While we waited for the counter a call may have ended: it is in flight no more, its answer is cached.
            cached = read_cache(connection, keys)
            answers = _all_from_cache(requests, cached, now)
        wanted = [r for r, answer in zip(requests, answers, strict=True) if answer is None]
        begun = iter(self._open(connection, rev, wanted, cached, now) if wanted else [])
        return [next(begun) if answer is None else answer for answer in answers]

    def _open(
        self,
        connection: Connection,
        rev: int,
        requests: Sequence[AttemptRequest],
        cached: Mapping[AttemptKeyRow, CacheEntry],
        now: datetime,
    ) -> list[Begun]:
        busy = {key: _busy(found) for key, found in self._open_attempts(connection, requests, now, rev).items()}
        admission = Admission(connection, self._policies, self._memory, requests, now)
        answers: list[Begun] = []
        rows: list[dict[str, Any]] = []
        late: list[dict[str, Any]] = []
        for request in requests:
            key = key_of(request.key)
            if key in busy:
                answers.append(busy[key])
                continue
            stale = _stale(cached.get(key), now)
            decision = admission.decide(request)
            if isinstance(decision, Refused):
                answers.append(Refused(decision.reason, decision.retry_at, stale))
                continue
            row = attempt_row(request, decision, now, rev)
            rows.append(row)
            token = ""
            if request.calls_back:
                token, pending = pending_row(row["attempt_id"], request.lookup, request.query, now)
                late.append(pending)
            answers.append(Opened(row["attempt_id"], decision, token, stale))
            busy[key] = InFlight(from_ms(row["lease_until_ms"]))  # a second request of this group waits for the first
        insertion(attempts).run(connection, rows)
        insertion(pending_answers).run(connection, late)
        admission.store()
        return answers

    def _open_attempts(
        self, connection: Connection, requests: Sequence[AttemptRequest], now: datetime, rev: int
    ) -> dict[AttemptKeyRow, OpenAttempt]:
        """Return what is asked already. Calls whose worker died are given up: at once where somebody wants theirs."""
        found = open_attempts(connection, {key_of(request.key) for request in requests})
        alive = {key: attempt for key, attempt in found.items() if not attempt.is_lost(to_ms(now))}
        if len(alive) < len(found) or self._clock.monotonic() - self._gave_up_at >= _GIVE_UP_EVERY_SECONDS:
            give_up_lost(connection, now, rev)
            self._gave_up_at = self._clock.monotonic()
        return alive

    # --- settle ------------------------------------------------------------------------------------------------------

    def settle_all(self, connection: Connection, settlements: Sequence[Settlement]) -> list[None]:
        """Store how attempts ended: their rows, the money, the cache, late answers, the providers' health."""
        now = self._clock.now()
        rev = next_rev(connection)
        held = _held(connection, [item.attempt_id for item in settlements])
        known = [item for item in settlements if _may_settle(item, held.get(item.attempt_id))]
        if known:
            _SETTLE.run(connection, [_settled(item, to_ms(now), rev) for item in known])
            _hold_difference(connection, known, held)
            _note_pending(connection, known, now)
            remember(connection, known, now)
            # How long a late answer took says nothing of the provider's health.
            telling = [item for item in known if item.speaks and held[item.attempt_id].state != "pending"]
            self._observe(connection, telling, now)
        return [None] * len(settlements)

    def _observe(self, connection: Connection, settlements: Sequence[Settlement], now: datetime) -> None:
        if not settlements:
            return
        states = ProviderStates(connection, self._memory, {item.key.provider for item in settlements}, now)
        for item in settlements:
            states.observe(item.key.provider, self._policies.of(item.key.provider), _report(item))
        states.store()


def _are_stopped(connection: Connection, providers: Sequence[str]) -> list[bool]:
    stops = stopped(connection)
    return [is_stopped(provider, stops) for provider in providers]


def _all_from_cache(
    requests: Sequence[AttemptRequest], cached: Mapping[AttemptKeyRow, CacheEntry], now: datetime
) -> list[Begun | None]:
    return [_from_cache(cached.get(key_of(request.key)), now) for request in requests]


def _from_cache(entry: CacheEntry | None, now: datetime) -> Begun | None:
    """Return what the cache makes of a request, or None where the provider has to be asked."""
    if entry is None:
        return None
    if entry.cached is not None and entry.expires_at > now:
        return entry.cached
    if entry.error_until > now:
        return Refused("recent_error", entry.error_until, _stale(entry, now))
    return None


def _stale(entry: CacheEntry | None, now: datetime) -> Cached | None:
    """Return an expired answer that may still be served when a refresh fails."""
    return entry.cached if entry is not None and entry.cached is not None and entry.stale_until > now else None


def _busy(found: OpenAttempt) -> Begun:
    if found.state == "pending":
        return Awaited(found.attempt_id)
    return InFlight(from_ms(found.lease_until_ms))


_SETTLE = Change(
    update(attempts)
    .where(attempts.c.attempt_id == bindparam("b_attempt_id"))
    .values(
        state=bindparam("b_state"),
        reason=bindparam("b_reason"),
        http_status=bindparam("b_http_status"),
        request_id=bindparam("b_request_id"),
        cost_micros=bindparam("b_cost_micros"),
        units=bindparam("b_units"),
        latency_ms=bindparam("b_latency_ms"),
        settled_at_ms=bindparam("b_settled_at_ms"),
        rev=bindparam("b_rev"),
    )
)


@dataclass(frozen=True, slots=True)
class _Open:
    """An attempt that may be settled, and the money that it holds."""

    state: str
    reserved_micros: int
    cost_micros: int
    sent_at_ms: int


_HELD = Query(
    select(
        attempts.c.attempt_id,
        attempts.c.state,
        attempts.c.reserved_micros,
        attempts.c.cost_micros,
        attempts.c.sent_at_ms,
    )
    .where(
        attempts.c.attempt_id.in_(bindparam("b_attempt_ids", expanding=True)),
        attempts.c.state.in_(("sent", "pending", "unknown")),
    )
    .with_for_update()
)


def _settled(item: Settlement, now_ms: int, rev: int) -> dict[str, Any]:
    answered = item.answer or item.pending
    return {
        "b_attempt_id": item.attempt_id,
        "b_state": item.outcome,
        "b_reason": item.reason,
        "b_http_status": item.http_status,
        "b_request_id": answered.request_id[:MAX_REQUEST_ID] if answered else "",
        "b_cost_micros": item.cost_micros,
        "b_units": item.answer.units if item.answer else 1,
        "b_latency_ms": item.latency_ms,
        "b_settled_at_ms": None if item.outcome == "pending" else now_ms,
        "b_rev": rev,
    }


def _held(connection: Connection, attempt_ids: Sequence[str]) -> dict[str, _Open]:
    """Return the attempts that may still be settled: in flight, pending, or given up (a late answer settles them)."""
    return {row[0]: _Open(*row[1:]) for row in _HELD.rows(connection, b_attempt_ids=list(attempt_ids))}


def _may_settle(item: Settlement, found: _Open | None) -> bool:
    """Say whether an attempt is open; "pending" is only news of one that nobody has answered or given up."""
    return found is not None and (item.outcome != "pending" or found.state == "sent")


def _hold_difference(connection: Connection, settlements: Sequence[Settlement], held: Mapping[str, _Open]) -> None:
    """Correct the day's spending: what was reserved becomes what was charged."""
    changes: dict[str, dict[str, int]] = {}
    for item in settlements:
        found = held[item.attempt_id]
        before = found.cost_micros if found.state == "unknown" else found.reserved_micros
        after = found.reserved_micros if item.outcome == "pending" else item.cost_micros
        if after != before:
            of_day = changes.setdefault(day_of(from_ms(found.sent_at_ms)), {})
            of_day[item.key.provider] = of_day.get(item.key.provider, 0) + after - before
    for day in sorted(changes):
        hold(connection, changes[day], day)


_EXPIRE_PENDING = Change(
    update(pending_answers)
    .where(pending_answers.c.attempt_id == bindparam("b_attempt_id"), pending_answers.c.state == "opened")
    .values(state="expired")
)


def _note_pending(connection: Connection, settlements: Sequence[Settlement], now: datetime) -> None:
    """Keep what is needed to fetch a late answer; a call that failed is waited for no longer."""
    failed = [{"b_attempt_id": item.attempt_id} for item in settlements if item.outcome in {"error", "unknown"}]
    _EXPIRE_PENDING.run(connection, failed)
    for item in settlements:
        if item.outcome != "pending" or item.pending is None:
            continue
        poll = item.pending.poll_after_seconds
        values = {
            "state": "waiting",
            "request_id": item.pending.request_id[:MAX_REQUEST_ID],
            "next_poll_at_ms": None if poll is None else to_ms(now + timedelta(seconds=poll)),
        }
        mine = pending_answers.c.attempt_id == item.attempt_id
        updated = connection.execute(
            update(pending_answers).where(mine, pending_answers.c.state == "opened").values(values)
        )
        if not updated.rowcount:
            _, row = pending_row(item.attempt_id, item.lookup, item.query, now)
            connection.execute(insert_new(connection, pending_answers), [{**row, **values}])


def _report(item: Settlement) -> CallReport:
    answered = item.answer or item.pending
    return CallReport(
        purpose=item.key.purpose,
        verdict=verdict_of(item.outcome, item.reason),
        latency_ms=item.latency_ms,
        throttled=item.reason == "throttled",
        retry_after_seconds=item.retry_after_seconds,
        quota=answered.quota if answered else None,
    )
