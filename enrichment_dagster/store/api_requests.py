"""Requests to ``POST /enrich`` by their idempotency keys (``ports.ApiRequests``). Keys are kept as hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, delete, select, update

from enrichment_dagster.clock import Clock
from enrichment_dagster.ports import ApiRequest
from enrichment_dagster.store.committer import GroupCommitter, each
from enrichment_dagster.store.database import from_ms, to_ms
from enrichment_dagster.store.rows import dialect_insert
from enrichment_dagster.store.tables import api_requests

KEEP = timedelta(hours=48)
"""How long a key is good for the same answer."""

TAKEN_FOR_DEAD = timedelta(seconds=10)
"""A request that has no answer for so long has lost its worker: the next one of its key takes it over."""


@dataclass(frozen=True, slots=True)
class _Begin:
    caller: str
    key_hash: str
    body_hash: str
    event_id: str


@dataclass(frozen=True, slots=True)
class _Finish:
    caller: str
    key_hash: str
    answer: Mapping[str, Any] | None  # None: forget the request


class SqlApiRequests:
    """Requests by caller and key, shared by all processes on one store."""

    def __init__(self, committer: GroupCommitter, clock: Clock) -> None:
        self._committer = committer
        self._clock = clock
        self._begin = each(self._begin_one)
        self._finish = each(_finish_one)
        self._forget = each(_forget_all)

    async def begin(self, caller: str, key: str, body_hash: str, event_id: str) -> ApiRequest | None:
        """Note a request; returns the earlier one of the same key, or None: this one is to be worked on."""
        return await self._committer.submit(self._begin, _Begin(caller, _hash(key), body_hash, event_id))

    async def finish(self, caller: str, key: str, answer: Mapping[str, Any]) -> None:
        """Keep the answer; the first one counts."""
        await self._committer.submit(self._finish, _Finish(caller, _hash(key), answer))

    async def release(self, caller: str, key: str) -> None:
        """Forget a request that came to nothing."""
        await self._committer.submit(self._finish, _Finish(caller, _hash(key), None))

    async def forget_old(self) -> int:
        """Delete what is past its time; returns how many."""
        return await self._committer.submit(self._forget, to_ms(self._clock.now() - KEEP))

    def _begin_one(self, connection: Connection, request: _Begin) -> ApiRequest | None:
        now_ms = to_ms(self._clock.now())
        row = {
            "caller": request.caller,
            "key_hash": request.key_hash,
            "body_hash": request.body_hash,
            "event_id": request.event_id,
            "begun_at_ms": now_ms,
        }
        statement = dialect_insert(connection, api_requests).values(row).on_conflict_do_nothing()
        if connection.execute(statement.returning(api_requests.c.caller)).first() is not None:
            return None
        mine = _is(request.caller, request.key_hash)
        dead_ms = to_ms(self._clock.now() - TAKEN_FOR_DEAD)
        take_over = update(api_requests).where(
            mine,
            api_requests.c.body_hash == request.body_hash,
            api_requests.c.answer.is_(None),
            api_requests.c.begun_at_ms < dead_ms,
        )
        if connection.execute(take_over.values(begun_at_ms=now_ms)).rowcount:
            return None
        found = connection.execute(select(api_requests).where(mine)).mappings().one()
        return ApiRequest(found["event_id"], found["body_hash"], found["answer"], from_ms(found["begun_at_ms"]))


def _finish_one(connection: Connection, request: _Finish) -> None:
    open_request = _is(request.caller, request.key_hash) & api_requests.c.answer.is_(None)
    if request.answer is None:
        connection.execute(delete(api_requests).where(open_request))
    else:
        connection.execute(update(api_requests).where(open_request).values(answer=dict(request.answer)))


def _forget_all(connection: Connection, before_ms: int) -> int:
    return connection.execute(delete(api_requests).where(api_requests.c.begun_at_ms < before_ms)).rowcount


def _is(caller: str, key_hash: str) -> Any:
    return (api_requests.c.caller == caller) & (api_requests.c.key_hash == key_hash)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
