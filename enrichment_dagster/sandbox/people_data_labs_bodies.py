"""People Data Labs' persons and companies as JSON: everything in lower case, links without a scheme."""

from base64 import urlsafe_b64encode
from hashlib import md5
from random import Random
from typing import Any

from enrichment_dagster.sandbox.subjects import Company, CompanyView, Person, PersonView

_SIZES = (
    (10, "1-10"), (50, "11-50"), (200, "51-200"), (500, "201-500"), (1000, "501-1000"), (5000, "1001-5000"),
    (10_000, "5001-10000"),
)  # fmt: skip
_REVENUES = (
    (1, "$0-$1M"), (10, "$1M-$10M"), (25, "$10M-$25M"), (50, "$25M-$50M"), (100, "$50M-$100M"), (250, "$100M-$250M"),
    (500, "$250M-$500M"), (1000, "$500M-$1B"), (10_000, "$1B-$10B"),
)  # fmt: skip
_STAGES = ("seed", "series_a", "series_b", "series_c", "private_equity")
_LEVELS = {"c_suite": "cxo", "vp": "vp", "head": "director", "director": "director", "manager": "manager",
           "senior": "senior", "entry": "entry"}  # fmt: skip


def person_body(
    person: Person, view: PersonView, employer: CompanyView | None, phone: str | None, *, contacts_hidden: bool
) -> dict[str, Any]:
    """The `data` of a person; where contacts are hidden these fields only say whether there is something."""
    company = person.company
    size = size_of(employer.employees) if employer else None
    industry = employer.industry.apollo if employer and employer.industry else None
    role = view.department.clearbit_role if view.department else None
    levels = [_LEVELS[view.level.apollo]] if view.level else []
    body = {
        "id": pdl_id(person.key),
        "full_name": f"{person.first_name} {person.last_name}",
        "first_name": person.first_name,
        "last_name": person.last_name,
        "linkedin_url": _linkedin(view.linkedin),
        **_contacts(person, phone, hidden=contacts_hidden),
        "industry": industry,
        "job_title": view.title,
        "job_title_role": role,
        "job_title_sub_role": None,
        "job_title_levels": levels,
        "job_company_id": _slug(company),
        "job_company_name": company.name if company else None,
        "job_company_website": company.domain if company else None,
        "job_company_size": size,
        "job_company_industry": industry,
        "job_start_date": f"{person.started_year}-01",
        **_location(person, located=view.located),
        "skills": [role] if role else [],
        "experience": [_experience(person, view, size, role, levels)],
        "education": [],
        "profiles": [],
    }
    return _lowered(body)


def company_body(company: Company, view: CompanyView) -> dict[str, Any]:
    """The answer about a company; only the name to show keeps its capitals."""
    rng = Random(f"sandbox-pdl-funding:{company.key}")
    raised = rng.randrange(1, 90) * 1_000_000 if rng.random() < 0.4 else None
    place = company.place
    body = {
        "status": 200,
        "likelihood": 6 + company.index % 5,
        "id": _slug(company),
        "name": company.name,
        "size": size_of(view.employees),
        "employee_count": view.employees,
        "founded": view.founded_year,
        "industry": view.industry.apollo if view.industry else None,
        "location": {
            "name": f"{place.city}, {place.state}, {place.country}",
            "locality": place.city,
            "region": place.state,
            "country": place.country,
        },
        "linkedin_url": _linkedin(view.linkedin),
        "website": company.domain,
        "ticker": None,
        "type": "private",
        "tags": list(view.industry.keywords) if view.industry else [],
        "total_funding_raised": raised,
        "latest_funding_stage": rng.choice(_STAGES) if raised else None,
        "employee_growth_rate": {
            span: round(rng.uniform(-0.05, 0.1) * months, 4)
            for span, months in (("3_month", 1), ("6_month", 2), ("12_month", 4))
        },
    }
    revenue = revenue_of(view.revenue)
    return {**_lowered(body), "display_name": company.name, "inferred_revenue": revenue}


def size_of(employees: int | None) -> str | None:
    """The head count as a range: `501-1000`."""
    if employees is None:
        return None
    return next((label for limit, label in _SIZES if employees <= limit), "10001+")


def revenue_of(revenue: int | None) -> str | None:
    """The yearly revenue as a range: `$50M-$100M`."""
    if revenue is None:
        return None
    return next((label for millions, label in _REVENUES if revenue < millions * 1_000_000), "$10B+")


def pdl_id(key: str) -> str:
    """An id as PDL makes them: a hash in URL-safe base64, then the number of its version."""
    digest = md5(key.encode(), usedforsecurity=False).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=") + "_0000"


def _contacts(person: Person, phone: str | None, *, hidden: bool) -> dict[str, Any]:
    number = "".join(sign for sign in phone if sign.isdigit() or sign == "+") if phone else None
    known = {
        "work_email": person.email,
        "personal_emails": [],
        "mobile_phone": number,
        "phone_numbers": [number] if number else [],
        "emails": [{"address": person.email, "type": "current_professional"}],
    }
    return {name: bool(value) for name, value in known.items()} if hidden else known


def _location(person: Person, *, located: bool) -> dict[str, Any]:
    place = person.place if located else None
    return {
        "location_name": f"{place.city}, {place.state}, {place.country}" if place else None,
        "location_locality": place.city if place else None,
        "location_region": place.state if place else None,
        "location_country": place.country if place else None,
    }


def _experience(
    person: Person, view: PersonView, size: str | None, role: str | None, levels: list[str]
) -> dict[str, Any]:
    company = person.company
    name, domain = (company.name, company.domain) if company else (person.typed_company, None)
    return {
        "company": {"name": name, "size": size, "id": _slug(company), "website": domain},
        "title": {"name": view.title, "role": role, "levels": levels},
        "start_date": f"{person.started_year}-01",
        "end_date": None,
        "is_primary": True,
    }


def _slug(company: Company | None) -> str | None:
    return company.name.lower().replace(" ", "-") if company else None


def _linkedin(handle: str | None) -> str | None:
    return None if handle is None else f"linkedin.com/{handle}"


def _lowered(body: dict[str, Any]) -> dict[str, Any]:
    """Texts in lower case, all the way down; ids stay as they are."""
    return {name: item if name == "id" else _lower(item) for name, item in body.items()}


def _lower(value: Any) -> Any:
    if isinstance(value, str):
        return value.lower()
    if isinstance(value, list):
        return [_lower(item) for item in value]
    return _lowered(value) if isinstance(value, dict) else value
