"""Buying one answer: cache, permission, durable attempt, call, retry, bill - in this order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from enrichment_dagster.clock import Clock
from enrichment_dagster.engine.billing import cost_of, cost_of_failure
from enrichment_dagster.engine.bulk import BulkCaller, Outcome
from enrichment_dagster.engine.late import stored_query
from enrichment_dagster.engine.retry import RetryPolicy
from enrichment_dagster.engine.waiting import acquired, first_done
from enrichment_dagster.errors import ProviderError
from enrichment_dagster.ports import (
    SPENDING_STOPPED,
    Answer,
    AttemptKey,
    AttemptLedger,
    AttemptRequest,
    Awaited,
    Cached,
    CachePolicy,
    InFlight,
    Lookup,
    Opened,
    Pending,
    Query,
    Refused,
    Settlement,
)

_log = structlog.get_logger(__name__)

_POLL_SECONDS = 0.1
LEASE_GRACE_SECONDS = 10.0
"""A worker that has not settled this long after its call's deadline is taken for dead."""

_OVERDUE_SECONDS = 0.25
"""A timeout that comes so much too late is noticed by a process that has more to do than it can."""

_NO_MEMORY = CachePolicy(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Asker:
    """For whom a lookup is asked, and what that may take. ``deadline`` is in the clock's monotonic seconds."""

    event_id: str
    work_id: str
    deadline: float
    budget_micros: int | None = None
    role: str = ""
    outlives: bool = False  # a call that was sent may end after the deadline: others have use of its answer


@dataclass(frozen=True, slots=True)
class Purchase:
    """What asking a lookup came to. Without an answer, ``failure`` is the reason code, or the answer is pending."""

    answer: Answer | None
    fetched_at: datetime
    cost_micros: int = 0
    latency_ms: int = 0
    cached: bool = False
    stale: bool = False  # an expired answer: the refresh failed, for the reason in ``failure``
    failure: str = ""
    refused: bool = False  # nothing was sent; ``failure`` says why
    awaits: str = ""  # the attempt whose answer comes later


class Buyer:
    """Asks lookups; never pays twice for what is fresh in the cache or being asked right now."""

    def __init__(
        self,
        ledger: AttemptLedger,
        clock: Clock,
        retry: RetryPolicy,
        cache: CachePolicy,
        rng: random.Random,
        *,
        bulk: bool = False,
        callback_url: Callable[[str, str], str] = lambda _provider, _token: "",
    ) -> None:
        """``bulk``: queries that come together are asked together. ``callback_url`` takes provider and token."""
        self._ledger = ledger
        self._clock = clock
        self._retry = retry
        self._cache = cache
        self._rng = rng
        self._bulk = bulk
        self._callback_url = callback_url
        self._flights: dict[AttemptKey, asyncio.Task[Purchase]] = {}
        self._settling: set[asyncio.Task[None]] = set()
        self._lines: dict[str, asyncio.Lock] = {}
        self._callers: dict[str, BulkCaller] = {}

    async def ask(self, lookup: Lookup, query: Query, subject_key: str, asker: Asker) -> Purchase:
        """Return the lookup's answer on a subject.

        Failures are a result, not an exception: the waterfall goes on with the next lookup.
        """
        key = AttemptKey(lookup.provider, lookup.purpose, subject_key)
        flight = self._flights.get(key)
        if flight is not None:
            # Someone of this process asks the same: the answer is shared, the bill is theirs.
            return await self._join(flight, asker.deadline)
        flight = asyncio.create_task(_Call(self, lookup, query, key, asker).run())
        self._flights[key] = flight
        flight.add_done_callback(lambda _: self._flights.pop(key, None))
        return await asyncio.shield(flight)

    async def _join(self, flight: asyncio.Task[Purchase], deadline: float) -> Purchase:
        """Wait for another event's call, no longer than one's own deadline: theirs may be later."""
        if not await first_done([flight], self._clock, deadline):
            return Purchase(None, self._clock.now(), failure="timeout")
        return replace(flight.result(), cost_micros=0, cached=True)

    @property
    def in_flight(self) -> list[asyncio.Task[Any]]:
        """Return what is under way: calls, also those that nobody waits for any more, and how others ended."""
        return [task for task in (*self._flights.values(), *self._settling) if not task.done()]

    def settle_aside(self, settling: Coroutine[Any, Any, None]) -> None:
        """Store how a call ended while its answer goes on.

        A process that dies first leaves an attempt in flight: it counts as paid, and its answer is asked for again.
        """
        task = asyncio.create_task(settling)
        self._settling.add(task)
        task.add_done_callback(self._settled)

    def _settled(self, task: asyncio.Task[None]) -> None:
        self._settling.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a call's end could not be stored: its provider may be asked again", error=type(error).__name__)

    async def permission(
        self, request: AttemptRequest, deadline: float
    ) -> Opened | Cached | InFlight | Awaited | Refused:
        """Ask the ledger; where all of a provider's places are taken, wait in line for one."""
        begun = await self._ledger.begin(request)
        if not _has_to_queue(begun):
            return begun
        line = self._lines.setdefault(request.key.provider, asyncio.Lock())
        if not await acquired(line, self._clock, deadline):
            return begun
        try:  # one of this process asks for all of its line
            while _has_to_queue(begun) and (left := deadline - self._clock.monotonic()) > 0:
                await self._clock.sleep(min(left, _POLL_SECONDS / 2))
                begun = await self._ledger.begin(request)
        finally:
            line.release()
        return begun

    async def fetch(self, lookup: Lookup, query: Query, timeout_seconds: float, callback_url: str) -> Outcome:
        """Make the call, together with others where the vendor has a bulk endpoint."""
        if not self._bulk or lookup.bulk_size == 1:
            return Outcome(await lookup.fetch(query, timeout_seconds, callback_url))
        caller = self._callers.setdefault(lookup.name, BulkCaller(lookup, self._clock))
        return await caller.fetch(query, timeout_seconds)


class _Call:
    """One asker's way to an answer: permission, call, retries."""

    def __init__(self, buyer: Buyer, lookup: Lookup, query: Query, key: AttemptKey, asker: Asker) -> None:
        self._buyer = buyer
        self._clock = buyer._clock
        self._lookup = lookup
        self._query = query
        self._key = key
        self._asker = asker
        self._cost = 0
        self._policy = lookup.cache or buyer._cache

    async def run(self) -> Purchase:
        failures = 0
        while (remaining := self._asker.deadline - self._clock.monotonic()) > 0:
            timeout = self._timeout()
            begun = await self._buyer.permission(self._request(timeout, remaining), self._asker.deadline)
            if isinstance(begun, InFlight):
                await self._clock.sleep(min(_POLL_SECONDS, remaining))
                continue
            if not isinstance(begun, Opened):
                return self._without_call(begun)
            outcome = await self._send(begun)
            if isinstance(outcome, Purchase):
                return replace(outcome, cost_micros=self._cost + outcome.cost_micros) if self._cost else outcome
            failures += 1
            self._cost += cost_of_failure(self._lookup, outcome.error)
            delay = self._delay(failures, outcome.error)
            await self._settle_failure(begun, outcome, final=delay is None)
            if delay is None:
                return self._failed(outcome.error.reason, begun.stale)
            await self._clock.sleep(delay)
        return self._failed("timeout", None)

    def _request(self, timeout: float, remaining: float) -> AttemptRequest:
        lookup, query = self._lookup, self._query
        return AttemptRequest(
            key=self._key,
            event_id=self._asker.event_id,
            work_id=self._asker.work_id,
            reserve_micros=lookup.price_micros * lookup.max_units,
            event_budget_micros=self._asker.budget_micros,
            lease_seconds=timeout + LEASE_GRACE_SECONDS,
            send_before=self._clock.now() + timedelta(seconds=remaining),
            role=self._asker.role,
            calls_back=lookup.calls_back,
            lookup=lookup.name,
            query=stored_query(query) if lookup.calls_back else {},
            weight=1 / lookup.bulk_size if self._buyer._bulk else 1.0,
        )

    def _without_call(self, begun: Cached | Awaited | Refused) -> Purchase:
        if isinstance(begun, Cached):
            return Purchase(begun.answer, begun.fetched_at, self._cost, cached=True)
        if isinstance(begun, Awaited):
            return Purchase(None, self._clock.now(), self._cost, awaits=begun.attempt_id, cached=True)
        return replace(self._failed(begun.reason, begun.stale), refused=True)

    def _failed(self, reason: str, stale: Cached | None) -> Purchase:
        """Serve the expired answer, if there is one, where a fresh one can't be had."""
        if stale is not None and stale.answer.is_hit:
            return Purchase(stale.answer, stale.fetched_at, self._cost, cached=True, stale=True, failure=reason)
        return Purchase(None, self._clock.now(), self._cost, failure=reason)

    async def _send(self, opened: Opened) -> Purchase | _Failure:
        if await self._waited_for_turn(opened) and await self._buyer._ledger.is_stopped(self._key.provider):
            return await self._withdraw(opened)  # the switch was thrown meanwhile
        started, timeout = self._clock.monotonic(), self._timeout()
        url = self._buyer._callback_url(self._key.provider, opened.callback_token) if opened.callback_token else ""
        try:
            outcome = await self._buyer.fetch(self._lookup, self._query, timeout, url)
        except ProviderError as error:
            outcome = Outcome(error)
        except Exception as error:  # noqa: BLE001 - a fault of an adapter must cost one call, not the batch
            outcome = Outcome(ProviderError("adapter_fault", type(error).__name__, transient=False))
        if isinstance(outcome.result, ProviderError):
            return self._failure(outcome, started, timeout)
        if isinstance(outcome.result, Pending):
            return await self._settle_pending(opened, outcome.result, started)
        return await self._settle_answer(opened, outcome.result, started, speaks=outcome.speaks)

    def _failure(self, outcome: Outcome, started: float, timeout: float) -> _Failure:
        """Return what became of a call without an answer.

        A call that we cut short says nothing of its provider: where it had less time than its lookup may take, or where
        this process was too busy to look at what had come in.
        """
        assert isinstance(outcome.result, ProviderError)
        overdue = self._clock.monotonic() - started - timeout
        hurried = timeout < self._lookup.timeout_seconds or overdue > _OVERDUE_SECONDS
        ours = hurried and outcome.result.reason == "timeout"
        return _Failure(outcome.result, self._elapsed_ms(started), outcome.speaks and not ours, ours)

    def _timeout(self) -> float:
        if self._asker.outlives:
            return self._lookup.timeout_seconds
        return max(0.001, min(self._lookup.timeout_seconds, self._asker.deadline - self._clock.monotonic()))

    async def _waited_for_turn(self, opened: Opened) -> bool:
        """Wait until the rate limit lets the call through; say whether that took any time."""
        wait = 0.0 if opened.send_at is None else (opened.send_at - self._clock.now()).total_seconds()
        if wait > 0:
            await self._clock.sleep(wait)
        return wait > 0

    async def _withdraw(self, opened: Opened) -> Purchase:
        """Give up a call that was permitted and not sent: it costs nothing and says nothing of its provider."""
        settlement = Settlement(opened.attempt_id, self._key, "error", SPENDING_STOPPED, speaks=False)
        await self._buyer._ledger.settle(settlement)
        return replace(self._failed(SPENDING_STOPPED, opened.stale), cost_micros=0, refused=True)

    async def _settle_pending(self, opened: Opened, pending: Pending, started: float) -> Purchase:
        await self._settle(
            opened,
            "pending",
            started,
            pending=pending,
            http_status=pending.http_status,
            lookup=self._lookup.name,
            query=stored_query(self._query),
        )
        return Purchase(None, self._clock.now(), latency_ms=self._elapsed_ms(started), awaits=opened.attempt_id)

    async def _settle_answer(self, opened: Opened, answer: Answer, started: float, *, speaks: bool) -> Purchase:
        cost = cost_of(self._lookup, answer)
        settling = self._settle(
            opened,
            "hit" if answer.is_hit else "miss",
            started,
            answer=answer,
            http_status=answer.http_status,
            cost_micros=cost,
            cache=self._policy,
            speaks=speaks,
        )
        purchase = Purchase(answer, self._clock.now(), cost, self._elapsed_ms(started))
        if self._asker.outlives:  # somebody waits for the answer, and its results are stored after it as well
            self._buyer.settle_aside(settling)
        else:
            await settling
        return purchase

    async def _settle_failure(self, opened: Opened, failure: _Failure, *, final: bool) -> None:
        error = failure.error
        await self._buyer._ledger.settle(
            Settlement(
                attempt_id=opened.attempt_id,
                key=self._key,
                outcome="error",
                reason=error.reason,
                http_status=error.http_status,
                latency_ms=failure.latency_ms,
                cost_micros=cost_of_failure(self._lookup, error),
                retry_after_seconds=error.retry_after_seconds,
                cache=self._policy if final and not failure.ours else _NO_MEMORY,
                speaks=failure.speaks,
            )
        )

    async def _settle(self, opened: Opened, outcome: str, started: float, **more: Any) -> None:
        latency = self._elapsed_ms(started)
        await self._buyer._ledger.settle(
            Settlement(attempt_id=opened.attempt_id, key=self._key, outcome=outcome, latency_ms=latency, **more)
        )

    def _delay(self, failures: int, error: ProviderError) -> float | None:
        return self._buyer._retry.delay(
            failures=failures,
            error=error,
            remaining_seconds=self._asker.deadline - self._clock.monotonic(),
            jitter=self._buyer._rng.random(),
        )

    def _elapsed_ms(self, started: float) -> int:
        return round((self._clock.monotonic() - started) * 1_000)


@dataclass(frozen=True, slots=True)
class _Failure:
    error: ProviderError
    latency_ms: int
    speaks: bool
    ours: bool  # our own hurry made it: a lane with more time may ask at once


def _has_to_queue(begun: object) -> bool:
    return isinstance(begun, Refused) and begun.reason == "concurrency"
