"""A visit that names only an id is of the person whom an earlier event named with that id."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from support.intake import ALL, FixedClock, MemoryJournal, asgi_call, sample

from enrichment_dagster.cli.signing import segment_headers
from enrichment_dagster.domain.event import Event, RecordRef
from enrichment_dagster.errors import StoreError
from enrichment_dagster.gateway.app import create_app
from enrichment_dagster.gateway.deps import GatewayDeps, Limits
from enrichment_dagster.gateway.visitors import KnownVisitors
from enrichment_dagster.intake.proof.segment import segment_signature
from enrichment_dagster.intake.segment import Segment
from enrichment_dagster.ports import Visitor

SECRET = "segment-secret"
DANA = "dana.reyes@northwind-parts.com"
PERSON = RecordRef("person", "email", DANA)


class MemoryVisitors:
    """ports.VisitorStore in memory; counts its calls."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], str] = {}
        self.writes = self.reads = 0
        self.failure: Exception | None = None

    async def remember(self, visitors: Sequence[Visitor]) -> None:
        self.writes += 1
        if self.failure is not None:
            raise self.failure
        self.known.update({(one.source, one.visitor): one.email for one in visitors})

    async def emails(self, source: str, visitors: Sequence[str]) -> Mapping[str, str]:
        self.reads += 1
        return {one: self.known[source, one] for one in visitors if (source, one) in self.known}


class Site:
    """A website whose visits come in."""

    def __init__(self) -> None:
        self.store, self.journal = MemoryVisitors(), MemoryJournal()
        self.messages = 0
        sender = Segment(segment_signature((SECRET.encode(),)), ALL)
        visitors = KnownVisitors(self.store, ALL)
        self.app = create_app(GatewayDeps([sender], self.journal, FixedClock(), Limits(100_000), visitors=visitors))

    def call(self, **changes: Any) -> dict[str, Any]:
        self.messages += 1
        plain = {**json.loads(sample("segment-track.json")), "context": {"page": {"path": "/pricing"}}}
        return {**plain, "messageId": f"m{self.messages}", **changes}

    async def post(self, *calls: dict[str, Any]) -> tuple[int, list[Event]]:
        body = json.dumps(list(calls), separators=(",", ":")).encode()
        headers = {name.lower(): value for name, value in segment_headers(SECRET, body).items()}
        before = len(self.journal.events)
        status, _, _ = await asgi_call(self.app, "/webhooks/segment", body, headers)
        return status, list(self.journal.events.values())[before:]


@pytest.fixture
def site() -> Site:
    return Site()


async def test_after_identify_visits_of_the_user_are_known(site: Site) -> None:
    await site.post(site.call(type="identify", userId="u1", traits={"email": DANA}))
    _, (visit,) = await site.post(site.call(userId="u1", anonymousId="another browser"))
    assert (visit.subject, visit.skip_reason, visit.attributes["email"]) == (PERSON, "", DANA)


async def test_so_are_visits_of_the_browser_before_the_user_logs_in(site: Site) -> None:
    await site.post(site.call(type="identify", userId="u1", anonymousId="b1", traits={"email": DANA}))
    _, (visit,) = await site.post(site.call(userId=None, anonymousId="b1"))
    assert visit.subject == PERSON


async def test_who_is_named_in_a_delivery_is_known_in_all_of_it(site: Site) -> None:
    calls = site.call(userId="u1"), site.call(type="identify", userId="u1", traits={"email": DANA})
    _, (visit, _) = await site.post(*calls)
    assert visit.skip_reason == ""


async def test_strangers_stay_anonymous_and_pages_are_judged_all_the_same(site: Site) -> None:
    await site.post(site.call(type="identify", userId="u1", traits={"email": DANA}))
    stranger, blog = (
        site.call(userId="u2", anonymousId="b2"),
        site.call(userId="u1", context={"page": {"path": "/blog"}}),
    )
    _, visits = await site.post(stranger, blog)
    assert [visit.skip_reason for visit in visits] == ["anonymous_visitor", "page_not_configured"]


async def test_a_recognised_visit_is_the_same_event(site: Site) -> None:
    visit = site.call(userId="u1")
    _, (first,) = await site.post(visit)
    await site.post(site.call(type="identify", userId="u1", traits={"email": DANA}))
    _, again = await site.post(visit)
    assert first.skip_reason == "anonymous_visitor"
    assert again == []


async def test_who_clicks_through_the_site_is_not_written_at_each_page(site: Site) -> None:
    named = {"page": {"path": "/pricing"}, "traits": {"email": DANA}}
    for _ in range(5):
        await site.post(site.call(userId="u1", context=named))
    assert (site.store.writes, site.store.reads) == (1, 0)


async def test_what_cannot_be_remembered_has_to_come_again(site: Site) -> None:
    site.store.failure = StoreError("disk full")
    call = site.call(type="identify", userId="u1", traits={"email": DANA})
    status, events = await site.post(call)
    assert (status, events) == (503, [])
    site.store.failure = None
    status, events = await site.post(call)
    assert (status, len(events), len(site.store.known)) == (200, 1, 2)
