"""Operational rows for warehouse tests: seeded, made of plain dictionaries, inserted with SQLAlchemy."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import and_, update

from enrichment_dagster.domain.fields import FIELDS, Kind, Level
from enrichment_dagster.store import tables
from enrichment_dagster.store.database import Database, open_sqlite

START_MS = 1_790_000_000_000
_DAY = "2026-09-21"


def open_ops(folder: Path) -> Database:
    database = open_sqlite(folder / "ops.db")
    tables.ops_metadata.create_all(database.engine)
    return database


@dataclass
class Lead:
    """Everything that the enrichment of one lead leaves in the operational store."""

    work: dict[str, Any]
    values: list[dict[str, Any]] = field(default_factory=list)
    attempts: list[dict[str, Any]] = field(default_factory=list)
    writes: list[dict[str, Any]] = field(default_factory=list)
    quarantine: list[dict[str, Any]] = field(default_factory=list)
    dead: list[dict[str, Any]] = field(default_factory=list)

    def edges(self) -> list[dict[str, Any]]:
        """Return who belongs to which company: what is chosen of a person and of a company in one piece of work."""
        chosen = [row for row in self.values if row["chosen"]]
        people, companies = (
            sorted({row["subject_key"] for row in chosen if row["subject_key"].startswith(prefix)})
            for prefix in ("email:", "domain:")
        )
        return [self._edge(person, company, chosen) for person in people for company in companies]

    def _edge(self, person: str, company: str, chosen: list[dict[str, Any]]) -> dict[str, Any]:
        times = [row["fetched_at_ms"] for row in chosen if row["subject_key"] in (person, company)]
        return edge(person, company, since_at_ms=min(times), last_seen_at_ms=max(times), event_id=self.work["event_id"])

    def rows(self) -> list[tuple[Any, list[dict[str, Any]]]]:
        return [
            (tables.work, [self.work]),
            (tables.field_values, self.values),
            (tables.attempts, self.attempts),
            (tables.crm_writes, self.writes),
            (tables.quarantine, self.quarantine),
            (tables.dead_letters, self.dead),
        ]


def event(number: int, **changes: Any) -> dict[str, Any]:
    received = START_MS + number * 1_000
    return {
        "work_id": f"evt_{number}",
        "seq": number,
        "kind": "event",
        "event_id": f"evt_{number}",
        "event_type": "lead_created",
        "source": "hubspot",
        "lane": "standard",
        "subject_system": "hubspot",
        "subject_type": "contact",
        "subject_id": str(number),
        "sender_event_id": f"s{number}",
        "attributes": {},
        "occurred_at_ms": received - 250,
        "received_at_ms": received,
        "day": _DAY,
        "state": "done",
        "due_at_ms": received,
        "batch_id": "b1",
        "tries": 0,
        "run_id": "r1",
        "started_at_ms": received + 1_500,
        "finished_at_ms": received + 2_750,
        "delivered_at_ms": received + 3_000,
        "outcome": "partial",
        "reason": "",
        "missing": {"phone": "no_data"},
        "steps": [{"lookup": "apollo.person", "result": "hit"}],
        "caused_by": "",
        "depth": 0,
        "cost_micros": 48_000,
    } | changes


def edge(person: str, company: str, **changes: Any) -> dict[str, Any]:
    return {
        "contact_key": person,
        "company_key": company,
        "kind": "employed",
        "system": "",
        "contact_record": "",
        "company_record": "",
        "since_at_ms": START_MS,
        "last_seen_at_ms": START_MS,
        "ended_at_ms": None,
        "event_id": "evt_1",
    } | changes


def value(number: int, subject_key: str, name: str, found: Any, **changes: Any) -> dict[str, Any]:
    return {
        "work_id": f"evt_{number}",
        "event_id": f"evt_{number}",
        "subject_key": subject_key,
        "field": name,
        "value": found,
        "provider": "apollo",
        "confidence": 0.9,
        "fetched_at_ms": START_MS + number * 1_000 + 2_000,
        "verified_at_ms": None,
        "expires_at_ms": START_MS + 86_400_000,
        "cost_micros": 0,
        "request_id": "req",
        "precedence": 1,
        "chosen": True,
        "stale": False,
    } | changes


def attempt(number: int, provider: str, state: str, **changes: Any) -> dict[str, Any]:
    sent = START_MS + number * 1_000 + 1_600
    return {
        "attempt_id": f"att_{number}_{provider}",
        "provider": provider,
        "purpose": "person",
        "subject_key": f"email:p{number}@acme.example",
        "event_id": f"evt_{number}",
        "state": state,
        "reason": "timeout" if state == "error" else "",
        "http_status": 200,
        "request_id": "req",
        "reserved_micros": 20_000,
        "cost_micros": 20_000 if state == "hit" else 0,
        "latency_ms": 100 + number,
        "sent_at_ms": sent,
        "lease_until_ms": sent + 10_000,
        "settled_at_ms": sent + 100 + number,
        "role": "",
        "units": 1,
    } | changes


def crm_write(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "outbox_id": f"out_{number}",
        "work_id": f"evt_{number}",
        "event_id": f"evt_{number}",
        "system": "hubspot",
        "object_type": "contact",
        "record_id": str(number),
        "status": "written",
        "written": {"jobtitle": "CTO"},
        "kept": {"city": "not_empty"},
        "reason": "",
        "written_at_ms": START_MS + number * 1_000 + 3_000,
    } | changes


def bad_value(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "work_id": f"evt_{number}",
        "event_id": f"evt_{number}",
        "field": "phone",
        "raw": "call me",
        "provider": "apollo",
        "reason": "not_a_phone",
        "created_at_ms": START_MS + number * 1_000,
    } | changes


def dead_letter(number: int) -> dict[str, Any]:
    return {
        "work_id": f"evt_{number}",
        "event_id": f"evt_{number}",
        "event_type": "lead_created",
        "component": "crm",
        "reason": "not_found",
        "detail": "gone",
        "created_at_ms": START_MS + number * 1_000,
    }


_SAMPLES: dict[Kind, Any] = {
    Kind.TEXT: "Berlin",
    Kind.EMAIL: "ada@acme.example",
    Kind.PHONE: "+493012345",
    Kind.URL: "https://www.linkedin.com/in/ada",
    Kind.DOMAIN: "acme.example",
    Kind.INTEGER: 1984,
    Kind.NUMBER: 1_250_000.5,
    Kind.TAGS: ["Python", "DuckDB"],
    Kind.LONG_TEXT: "Makes warehouses; sells ducks.",
    Kind.ENTRIES: [{"name": "Ada Lovelace", "title": "CTO", "email": "ada@acme.example"}, {"name": "Bob Byte"}],
}


def lead(number: int, seed: int = 0) -> Lead:
    """Return one seeded lead: an event, about 14 values, 3 attempts, a write; now and then a bad value."""
    rng = random.Random(f"{seed}:{number}")
    person, domain = f"email:p{number}@acme{number % 97}.example", f"acme{number % 97}.example"
    values = []
    for name in rng.sample(sorted(FIELDS), 14):
        company = FIELDS[name].level is Level.COMPANY
        found = _SAMPLES[FIELDS[name].kind]
        if FIELDS[name].kind is Kind.TEXT:
            found = f"{name} {rng.randrange(5)}"
        values.append(
            value(
                number,
                f"domain:{domain}" if company else person,
                name,
                found,
                provider=rng.choice(["apollo", "clearbit", "hubspot"]),
                confidence=rng.choice([0.5, 0.75, 1.0]),
                precedence=rng.randrange(3),
                chosen=rng.random() < 0.8,
                stale=rng.random() < 0.2,
                cost_micros=rng.choice([0, 20_000]),
                fetched_at_ms=START_MS + rng.randrange(5) * 1_000,
            )
        )
    attempts = [
        attempt(
            number,
            provider,
            rng.choice(["hit", "hit", "miss", "error", "unknown"]),
            role=rng.choice(["", "", "hedge"]),
            purpose=rng.choice(["person", "company"]),
        )
        for provider in ("apollo", "clearbit", "zerobounce")
    ]
    return Lead(
        event(number, event_type=rng.choice(["lead_created", "opportunity_created"])),
        values,
        attempts,
        [crm_write(number)],
        [bad_value(number)] if number % 10 == 0 else [],
        [dead_letter(number)] if number % 50 == 0 else [],
    )


def insert_leads(database: Database, leads: list[Lead]) -> int:
    """Insert the leads in one transaction, as the enrichment's terminal transaction does; returns its rev."""
    with database.write() as connection:
        rev = next_rev(connection)
        grouped: dict[Any, list[dict[str, Any]]] = {}
        for one in leads:
            for table, rows in one.rows():
                grouped.setdefault(table, []).extend(row | {"rev": rev} for row in rows)
        for table, rows in grouped.items():
            if rows:
                connection.execute(table.insert(), rows)
        for one in leads:
            for row in one.edges():
                _see(connection, row | {"rev": rev})
    return rev


def insert_edges(database: Database, *edges: dict[str, Any]) -> None:
    with database.write() as connection:
        rev = next_rev(connection)
        for row in edges:
            _see(connection, row | {"rev": rev})


_EDGE_KEY = ("contact_key", "company_key", "kind", "system")


def _see(connection: Any, row: dict[str, Any]) -> None:
    """Widen the time of an edge that is there, as the store does."""
    table = tables.contact_company
    same = and_(*(table.c[name] == row[name] for name in _EDGE_KEY))
    old = connection.execute(table.select().where(same)).mappings().first()
    if old is None:
        connection.execute(table.insert(), row)
        return
    last = row if row["last_seen_at_ms"] >= old["last_seen_at_ms"] else old
    seen = {"since_at_ms": min(row["since_at_ms"], old["since_at_ms"]), "ended_at_ms": row["ended_at_ms"]}
    kept = {name: last[name] for name in ("last_seen_at_ms", "event_id")}
    connection.execute(update(table).where(same).values(**seen, **kept, rev=row["rev"]))


def next_rev(connection: Any) -> int:
    counters = tables.counters
    done = connection.execute(update(counters).where(counters.c.name == "rev").values(n=counters.c.n + 1))
    if done.rowcount == 0:
        connection.execute(counters.insert().values(name="rev", n=1))
    return connection.execute(counters.select().where(counters.c.name == "rev")).one().n


def change_event(database: Database, work_id: str, **changes: Any) -> None:
    with database.write() as connection:
        rev = next_rev(connection)
        connection.execute(update(tables.work).where(tables.work.c.work_id == work_id).values(**changes, rev=rev))


CONTENT_TABLES = (
    "events",
    "field_values",
    "contacts",
    "companies",
    "contact_company",
    "provider_attempts",
    "crm_writes",
    "quarantine",
    "dead_letters",
)


def contents(warehouse: Any) -> dict[str, list[tuple[Any, ...]]]:
    """Return every table's rows, sorted."""
    with warehouse.connect_reader() as lake:
        return {table: sorted(lake.execute(f"FROM {table}").fetchall(), key=repr) for table in CONTENT_TABLES}
