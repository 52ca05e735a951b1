"""The shipped mapping of each kind of record: where its company stands, how it is looked for, what says its status."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from enrichment_dagster.crm.mapper import ConfiguredMapper
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.outcome import Outcome
from enrichment_dagster.domain.records import Role, role_of
from enrichment_dagster.settings import load_settings

CRM = load_settings({"ENRICHMENT_CONFIG": str(Path(__file__).parents[3] / "enrichment.yaml")}).config.crm
MAPPER = ConfiguredMapper(CRM)
KINDS = [(system, kind) for system in ("hubspot", "salesforce") for kind in getattr(CRM, system).objects]
AT = datetime(2026, 11, 27, tzinfo=UTC)


def without(system, kind):
    config = getattr(CRM, system)
    left = {name: mapping for name, mapping in config.objects.items() if name != kind}
    return ConfiguredMapper(CRM.model_copy(update={system: config.model_copy(update={"objects": left})}))


@pytest.mark.parametrize(("system", "kind"), KINDS)
def test_every_kind_has_a_role_and_people_alone_must_have_a_status(system, kind):
    ref = RecordRef(system, kind, "1")
    assert MAPPER.knows(ref)
    assert bool(MAPPER.status(ref, Outcome.ENRICHED, [], AT)) == (role_of(ref) is Role.PERSON)


@pytest.mark.parametrize(
    ("system", "kind", "link"),
    [
        ("hubspot", "contact", "@company"),
        ("hubspot", "deal", "@company"),
        ("hubspot", "company", None),
        ("salesforce", "contact", "AccountId"),
        ("salesforce", "opportunity", "AccountId"),
        ("salesforce", "lead", None),
        ("salesforce", "account", None),
        ("pipedrive", "contact", None),
    ],
)
def test_where_a_record_has_its_company(system, kind, link):
    assert MAPPER.link(RecordRef(system, kind, "1")) == link


@pytest.mark.parametrize(("system", "kind"), [("hubspot", "company"), ("salesforce", "account")])
def test_without_companies_in_the_configuration_nobody_has_one(system, kind):
    mapper, contact = without(system, kind), RecordRef(system, "contact", "1")
    assert mapper.link(contact) is None
    assert mapper.company(contact, "7") is None
    assert mapper.searches(system, RecordRef("account", "domain", "acme.com")) == []


def test_the_company_is_a_record_of_the_same_crm():
    contact = RecordRef("salesforce", "contact", "003")
    assert MAPPER.company(contact, "001") == RecordRef("salesforce", "account", "001")
    assert MAPPER.company(contact, None) is None
    assert MAPPER.company(RecordRef("person", "email", "a@b.example"), "7") is None


@pytest.mark.parametrize(
    ("system", "subject", "found"),
    [
        ("hubspot", ("person", "email"), [("contact", ("email",))]),
        ("hubspot", ("person", "phone"), [("contact", ("phone", "mobilephone"))]),
        ("hubspot", ("account", "domain"), [("company", ("domain",))]),
        ("salesforce", ("person", "email"), [("contact", ("Email",)), ("lead", ("Email",))]),
        (
            "salesforce",
            ("person", "phone"),
            [("contact", ("Phone", "MobilePhone")), ("lead", ("Phone", "MobilePhone"))],
        ),
        ("salesforce", ("account", "domain"), [("account", ("Website",))]),
        ("salesforce", ("account", "name"), []),
        ("salesforce", ("segment", "visitor"), []),
        ("pipedrive", ("person", "email"), []),
    ],
)
def test_how_people_and_accounts_are_looked_for(system, subject, found):
    searches = MAPPER.searches(system, RecordRef(*subject, "x"))
    assert [(search.object_type, search.properties) for search in searches] == found


def test_without_contacts_leads_are_looked_for():
    searches = without("salesforce", "contact").searches("salesforce", RecordRef("person", "email", "a@b.example"))
    assert [search.object_type for search in searches] == ["lead"]


def test_what_a_record_has_a_place_for_and_nothing_in_it_is_blank():
    account = RecordRef("salesforce", "account", "001")
    everything = set(CRM.salesforce.objects["account"].mapping)
    assert MAPPER.blank(account, {}) == everything
    held = {"Name": "Acme", "NumberOfEmployees": 0, "Industry": "  "}
    assert everything - MAPPER.blank(account, held) == {"company_name", "employees"}
    assert "title" not in MAPPER.blank(account, {})
