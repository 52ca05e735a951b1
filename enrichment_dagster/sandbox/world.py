"""The one world all emulators share: who exists, and what each vendor knows about them.

A test that wants the truth asks here (`world.person_by_email(...).apollo_knows`); an emulator that answers a
call reads the same objects. The same seed always gives the same world.
"""

from dataclasses import dataclass, field
from typing import Literal

from enrichment_dagster.sandbox.vocabulary import Department, Industry, Level, Place

EmailStatus = Literal["valid", "invalid", "catch-all", "unknown", "do_not_mail"]


@dataclass(frozen=True, slots=True)
class CompanyView:
    """What one vendor says about a company; None where it has a gap."""

    employees: int | None
    revenue: int | None
    industry: Industry | None
    phone: str | None
    founded_year: int | None
    linkedin: str | None
    technologies: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Company:
    """A company of the world, with the views of the vendors that know it."""

    index: int
    key: str
    name: str
    legal_name: str
    domain: str
    industry: Industry
    employees: int
    revenue: int
    phone: str
    founded_year: int
    linkedin: str
    technologies: tuple[int, ...]
    street_number: int
    street_name: str
    place: Place
    apollo: CompanyView | None
    clearbit: CompanyView | None

    @property
    def apollo_knows(self) -> bool:
        """Whether Apollo has this company at all."""
        return self.apollo is not None

    @property
    def clearbit_knows(self) -> bool:
        """Whether Clearbit has this company at all."""
        return self.clearbit is not None


@dataclass(frozen=True, slots=True)
class PersonView:
    """What one vendor says about a person; None where it has a gap."""

    title: str | None
    level: Level | None
    department: Department | None
    linkedin: str | None
    located: bool


@dataclass(frozen=True, slots=True)
class Person:
    """A person of the world, with the views of the vendors that know them."""

    index: int
    key: str
    email: str
    first_name: str
    last_name: str
    gender: str
    title: str
    level: Level
    department: Department
    linkedin: str
    phone: str
    place: Place
    company: Company | None
    typed_company: str
    email_status: EmailStatus
    email_sub_status: str
    started_year: int
    previous_employer: str
    apollo: PersonView | None
    clearbit: PersonView | None

    @property
    def domain(self) -> str:
        """The part of the address after the @."""
        return self.email.rpartition("@")[2]

    @property
    def is_business(self) -> bool:
        """Whether the address is a work address (a personal one is to be skipped by enrichment)."""
        return self.company is not None

    @property
    def apollo_knows(self) -> bool:
        """Whether Apollo has this person at all."""
        return self.apollo is not None

    @property
    def clearbit_knows(self) -> bool:
        """Whether Clearbit has this person at all."""
        return self.clearbit is not None


@dataclass(slots=True)
class World:
    """People and companies, generated from a seed, with look-ups by e-mail and domain.

    Person 0 is always Dana Reyes of Northwind Parts, whom both providers know without gaps.
    """

    seed: int = 7
    people: int = 5000
    companies: int = 800
    all_people: tuple[Person, ...] = field(init=False, repr=False)
    all_companies: tuple[Company, ...] = field(init=False, repr=False)
    _by_email: dict[str, Person] = field(init=False, repr=False)
    _by_domain: dict[str, Company] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # The generator needs the classes above; this module needs only its one function.
        from enrichment_dagster.sandbox.generate import generate

        self.all_companies, self.all_people = generate(self.seed, self.people, self.companies)
        self._by_email = {person.email: person for person in self.all_people}
        self._by_domain = {company.domain: company for company in self.all_companies}

    def person_by_email(self, email: str) -> Person | None:
        """The person with this address, in any case, or None."""
        return self._by_email.get(email.strip().lower())

    def company_by_domain(self, domain: str) -> Company | None:
        """The company with this domain, in any case and with or without www, or None."""
        return self._by_domain.get(domain.strip().lower().removeprefix("www."))

    def person(self, index: int) -> Person:
        """Person by index; indices past the end start over."""
        return self.all_people[index % len(self.all_people)]
