"""Declared, written by a model, answered later: the lookups that are unlike the others, against the emulators."""

import asyncio

import pytest
from support.loopback import loopback, reply
from support.one_provider import assert_shows_nothing, by_field, with_provider

from enrichment_dagster.domain.normalise import normalise
from enrichment_dagster.errors import ProviderError
from enrichment_dagster.http import RemoteClients
from enrichment_dagster.ports import Pending, Query
from enrichment_dagster.providers.registry import build_lookups
from enrichment_dagster.sandbox import SandboxConfig, parse_plan, running_sandbox

PLACES = {"competitors": "competitors", "ai": "openai/v1", "clay": "clay/v1/webhook/leads"}


@pytest.fixture(scope="module")
def sandbox():
    with running_sandbox(SandboxConfig(people=200, companies=50, callback_delay_seconds=0.01)) as running:
        yield running


@pytest.fixture
def faults(sandbox):
    def use(pattern="*", **settings):
        sandbox.state.plan = parse_plan({"seed": 7, "endpoints": {pattern: {"latency": 0, **settings}}})

    use()
    return use


@pytest.fixture
async def lookup_of(sandbox, faults):
    async with RemoteClients() as clients:

        def build(provider):
            settings = with_provider(provider, f"{sandbox.url}/{PLACES[provider]}")
            [lookup] = build_lookups(settings, clients).values()
            return lookup

        yield build


def query_of(person):
    company = person.company
    known = {"company_name": company.name, "industry": company.industry.apollo, "employees": company.employees}
    return Query(
        email=person.email, domain=person.domain, company_name=company.name,
        first_name=person.first_name, last_name=person.last_name, known=known,
    )  # fmt: skip


def employees_of_companies(sandbox):
    return [person for person in sandbox.world.all_people[:100] if person.company]


async def test_competitors_are_those_of_the_world(sandbox, lookup_of):
    lookup, hits = lookup_of("competitors"), 0
    names = {company.name for company in sandbox.world.all_companies}
    for person in employees_of_companies(sandbox):
        answer = await lookup.fetch(query_of(person), 3)
        assert answer.http_status == (200 if sandbox.world.coverage.competitors_known(person.company) else 404)
        assert set(by_field(answer).get("competitors", ())) <= names - {person.company.name}
        hits += answer.is_hit
    assert 0 < hits < len(employees_of_companies(sandbox))


async def test_research_cites_what_it_was_given(sandbox, lookup_of):
    query = query_of(sandbox.world.all_people[0])
    found = by_field(await lookup_of("ai").fetch(query, 3))
    assert found["research_sources"] == ["company_name", "industry", "employees"]
    assert str(query.known["employees"]) in found["research_summary"]
    assert all(normalise(field, value) for field, value in found.items())


@pytest.mark.parametrize(
    ("fault", "reason"), [({"invented_citation_rate": 1.0}, "uncited"), ({"prose_rate": 1.0}, "malformed")]
)
async def test_a_model_that_invents_or_chats_is_refused(sandbox, lookup_of, faults, fault, reason):
    faults("openai.chat_completions", **fault)
    with pytest.raises(ProviderError) as caught:
        await lookup_of("ai").fetch(query_of(sandbox.world.all_people[0]), 3)
    assert (caught.value.reason, caught.value.transient) == (reason, False)


@pytest.mark.parametrize("known", [True, False])
async def test_a_clay_table_calls_back_with_what_it_found(sandbox, lookup_of, known):
    clay_knows = sandbox.world.coverage.clay_knows
    person = next(person for person in employees_of_companies(sandbox) if clay_knows(person) is known)
    lookup, arrived = lookup_of("clay"), asyncio.Event()
    async with loopback() as gateway:

        async def take(writer):
            arrived.set()
            await reply(200)(writer)

        gateway.answer(take)
        assert isinstance(await lookup.fetch(query_of(person), 3, f"{gateway.url}/callbacks/clay/t0k3n"), Pending)
        await asyncio.wait_for(arrived.wait(), 10)
    [seen] = gateway.requests
    answer = lookup.read_callback(seen.json)
    assert seen.path == "/callbacks/clay/t0k3n"
    assert answer.is_hit is known
    assert set(by_field(answer)) == (lookup.gives if known else set())


@pytest.mark.parametrize(
    ("settings", "reasons"),
    [
        ({"error_rate": 1}, {"server_error", "unavailable"}),
        ({"throttle_rate": 1}, {"throttled"}),
        ({"hang_rate": 1}, {"timeout"}),
    ],
)
@pytest.mark.parametrize("provider", PLACES)
async def test_faults_are_named(sandbox, lookup_of, faults, provider, settings, reasons):
    faults(**settings)
    with pytest.raises(ProviderError) as caught:
        await lookup_of(provider).fetch(query_of(sandbox.world.all_people[0]), 0.2, "http://127.0.0.1:1/callback")
    assert caught.value.reason in reasons
    assert_shows_nothing(caught.value)
