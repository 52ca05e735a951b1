"""Where providers bring the answers that come later: ``POST /callbacks/{provider}/{token}``.

Nothing else proves the caller: the token is 256 random bits, good for one answer, and looked up by its hash. Vendors do
not sign these calls (Apollo), so the token is all the proof there can be; it is in no log and in no answer of ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType

import structlog
from starlette.requests import Request
from starlette.responses import Response

from enrichment_dagster.engine.late import CallbackResult, Delivery, LateAnswers
from enrichment_dagster.errors import IntakeError, PayloadError
from enrichment_dagster.gateway.answers import answer, failed, refused, unavailable
from enrichment_dagster.gateway.body import read_body
from enrichment_dagster.gateway.deps import GatewayDeps
from enrichment_dagster.gateway.refusals import RefusalLog
from enrichment_dagster.intake.json_body import parse_json
from enrichment_dagster.ports import KeptBody

CALLBACK_PATH = "/callbacks/{provider}/{token}"

_LONGEST_TOKEN = 200
_STATUSES: Mapping[CallbackResult, int] = MappingProxyType(
    {
        CallbackResult.ACCEPTED: 200,
        CallbackResult.REPEATED: 200,  # a vendor that repeats must not go on for ever
        CallbackResult.STILL_PENDING: 202,
        CallbackResult.UNREADABLE: 400,
        CallbackResult.UNKNOWN: 404,
        CallbackResult.LATE: 410,
    }
)
_DETAILS: Mapping[CallbackResult, str] = MappingProxyType(
    {
        CallbackResult.UNKNOWN: "no answer is awaited here",
        CallbackResult.LATE: "the answer was awaited for too long and given up",
    }
)
_SENDER = "callbacks"  # in logs; the provider of a stranger's path would be a text of the stranger's choice

_log = structlog.get_logger(__name__)


class Callbacks:
    """The endpoint of all providers that call back."""

    def __init__(self, late: LateAnswers, deps: GatewayDeps) -> None:
        self._late = late
        self._deps = deps
        self._refusals = RefusalLog(deps.clock)

    async def handle(self, request: Request) -> Response:
        """Answer one call. 200 means that the answer is durable and the work that takes it up is made."""
        provider, token = request.path_params["provider"], request.path_params["token"]
        try:
            body = await read_body(request, self._deps.limits)
        except IntakeError as error:
            self._refusals.note(_SENDER, error.reason, error.detail)
            return refused(error)
        try:
            async with asyncio.timeout(self._deps.limits.commit_seconds):
                return await self._take(provider, token, body)
        except Exception:  # noqa: BLE001 - the provider must get a 503, and the operator the cause
            _log.exception("a late answer could not be stored")
            return unavailable("store_unavailable", "the answer")

    async def _take(self, provider: str, token: str, body: bytes) -> Response:
        if len(token) > _LONGEST_TOKEN:
            return self._answer(CallbackResult.UNKNOWN)
        # Before the body is looked at: what strangers send is not kept.
        closed = await self._late.standing(token, provider)
        if closed is not None:
            return self._answer(closed)
        try:
            delivery = await self._late.deliver(token, provider, parse_json(body))
        except PayloadError as error:
            delivery = Delivery(CallbackResult.UNREADABLE, error.reason)
        if delivery.result is CallbackResult.UNREADABLE:
            return await self._keep(provider, delivery.reason, body)
        return self._answer(delivery.result)

    async def _keep(self, provider: str, reason: str, body: bytes) -> Response:
        """Keep what can't be read; ``provider`` is a known one here: the token is its own."""
        source, detail = f"{_SENDER}/{provider}", "a late answer that can't be read"
        self._refusals.note(source, reason, detail)
        await self._deps.journal.keep(KeptBody(source[:60], reason, detail, body, self._deps.clock.now()))
        return failed(_STATUSES[CallbackResult.UNREADABLE], reason, detail, kept=1)

    def _answer(self, result: CallbackResult) -> Response:
        status = _STATUSES[result]
        if result in _DETAILS:
            self._refusals.note(_SENDER, str(result), _DETAILS[result])
            return failed(status, str(result), _DETAILS[result])
        return answer({"result": str(result)}, status)
