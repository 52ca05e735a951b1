"""Buying one answer: cache, singleflight, durable attempt, call, retry, bill - in this order."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace
from datetime import datetime

from enrichment_dagster.clock import Clock
from enrichment_dagster.engine.retry import RetryPolicy
from enrichment_dagster.errors import ProviderError
from enrichment_dagster.ports import (
    Answer,
    AttemptKey,
    AttemptLedger,
    Cached,
    Charge,
    InFlight,
    Lookup,
    Opened,
    Query,
    Settlement,
)

_POLL_SECONDS = 0.1
_LEASE_GRACE_SECONDS = 10.0
"""A worker that has not settled this long after its call's deadline is taken for dead."""


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """How long answers are remembered; 0 = not at all."""

    hit_seconds: float
    miss_seconds: float


@dataclass(frozen=True, slots=True)
class Purchase:
    """What asking a lookup came to. Without an answer, ``failure`` is the error's reason code."""

    answer: Answer | None
    fetched_at: datetime
    cost_micros: int = 0
    cached: bool = False
    failure: str = ""


class Buyer:
    """Asks lookups; never pays twice for what is fresh in the cache or being asked right now."""

    def __init__(
        self, ledger: AttemptLedger, clock: Clock, retry: RetryPolicy, cache: CachePolicy, rng: random.Random
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._retry = retry
        self._cache = cache
        self._rng = rng
        self._flights: dict[AttemptKey, asyncio.Task[Purchase]] = {}

    async def ask(self, lookup: Lookup, query: Query, subject_key: str, *, event_id: str, deadline: float) -> Purchase:
        """Return the lookup's answer on a subject.

        ``deadline`` is in the clock's monotonic seconds. Failures are a result, not an exception: the waterfall goes
        on with the next lookup.
        """
        key = AttemptKey(lookup.provider, lookup.purpose, subject_key)
        flight = self._flights.get(key)
        if flight is not None:
            # Someone of this process asks the same: the answer is shared, the bill is theirs.
            return await self._join(flight, deadline)
        flight = asyncio.create_task(self._ask(lookup, query, key, event_id, deadline))
        self._flights[key] = flight
        flight.add_done_callback(lambda _: self._flights.pop(key, None))
        return await asyncio.shield(flight)

    async def _join(self, flight: asyncio.Task[Purchase], deadline: float) -> Purchase:
        """Wait for another event's call, no longer than one's own deadline: theirs may be later."""
        timer = asyncio.ensure_future(self._clock.sleep(max(0.0, deadline - self._clock.monotonic())))
        try:
            await asyncio.wait({flight, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
        if not flight.done():
            return Purchase(None, self._clock.now(), failure="timeout")
        return replace(flight.result(), cost_micros=0, cached=True)

    async def _ask(self, lookup: Lookup, query: Query, key: AttemptKey, event_id: str, deadline: float) -> Purchase:
        failures, cost = 0, 0
        while (remaining := deadline - self._clock.monotonic()) > 0:
            timeout = min(lookup.timeout_seconds, remaining)
            begun = await self._ledger.begin(
                key,
                event_id=event_id,
                reserve_micros=lookup.price_micros,
                lease_seconds=timeout + _LEASE_GRACE_SECONDS,
            )
            if isinstance(begun, Cached):
                return Purchase(begun.answer, begun.fetched_at, cost, cached=True)
            if isinstance(begun, InFlight):
                await self._clock.sleep(min(_POLL_SECONDS, remaining))
                continue
            outcome = await self._call(lookup, query, key, begun, timeout)
            if isinstance(outcome, Purchase):
                return replace(outcome, cost_micros=cost + outcome.cost_micros)
            failures += 1
            cost += _cost_of_failure(lookup, outcome)
            delay = self._retry.delay(
                failures=failures,
                error=outcome,
                remaining_seconds=deadline - self._clock.monotonic(),
                jitter=self._rng.random(),
            )
            if delay is None:
                return Purchase(None, self._clock.now(), cost, failure=outcome.reason)
            await self._clock.sleep(delay)
        return Purchase(None, self._clock.now(), cost, failure="timeout")

    async def _call(
        self, lookup: Lookup, query: Query, key: AttemptKey, opened: Opened, timeout: float
    ) -> Purchase | ProviderError:
        started = self._clock.monotonic()
        try:
            answer = await lookup.fetch(query, timeout)
        except ProviderError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - a fault of an adapter must cost one call, not the batch
            failure = ProviderError("adapter_fault", type(error).__name__, transient=False)
        else:
            return await self._settle_answer(lookup, key, opened, answer, started)
        await self._ledger.settle(
            Settlement(
                attempt_id=opened.attempt_id,
                key=key,
                outcome="error",
                reason=failure.reason,
                http_status=failure.http_status,
                latency_ms=self._elapsed_ms(started),
                cost_micros=_cost_of_failure(lookup, failure),
            )
        )
        return failure

    async def _settle_answer(
        self, lookup: Lookup, key: AttemptKey, opened: Opened, answer: Answer, started: float
    ) -> Purchase:
        charged = answer.is_hit or lookup.charge is Charge.ON_CALL
        cost = lookup.price_micros if charged else 0
        await self._ledger.settle(
            Settlement(
                attempt_id=opened.attempt_id,
                key=key,
                outcome="hit" if answer.is_hit else "miss",
                answer=answer,
                http_status=answer.http_status,
                latency_ms=self._elapsed_ms(started),
                cost_micros=cost,
                cache_seconds=self._cache.hit_seconds if answer.is_hit else self._cache.miss_seconds,
            )
        )
        return Purchase(answer, self._clock.now(), cost)

    def _elapsed_ms(self, started: float) -> int:
        return round((self._clock.monotonic() - started) * 1_000)


def _cost_of_failure(lookup: Lookup, error: ProviderError) -> int:
    """Return what a failed call may have cost: an on-call price is held when the call may have been served."""
    served = error.maybe_sent and error.http_status is None
    return lookup.price_micros if served and lookup.charge is Charge.ON_CALL else 0
