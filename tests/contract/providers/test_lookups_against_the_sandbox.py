"""Every lookup against the emulators: what they know of a person comes out in our fields."""

import pytest
from support.remote import settings_for

from enrichment_dagster.errors import ProviderError
from enrichment_dagster.http import RemoteClients
from enrichment_dagster.ports import Query
from enrichment_dagster.providers.registry import build_lookups
from enrichment_dagster.sandbox import SandboxConfig, parse_plan, running_sandbox


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
    return Query(email=person.email, domain=person.domain)


async def test_dana_is_known_to_all(sandbox, lookups):
    query = query_of(sandbox.world.all_people[0])
    for lookup in lookups.values():
        assert (await lookup.fetch(query, 3)).is_hit, lookup.name


async def test_hits_and_misses_are_those_of_the_world(sandbox, lookups):
    for person in sandbox.world.all_people[:100]:
        apollo = await lookups["apollo.person"].fetch(query_of(person), 3)
        clearbit = await lookups["clearbit.combined"].fetch(query_of(person), 3)
        assert apollo.is_hit == person.apollo_knows
        company = sandbox.world.company_by_domain(person.domain)
        assert clearbit.is_hit == (person.clearbit_knows or bool(company and company.clearbit_knows))


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
async def test_faults_are_named(sandbox, lookups, faults, settings, reasons):
    faults("*", **settings)
    for lookup in lookups.values():
        with pytest.raises(ProviderError) as caught:
            await lookup.fetch(query_of(sandbox.world.all_people[0]), 0.3)
        assert caught.value.reason in reasons


async def test_wrong_types_never_crash(sandbox, lookups, faults):
    faults("*", wrong_type_rate=1)
    for person in sandbox.world.all_people[:30]:
        for lookup in lookups.values():
            try:
                await lookup.fetch(query_of(person), 3)
            except ProviderError as error:
                assert error.reason in {"malformed", "unauthorized"}  # noqa: PT017
