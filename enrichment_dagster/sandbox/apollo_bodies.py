"""Apollo's persons and organizations as JSON, and who is meant by the inputs of a match.

Shapes: Apollo OpenAPI.
"""

from typing import Any

import orjson

from enrichment_dagster.sandbox import vocabulary as words
from enrichment_dagster.sandbox.subjects import Company, CompanyView, Person, PersonView
from enrichment_dagster.sandbox.world import World

IDENTIFYING = ("email", "hashed_email", "id", "linkedin_url", "name", "first_name", "organization_name", "domain")


class ApolloBodies:
    """Finds people and gives ready bytes; each body is made once."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._people: dict[int, bytes] = {}
        self._organizations: dict[int, bytes] = {}
        self._by_id = {person.key: person for person in world.all_people}
        self._by_name = {
            (person.first_name.lower(), person.last_name.lower(), person.domain): person for person in world.all_people
        }

    def find(self, given: dict[str, Any]) -> Person | None:
        """The person meant by an id, else by an e-mail address, else by names and domain."""
        known = given.get("id")
        if isinstance(known, str) and known:
            return self._by_id.get(known)
        email = given.get("email")
        if isinstance(email, str) and email:
            return self.world.person_by_email(email)
        names = tuple(str(given.get(name) or "").lower() for name in ("first_name", "last_name", "domain"))
        return self._by_name.get((names[0], names[1], names[2]))

    def person(self, person: Person | None) -> bytes | None:
        """The person as Apollo sees them, or None where it does not know them."""
        if person is None or person.apollo is None:
            return None
        ready = self._people.get(person.index)
        if ready is None:
            employer = self.organization(person.company)
            organization = None if employer is None else orjson.Fragment(employer)
            body = _person_body(person, person.apollo, organization)
            ready = self._people[person.index] = orjson.dumps(body)
        return ready

    def organization(self, company: Company | None) -> bytes | None:
        """The company as Apollo sees it, or None where it does not know it."""
        if company is None or company.apollo is None:
            return None
        ready = self._organizations.get(company.index)
        if ready is None:
            ready = self._organizations[company.index] = orjson.dumps(_company_body(company, company.apollo))
        return ready


def subject_of(given: dict[str, Any]) -> str:
    """Whom the inputs of a match are about, for the counters and the dice."""
    for name in ("email", "id"):
        if given.get(name):
            return str(given[name]).lower()
    return " ".join(str(given.get(name) or "") for name in ("first_name", "last_name", "domain")).lower().strip()


def email_status(person: Person) -> str:
    """Apollo's word for the state of the address."""
    return "verified" if person.email_status == "valid" else "unverified"


def _linkedin_url(handle: str | None) -> str | None:
    return None if handle is None else f"http://www.linkedin.com/{handle}"


def _person_body(person: Person, view: PersonView, organization: object) -> dict[str, Any]:
    company = person.company
    headline = f"{view.title} at {company.name}" if view.title and company else view.title
    place = person.place if view.located else None
    return {
        "id": person.key,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "name": f"{person.first_name} {person.last_name}",
        "linkedin_url": _linkedin_url(view.linkedin),
        "title": view.title,
        "email_status": email_status(person),
        "photo_url": None,
        "twitter_url": None,
        "github_url": None,
        "facebook_url": None,
        "extrapolated_email_confidence": None,
        "headline": headline,
        "email": person.email,
        "organization_id": company.key if company else None,
        "employment_history": _employment(person, view),
        "state": place.state if place else None,
        "city": place.city if place else None,
        "country": place.country if place else None,
        "organization": organization,
        "is_likely_to_engage": person.index % 3 == 0,
        "show_intent": False,
        "departments": [view.department.apollo] if view.department else [],
        "subdepartments": [view.department.apollo_sub] if view.department else [],
        "functions": [view.department.apollo_sub] if view.department else [],
        "seniority": view.level.apollo if view.level else None,
    }


def _employment(person: Person, view: PersonView) -> list[dict[str, Any]]:
    company = person.company
    start = f"{person.started_year}-01-01"
    present = (True, None, company.key if company else None, company.name if company else None, start, view.title)
    former = (False, f"{person.started_year - 1}-12-01", None, person.previous_employer, "2006-01-01", "Analyst")
    jobs = []
    for number, (current, end, key, name, begun, title) in enumerate((present, former)):
        job_id = f"{person.key[:-1]}{number}"
        jobs.append({
            "_id": job_id,
            "current": current,
            "end_date": end,
            "organization_id": key,
            "organization_name": name,
            "start_date": begun,
            "title": title,
            "id": job_id,
            "key": job_id,
        })  # fmt: skip
    return jobs


def _company_body(company: Company, view: CompanyView) -> dict[str, Any]:
    place = company.place
    street = f"{company.street_number} {company.street_name}"
    industry = view.industry.apollo if view.industry else None
    return {
        "id": company.key,
        "name": company.name,
        "website_url": f"http://www.{company.domain}",
        "linkedin_url": _linkedin_url(view.linkedin),
        "primary_phone": {},
        "phone": view.phone,
        "founded_year": view.founded_year,
        "publicly_traded_symbol": None,
        "primary_domain": company.domain,
        "industry": industry,
        "keywords": list(view.industry.keywords) if view.industry else [],
        "estimated_num_employees": view.employees,
        "industries": [industry] if industry else [],
        "secondary_industries": [],
        "raw_address": f"{street}, {place.city}, {place.state}, {place.country}",
        "street_address": street,
        "city": place.city,
        "state": place.state,
        "postal_code": place.postal_code,
        "country": place.country,
        "short_description": f"{company.name} of {place.city}.",
        "annual_revenue_printed": _printed(view.revenue),
        "annual_revenue": None if view.revenue is None else float(view.revenue),
        "total_funding": None,
        "latest_funding_stage": None,
        "funding_events": [],
        "technology_names": [words.TECHNOLOGIES[number][0] for number in view.technologies],
        "current_technologies": [
            {"uid": uid, "name": name, "category": category}
            for name, uid, category in (words.TECHNOLOGIES[number] for number in view.technologies)
        ],
    }


def _printed(revenue: int | None) -> str | None:
    """The amount as Apollo prints it: 120M, 1.5B, 400K."""
    if revenue is None:
        return None
    for size, letter in ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "K")):
        if revenue >= size:
            return f"{revenue / size:.1f}".removesuffix(".0") + letter
    return str(revenue)
