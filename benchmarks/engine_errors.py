"""A fifth of all calls to providers fail: do leads still get what is known of them?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from benchmarks.batch import EVENT_TYPE, OWNER, clocked, engine_stores, receive
from benchmarks.command import Options, script
from benchmarks.crm import PEOPLE, Lead
from benchmarks.results import Result
from benchmarks.stack import LATENCY_MS, Installation, installation
from enrichment_dagster.clock import SystemClock
from enrichment_dagster.composition import Stores, enrich_batch
from enrichment_dagster.sandbox.world import Company, Person, World
from enrichment_dagster.settings import Settings
from enrichment_dagster.store.tables import field_values

ERROR_SHARE = 0.2
_FOLLOW_UP = timedelta(seconds=301)
_MOST = 500
_PROVIDERS = ("apollo.*", "clearbit.*", "zerobounce.*")
_OF_PERSON = {"title": "title", "level": "seniority", "linkedin": "linkedin_url"}
_OF_COMPANY = {"industry": "industry", "employees": "employees"}


def parameters(options: Options) -> dict[str, Any]:
    """Return the sizes."""
    return {
        "leads": 100 if options.quick else 1_000,
        "error_share": ERROR_SHARE,
        "error": "HTTP 503, of single and of bulk calls",
        "vendor_latency_ms": LATENCY_MS,
        "limits": "lifted",
        "complete": "a lead that has each wanted field which Apollo or Clearbit knows, and a verdict on its address",
    }


def measure(options: Options, result: Result) -> None:
    """Enrich with and without errors, and compare with the emulators' world."""
    many, world = result.parameters["leads"], World(people=PEOPLE)
    with installation(options.base_port, keep=options.keep) as place:
        calm = one_run(place, world, many)
        place.crms.set_faults(
            {"*": {"latency": LATENCY_MS}, **{name: {"error_rate": ERROR_SHARE} for name in _PROVIDERS}}
        )
        rough = one_run(place, world, many)
    result.details.update(without_errors=calm, with_errors=rough)
    result.add("complete leads, no errors", calm["complete_share"] * 100, "%")
    result.add("complete leads, 20 % of all calls fail, at once", rough["complete_share"] * 100, "%", at_least=99)
    later = rough["complete_share_later"] * 100
    result.add("complete leads, 20 % of all calls fail, after the first follow-up", later, "%", at_least=99)
    result.add("fields that are known and were not got, 20 % of all calls fail", rough["lacking_share"] * 100, "%")
    for label, run in (("no errors", calm), ("20 % of all calls fail", rough)):
        result.add(f"{many:,} leads, enrich, {label}: wall", run["enrich"]["wall"], "s")


def one_run(place: Installation, world: World, count: int) -> dict[str, Any]:
    """Enrich a batch; returns who lacks what."""
    leads = place.crms.create(count)
    with engine_stores(place) as (settings, stores):
        (batch_id,) = receive(settings, stores, leads)
        seconds = clocked(lambda: enrich_batch(settings, stores, EVENT_TYPE, batch_id, OWNER))
        wanted = frozenset(settings.config.event_types[EVENT_TYPE].lanes.standard.fields)
        known = {lead: frozenset(known_fields(world, lead)) & wanted for lead in leads}
        lacking = what_is_lacking(stores, leads, known)
        follow_up(settings, replace(stores, clock=LaterClock()))
        still_lacking = what_is_lacking(stores, leads, known)
    bought_for = sum(bool(fields) for fields in known.values())
    by_field: dict[str, int] = defaultdict(int)
    for fields in lacking.values():
        for name in fields:
            by_field[name] += 1
    found = {
        "enrich": seconds,
        "leads_with_business_address": bought_for,
        "complete_share": 1 - len(lacking) / bought_for,
        "complete_share_later": 1 - len(still_lacking) / bought_for,
        "lacking_share": sum(by_field.values()) / sum(map(len, known.values())),
        "lacking_by_field": dict(by_field),
    }
    print(found, flush=True)
    return found


class LaterClock(SystemClock):
    """Five minutes later, when the first follow-ups are due; the errors go on."""

    def now(self) -> datetime:
        """Return the moment."""
        return super().now() + _FOLLOW_UP


def follow_up(settings: Settings, stores: Stores) -> None:
    """Do what the first pass has planned for later."""
    dispatch = stores.dispatch()
    for group in dispatch.due_groups(EVENT_TYPE, _MOST):
        batch = dispatch.assign(EVENT_TYPE, group, _MOST)
        if batch is not None:
            enrich_batch(settings, stores, EVENT_TYPE, batch.batch_id, OWNER)


def what_is_lacking(
    stores: Stores, leads: Sequence[Lead], known: dict[Lead, frozenset[str]]
) -> dict[Lead, frozenset[str]]:
    """Return the leads that lack a field which is known, with those fields."""
    got = defaultdict(set)
    with stores.ops.read() as connection:
        statement = select(field_values.c.event_id, field_values.c.field).where(field_values.c.chosen)
        for row in connection.execute(statement):
            got[row.event_id].add(row.field)
    lacking = {lead: known[lead] - got[f"evt_{lead.system}_{lead.record_id}"] for lead in leads}
    return {lead: fields for lead, fields in lacking.items() if fields}


def known_fields(world: World, lead: Lead) -> Iterator[str]:
    """Yield what Apollo or Clearbit knows of a lead; nothing of a personal address, which is not bought for."""
    person = world.person_by_email(lead.email)
    if person is None or person.company is None:
        return
    yield from ("email", "email_status")
    yield from _of_person(person)
    yield from _of_company(person.company)


def _of_person(person: Person) -> Iterator[str]:
    for view in (person.apollo, person.clearbit):
        if view is not None:
            yield from ("first_name", "last_name")
            yield from (field for name, field in _OF_PERSON.items() if getattr(view, name))
            yield from ("country",) if view.located else ()


def _of_company(company: Company) -> Iterator[str]:
    for view in (company.apollo, company.clearbit):
        if view is not None:
            yield from ("company_name", "company_domain")
            yield from (field for name, field in _OF_COMPANY.items() if getattr(view, name))
    if company.apollo is not None and company.apollo.technologies:  # Clearbit's emulator names none
        yield "tech_stack"


main = script("engine_errors", "E4. A fifth of all calls to providers fail", measure, parameters)

if __name__ == "__main__":
    main()
