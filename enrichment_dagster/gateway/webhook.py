"""One webhook: size, proof, parse, journal commit, and only then the answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from enrichment_dagster.errors import IntakeError, PayloadError
from enrichment_dagster.gateway.answers import answer, refused, unavailable
from enrichment_dagster.gateway.body import read_body
from enrichment_dagster.gateway.deps import GatewayDeps
from enrichment_dagster.gateway.refusals import RefusalLog
from enrichment_dagster.intake.imports import urgent
from enrichment_dagster.intake.sender import Parsed, RawRequest, Sender
from enrichment_dagster.ports import KeptBody


class Webhook:
    """The endpoint of one sender."""

    def __init__(self, sender: Sender, deps: GatewayDeps) -> None:
        self._sender = sender
        self._deps = deps
        self._refusals = RefusalLog(deps.clock)

    async def handle(self, request: Request) -> Response:
        """Answer one delivery. A 2xx means that everything in it is durable."""
        try:
            body = await read_body(request, self._deps.limits)
            now = self._deps.clock.now()
            self._sender.verify(RawRequest(request.method, request.headers, body), now)
        except IntakeError as error:
            self._refusals.note(self._sender.name, error.reason, error.detail)
            return refused(error)
        try:
            parsed = self._sender.parse(body, now)
        except PayloadError as error:
            self._refusals.note(self._sender.name, error.reason, error.detail)
            return await self._keep(error, KeptBody(self._sender.name, error.reason, error.detail, body, now))
        return await self._record(self._reserved(parsed))

    def _reserved(self, parsed: Parsed) -> Parsed:
        """Return the delivery with what is to be routed at once reserved to this process."""
        lane = self._deps.routing
        if lane is None:
            return parsed
        marked = zip(parsed.events, urgent(parsed.events), strict=True)
        return replace(parsed, events=[lane.reserve(event) if soon else event for event, soon in marked])

    async def _record(self, parsed: Parsed) -> Response:
        fresh = await self._store(parsed)
        if fresh is None:
            return unavailable()
        if self._deps.routing is not None:
            self._deps.routing.take([event for event, new in zip(parsed.events, fresh, strict=True) if new])
        for reject in parsed.rejects:
            self._refusals.note(self._sender.name, reject.reason, reject.detail)
        return answer(
            {
                "accepted": sum(fresh),
                "duplicates": len(fresh) - sum(fresh),
                "rejected": len(parsed.rejects),
                "event_ids": [event.event_id for event in parsed.events],
            }
        )

    async def _keep(self, error: PayloadError, body: KeptBody) -> Response:
        if await self._store(Parsed(rejects=[body])) is None:
            return unavailable()
        if self._sender.unreadable_status == error.status:
            return refused(error, kept=1)
        return answer({"accepted": 0, "kept": 1, "reason": error.reason}, self._sender.unreadable_status)

    async def _store(self, parsed: Parsed) -> list[bool] | None:
        """Make everything durable; None where that failed, whatever the cause: the sender will come again.

        Events first: if a reject can't be kept after that, the next delivery finds the events as duplicates.
        """
        journal = self._deps.journal
        try:
            async with asyncio.timeout(self._deps.limits.commit_seconds):
                fresh = await journal.append(parsed.events) if parsed.events else []
                await asyncio.gather(*(journal.keep(body) for body in parsed.rejects))
        except Exception:  # noqa: BLE001 - the sender must get a 503, and the operator the cause
            self._refusals.failed(self._sender.name, "journal failed")
            return None
        return fresh
