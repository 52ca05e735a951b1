"""Requests to ``POST /enrich`` by their idempotency keys (``ports.ApiRequests``). Keys are kept as hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update

from enrichment_dagster.clock import Clock
from enrichment_dagster.ports import ApiRequest
from enrichment_dagster.store.committer import GroupCommitter, each
from enrichment_dagster.store.database import to_ms
from enrichment_dagster.store.prepared import Change, Query, insert_of
from enrichment_dagster.store.tables import api_requests

KEEP = timedelta(hours=48)
"""How long a key is good for the same answer."""

TAKEN_FOR_DEAD = timedelta(seconds=16)
"""A request that has no answer for so long has lost its worker: the next one of its key takes it over.

A little longer than the lost worker's calls to providers count as under way: until then nobody asks them again, and the
answer would be a poor one.
"""


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
        now = self._clock.now()
        key = {"b_caller": request.caller, "b_key_hash": request.key_hash}
        mine = {**key, "b_body_hash": request.body_hash, "b_now_ms": to_ms(now)}
        if _BEGIN.rows(connection, **mine, b_event_id=request.event_id):
            return None
        if _TAKE_OVER.rows(connection, **mine, b_dead_ms=to_ms(now - TAKEN_FOR_DEAD)):
            return None
        ((event_id, body_hash, answer),) = _EARLIER.rows(connection, **key)
        return ApiRequest(event_id, body_hash, answer)


_MINE = (api_requests.c.caller == bindparam("b_caller")) & (api_requests.c.key_hash == bindparam("b_key_hash"))
_OPEN = _MINE & api_requests.c.answer.is_(None)


def _begin(dialect: str) -> Any:
    make = insert_of(dialect, api_requests).values(
        caller=bindparam("b_caller"),
        key_hash=bindparam("b_key_hash"),
        body_hash=bindparam("b_body_hash"),
        event_id=bindparam("b_event_id"),
        begun_at_ms=bindparam("b_now_ms"),
    )
    return make.on_conflict_do_nothing().returning(api_requests.c.caller)


_BEGIN = Query(_begin)
_TAKE_OVER = Query(
    update(api_requests)
    .where(
        _OPEN,
        api_requests.c.body_hash == bindparam("b_body_hash"),
        api_requests.c.begun_at_ms < bindparam("b_dead_ms"),
    )
    .values(begun_at_ms=bindparam("b_now_ms"))
    .returning(api_requests.c.caller)
)
_EARLIER = Query(select(api_requests.c.event_id, api_requests.c.body_hash, api_requests.c.answer).where(_MINE))
_FINISH = Change(update(api_requests).where(_OPEN).values(answer=bindparam("b_answer")))
_RELEASE = Change(delete(api_requests).where(_OPEN))


def _finish_one(connection: Connection, request: _Finish) -> None:
    key = {"b_caller": request.caller, "b_key_hash": request.key_hash}
    if request.answer is None:
        _RELEASE.run(connection, [key])
    else:
        _FINISH.run(connection, [{**key, "b_answer": dict(request.answer)}])


def _forget_all(connection: Connection, before_ms: int) -> int:
    return connection.execute(delete(api_requests).where(api_requests.c.begun_at_ms < before_ms)).rowcount


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
