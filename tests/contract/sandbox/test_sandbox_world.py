"""The world has the announced coverage and gaps, and is the same for the same seed."""

import phonenumbers
import pytest
from email_validator import validate_email

from enrichment_dagster.sandbox import World
from enrichment_dagster.sandbox.vocabulary import FREE_MAIL_DOMAINS


@pytest.fixture(scope="module")
def world():
    return World(seed=7)


def share(items, test):
    return sum(map(bool, map(test, items))) / len(items)


def business(world):
    return [person for person in world.all_people if person.is_business]


@pytest.mark.parametrize("seed", [1, 7, 2026])
def test_coverage(seed):
    world = World(seed=seed)
    people = business(world)
    assert len(world.all_people) == 5000
    assert len(world.all_companies) == 800
    assert share(people, lambda person: person.apollo_knows) == pytest.approx(0.65, abs=0.03)
    assert share(people, lambda person: person.clearbit_knows) == pytest.approx(0.45, abs=0.03)
    assert share(people, lambda p: p.apollo_knows and p.clearbit_knows) == pytest.approx(0.29, abs=0.03)
    assert share(world.all_companies, lambda company: company.apollo_knows) == pytest.approx(0.80, abs=0.05)
    assert share(world.all_companies, lambda company: company.clearbit_knows) == pytest.approx(0.60, abs=0.05)
    assert share(world.all_people, lambda person: person.email_status == "valid") == pytest.approx(0.80, abs=0.03)
    assert {person.email_status for person in people} == {"valid", "invalid", "catch-all", "unknown", "do_not_mail"}


def test_same_seed_same_world(world):
    again = World(seed=7)
    assert again.all_people == world.all_people
    assert again.all_companies == world.all_companies
    assert World(seed=8).all_people != world.all_people


def test_personal_addresses_are_unknown_to_providers(world):
    personal = [person for person in world.all_people if not person.is_business]
    assert 0.09 < len(personal) / len(world.all_people) < 0.15
    assert {person.domain for person in personal} == set(FREE_MAIL_DOMAINS)
    assert not any(person.apollo_knows or person.clearbit_knows for person in personal)


def test_known_subjects_have_gaps(world):
    views = [person.apollo for person in business(world) if person.apollo]
    for name in ("title", "level", "department", "linkedin"):
        assert share(views, lambda view, name=name: getattr(view, name) is None) == pytest.approx(0.10, abs=0.03)
    companies = [company.clearbit for company in world.all_companies if company.clearbit]
    for name in ("employees", "revenue", "industry", "phone", "founded_year", "linkedin"):
        assert 0.04 < share(companies, lambda view, name=name: getattr(view, name) is None) < 0.30


def test_providers_disagree_now_and_then(world):
    both = [person for person in world.all_people if person.apollo and person.clearbit]
    named = [person for person in both if person.apollo.title and person.clearbit.title]
    assert share(named, lambda person: person.apollo.title != person.clearbit.title) == pytest.approx(0.2, abs=0.05)
    sized = [c for c in world.all_companies if c.apollo and c.clearbit and c.apollo.employees and c.clearbit.employees]
    assert 0.2 < share(sized, lambda company: company.apollo.employees != company.clearbit.employees) < 0.5


def test_addresses_and_numbers_are_well_formed_and_unique(world):
    assert len({person.email for person in world.all_people}) == len(world.all_people)
    assert len({company.domain for company in world.all_companies}) == len(world.all_companies)
    for person in world.all_people[:300]:
        validate_email(person.email, check_deliverability=False)
    numbers = {person.phone for person in world.all_people} | {company.phone for company in world.all_companies}
    assert all(phonenumbers.is_valid_number(phonenumbers.parse(number)) for number in numbers)


def test_look_ups(world):
    dana = world.all_people[0]
    assert dana is world.person_by_email(" Dana.Reyes@Northwind-Parts.com ")
    assert dana.company is world.company_by_domain("www.northwind-parts.com")
    assert dana.apollo_knows
    assert dana.clearbit_knows
    assert world.person_by_email("nobody@northwind-parts.com") is None
    assert world.company_by_domain("gmail.com") is None
    assert world.person(len(world.all_people) + 3) is world.all_people[3]


def test_more_companies_than_word_pairs():
    assert len({company.domain for company in World(people=10, companies=2000).all_companies}) == 2000
