"""Apollo's phone numbers: asked for in people/match, delivered later by webhook, kept for webhook_result.

Shapes and errors: Apollo OpenAPI. The webhook is unsigned and may come more than once. What it says when nobody or no
number was found is not documented: here it succeeds with nothing in it. A number costs eight credits, nothing found
none.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from time import monotonic
from typing import Any

import orjson

from enrichment_dagster.sandbox.apollo_wire import PREFIX, ApolloAccount, rate_headers
from enrichment_dagster.sandbox.callbacks import Callbacks, host_of, is_loopback
from enrichment_dagster.sandbox.chance import hex_id, number
from enrichment_dagster.sandbox.config import SandboxConfig
from enrichment_dagster.sandbox.counters import Counters
from enrichment_dagster.sandbox.subjects import Person
from enrichment_dagster.sandbox.wire import Endpoint, Request, Response, json_response
from enrichment_dagster.sandbox.world import World

CALLBACK = "apollo.phone"
CREDITS = 8
MOST_KEPT = 50_000
_PATH = "webhook_result/"


@dataclass(slots=True)
class _Order:
    """A phone that was asked for; `ready_at` by the clock of the orders."""

    request_id: int
    person: Person | None
    ready_at: float
    billed: bool = False


class ApolloPhones:
    """Takes orders for phones, calls back, and answers GET webhook_result/{request_id}."""

    def __init__(
        self, config: SandboxConfig, world: World, account: ApolloAccount, callbacks: Callbacks, counters: Counters,
        now: Callable[[], float] = monotonic,
    ) -> None:  # fmt: skip
        self._config = config
        self._world = world
        self._account = account
        self._callbacks = callbacks
        self._counters = counters
        self._now = now
        self._orders: dict[int, _Order] = {}
        self._repeats: Counter[str] = Counter()

    def routes(self) -> dict[tuple[str, str], Endpoint]:
        """Method and path of each call."""
        endpoint = self._account.endpoint("webhook_result", _PATH, self.result, lambda request: (request.tail,))
        return {("GET", PREFIX + _PATH): endpoint}

    def problem(self, given: dict[str, Any]) -> str | None:
        """Why no phone can be ordered with these inputs. Apollo wants https; here the loopback may do without."""
        url = given.get("webhook_url")
        if not url:
            return "Please add a valid 'webhook_url' parameter when using 'reveal_phone_number'."
        scheme, host = host_of(url)
        if (scheme == "https" and host) or is_loopback(url):
            return None
        return "The 'webhook_url' must be an https URL."

    def order(self, given: dict[str, Any], person: Person | None) -> int:
        """Order the phone of a person (None: of nobody whom Apollo knows); returns the request id."""
        inputs = repr(sorted(given.items()))
        self._repeats[inputs] += 1
        request_id = number("phone", self._config.seed, inputs, self._repeats[inputs]) - 2**63
        delay = self._config.callback_delay_seconds
        order = self._orders[request_id] = _Order(request_id, person, self._now() + delay)
        while len(self._orders) > MOST_KEPT:
            del self._orders[next(iter(self._orders))]
        delays = [delay * (1 + again) for again in range(1 + self._config.callback_repeats)]
        self._callbacks.post(CALLBACK, str(given["webhook_url"]), lambda: self._body(order), delays, {})
        return request_id

    def result(self, request: Request) -> Response:
        """GET webhook_result/{request_id}: 404 while it is not ready, 410 once it is too old."""
        headers = rate_headers(request)
        text = request.tail
        if not text.removeprefix("-").isdecimal():
            return json_response(400, {"error_code": "invalid_request_id"})
        order = self._orders.get(int(text))
        if order is None:
            return json_response(404, {"error_code": "request_id_unknown"})
        wait = order.ready_at - self._now()
        if wait > 0:
            return json_response(404, {"error_code": "result_pending", "retry_after_seconds": max(1, ceil(wait))})
        if -wait > self._config.phone_result_seconds:
            return json_response(410, {"error_code": "request_id_expired"})
        return Response(200, self._body(order), headers)

    def _body(self, order: _Order) -> bytes:
        phone = self._world.coverage.mobile(order.person) if order.person else None
        found = 1 if phone else 0
        if order.person and phone and not order.billed:
            order.billed = True
            self._counters.bill(CALLBACK, (order.person.email,))
        people = [] if order.person is None else [_entry(order.person, phone)]
        return orjson.dumps({
            "request_id": str(order.request_id),
            "webhook_status": "success",
            "request_type": "phone",
            "last_dispatched_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "failure_reason": None,
            "webhook_result": {
                "status": "success",
                "total_requested_enrichments": 1,
                "unique_enriched_records": found,
                "missing_records": 1 - found,
                "credits_consumed": CREDITS * found,
                "people": people,
            },
        })  # fmt: skip


def _entry(person: Person, phone: str | None) -> dict[str, Any]:
    if phone is None:
        return {"id": person.key, "status": "success", "phone_numbers": []}
    return {
        "id": person.key,
        "status": "success",
        "phone_numbers": [
            {
                "_id": hex_id("phone", person.key),
                "confidence_cd": "high",
                "dnc_status_cd": "not_found",
                "position": 0,
                "raw_number": phone,
                "sanitized_number": "".join(sign for sign in phone if sign.isdigit() or sign == "+"),
                "status_cd": "valid_number",
                "type_cd": "mobile",
            }
        ],
    }
