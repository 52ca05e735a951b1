"""One webhook: size, proof, parse, journal commit, and only then the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from enrichment_dagster.errors import IntakeError, PayloadError
from enrichment_dagster.gateway.answers import answer, refused, unavailable
from enrichment_dagster.gateway.body import BodyTooSlow, read_body
from enrichment_dagster.gateway.deps import GatewayDeps
from enrichment_dagster.gateway.refusals import RefusalLog
from enrichment_dagster.intake.imports import urgent
from enrichment_dagster.intake.sender import Answering, Greeted, Parsed, RawRequest, Sender
from enrichment_dagster.ports import KeptBody

_POST = "POST"


class Webhook:
    """The endpoint of one sender."""

    def __init__(self, sender: Sender, deps: GatewayDeps) -> None:
        self._sender = sender
        self._deps = deps
        self._refusals = RefusalLog(deps.clock)
        self._greeted = sender if isinstance(sender, Greeted) else None
        self._answering = sender if isinstance(sender, Answering) else None

    @property
    def methods(self) -> list[str]:
        """Return the HTTP methods that are answered here."""
        return [_POST] if self._greeted is None else [_POST, self._greeted.greeting_method]

    async def handle(self, request: Request) -> Response:
        """Answer one request; most are deliveries."""
        if self._greeted is not None and request.method == self._greeted.greeting_method:
            return self._greet(self._greeted, request)
        return await self._deliver(request)

    async def _deliver(self, request: Request) -> Response:
        """Answer one delivery. A 2xx means that everything in it is durable."""
        try:
            body = await read_body(request, self._deps.limits)
            begun, now = self._deps.clock.monotonic(), self._deps.clock.now()
            raw = _raw(request, body)
            self._sender.verify(raw, now)
        except IntakeError as error:
            return self._refused(error)
        try:
            parsed = self._sender.parse(raw, now)
        except PayloadError as error:
            self._refusals.note(self._sender.name, error.reason, error.detail)
            return await self._keep(error, KeptBody(self._sender.name, error.reason, error.detail, body, now))
        return await self._record(parsed, begun)

    def _greet(self, sender: Greeted, request: Request) -> Response:
        try:
            greeting = sender.greet(_raw(request, b""))
        except IntakeError as error:
            return self._refused(error)
        return answer(dict(greeting.content), headers=greeting.headers)

    def _refused(self, error: IntakeError) -> Response:
        self._deps.refused.add(self._sender.name, error.reason)
        self._refusals.note(self._sender.name, error.reason, error.detail)
        if isinstance(error, BodyTooSlow) and self._sender.manners.final_4xx:
            return self._unavailable()
        return refused(error, self._told(error.reason, error.detail))

    def _told(self, reason: str, detail: str) -> Mapping[str, Any]:
        return {} if self._answering is None else self._answering.refusal(reason, detail)

    def _unavailable(self) -> Response:
        manners, told = self._sender.manners, self._told("journal_unavailable", "send it again")
        return unavailable(status=manners.again, retry_after=manners.retry_after, extra=told)

    def _reserved(self, parsed: Parsed) -> Parsed:
        """Return the delivery with what is to be routed at once reserved to this process."""
        lane = self._deps.routing
        if lane is None:
            return parsed
        return replace(parsed, events=lane.reserve(parsed.events, urgent(parsed.events)))

    async def _record(self, parsed: Parsed, begun: float) -> Response:
        stored = await self._store(parsed)
        if stored is None:
            return self._unavailable()
        parsed, fresh = stored
        if self._deps.routing is not None:
            new = [event for event, is_new in zip(parsed.events, fresh, strict=True) if is_new]
            self._deps.routing.take(new, self._deps.clock.monotonic() - begun)
        for reject in parsed.rejects:
            self._refusals.note(self._sender.name, reject.reason, reject.detail)
        added = {} if self._answering is None else self._answering.answer(parsed, fresh)
        return answer({**_receipt(parsed, fresh), **added})

    async def _keep(self, error: PayloadError, body: KeptBody) -> Response:
        if await self._store(Parsed(rejects=[body])) is None:
            return self._unavailable()
        told = self._told(error.reason, error.detail)
        if self._sender.manners.unreadable is None:
            return refused(error, {"kept": 1, **told})
        return answer({"accepted": 0, "kept": 1, "reason": error.reason, **told}, self._sender.manners.unreadable)

    async def _store(self, parsed: Parsed) -> tuple[Parsed, list[bool]] | None:
        """Make everything durable; returns it as it was stored, and which events are new.

        None where that failed, whatever the cause: the sender will come again. Events first: if a reject can't be kept
        after that, the next delivery finds the events as duplicates.
        """
        journal, visitors = self._deps.journal, self._deps.visitors
        try:
            async with asyncio.timeout(self._deps.limits.commit_seconds):
                if visitors is not None:
                    parsed = replace(parsed, events=await visitors.recognise(parsed.events))
                parsed = self._reserved(parsed)
                fresh = await journal.append(parsed.events) if parsed.events else []
                await asyncio.gather(*(journal.keep(body) for body in parsed.rejects))
        except Exception:  # noqa: BLE001 - the sender must get a 503, and the operator the cause
            self._refusals.failed(self._sender.name, "journal failed")
            return None
        return parsed, fresh


def _raw(request: Request, body: bytes) -> RawRequest:
    return RawRequest(request.method, request.headers, body, request.scope["query_string"].decode("latin-1"))


def _receipt(parsed: Parsed, fresh: Sequence[bool]) -> dict[str, Any]:
    return {
        "accepted": sum(fresh),
        "duplicates": len(fresh) - sum(fresh),
        "rejected": len(parsed.rejects),
        "event_ids": [event.event_id for event in parsed.events],
    }
