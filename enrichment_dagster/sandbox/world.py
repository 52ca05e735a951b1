"""The one world all emulators share: who exists, and what each vendor knows about them.

A test that wants the truth asks here (`world.person_by_email(...).apollo_knows`); an emulator that answers a
call reads the same objects. The same seed always gives the same world.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from enrichment_dagster.sandbox.coverage import Coverage
from enrichment_dagster.sandbox.generate import generate
from enrichment_dagster.sandbox.subjects import Company, CompanyView, EmailStatus, Person, PersonView

EXECUTIVE_LEVELS = ("c_suite", "vp")  # In Apollo's words.

__all__ = ["Company", "CompanyView", "EmailStatus", "Person", "PersonView", "World"]


@dataclass(slots=True)
class World:
    """People and companies, generated from a seed, with look-ups by e-mail and domain.

    Person 0 is always Dana Reyes of Northwind Parts, whom all providers know without gaps. What Apollo and Clearbit
    know stands on the people and companies themselves, what the others know in `coverage`.
    """

    seed: int = 7
    people: int = 5000
    companies: int = 800
    all_people: tuple[Person, ...] = field(init=False, repr=False)
    all_companies: tuple[Company, ...] = field(init=False, repr=False)
    coverage: Coverage = field(init=False, repr=False, compare=False)
    _by_email: dict[str, Person] = field(init=False, repr=False)
    _by_domain: dict[str, Company] = field(init=False, repr=False)
    _staff: defaultdict[int, list[Person]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.all_companies, self.all_people = generate(self.seed, self.people, self.companies)
        self._by_email = {person.email: person for person in self.all_people}
        self._by_domain = {company.domain: company for company in self.all_companies}
        self.coverage = Coverage(self.seed)
        self._staff = defaultdict(list)
        for person in self.all_people:
            if person.company is not None:
                self._staff[person.company.index].append(person)

    def person_by_email(self, email: str) -> Person | None:
        """The person with this address, in any case, or None."""
        return self._by_email.get(email.strip().lower())

    def company_by_domain(self, domain: str) -> Company | None:
        """The company with this domain, in any case and with or without www, or None."""
        return self._by_domain.get(domain.strip().lower().removeprefix("www."))

    def person(self, index: int) -> Person:
        """Person by index; indices past the end start over."""
        return self.all_people[index % len(self.all_people)]

    def people_at(self, company: Company) -> tuple[Person, ...]:
        """Everybody with a work address at this company."""
        return tuple(self._staff.get(company.index, ()))

    def executives(self, company: Company) -> tuple[Person, ...]:
        """The company's people of the C-suite and vice presidents."""
        return tuple(person for person in self.people_at(company) if person.level.apollo in EXECUTIVE_LEVELS)
