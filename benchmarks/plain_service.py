"""What one would write first: cache, Apollo, Clearbit for gaps, verification, CRM, one after the other in one handler.

The measure for ``POST /enrich``, not a part of the product. It keeps nothing on disk, notes no paid call before it is
made, knows no deadline, no budget and no second try, and it answers once everything has been done. It is not made
slow on purpose: same server, event loop and JSON library as the gateway's, and aiohttp without anything around it.

    python -m benchmarks.plain_service PORT
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_FRESH_SECONDS = 24 * 3_600.0
_GAPS = ("title", "phone")
"""Fields that are worth asking the second provider for."""

_HUBSPOT_NAMES = {"title": "jobtitle", "company": "company", "email_status": "email_verification_status"}


class PlainService:
    """The handler and what it needs."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._cache: dict[str, tuple[float, dict[str, Any]]] = {}
        self._http: aiohttp.ClientSession

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        """Keep one session with one pool."""
        unlimited = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=unlimited, json_serialize=_text) as session:
            self._http = session
            yield

    async def enrich(self, request: Request) -> Response:
        """Answer POST /enrich."""
        asked = orjson.loads(await request.body())
        email = asked["email"]
        stored_at, found = self._cache.get(email, (float("-inf"), {}))
        status = "cached"
        if time.monotonic() - stored_at >= _FRESH_SECONDS:
            status, found = "enriched", await self._from_providers(email)
            self._cache[email] = (time.monotonic(), found)
        await self._push(asked, found)
        return _json(200, {"status": status, "data": found})

    async def healthz(self, _request: Request) -> Response:
        """Say that the process is there."""
        return _json(200, {"status": "ok"})

    async def _from_providers(self, email: str) -> dict[str, Any]:
        found = await self._apollo(email)
        if any(not found.get(name) for name in _GAPS):
            found = {**await self._clearbit(email), **found}
        found["email_status"] = await self._verify(email)
        return found

    async def _apollo(self, email: str) -> dict[str, Any]:
        url = f"{self._environment['APOLLO_BASE_URL']}/api/v1/people/match"
        body = await self._json("POST", url, {"x-api-key": self._environment["APOLLO_API_KEY"]}, {"email": email})
        person = body.get("person") or {}
        company = person.get("organization") or {}
        return _present(
            title=person.get("title"),
            company=company.get("name"),
            industry=company.get("industry"),
            employees=company.get("estimated_num_employees"),
        )

    async def _clearbit(self, email: str) -> dict[str, Any]:
        url = f"{self._environment['CLEARBIT_BASE_URL']}/v2/combined/find"
        headers = {"authorization": f"Bearer {self._environment['CLEARBIT_API_KEY']}"}
        body = await self._json("GET", url, headers, params={"email": email})
        person, company = body.get("person") or {}, body.get("company") or {}
        return _present(
            title=(person.get("employment") or {}).get("title"),
            company=company.get("name"),
            industry=(company.get("category") or {}).get("industry"),
            employees=(company.get("metrics") or {}).get("employees"),
        )

    async def _verify(self, email: str) -> str:
        url = f"{self._environment['ZEROBOUNCE_BASE_URL']}/v2/validate"
        params = {"api_key": self._environment["ZEROBOUNCE_API_KEY"], "email": email, "ip_address": ""}
        return str((await self._json("GET", url, params=params)).get("status", ""))

    async def _push(self, asked: dict[str, Any], found: dict[str, Any]) -> None:
        if asked.get("source_system") != "hubspot" or not asked.get("source_id"):
            return
        url = f"{self._environment['HUBSPOT_BASE_URL']}/crm/v3/objects/contacts/{asked['source_id']}"
        headers = {"authorization": f"Bearer {self._environment['HUBSPOT_ACCESS_TOKEN']}"}
        named = {_HUBSPOT_NAMES[name]: str(value) for name, value in found.items() if name in _HUBSPOT_NAMES}
        await self._json("PATCH", url, headers, {"properties": named})

    async def _json(
        self,
        method: str,
        url: str,
        headers: dict[str, str] | None = None,
        body: dict[str, Any] | None = None,
        params: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        async with self._http.request(method, url, headers=headers, json=body, params=params) as answer:
            content = await answer.read()
            if answer.status == 404:  # not known
                return {}
            answer.raise_for_status()
            data: dict[str, Any] = orjson.loads(content)
            return data


def create_app(environment: dict[str, str]) -> Starlette:
    """Return the application; it finds the providers by the variables that the gateway uses too."""
    service = PlainService(environment)
    routes = [Route("/enrich", service.enrich, methods=["POST"]), Route("/healthz", service.healthz)]
    return Starlette(routes=routes, lifespan=service.lifespan)


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def _json(status: int, content: Any) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


def main() -> None:
    """Serve on a port of this machine."""
    app = create_app(dict(os.environ))
    port = int(sys.argv[1])
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        log_level="warning",
        timeout_keep_alive=75,
    )


if __name__ == "__main__":
    main()
