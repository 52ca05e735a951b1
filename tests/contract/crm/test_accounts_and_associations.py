"""Every kind of record of both CRMs against the emulators: found, read with its company, written, linked anew."""

import pytest
from support.remote import settings_for

from enrichment_dagster.clock import SystemClock
from enrichment_dagster.crm.mapper import ConfiguredMapper
from enrichment_dagster.crm.mapping import plan_write
from enrichment_dagster.crm.registry import build_crms
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.http import RemoteClients
from enrichment_dagster.ports import CrmRecord, RecordUpdate
from enrichment_dagster.sandbox import SandboxConfig, parse_plan, running_sandbox

KINDS = [
    ("hubspot", "contact"), ("hubspot", "company"), ("hubspot", "deal"),
    ("salesforce", "lead"), ("salesforce", "contact"), ("salesforce", "account"), ("salesforce", "opportunity"),
]  # fmt: skip
LINKED = [("hubspot", "contact"), ("hubspot", "deal"), ("salesforce", "contact"), ("salesforce", "opportunity")]
OF_COMPANY = {
    "company_name": "Northwind Parts", "employees": 640, "annual_revenue": 120000000.0, "industry": "Robots",
    "tech_stack": ("HubSpot", "Salesforce"), "founded_year": 2009, "employee_growth": 0.12,
}  # fmt: skip
OF_DEAL = {
    "executives": ({"name": "Dana Reyes", "title": "VP"},),
    "news": ({"title": "Expands", "url": "https://n.example/1"},),
    "competitors": ("Fabrikam", "Contoso"),
}
VALUES = {
    "company": OF_COMPANY, "account": OF_COMPANY, "deal": OF_DEAL, "opportunity": OF_DEAL,
    "contact": {"title": "VP Operations"}, "lead": {"title": "VP Operations"},
}  # fmt: skip


@pytest.fixture(scope="module")
def sandbox():
    plan = parse_plan({"endpoints": {"*": {"latency": 0}}})
    with running_sandbox(SandboxConfig(people=40, companies=12, faults=plan, searches_per_second=1_000)) as running:
        yield running


@pytest.fixture
def settings(sandbox):
    sandbox.state.clear_crm()
    return settings_for(sandbox.url, by_path=True)


@pytest.fixture
def mapper(settings):
    return ConfiguredMapper(settings.config.crm)


@pytest.fixture
async def crm(settings, system):
    async with RemoteClients() as clients:
        yield build_crms(settings, clients, SystemClock())[system]


@pytest.fixture
def company(sandbox):
    """The record of a company of the world."""

    def company(system, index=0):
        kind = "company" if system == "hubspot" else "account"
        return RecordRef(system, kind, sandbox.state.accounts.companies[system, index])

    return company


@pytest.fixture
def a_record(sandbox, company):
    """A record of a kind, of the first person and company of the world."""
    state = sandbox.state

    def make(system, kind, **fields):
        if kind in {"company", "account"}:
            return company(system)
        if kind in {"deal", "opportunity"}:
            return RecordRef(system, kind, state.accounts.deals[system, 0])
        email = "email" if system == "hubspot" else "Email"
        linked = {"AccountId": company(system).record_id} if (system, kind) == ("salesforce", "contact") else {}
        made = state.stores[system, kind].create({email: state.world.person(0).email, **linked, **fields})
        if system == "hubspot":
            state.links.put("contact", made.id, company(system).record_id)
        return RecordRef(system, kind, made.id)

    return make


@pytest.mark.parametrize(("system", "kind"), KINDS)
async def test_every_kind_is_filled_once_by_the_shipped_mapping(crm, mapper, a_record, system, kind):
    ref = a_record(system, kind)
    fill = mapper.fill(ref, VALUES[kind])
    assert len(fill) == len(VALUES[kind]), "the mapping has no place for some of it"
    before = (await crm.read([ref], list(fill)))[ref]
    owed = plan_write(before.properties, fill, {}).to_write
    assert owed, "nothing to write"
    assert await crm.write([RecordUpdate(ref, owed)]) == {ref: None}
    after = (await crm.read([ref], list(fill)))[ref]
    assert not plan_write(after.properties, fill, {}).to_write


@pytest.mark.parametrize(("system", "kind"), LINKED)
async def test_a_record_is_read_with_its_company(crm, mapper, a_record, company, system, kind):
    ref = a_record(system, kind)
    record = (await crm.read([ref], [mapper.link(ref)]))[ref]
    assert mapper.company(ref, record.properties[mapper.link(ref)]) == company(system)


@pytest.mark.parametrize(("system", "kind"), LINKED)
async def test_a_record_moves_to_another_company_once(crm, mapper, a_record, company, sandbox, system, kind):
    ref, new = a_record(system, kind), company(system, 5)
    link = mapper.link(ref)
    update = RecordUpdate(ref, {link: new.record_id})
    assert await crm.write([update]) == {ref: None}
    assert (await crm.read([ref], [link]))[ref].properties[link] == new.record_id
    assert await crm.write([update]) == {ref: None}
    changes = [write for write in sandbox.state.writes.as_data() if write["old"] != write["new"]]
    assert [(write["kind"], write["id"], write["new"]) for write in changes] == [(kind, ref.record_id, new.record_id)]


@pytest.mark.parametrize("system", ["hubspot"])
async def test_fields_and_the_company_are_written_together(crm, mapper, a_record, company, system):
    ref, gone = a_record(system, "contact"), RecordRef(system, "contact", "404")
    link = mapper.link(ref)
    both = {"jobtitle": "CEO", link: company(system, 3).record_id}
    results = await crm.write([RecordUpdate(ref, both), RecordUpdate(gone, both)])
    assert (results[ref], results[gone].reason) == (None, "not_found")
    record = (await crm.read([ref], ["jobtitle", link]))[ref]
    assert (record.properties["jobtitle"], record.properties[link]) == ("CEO", company(system, 3).record_id)
    [failure] = (await crm.write([RecordUpdate(ref, {link: "1"})])).values()
    assert (failure.reason, failure.transient) == ("not_found", False)


@pytest.mark.parametrize("system", ["hubspot"])
async def test_a_contact_without_a_company_has_none(crm, mapper, sandbox, system):
    ref = RecordRef(system, "contact", sandbox.state.hubspot.create({"email": "alone@a.example"}).id)
    record = (await crm.read([ref], ["email", mapper.link(ref)]))[ref]
    assert isinstance(record, CrmRecord)
    assert mapper.company(ref, record.properties[mapper.link(ref)]) is None


PERSON, ACCOUNT = "dana.reyes@northwind-parts.com", "northwind-parts.com"


@pytest.mark.parametrize(
    ("system", "subject", "kind"),
    [
        ("hubspot", RecordRef("person", "email", PERSON), "contact"),
        ("hubspot", RecordRef("person", "email", PERSON.upper()), "contact"),
        ("hubspot", RecordRef("person", "phone", "+14155550132"), "contact"),
        ("hubspot", RecordRef("account", "domain", ACCOUNT), "company"),
        ("salesforce", RecordRef("person", "email", PERSON), "contact"),
        ("salesforce", RecordRef("person", "email", PERSON.upper()), "contact"),
        ("salesforce", RecordRef("person", "phone", "+14155550132"), "contact"),
        ("salesforce", RecordRef("account", "domain", ACCOUNT), "account"),
    ],
)
@pytest.mark.parametrize("phone", ["+1 415-555-0132", "(415) 555-0132"])
async def test_people_and_accounts_are_found_among_others(crm, mapper, a_record, sandbox, system, subject, kind, phone):
    number = {"phone": phone} if system == "hubspot" else {"MobilePhone": phone}
    wanted = a_record(system, kind, **number)
    for person in sandbox.state.world.all_people[1:20]:
        name = "email" if system == "hubspot" else "Email"
        sandbox.state.stores[system, "contact"].create({name: person.email})
    search = mapper.searches(system, subject)[0]
    names = [*mapper.properties(wanted), *([mapper.link(wanted)] if mapper.link(wanted) else [])]
    found = await crm.find(search, [subject.record_id, "nobody@nowhere.example", "+4930231250000"], names)
    assert {value: [record.ref for record in records] for value, records in found.items()} == {
        subject.record_id: [wanted]
    }
    assert set(names) <= set(found[subject.record_id][0].properties)


@pytest.mark.parametrize("system", ["salesforce"])
async def test_a_lead_is_found_unless_it_was_converted_and_the_last_changed_first(crm, mapper, sandbox, system):
    leads = sandbox.state.salesforce
    old, new, _ = (leads.create({"Email": PERSON, "IsConverted": number == 2}) for number in range(3))
    leads.update(old, {"Title": "changed last"})
    search = mapper.searches(system, RecordRef("person", "email", PERSON))[1]
    found = await crm.find(search, [PERSON], ["Title"])
    assert [record.ref.record_id for record in found[PERSON]] == [old.id, new.id]


@pytest.mark.parametrize("system", ["hubspot", "salesforce"])
async def test_many_are_found_in_few_calls(crm, mapper, sandbox, system):
    store = sandbox.state.stores[system, "contact"]
    name = "email" if system == "hubspot" else "Email"
    values = [f"p{number}@many.example" for number in range(450)]
    for value in values:
        store.create({name: value})
    before = sandbox.state.counters.as_data()["total"]
    found = await crm.find(mapper.searches(system, RecordRef("person", "email", "x"))[0], values, [name])
    assert list(found) == values
    assert sandbox.state.counters.as_data()["total"] - before <= 7


@pytest.mark.parametrize("system", ["hubspot"])
async def test_a_hundred_numbers_are_searched_for_without_a_refusal(system):
    """Each takes so many forms that only a few fit into a request; HubSpot takes five requests a second."""
    plan = parse_plan({"endpoints": {"*": {"latency": 0}}})
    with running_sandbox(SandboxConfig(people=1, companies=1, faults=plan)) as sandbox:
        settings = settings_for(sandbox.url, by_path=True)
        numbers = [f"+1415555{number:04}" for number in range(100)]
        records = [sandbox.state.hubspot.create({"phone": number}).id for number in numbers]
        search = ConfiguredMapper(settings.config.crm).searches(system, RecordRef("person", "phone", "x"))[0]
        async with RemoteClients() as clients:
            found = await build_crms(settings, clients, SystemClock())[system].find(search, numbers, [])
        assert [[one.ref.record_id for one in found[number]] for number in numbers] == [[one] for one in records]
        counted = sandbox.state.counters.as_data()
        assert counted["statuses"]["hubspot.contact_search"].keys() == {"200"}
        assert counted["calls"]["hubspot.contact_search"] > 5
