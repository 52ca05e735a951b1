"""Every lookup against the emulators: what they know of a person comes out in our fields."""

import asyncio

import pytest
from lookup_cases import by_field, every_lookup_but_waived
from support.loopback import loopback, reply
from support.remote import settings_for

from enrichment_dagster.errors import ProviderError
from enrichment_dagster.http import RemoteClients
from enrichment_dagster.ports import Answer, Pending, Query
from enrichment_dagster.providers.registry import build_lookups
from enrichment_dagster.sandbox import SandboxConfig, parse_plan, running_sandbox

NOWHERE = "http://127.0.0.1:9/callback"
BULK = ("apollo.person", "apollo.company", "zerobounce.verification", "people_data_labs.person")

every_bulk_lookup = pytest.mark.parametrize("name", BULK)


@pytest.fixture(scope="module")
def sandbox():
    with running_sandbox(SandboxConfig(people=200, companies=50)) as running:
        yield running


@pytest.fixture
def faults(sandbox):
    def use(pattern="*", **settings):
        sandbox.state.plan = parse_plan({"seed": 7, "endpoints": {pattern: {"latency": 0, **settings}}})

    use()
    return use


@pytest.fixture
async def lookups(sandbox, faults):
    async with RemoteClients() as clients:
        yield build_lookups(settings_for(sandbox.url, by_path=True), clients)


def query_of(person):
    return Query(
        email=person.email,
        domain=person.domain,
        first_name=person.first_name,
        last_name=person.last_name,
        company_name=person.company.name if person.company else None,
    )


@every_lookup_but_waived("the emulator answers it")
async def test_dana_is_known_to_all(sandbox, lookup, name):
    answer = await lookup.fetch(query_of(sandbox.world.all_people[0]), 3, NOWHERE)
    if lookup.calls_back:
        assert isinstance(answer, Pending)
    else:
        assert answer.is_hit
        assert set(by_field(answer)) <= lookup.gives


async def test_hits_and_misses_are_those_of_the_world(sandbox, lookups):
    for person in sandbox.world.all_people[:100]:
        apollo = await lookups["apollo.person"].fetch(query_of(person), 3)
        clearbit = await lookups["clearbit.combined"].fetch(query_of(person), 3)
        assert apollo.is_hit == person.apollo_knows
        company = sandbox.world.company_by_domain(person.domain)
        assert clearbit.is_hit == (person.clearbit_knows or bool(company and company.clearbit_knows))


@every_bulk_lookup
async def test_many_at_once_are_answered_as_one_by_one(sandbox, lookup, name):
    people = sandbox.world.all_people[: min(lookup.bulk_size, 40)]
    queries = [query_of(person) for person in people if lookup.subject(query_of(person))]
    together = await lookup.fetch_many(queries, 3)
    apart = [await lookup.fetch(query, 3) for query in queries]
    assert [by_field(answer) for answer in together] == [by_field(answer) for answer in apart]
    assert any(answer.is_hit for answer in together)


@pytest.mark.parametrize("name", ["apollo.executives", "apollo.contacts"])
async def test_people_of_a_company_are_people_of_the_world(sandbox, lookup, name):
    colleagues = {}
    for person in sandbox.world.all_people:
        colleagues.setdefault(person.domain, set()).add(f"{person.first_name} {person.last_name}")
    found = 0
    for domain in list(colleagues)[:40]:
        answer = await lookup.fetch(Query(domain=domain), 3)
        entries = by_field(answer).get(lookup.field, [])
        assert {entry["name"] for entry in entries} <= colleagues[domain]
        assert len(entries) <= answer.units <= lookup.max_units
        found += len(entries)
    assert found


async def test_news_are_the_same_with_and_without_the_organizations_id(sandbox, lookups):
    query = query_of(sandbox.world.all_people[0])
    ids = (await lookups["apollo.company"].fetch(query, 3)).ids
    found = await lookups["apollo.news"].fetch(query, 3)
    known = await lookups["apollo.news"].fetch(Query(domain=query.domain, ids=ids), 3)
    assert by_field(found) == by_field(known) != {}
    assert (found.units, known.units) == (2, 1)


async def test_an_address_that_is_found_is_the_persons(sandbox, lookups):
    lookup = lookups["hunter.email"]
    people = [person for person in sandbox.world.all_people[:100] if lookup.subject(query_of(person))]
    found = [(person.email, by_field(await lookup.fetch(query_of(person), 3)).get("email")) for person in people]
    assert {ours for _, ours in found} > {None}
    assert all(ours in (None, theirs) for theirs, ours in found)


async def _answer_of(phone, pending, query):
    async with asyncio.timeout(10):
        while isinstance(pending, Pending):
            pending = await phone.poll(pending.request_id, query, 3)
            await asyncio.sleep(0.05)
    return pending


@pytest.fixture
def quick_sandbox():
    with running_sandbox(SandboxConfig(people=20, companies=5, callback_delay_seconds=0.2)) as running:
        running.state.plan = parse_plan({"endpoints": {"*": {"latency": 0}}})
        yield running


async def test_a_phone_is_posted_and_polled_alike(quick_sandbox):
    """The emulator answers after a real fifth of a second: what is shown is that its callback can be read."""
    query, called = query_of(quick_sandbox.world.all_people[0]), asyncio.Event()

    async def take(writer):
        await reply(200, {})(writer)
        called.set()

    async with RemoteClients() as clients, loopback() as ours:
        ours.answer(take)
        phone = build_lookups(settings_for(quick_sandbox.url, by_path=True), clients)["apollo.phone"]
        pending = await phone.fetch(query, 3, f"{ours.url}/callbacks/token")
        assert isinstance(pending, Pending)
        async with asyncio.timeout(10):
            await called.wait()
        posted = phone.read_callback(ours.requests[0].json)
        polled = await _answer_of(phone, pending, query)
    assert isinstance(polled, Answer)
    assert by_field(posted) == by_field(polled)
    assert posted.request_id == polled.request_id == pending.request_id


@pytest.mark.parametrize(
    ("settings", "reasons"),
    [
        ({"error_rate": 1}, {"unavailable"}),
        ({"throttle_rate": 1, "retry_after_seconds": 3}, {"throttled"}),
        ({"malformed_rate": 1}, {"malformed"}),
        ({"huge_body_rate": 1}, {"too_large"}),
        ({"hang_rate": 1}, {"timeout"}),
    ],
)
@every_lookup_but_waived("the emulator answers it")
async def test_faults_are_named(sandbox, lookup, faults, settings, reasons, name):
    faults("*", **settings)
    with pytest.raises(ProviderError) as caught:
        await lookup.fetch(query_of(sandbox.world.all_people[0]), 0.5 if "hang_rate" in settings else 3, NOWHERE)
    assert caught.value.reason in reasons


@every_lookup_but_waived("the emulator answers it")
async def test_wrong_types_never_crash(sandbox, lookup, faults, name):
    faults("*", wrong_type_rate=1)
    people = [person for person in sandbox.world.all_people[:30] if lookup.subject(query_of(person))]
    for person in people:
        try:
            await lookup.fetch(query_of(person), 3, NOWHERE)
        except ProviderError as error:
            assert error.reason in {"malformed", "unauthorized"}  # noqa: PT017


@every_bulk_lookup
async def test_wrong_types_in_many_at_once_never_crash(sandbox, lookup, faults, name):
    faults("*", wrong_type_rate=1)
    queries = [query_of(person) for person in sandbox.world.all_people[: min(lookup.bulk_size, 30)]]
    for _ in range(5):
        try:
            results = await lookup.fetch_many(queries, 3)
        except ProviderError as error:
            assert error.reason in {"malformed", "unauthorized"}  # noqa: PT017
        else:
            assert len(results) == len(queries)
