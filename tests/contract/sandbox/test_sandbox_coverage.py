"""What the further vendors know: the announced shares, overlapping, the same for the same seed."""

import phonenumbers
import pytest

from enrichment_dagster.sandbox import World


@pytest.fixture(scope="module", params=[1, 7])
def world(request):
    return World(seed=request.param)


def share(items, test):
    return sum(map(bool, map(test, items))) / len(items)


def business(world):
    return [person for person in world.all_people if person.is_business]


def test_shares(world):
    people, companies, coverage = business(world), world.all_companies, world.coverage
    assert share(people, coverage.pdl_person) == pytest.approx(0.55, abs=0.03)
    assert share(companies, coverage.pdl_company) == pytest.approx(0.65, abs=0.05)
    assert share(people, coverage.hunter_finds) == pytest.approx(0.60, abs=0.03)
    assert share(people, coverage.clay_knows) == pytest.approx(0.70, abs=0.03)
    assert share(companies, coverage.competitors_known) == pytest.approx(0.85, abs=0.05)
    assert share(world.all_people, coverage.mobile) == pytest.approx(0.40, abs=0.03)


def test_vendors_overlap_and_each_knows_somebody_alone(world):
    people, coverage = business(world), world.coverage
    pdl, hunter = coverage.pdl_person, coverage.hunter_finds
    assert share(people, lambda p: p.apollo_knows and pdl(p)) == pytest.approx(0.65 * 0.55, abs=0.03)
    assert share(people, lambda p: hunter(p) and pdl(p)) == pytest.approx(0.60 * 0.55, abs=0.03)
    assert share(people, lambda p: pdl(p) and not p.apollo_knows and not p.clearbit_knows) > 0.05


def test_personal_addresses_are_unknown_to_the_further_vendors_too(world):
    coverage = world.coverage
    personal = [person for person in world.all_people if not person.is_business]
    assert not any(coverage.pdl_person(p) or coverage.hunter_finds(p) or coverage.clay_knows(p) for p in personal)


def test_people_of_people_data_labs_have_gaps(world):
    views = [view for person in business(world)[1:] if (view := world.coverage.pdl_person(person))]
    for name in ("title", "level", "department", "linkedin"):
        assert share(views, lambda view, name=name: getattr(view, name) is None) == pytest.approx(0.10, abs=0.03)


def test_same_seed_same_knowledge_in_any_order(world):
    again = World(seed=world.seed)
    backwards = [again.coverage.pdl_person(person) for person in reversed(again.all_people)]
    assert [world.coverage.pdl_person(person) for person in world.all_people] == backwards[::-1]
    assert [world.coverage.mobile(p) for p in world.all_people] == [again.coverage.mobile(p) for p in again.all_people]


def test_the_first_person_and_company_are_known_to_all_without_gaps(world):
    dana, coverage = world.all_people[0], world.coverage
    assert coverage.mobile(dana) == "+1 415-555-0132"
    assert coverage.pdl_person(dana).title == dana.title
    assert coverage.pdl_company(dana.company).employees == 640
    assert coverage.hunter_finds(dana)
    assert coverage.clay_knows(dana)
    assert coverage.competitors_known(dana.company)
    assert not coverage.pdl_hides_contacts(dana)


def test_mobiles_are_from_ranges_that_reach_nobody(world):
    mobiles = {mobile for person in world.all_people if (mobile := world.coverage.mobile(person))}
    assert all(phonenumbers.is_valid_number(phonenumbers.parse(mobile)) for mobile in mobiles)


def test_executives_are_a_companys_c_suite_and_vice_presidents(world):
    company = world.all_companies[0]
    executives = world.executives(company)
    assert world.all_people[0] in executives
    assert {person.level.apollo for person in executives} <= {"c_suite", "vp"}
    assert {person.company.index for person in world.people_at(company)} == {0}
    assert share(business(world), lambda p: p in world.executives(p.company)) == pytest.approx(0.15, abs=0.03)
