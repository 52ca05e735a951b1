"""The account of an installation, audited from outside: what senders were told, what stores hold, what CRMs got."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from fullstack import Stack, wait_for
from sqlalchemy import func, select

from enrichment_dagster.composition import open_warehouse, project
from enrichment_dagster.ports import WorkKind
from enrichment_dagster.sandbox.traffic import LeadSent
from enrichment_dagster.sandbox.world import Person, World
from enrichment_dagster.store.tables import attempts, batches, journal, outbox, work
from enrichment_dagster.store.warehouse_sources import SOURCES

_TITLES = {"hubspot": "jobtitle", "salesforce": "Title"}
_STATUS_FIELDS = {
    *("enrichment_status", "enrichment_missing_fields", "enriched_at"),
    *("Enrichment_Status__c", "Enrichment_Missing_Fields__c", "Enriched_At__c"),
}
_PURPOSES = {
    "apollo.people_match": ("apollo", "person"),
    "apollo.people_bulk_match": ("apollo", "person"),
    "apollo.organization_enrich": ("apollo", "company"),
    "apollo.organization_bulk_enrich": ("apollo", "company"),
    "apollo.phone": ("apollo", "phone"),
    "clearbit.combined_find": ("clearbit", "combined"),
    "zerobounce.validate": ("zerobounce", "verification"),
    "zerobounce.validate_batch": ("zerobounce", "verification"),
}
_MOST_EXAMPLES = 5


@dataclass
class Account:
    """What the audit counted, and everything that is wrong."""

    received: int = 0
    acknowledged: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    paid_calls: int = 0
    repeated_calls: int = 0
    calls_in_flight_at_kills: int = 0
    batches_released: int = 0  # their worker died, another took over
    crm_fields_written: int = 0
    problems: list[str] = field(default_factory=list)

    def wrong(self, rule: str, examples: list[Any]) -> None:
        """Note what breaks a rule."""
        if examples:
            self.problems.append(f"{rule}: {len(examples)}, e.g. {examples[:_MOST_EXAMPLES]}")


def audit(stack: Stack, world: World, *, warehouse: bool = True) -> Account:
    """Check every invariant on a settled installation."""
    account = Account()
    leads = _first_accepted(stack.sent)
    rows = _events(stack)
    _check_journal(account, leads, rows, stack)
    _check_outcomes(account, leads, rows, stack, world)
    _check_writes(account, stack)
    _check_bills(account, stack)
    with stack.stores.ops.read() as connection:
        released = select(func.count()).where(batches.c.state == "released")
        account.batches_released = connection.execute(released).scalar_one()
    if warehouse:
        _check_warehouse(account, stack)
    return account


def _first_accepted(sent: list[LeadSent]) -> dict[str, LeadSent]:
    first: dict[str, LeadSent] = {}
    for lead in sent:
        if lead.accepted:
            first.setdefault(_key(lead.system, lead.record_id), lead)
    return first


def _key(system: str, record_id: str) -> str:
    """Salesforce ids have a short form without their last three characters."""
    return f"{system}:{record_id[:15] if system == 'salesforce' else record_id}"


def _events(stack: Stack) -> dict[str, Any]:
    statement = select(work).where(work.c.kind == str(WorkKind.EVENT))
    with stack.stores.ops.read() as connection:
        rows = connection.execute(statement).mappings().all()
    return {_key(row["subject_system"], row["subject_id"]): row for row in rows}


def _check_journal(account: Account, leads: dict[str, LeadSent], rows: dict[str, Any], stack: Stack) -> None:
    with stack.stores.journal.read() as connection:
        found = connection.execute(select(journal.c.subject_system, journal.c.subject_id)).all()
    times = Counter(_key(system, record) for system, record in found)
    balance = stack.stores.health().balance()
    account.received, account.acknowledged = balance.received, len(leads)
    account.wrong("acknowledged and not in the journal", [key for key in leads if not times[key]])
    account.wrong("in the journal more than once", [key for key, n in times.items() if n > 1])
    account.wrong("in the journal and no work", [key for key in times if key not in rows])
    if not balance.holds or balance.in_flight:
        account.problems.append(f"the balance does not hold, or something is in flight: {balance}")


def _check_outcomes(
    account: Account, leads: dict[str, LeadSent], rows: dict[str, Any], stack: Stack, world: World
) -> None:
    account.outcomes = stack.stores.health().outcomes()
    wrong: list[Any] = []
    for key, lead in leads.items():
        row, person = rows.get(key), world.person(lead.person)
        if row is not None and (what := _what_is_wrong(stack, lead, row, person)):
            wrong.append((key, what))
    account.wrong("not the right outcome", wrong)


def _what_is_wrong(stack: Stack, lead: LeadSent, row: Any, person: Person) -> str:
    if not person.is_business:
        return "" if row["outcome"] == "skipped" else f"{row['outcome']}, and the address is personal"
    if row["outcome"] not in {"enriched", "partial", "unchanged"}:
        return f"{row['outcome']} ({row['reason']})"
    fields = stack.sandbox("GET", f"crm/{lead.system}/records/{lead.record_id}")["fields"]
    if not any(fields.get(name) for name in _STATUS_FIELDS):
        return "the CRM record has no status"
    return _wrong_title(fields.get(_TITLES[lead.system]), row["missing"], person)


def _wrong_title(title: Any, missing: Any, person: Person) -> str:
    """The title is the first that the waterfall's providers know."""
    views = (person.apollo, person.clearbit)
    expected = next((view.title for view in views if view is not None and view.title), None)
    if title == expected or ("title" in missing and missing["title"] in {"timeout", "provider_down"}):
        return ""
    return f"title {title!r} instead of {expected!r}"


def _check_writes(account: Account, stack: Stack) -> None:
    """No field is written twice with different values; a status may change once per piece of work that wrote it."""
    values: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    overwritten = []
    for write in stack.sandbox("GET", "crm/writes")["writes"]:
        place = (write["system"], _key(write["system"], write["id"]), write["field"])
        if write["new"] not in (None, ""):
            values[place].add(str(write["new"]))
        if write["field"] not in _STATUS_FIELDS and write["old"] not in (None, "", write["new"]):
            overwritten.append((place, write["old"], write["new"]))
    allowed = _entries_per_record(stack)
    twice = [
        (place, sorted(found))
        for place, found in values.items()
        if len(found) > (allowed.get(place[1], 0) if place[2] in _STATUS_FIELDS else 1)
    ]
    account.crm_fields_written = len(values)
    account.wrong("written twice with different values", twice)
    account.wrong("a filled CRM field was overwritten", overwritten)


def _entries_per_record(stack: Stack) -> dict[str, int]:
    statement = select(outbox.c.system, outbox.c.record_id, func.count()).group_by(outbox.c.system, outbox.c.record_id)
    with stack.stores.ops.read() as connection:
        return {_key(system, record): n for system, record, n in connection.execute(statement)}


def _check_bills(account: Account, stack: Stack) -> None:
    """Paid calls are repeated for subjects whose call was in flight at a kill, and for no others."""
    lost, phones = _lost_calls(stack), _orders_of_phones(stack)
    account.calls_in_flight_at_kills = lost.total()
    paid: Counter[tuple[str, str, str]] = Counter()  # whether asked alone or together with others
    for endpoint, subjects in stack.sandbox("GET", "counters")["billed_subjects"].items():
        for subject, times in subjects.items():
            paid[(*_PURPOSES[endpoint], subject.lower())] += times
    account.paid_calls = paid.total()
    account.repeated_calls = paid.total() - len(paid)
    unexplained = [(key, times) for key, times in paid.items() if times - 1 > lost[key] + phones[key]]
    account.wrong("paid for again without having been in flight at a kill", unexplained)


def _lost_calls(stack: Stack) -> Counter[tuple[str, str, str]]:
    columns = (attempts.c.provider, attempts.c.purpose, attempts.c.subject_key)
    statement = select(*columns).where(attempts.c.state.in_(["unknown", "sent"]))
    with stack.stores.ops.read() as connection:
        rows = connection.execute(statement).all()
    return Counter((provider, purpose, key.partition(":")[2].lower()) for provider, purpose, key in rows)


def _orders_of_phones(stack: Stack) -> Counter[tuple[str, str, str]]:
    """Apollo takes the order for a phone by a match of the person, and charges for that one as well."""
    statement = select(attempts.c.subject_key).where(attempts.c.purpose == "phone")
    with stack.stores.ops.read() as connection:
        keys = connection.execute(statement).scalars()
        return Counter(("apollo", "person", key.partition(":")[2].lower()) for key in keys)


def _check_warehouse(account: Account, stack: Stack) -> None:
    """After the next projection the warehouse has the rows of the operational store."""

    def caught_up() -> bool:
        report = project(stack.settings, stack.stores)
        return not report.skipped_because_locked and not report.lag_rows

    wait_for("a projection that no other one holds up", 30, caught_up, pause=0.3)
    different = []
    with open_warehouse(stack.settings).connect_reader() as lake, stack.stores.ops.read() as connection:
        for source in SOURCES:
            counted = select(func.count()).select_from(source.table)
            ours = connection.execute(counted if source.only is None else counted.where(source.only)).scalar_one()
            found = lake.execute(f"SELECT count(*) FROM {source.target}").fetchone()
            theirs = found[0] if found else 0
            if ours != theirs:
                different.append(f"{source.target}: {theirs} instead of {ours}")
    account.wrong("the warehouse has other rows than the operational store", different)
