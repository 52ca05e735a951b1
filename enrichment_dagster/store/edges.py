"""Storing edges between people and companies: one row for each, with the time that it has been seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, case, null, update

from enrichment_dagster.domain.edges import Edge
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.ports import Enrichment
from enrichment_dagster.store.database import to_ms
from enrichment_dagster.store.prepared import Change, insert_of
from enrichment_dagster.store.tables import contact_company

_KEY = ("contact_key", "company_key", "kind", "system")


def store_edges(connection: Connection, enrichments: Sequence[Enrichment], rev: int) -> None:
    """Store what enrichments have seen. An older sighting changes nothing that a newer one has said."""
    found = [(edge, item.item.event.event_id) for item in enrichments for edge in item.edges]
    if not found:
        return
    found.sort(key=lambda pair: pair[0].at)
    _SEE.run(connection, [_row(edge, event_id, rev) for edge, event_id in found])
    left = [
        {"b_contact": edge.contact_key, "b_company": edge.company_key, "b_at": to_ms(edge.at), "b_rev": rev}
        for edge, _ in found
        if edge.replaces
    ]
    _END.run(connection, left)


def _row(edge: Edge, event_id: str, rev: int) -> dict[str, Any]:
    return {
        "contact_key": edge.contact_key,
        "company_key": edge.company_key,
        "kind": str(edge.kind),
        "system": edge.system,
        "contact_record": _key(edge.contact),
        "company_record": _key(edge.company),
        "since_at_ms": to_ms(edge.at),
        "last_seen_at_ms": to_ms(edge.at),
        "ended_at_ms": None,
        "event_id": event_id,
        "rev": rev,
    }


def _key(ref: RecordRef | None) -> str:
    return "" if ref is None else ref.key


def _upsert(dialect: str) -> Any:
    """Return the INSERT that widens the time of an edge that is there; seen after its end, it is open again."""
    make, old = insert_of(dialect, contact_company), contact_company.c
    new = make.excluded
    is_older = new.last_seen_at_ms < old.last_seen_at_ms
    changed = {
        "since_at_ms": case((new.since_at_ms < old.since_at_ms, new.since_at_ms), else_=old.since_at_ms),
        "last_seen_at_ms": case((is_older, old.last_seen_at_ms), else_=new.last_seen_at_ms),
        "ended_at_ms": case((old.ended_at_ms < new.last_seen_at_ms, null()), else_=old.ended_at_ms),
        "event_id": case((is_older, old.event_id), else_=new.event_id),
        "rev": new.rev,
    }
    for name in ("contact_record", "company_record"):
        changed[name] = case(((new[name] == "") | is_older, old[name]), else_=new[name])
    return make.on_conflict_do_update(index_elements=_KEY, set_=changed)


_SEE = Change(_upsert)
_END = Change(
    update(contact_company)
    .where(
        contact_company.c.contact_key == bindparam("b_contact"),
        contact_company.c.company_key != bindparam("b_company"),
        contact_company.c.ended_at_ms.is_(None),
        contact_company.c.last_seen_at_ms <= bindparam("b_at"),
    )
    .values(ended_at_ms=bindparam("b_at"), rev=bindparam("b_rev"))
)
