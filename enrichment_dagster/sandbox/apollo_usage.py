"""Apollo: usage_stats/credit_usage_stats, for master keys only. A key that begins with `sandbox-limited` is none.

Shape: Apollo OpenAPI. What was consumed is what the sandbox has counted since its counters were reset.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from enrichment_dagster.sandbox.apollo_phone import CALLBACK, CREDITS
from enrichment_dagster.sandbox.apollo_wire import PREFIX, ApolloAccount, rate_headers
from enrichment_dagster.sandbox.counters import Counters
from enrichment_dagster.sandbox.wire import Endpoint, Request, Response, json_response, key_of

LEAD_CREDITS = 10_000
DIRECT_DIAL_CREDITS = 1000
_PATH = "usage_stats/credit_usage_stats"
_LEAD_CALLS = tuple(
    f"apollo.{name}"
    for name in ("people_match", "people_bulk_match", "organization_enrich", "organization_bulk_enrich", "news_search")
)


class ApolloUsage:
    """Says how many credits are gone."""

    def __init__(self, account: ApolloAccount, counters: Counters) -> None:
        self._account = account
        self._counters = counters

    def routes(self) -> dict[tuple[str, str], Endpoint]:
        """Method and path of each call."""
        return {("POST", PREFIX + _PATH): self._account.endpoint("credit_usage", _PATH, self.credit_usage)}

    def credit_usage(self, request: Request) -> Response:
        """POST usage_stats/credit_usage_stats; the cycle is the calendar month."""
        if key_of(request).startswith("sandbox-limited"):
            text = f"api/v1/{_PATH} is not accessible with this api_key"
            return json_response(403, {"error": text, "error_code": "API_INACCESSIBLE"})
        first = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        answer = {
            "credit_usage_stats": {
                "lead_credit": _stats(LEAD_CREDITS, sum(map(self._counters.billed, _LEAD_CALLS))),
                "direct_dial_credit": _stats(DIRECT_DIAL_CREDITS, CREDITS * self._counters.billed(CALLBACK)),
            },
            "current_credit_cycle": {
                "start_date": _moment(first),
                "end_date": _moment((first + timedelta(days=32)).replace(day=1)),
            },
        }
        return Response(200, orjson.dumps(answer), rate_headers(request))


def _stats(limit: int, consumed: int) -> dict[str, Any]:
    return {"limit": limit, "consumed": consumed, "left_over": max(0, limit - consumed)}


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"
