"""Is the process alive, is it ready, what is it: answers for supervisors and people."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from enrichment_dagster.gateway.answers import answer
from enrichment_dagster.gateway.deps import GatewayDeps, Health, HealthCheck


class Status:
    """The endpoints that are no webhooks."""

    def __init__(self, deps: GatewayDeps) -> None:
        self._deps = deps

    async def index(self, _request: Request) -> Response:
        """Say what is served here."""
        webhooks = {sender.name: sender.path for sender in self._deps.senders}
        served = {"service": "enrichment-dagster gateway", "webhooks": webhooks, "status": ["/healthz", "/readyz"]}
        api = {"api": ["/enrich", "/events/{event_id}", "/openapi.json"]} if self._deps.enrich else {}
        return answer({**served, **api})

    async def healthz(self, _request: Request) -> Response:
        """Answer: the process and its event loop live."""
        return answer({"alive": True})

    async def readyz(self, _request: Request) -> Response:
        """Say whether events can be taken, and if not, why."""
        found = {"senders": self._senders(), **await self._run_checks()}
        reasons = [f"{name}: {health.detail}" for name, health in found.items() if not health.ok]
        checks = {name: {"ok": health.ok, "detail": health.detail} for name, health in found.items()}
        return answer({"ready": not reasons, "reasons": reasons, "checks": checks}, 503 if reasons else 200)

    def _senders(self) -> Health:
        names = ", ".join(sender.name for sender in self._deps.senders)
        return Health(bool(names), names or "none is configured, see intake in enrichment.yaml")

    async def _run_checks(self) -> dict[str, Health]:
        names = list(self._deps.checks)
        results = await asyncio.gather(*(self._run(self._deps.checks[name]) for name in names))
        return dict(zip(names, results, strict=True))

    async def _run(self, check: HealthCheck) -> Health:
        seconds = self._deps.limits.check_seconds
        try:
            async with asyncio.timeout(seconds):
                return await check()
        except TimeoutError:
            return Health(False, f"no answer within {seconds:g} s")
        except Exception as error:  # noqa: BLE001 - whatever a check raises is its verdict
            return Health(False, type(error).__name__)
