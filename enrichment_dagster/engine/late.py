"""Answers that come later: by a call to our callback URL, or when they are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

import structlog

from enrichment_dagster.clock import Clock
from enrichment_dagster.engine.billing import cost_of
from enrichment_dagster.errors import ProviderError
from enrichment_dagster.ports import (
    Answer,
    CachePolicy,
    Charge,
    Lookup,
    Pending,
    PendingStore,
    Query,
    Settlement,
    WaitingAnswer,
)

CONCURRENT_POLLS = 4
FIRST_POLL_SECONDS = 10.0
POLL_GROWTH = 1.5
LONGEST_POLL_SECONDS = 900.0
SHORTEST_MEMORY_SECONDS = 3_600.0
"""A late answer is remembered for this long at least: the work that it wakes reads it from the cache."""

_QUERY_TEXTS = ("email", "domain", "company_name", "first_name", "last_name")

_log = structlog.get_logger(__name__)


def stored_query(query: Query) -> dict[str, Any]:
    """Return what of a query is kept while its answer is pending (``AttemptRequest.query``)."""
    texts = {name: getattr(query, name) for name in _QUERY_TEXTS}
    return {**{name: text for name, text in texts.items() if text is not None}, "ids": dict(query.ids)}


def restored_query(stored: Mapping[str, Any]) -> Query:
    """Return the query that was kept."""
    texts: dict[str, Any] = {name: stored.get(name) for name in _QUERY_TEXTS}
    return Query(**texts, ids=dict(stored.get("ids") or {}))


class CallbackResult(StrEnum):
    """What became of a call to a callback URL."""

    ACCEPTED = "accepted"  # the answer is stored
    STILL_PENDING = "still_pending"  # the provider says that it still works on it
    REPEATED = "repeated"  # it was answered before
    LATE = "late"  # it was given up before
    UNKNOWN = "unknown"  # no such token, or it is another provider's
    UNREADABLE = "unreadable"  # the body is no answer; another may come


@dataclass(frozen=True, slots=True)
class Delivery:
    """The result with the reason code of a body that can't be read."""

    result: CallbackResult
    reason: str = ""


class LateAnswers:
    """Takes late answers in. ``cache`` is the memory of lookups that have no policy of their own."""

    def __init__(
        self,
        pending: PendingStore,
        lookups: Mapping[str, Lookup],
        clock: Clock,
        cache: CachePolicy,
        concurrency: int = CONCURRENT_POLLS,
    ) -> None:
        self._pending = pending
        self._lookups = lookups
        self._clock = clock
        self._cache = cache
        self._concurrency = concurrency

    async def standing(self, token: str, provider: str) -> CallbackResult | None:
        """Say why nothing is taken under a token any more; None: its answer is awaited."""
        waiting = await self._pending.find(token)
        return CallbackResult.UNKNOWN if waiting is None else self._closed(waiting, provider)

    async def deliver(self, token: str, provider: str, body: Any) -> Delivery:
        """Take what a provider sent to a callback URL. When this returns, an accepted answer is durable."""
        waiting = await self._pending.find(token)
        if waiting is None:
            return Delivery(CallbackResult.UNKNOWN)
        closed = self._closed(waiting, provider)
        return await self._take(waiting, body) if closed is None else Delivery(closed)

    async def poll_due(self, limit: int) -> int:
        """Ask for the answers that are due, a few at once; returns for how many was asked."""
        due, gate = await self._pending.due_polls(limit), asyncio.Semaphore(self._concurrency)

        async def poll(waiting: WaitingAnswer) -> None:
            async with gate:
                await self._poll(waiting)

        ends = await asyncio.gather(*(poll(waiting) for waiting in due), return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):  # the store is away: all have ended, the next round tries again
                raise end
        return len(due)

    async def expire(self) -> int:
        """Give up answers that did not come in time; returns how many."""
        return await self._pending.expire()

    async def _take(self, waiting: WaitingAnswer, body: Any) -> Delivery:
        lookup = self._lookups.get(waiting.lookup)
        if lookup is None:
            return Delivery(CallbackResult.UNREADABLE, "no_such_lookup")
        answer = _read(lookup, body)
        if isinstance(answer, ProviderError):
            return Delivery(CallbackResult.UNREADABLE, answer.reason)
        if isinstance(answer, Pending):
            return Delivery(CallbackResult.STILL_PENDING)
        return Delivery(await self._complete(waiting, lookup, answer))

    async def _complete(self, waiting: WaitingAnswer, lookup: Lookup, answer: Answer) -> CallbackResult:
        if await self._pending.complete(waiting, self._answered(waiting, lookup, answer)):
            return CallbackResult.ACCEPTED
        # Somebody was quicker, or it ran out of time in between.
        return CallbackResult.LATE if waiting.expires_at <= self._clock.now() else CallbackResult.REPEATED

    def _closed(self, waiting: WaitingAnswer, provider: str) -> CallbackResult | None:
        if waiting.key.provider != provider:
            return CallbackResult.UNKNOWN
        if waiting.state == "answered":
            return CallbackResult.REPEATED
        if waiting.state == "expired" or waiting.expires_at <= self._clock.now():
            return CallbackResult.LATE
        return None

    async def _poll(self, waiting: WaitingAnswer) -> None:
        lookup = self._lookups.get(waiting.lookup)
        if lookup is None:  # it was taken out of the configuration and may come back
            return await self._put_off(waiting, LONGEST_POLL_SECONDS)
        try:
            query = restored_query(waiting.query)
            found = await lookup.poll(waiting.request_id, query, lookup.timeout_seconds)
        except ProviderError as error:
            return await self._failed(waiting, lookup, error)
        except Exception as error:  # noqa: BLE001 - a fault of an adapter must not end the polling of the others
            _log.error("a poll failed", lookup=waiting.lookup, error=type(error).__name__)
            return await self._put_off(waiting)
        if isinstance(found, Pending):
            return await self._put_off(waiting, found.poll_after_seconds)
        await self._pending.complete(waiting, self._answered(waiting, lookup, found))
        return None

    async def _failed(self, waiting: WaitingAnswer, lookup: Lookup, error: ProviderError) -> None:
        if error.transient:
            return await self._put_off(waiting, error.retry_after_seconds)
        # The provider took the request, and with it the price of a call; it was reserved.
        cost = lookup.price_micros if lookup.charge is Charge.ON_CALL else 0
        settlement = Settlement(
            waiting.attempt_id,
            waiting.key,
            outcome="error",
            reason=error.reason,
            http_status=error.http_status,
            cost_micros=cost,
            cache=self._memory(lookup),
        )
        await self._pending.complete(waiting, settlement)
        return None

    async def _put_off(self, waiting: WaitingAnswer, asked_seconds: float | None = None) -> None:
        """Poll again later, each time after a longer while, and never sooner than the provider asks."""
        first = asked_seconds or FIRST_POLL_SECONDS
        grown = first * POLL_GROWTH ** min(waiting.polls + 1, 20)
        seconds = max(first, min(grown, LONGEST_POLL_SECONDS))
        await self._pending.put_off(waiting.attempt_id, self._clock.now() + timedelta(seconds=seconds))

    def _answered(self, waiting: WaitingAnswer, lookup: Lookup, answer: Answer) -> Settlement:
        return Settlement(
            waiting.attempt_id,
            waiting.key,
            outcome="hit" if answer.is_hit else "miss",
            answer=replace(answer, request_id=answer.request_id or waiting.request_id),
            http_status=answer.http_status,
            cost_micros=cost_of(lookup, answer),
            cache=self._memory(lookup),
        )

    def _memory(self, lookup: Lookup) -> CachePolicy:
        policy = lookup.cache or self._cache
        return replace(
            policy,
            hit_seconds=max(policy.hit_seconds, SHORTEST_MEMORY_SECONDS),
            miss_seconds=max(policy.miss_seconds, SHORTEST_MEMORY_SECONDS),
            error_seconds=max(policy.error_seconds, SHORTEST_MEMORY_SECONDS),
        )


def _read(lookup: Lookup, body: Any) -> Answer | Pending | ProviderError:
    try:
        return lookup.read_callback(body)
    except ProviderError as error:
        return error
    except Exception as error:  # noqa: BLE001 - a body that the adapter stumbles over is kept like any unreadable one
        return ProviderError("adapter_fault", type(error).__name__, transient=False)
