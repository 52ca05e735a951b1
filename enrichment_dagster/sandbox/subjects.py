"""People and companies of the sandbox world, and what each vendor says about them."""

from dataclasses import dataclass
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
