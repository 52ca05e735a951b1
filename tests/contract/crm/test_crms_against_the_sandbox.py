"""Both CRMs against the emulators: what is written is what is read again, and nothing is written twice."""

import pytest
from support.remote import settings_for

from enrichment_dagster.clock import SystemClock
from enrichment_dagster.crm.mapper import ConfiguredMapper
from enrichment_dagster.crm.mapping import from_properties, plan_write, to_properties
from enrichment_dagster.crm.registry import build_crms
from enrichment_dagster.domain.config import CrmConfig
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.routing import RoutingDecision
from enrichment_dagster.http import RemoteClients
from enrichment_dagster.ports import CrmFailure, RecordUpdate
from enrichment_dagster.sandbox import SandboxConfig, parse_plan, running_sandbox

EMAIL = {"hubspot": "email", "salesforce": "Email"}
KIND = {"hubspot": "contact", "salesforce": "lead"}
VALUES = {
    "title": "VP Operations",
    "employees": 640,
    "annual_revenue": 120000000.0,
    "tech_stack": ("Salesforce", "HubSpot"),
    "linkedin_url": "https://www.linkedin.com/in/dana-reyes-example",
}

every_crm = pytest.mark.parametrize("system", KIND)


@pytest.fixture(scope="module")
def sandbox():
    with running_sandbox(
        SandboxConfig(people=20, companies=10, faults=parse_plan({"endpoints": {"*": {"latency": 0}}}))
    ) as s:
        yield s


@pytest.fixture
def settings(sandbox):
    sandbox.state.clear_crm()
    return settings_for(sandbox.url, by_path=True)


@pytest.fixture
async def crm(settings, system):
    async with RemoteClients() as clients:
        yield build_crms(settings, clients, SystemClock())[system]


@pytest.fixture
def config(settings, system):
    return settings.config.crm.object_config(system, KIND[system])


@pytest.fixture
def create(sandbox, system):
    store = getattr(sandbox.state, system)

    def new(email="dana.reyes@northwind-parts.com", **fields):
        return RecordRef(system, KIND[system], store.create({EMAIL[system]: email, **fields}).id)

    return new


@every_crm
async def test_what_is_written_is_read_again_and_not_written_twice(crm, config, create):
    ref = create()
    fill = to_properties(VALUES, config, crm.system)
    assign = {config.status.status: "Complete", config.status.missing_fields: "",
              config.status.enriched_at: "2026-09-21T12:53:25Z"}  # fmt: skip
    names = [*config.mapping.values(), *assign]
    before = (await crm.read([ref], names))[ref]
    plan = plan_write(before.properties, fill, assign)
    assert await crm.write([RecordUpdate(ref, plan.to_write)]) == {ref: None}
    after = (await crm.read([ref], names))[ref]
    again = plan_write(after.properties, fill, assign)
    assert not again.to_write
    assert set(again.kept.values()) == {"equal"}
    known = from_properties(after.properties, config)
    assert known["tech_stack"] == ["Salesforce", "HubSpot"]
    assert float(known["employees"]) == 640


@every_crm
async def test_one_bad_record_does_not_lose_the_others(crm, config, create):
    good, bad = create("a@b.example"), create("c@d.example")
    title = config.mapping["title"]
    results = await crm.write([RecordUpdate(good, {title: "CEO"}), RecordUpdate(bad, {"Nope__c": "x"})])
    assert results[good] is None
    assert results[bad].reason == "validation"
    assert (await crm.read([good], [title]))[good].properties[title] == "CEO"


@every_crm
async def test_a_score_is_a_number(crm, create):
    """Salesforce refuses a number that is sent as text, and the record's other values with it."""
    name = {"hubspot": "lead_score", "salesforce": "Lead_Score__c"}[crm.system]
    example = {"objects": {KIND[crm.system]: {"mapping": {"email": "email"}, "routing": {"score": name}}}}
    base_url = {} if crm.system == "hubspot" else {"base_url": "https://crm.example"}
    mapper = ConfiguredMapper(CrmConfig.model_validate({crm.system: {**base_url, **example}}))
    ref = create()
    told = mapper.routing(ref, RoutingDecision("enterprise", 75, "enterprise_team", ()))
    assert await crm.write([RecordUpdate(ref, told)]) == {ref: None}
    read = (await crm.read([ref], [name]))[ref]
    assert float(read.properties[name]) == 75


@every_crm
async def test_the_property_that_a_record_is_refused_for_is_named(crm, config, create):
    """So that a delivery can leave it out and write the rest."""
    title, city = config.mapping["title"], config.mapping["city"]
    for update in ({title: "x" * 70_000, city: "Rome"}, {"Nope__c": "x", city: "Rome"}):
        [failure] = (await crm.write([RecordUpdate(create(), update)])).values()
        assert (failure.reason, failure.properties) == ("validation", update.keys() - {city})
        assert "xxxx" not in failure.detail


@pytest.mark.parametrize("system", ["salesforce"])
@pytest.mark.parametrize(("name", "value"), [("Founded_Year__c", "1998"), ("Title", 1998)])
async def test_a_field_of_another_type_is_named_though_salesforce_tells_its_value_only(crm, create, name, value):
    [failure] = (await crm.write([RecordUpdate(create(), {name: value, "City": "Rome"})])).values()
    assert (failure.reason, failure.properties) == ("validation", {name})
    assert failure.detail == f"JSON_PARSER_ERROR: another type: {name}"


@every_crm
async def test_a_record_that_does_not_exist(crm, config, create):
    there = create()
    number = "99999999" if crm.system == "hubspot" else "00Q5g00000zzzzz"
    gone = RecordRef(crm.system, KIND[crm.system], number)
    read = await crm.read([there, gone], [EMAIL[crm.system]])
    assert isinstance(read[gone], CrmFailure)
    assert read[gone].reason == "not_found"
    assert not isinstance(read[there], CrmFailure)
    title = config.mapping["title"]
    wrote = await crm.write([RecordUpdate(there, {title: "x"}), RecordUpdate(gone, {title: "x"})])
    assert wrote[there] is None
    assert wrote[gone].reason == "not_found"


@every_crm
async def test_many_records(crm, create):
    refs = [create(f"p{n}@many.example") for n in range(450)]
    results = await crm.read(refs, [EMAIL[crm.system]])
    assert [results[ref].properties[EMAIL[crm.system]] for ref in refs] == [f"p{n}@many.example" for n in range(450)]


@pytest.mark.parametrize("system", ["salesforce"])
async def test_ended_sessions_are_renewed(crm, create, sandbox):
    ref = create()
    await crm.read([ref], ["Email"])
    assert sandbox.state.sessions.expire_all()
    assert not isinstance((await crm.read([ref], ["Email"]))[ref], CrmFailure)
