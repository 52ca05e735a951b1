"""A made-up vendor that names a company's competitors, for providers that are declared and not programmed.

GET /competitors/v1/companies/{domain}/competitors, header X-Api-Key. Competitors are the companies of the same industry
that are closest in size; similarity is from 0 to 1.
"""

from collections import defaultdict
from math import log

import orjson

from enrichment_dagster.sandbox.chance import hex_id
from enrichment_dagster.sandbox.config import SandboxConfig
from enrichment_dagster.sandbox.subjects import Company
from enrichment_dagster.sandbox.wire import Endpoint, Request, Response, json_response, key_of, retry_after
from enrichment_dagster.sandbox.world import World

MOST_NAMED = 5


class Competitors:
    """Answers from the industries of the world."""

    def __init__(self, config: SandboxConfig, world: World) -> None:
        self._config = config
        self._world = world
        self._industries: defaultdict[str, list[Company]] = defaultdict(list)
        for company in world.all_companies:
            self._industries[company.industry.apollo].append(company)
        self._ready: dict[int, bytes] = {}

    def routes(self) -> dict[tuple[str, str], Endpoint]:
        """Method and path of each call."""
        endpoint = Endpoint("competitors.company_competitors", self.named, _subject, key_of, _error, _throttled)
        return {("GET", "/competitors/v1/companies/*/competitors"): endpoint}

    def named(self, request: Request) -> Response:
        """GET companies/{domain}/competitors."""
        if not self._config.accepts_key(key_of(request)):
            return json_response(401, {"error": "unauthorized"})
        company = self._world.company_by_domain(request.tail)
        if company is None or not self._world.coverage.competitors_known(company):
            return json_response(404, {"request_id": hex_id("competitors", request.tail), "error": "unknown company"})
        ready = self._ready.get(company.index)
        if ready is None:
            ready = self._ready[company.index] = orjson.dumps(self._body(company))
        return Response(200, ready, billed=(company.domain,))

    def _body(self, company: Company) -> dict[str, object]:
        others = [other for other in self._industries[company.industry.apollo] if other is not company]
        others.sort(key=lambda other: -_similarity(company, other))
        return {
            "request_id": hex_id("competitors", company.domain),
            "data": [
                {"name": other.name, "domain": other.domain, "similarity": _similarity(company, other)}
                for other in others[:MOST_NAMED]
            ],
        }


def _similarity(one: Company, other: Company) -> float:
    """Half for the same industry, the rest for being alike in size."""
    return round(0.5 + 0.5 / (1 + abs(log(one.employees) - log(other.employees))), 2)


def _subject(request: Request) -> tuple[str, ...]:
    return (request.tail.lower(),)


def _error(status: int) -> Response:
    return json_response(status, {"error": "the request could not be processed"})


def _throttled(_name: str, seconds: float) -> Response:
    return json_response(429, {"error": "too many requests"}, retry_after(seconds))
