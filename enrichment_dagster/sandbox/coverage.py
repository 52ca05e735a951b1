"""What People Data Labs, Hunter, Clay and the competitor vendor know of the world, and who has a mobile phone.

Each answer has dice of its own, so that adding a vendor here changes nothing that another one says. Person 0 and
company 0 are known to all of them without gaps.
"""

from random import Random

from enrichment_dagster.sandbox.chance import chance
from enrichment_dagster.sandbox.generate import company_view, person_view
from enrichment_dagster.sandbox.subjects import Company, CompanyView, Person, PersonView

PDL_KNOWS_PERSON = 0.55
PDL_KNOWS_COMPANY = 0.65
PDL_HIDES_CONTACTS = 0.10
HUNTER_FINDS_PERSON = 0.60
CLAY_KNOWS_PERSON = 0.70
COMPETITORS_KNOWN = 0.85
HAS_MOBILE = 0.40


class Coverage:
    """The further vendors' knowledge, worked out when first asked for."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._people: dict[int, PersonView | None] = {}
        self._companies: dict[int, CompanyView | None] = {}

    def mobile(self, person: Person) -> str | None:
        """The person's mobile number as it is printed, or None; whoever sells mobiles sells this one."""
        return person.phone if self._falls("mobile", person.index, HAS_MOBILE) else None

    def pdl_person(self, person: Person) -> PersonView | None:
        """What People Data Labs says about a person, or None where it does not know them."""
        if person.index not in self._people:
            self._people[person.index] = self._person(person)
        return self._people[person.index]

    def pdl_company(self, company: Company) -> CompanyView | None:
        """What People Data Labs says about a company, or None where it does not know it."""
        if company.index not in self._companies:
            self._companies[company.index] = self._company(company)
        return self._companies[company.index]

    def pdl_hides_contacts(self, person: Person) -> bool:
        """Whether contact fields of this person are mere booleans, as on a plan without that data."""
        return person.index != 0 and self._falls("pdl-hides", person.index, PDL_HIDES_CONTACTS)

    def hunter_finds(self, person: Person) -> bool:
        """Whether Hunter finds the address of this person."""
        return person.is_business and self._falls("hunter", person.index, HUNTER_FINDS_PERSON)

    def clay_knows(self, person: Person) -> bool:
        """Whether a Clay table fills its columns for this person."""
        return person.is_business and self._falls("clay", person.index, CLAY_KNOWS_PERSON)

    def competitors_known(self, company: Company) -> bool:
        """Whether the competitor vendor has this company."""
        return self._falls("competitors", company.index, COMPETITORS_KNOWN)

    def _falls(self, purpose: str, index: int, share: float) -> bool:
        return index == 0 or chance("sandbox", purpose, self._seed, index) < share

    def _person(self, person: Person) -> PersonView | None:
        truth = PersonView(person.title, person.level, person.department, person.linkedin, located=True)
        if person.index == 0:
            return truth
        rng = Random(f"sandbox-pdl-person:{self._seed}:{person.index}")
        return person_view(rng, truth, PDL_KNOWS_PERSON if person.is_business else 0.0, reword=True)

    def _company(self, company: Company) -> CompanyView | None:
        truth = CompanyView(
            employees=company.employees,
            revenue=company.revenue,
            industry=company.industry,
            phone=company.phone,
            founded_year=company.founded_year,
            linkedin=company.linkedin,
            technologies=company.technologies,
        )
        if company.index == 0:
            return truth
        return company_view(Random(f"sandbox-pdl-company:{self._seed}:{company.index}"), truth, PDL_KNOWS_COMPANY)
