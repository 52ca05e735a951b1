"""What the CRMs send: signatures, retries, duplicates, pace."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from time import perf_counter

import orjson
import pytest
from aiohttp import web

from enrichment_dagster.sandbox.signing import build_hubspot_delivery, contact_creation, hubspot_signature_v3
from enrichment_dagster.sandbox.traffic import LeadTraffic, TrafficConfig

SECRET = "test-client-secret"


def test_signatures_equal_the_official_client(sample):
    vectors = sample("signature-vectors")["hubspot_v3"]
    assert len(vectors) == 3
    for vector in vectors:
        signature = hubspot_signature_v3(
            vector["client_secret"], vector["method"], vector["request_uri"], vector["body"].encode(),
            vector["timestamp_header"],
        )  # fmt: skip
        assert signature == vector["expected"], vector["name"]


def test_the_delivery_carries_its_signature(sample):
    vector = next(
        item for item in sample("signature-vectors")["hubspot_v3"] if item["name"] == "contact-creation-batch"
    )
    headers, body = build_hubspot_delivery(
        orjson.loads(vector["body"]), vector["client_secret"], vector["request_uri"], int(vector["timestamp_header"])
    )
    assert body.decode() == vector["body"]
    assert headers["X-HubSpot-Signature-v3"] == vector["expected"]
    assert headers["X-HubSpot-Request-Timestamp"] == vector["timestamp_header"]


def test_the_documented_characters_are_decoded_before_signing():
    plain = hubspot_signature_v3(SECRET, "POST", "https://x.com/a?b=c:d/e(f)&g=%20%26", b"", "1")
    encoded = hubspot_signature_v3(SECRET, "POST", "https://x.com/a?b=c%3Ad%2fe%28f%29&g=%20%26", b"", "1")
    assert plain == encoded
    assert plain != hubspot_signature_v3(SECRET, "POST", "https://x.com/a?b=c:d/e(f)&g= &", b"", "1")


def test_event_fields():
    event = contact_creation(1, 2, 3, attempt=4)
    assert (event["objectId"], event["eventId"], event["occurredAt"], event["attemptNumber"]) == (1, 2, 3, 4)


class Gateway:
    """Receives webhooks, checks the signature, and fails the first calls if told so."""

    def __init__(self) -> None:
        self.url = ""
        self.failing = 0
        self.calls: list[tuple[str, dict]] = []

    async def hubspot(self, request: web.Request) -> web.Response:
        body = await request.read()
        expected = hubspot_signature_v3(
            SECRET, "POST", f"{self.url}/hubspot", body, request.headers["X-HubSpot-Request-Timestamp"]
        )
        if request.headers["X-HubSpot-Signature-v3"] != expected:
            return web.Response(status=401)
        return self._answer("hubspot", orjson.loads(body)[0])

    async def flow(self, request: web.Request) -> web.Response:
        if request.headers["X-Enrichment-Secret"] != "shared":
            return web.Response(status=401)
        return self._answer("salesforce", orjson.loads(await request.read()))

    def _answer(self, system: str, body: dict) -> web.Response:
        self.calls.append((system, body))
        self.failing -= 1
        return web.Response(status=503 if self.failing >= 0 else 202)


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    receiver = Gateway()
    app = web.Application()
    app.router.add_post("/hubspot", receiver.hubspot)
    app.router.add_post("/flow", receiver.flow)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield receiver
    await runner.cleanup()


def traffic(sandbox, gateway, **settings):
    defaults = {
        "sandbox_url": sandbox.url,
        "hubspot_url": f"{gateway.url}/hubspot",
        "flow_url": f"{gateway.url}/flow",
        "hubspot_secret": SECRET,
        "flow_secret": "shared",
        "rate": 0.0,
        "hubspot_retry_seconds": (0.01, 0.01),
    }
    return LeadTraffic(TrafficConfig(**(defaults | settings)))


async def test_a_stream_of_both_systems(sandbox, gateway):
    sent = []
    summary = await traffic(sandbox, gateway, count=40, hubspot_share=0.5).run(sent.append)
    assert (summary.sent, summary.accepted, summary.failed) == (40, 40, [])
    assert Counter(lead.system for lead in sent) == Counter(system for system, _ in gateway.calls)
    assert {lead.person for lead in sent} == set(range(40))
    for lead in sent:
        store = getattr(sandbox.state, lead.system)
        assert sandbox.world.person(lead.person).email == lead.email
        assert lead.record_id in store.records
    assert {str(body["objectId"]) for system, body in gateway.calls if system == "hubspot"} == {
        lead.record_id for lead in sent if lead.system == "hubspot"
    }


async def test_duplicates_repeat_the_same_event(sandbox, gateway):
    summary = await traffic(sandbox, gateway, count=10, hubspot_share=1, duplicate_share=1).run()
    assert (summary.sent, summary.duplicates) == (20, 10)
    assert set(Counter(body["eventId"] for _, body in gateway.calls).values()) == {2}


async def test_hubspot_repeats_with_a_new_attempt_number(sandbox, gateway):
    gateway.failing = 2
    summary = await traffic(sandbox, gateway, count=1, hubspot_share=1).run()
    assert (summary.accepted, summary.retries) == (1, 2)
    assert [body["attemptNumber"] for _, body in gateway.calls] == [0, 1, 2]
    assert len({body["eventId"] for _, body in gateway.calls}) == 1


async def test_a_flow_callout_is_not_repeated(sandbox, gateway):
    gateway.failing = 1
    summary = await traffic(sandbox, gateway, count=1, hubspot_share=0).run()
    assert (summary.accepted, summary.retries, summary.failed[0].status) == (0, 0, 503)


async def test_a_dead_gateway_is_reported(sandbox, gateway):
    settings = {"hubspot_url": "http://127.0.0.1:9/", "count": 1, "hubspot_share": 1}
    summary = await traffic(sandbox, gateway, **settings).run()
    assert (summary.accepted, summary.retries, summary.failed[0].status) == (0, 2, 0)


async def test_the_pace_is_kept(sandbox, gateway):
    begun = perf_counter()
    await traffic(sandbox, gateway, count=11, rate=50).run()
    assert perf_counter() - begun >= 0.2


async def test_a_stream_can_be_left_early(sandbox, gateway):
    stream = traffic(sandbox, gateway, count=1000, rate=20).stream()
    async for _ in stream:
        break
    await stream.aclose()
    await asyncio.sleep(0)
    assert len(gateway.calls) < 100


def test_the_plan_depends_on_the_seed_only():
    config = TrafficConfig(sandbox_url="", count=200, rate=10, duplicate_share=0.2)
    plan = LeadTraffic(config).plan()
    assert plan == LeadTraffic(config).plan()
    assert sum(lead.hubspot for lead in plan) == pytest.approx(100, abs=25)
    assert sum(lead.duplicated for lead in plan) == pytest.approx(40, abs=20)
    assert plan[-1].due_seconds == pytest.approx(19.9)
