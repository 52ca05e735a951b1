"""Builds the people and companies of a World from a seed, with the gaps and disagreements of its vendors."""

from collections.abc import Callable, Iterator
from random import Random

from enrichment_dagster.sandbox import vocabulary as words
from enrichment_dagster.sandbox.subjects import Company, CompanyView, EmailStatus, Person, PersonView
from enrichment_dagster.sandbox.vocabulary import Department, Industry, Level, Place

APOLLO_KNOWS_PERSON = 0.65
CLEARBIT_KNOWS_PERSON = 0.45
APOLLO_KNOWS_COMPANY = 0.80
CLEARBIT_KNOWS_COMPANY = 0.60
PERSONAL_ADDRESS = 0.12
FIELD_GAP = 0.10
DISAGREEMENT = 0.20

_STREETS = ("Harbor St", "Mill Road", "Foundry Lane", "Station Street", "Canal Walk", "Orchard Avenue", "Kiln Street")
_LEGAL = {"US": "Inc", "GB": "Ltd", "DE": "GmbH"}
# (status, sub-status, weight); the values are ZeroBounce's.
_EMAIL_STATUSES: tuple[tuple[EmailStatus, str, int], ...] = (
    ("valid", "", 80),
    ("invalid", "mailbox_not_found", 7),
    ("catch-all", "", 6),
    ("unknown", "greylisted", 3),
    ("unknown", "timeout_exceeded", 2),
    ("do_not_mail", "role_based", 2),
)
_LEVELS = [level for level, _ in words.LEVELS]
_LEVEL_WEIGHTS = [weight for _, weight in words.LEVELS]
_STATUSES = [(status, sub) for status, sub, _ in _EMAIL_STATUSES]
_STATUS_WEIGHTS = [weight for _, _, weight in _EMAIL_STATUSES]


def generate(seed: int, people: int, companies: int) -> tuple[tuple[Company, ...], tuple[Person, ...]]:
    """The companies and people of one world."""
    rng = Random(f"sandbox-world:{seed}")
    names = _company_names(rng)
    made = tuple(_company(rng, index, next(names)) for index in range(companies))
    taken: set[str] = set()
    return made, tuple(_person(rng, index, made, taken) for index in range(people))


def title_for(level: Level, department: Department, *, other_wording: bool = False) -> str:
    """A job title; the other wording is what a second vendor would call the same job."""
    pattern = level.other_title if other_wording else level.title
    return pattern.format(noun=department.noun, ic=department.ic_title)


def _company_names(rng: Random) -> Iterator[tuple[str, int]]:
    """Company names with the number of their industry: Northwind Parts first, then shuffled combinations."""
    pairs = [(f"{first} {second}", kind) for first in words.COMPANY_FIRST for second, kind in words.COMPANY_SECOND]
    rest = pairs[1:]
    rng.shuffle(rest)
    yield pairs[0]
    yield from rest
    for number in range(2, 1000):
        yield from ((f"{name} {number}", kind) for name, kind in rest)


def _company(rng: Random, index: int, named: tuple[str, int]) -> Company:
    name, kind = named
    fixed = index == 0
    place = words.PLACES[0] if fixed else rng.choice(words.PLACES)
    slug = name.lower().replace(" ", "-")
    ending = ".com" if fixed else rng.choice(words.DOMAIN_ENDINGS)
    employees = 640 if fixed else int(10 ** rng.uniform(0.7, 4.2))
    revenue = 120_000_000 if fixed else round(employees * rng.uniform(60_000, 260_000), -5) or 100_000
    truth = CompanyView(
        employees=employees,
        revenue=int(revenue),
        industry=words.INDUSTRIES[kind],
        phone=_phone(place, 0 if fixed else rng.randrange(place.phone_span)),
        founded_year=2009 if fixed else rng.randint(1965, 2023),
        linkedin=f"company/{slug}",
        technologies=(0, 1) if fixed else tuple(sorted(rng.sample(range(len(words.TECHNOLOGIES)), rng.randint(1, 6)))),
    )
    return Company(
        index=index,
        key=_hex(rng, 24),
        name=name,
        legal_name=f"{name} {_LEGAL[place.country_code]}",
        domain=slug + ending,
        industry=words.INDUSTRIES[kind],
        employees=employees,
        revenue=int(revenue),
        phone=truth.phone or "",
        founded_year=truth.founded_year or 0,
        linkedin=f"company/{slug}",
        technologies=truth.technologies,
        street_number=100 if fixed else rng.randint(1, 400),
        street_name=_STREETS[0] if fixed else rng.choice(_STREETS),
        place=place,
        apollo=truth if fixed else company_view(rng, truth, APOLLO_KNOWS_COMPANY),
        clearbit=truth if fixed else company_view(rng, truth, CLEARBIT_KNOWS_COMPANY),
    )


def company_view(rng: Random, truth: CompanyView, share: float) -> CompanyView | None:
    """One vendor's view: absent, or with gaps, and sometimes with another head count."""
    if rng.random() >= share:
        return None
    keep = _gaps(rng)
    employees, revenue = truth.employees, truth.revenue
    if employees is not None and rng.random() < DISAGREEMENT:
        employees = max(1, int(employees * rng.uniform(0.7, 1.4))) + 1
    return CompanyView(
        employees=employees if keep() else None,
        revenue=revenue if keep() and keep() else None,
        industry=_maybe_industry(truth.industry, keep()),
        phone=truth.phone if keep() else None,
        founded_year=truth.founded_year if keep() else None,
        linkedin=truth.linkedin if keep() else None,
        technologies=truth.technologies if keep() else (),
    )


def _maybe_industry(industry: Industry | None, known: bool) -> Industry | None:
    return industry if known else None


def _person(rng: Random, index: int, companies: tuple[Company, ...], taken: set[str]) -> Person:
    fixed = index == 0
    first, gender = ("Dana", "female") if fixed else rng.choice(words.FIRST_NAMES)
    last = "Reyes" if fixed else rng.choice(words.LAST_NAMES)
    employer = companies[0] if fixed else rng.choice(companies)
    personal = not fixed and rng.random() < PERSONAL_ADDRESS
    domain = rng.choice(words.FREE_MAIL_DOMAINS) if personal else employer.domain
    local = _free_local_part(f"{first}.{last}".lower(), domain, taken)
    level = _LEVELS[1] if fixed else rng.choices(_LEVELS, _LEVEL_WEIGHTS)[0]
    department = words.DEPARTMENTS[0] if fixed else rng.choice(words.DEPARTMENTS)
    status: tuple[EmailStatus, str] = ("valid", "") if fixed else rng.choices(_STATUSES, _STATUS_WEIGHTS)[0]
    truth = PersonView(title_for(level, department), level, department, f"in/{local.replace('.', '-')}-example", True)
    place = employer.place
    return Person(
        index=index,
        key=_hex(rng, 24),
        email=f"{local}@{domain}",
        first_name=first,
        last_name=last,
        gender=gender,
        title=truth.title or "",
        level=level,
        department=department,
        linkedin=truth.linkedin or "",
        phone=_phone(place, 32 if fixed else rng.randrange(place.phone_span)),
        place=place,
        company=None if personal else employer,
        typed_company=employer.name,
        email_status=status[0],
        email_sub_status=status[1],
        started_year=2021 if fixed else rng.randint(2012, 2024),
        previous_employer="Old Harbor Ltd" if fixed else rng.choice(companies).name,
        apollo=truth if fixed else person_view(rng, truth, 0.0 if personal else APOLLO_KNOWS_PERSON, reword=False),
        clearbit=truth if fixed else person_view(rng, truth, 0.0 if personal else CLEARBIT_KNOWS_PERSON, reword=True),
    )


def person_view(rng: Random, truth: PersonView, share: float, *, reword: bool) -> PersonView | None:
    """One vendor's view: absent, or with gaps, and sometimes with another wording of the job."""
    if rng.random() >= share:
        return None
    keep = _gaps(rng)
    title = truth.title
    if reword and rng.random() < DISAGREEMENT and truth.level and truth.department:
        title = title_for(truth.level, truth.department, other_wording=True)
    return PersonView(
        title=title if keep() else None,
        level=truth.level if keep() else None,
        department=truth.department if keep() else None,
        linkedin=truth.linkedin if keep() else None,
        located=keep(),
    )


def _gaps(rng: Random) -> Callable[[], bool]:
    """A coin that says for each field whether the vendor has it."""
    return lambda: rng.random() >= FIELD_GAP


def _free_local_part(wanted: str, domain: str, taken: set[str]) -> str:
    """The local part, numbered where somebody at the same domain has it already."""
    local, number = wanted, 2
    while f"{local}@{domain}" in taken:
        local, number = f"{wanted}{number}", number + 1
    taken.add(f"{local}@{domain}")
    return local


def _phone(place: Place, number: int) -> str:
    return place.phone_format.format(number)


def _hex(rng: Random, digits: int) -> str:
    return f"{rng.getrandbits(digits * 4):0{digits}x}"
