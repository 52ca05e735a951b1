"""Storing edges between people and companies: one row for each, with the time that it has been seen.

A CRM's word that an association was removed ends its edge. Events come in any order and wait for their turn, so both
look for the other one: the removal, when it is received, for the edge; the edge, when it is stored, for removals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, case, null, select, update

from enrichment_dagster.domain.edges import ASSOCIATION_REMOVED, Edge, EdgeKind, linked_company
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.records import PERSON_TYPES
from enrichment_dagster.ports import Enrichment
from enrichment_dagster.store.database import to_ms
from enrichment_dagster.store.prepared import Change, Query, insert_of
from enrichment_dagster.store.rows import Row
from enrichment_dagster.store.tables import contact_company, work

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
    _end_removed_before(connection, [edge for edge, _ in found if edge.kind is EdgeKind.ASSOCIATED], rev)


def end_removed(connection: Connection, events: Sequence[Row], rev: int) -> None:
    """End the edges of associations that these events, rows of the journal or of work, report as removed."""
    removed = []
    for row in events:
        contact = RecordRef(row["subject_system"], row["subject_type"], row["subject_id"])
        company = linked_company(contact, row["attributes"])
        if company is not None:
            at_ms = row["occurred_at_ms"]
            removed.append({"b_contact": contact.key, "b_company": company.key, "b_at": at_ms, "b_rev": rev})
    _END_ASSOCIATION.run(connection, removed)


def _end_removed_before(connection: Connection, edges: Sequence[Edge], rev: int) -> None:
    """End those of these edges whose removal was received before they were stored."""
    ids = sorted({edge.contact.record_id for edge in edges if edge.contact is not None})
    if ids:
        rows = [dict(zip(_REMOVAL, row, strict=True)) for row in _REMOVALS.rows(connection, b_ids=ids)]
        end_removed(connection, rows, rev)


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
_END_ASSOCIATION = Change(
    update(contact_company)
    .where(
        contact_company.c.contact_record == bindparam("b_contact"),
        contact_company.c.company_record == bindparam("b_company"),
        contact_company.c.kind == str(EdgeKind.ASSOCIATED),
        contact_company.c.ended_at_ms.is_(None),
        contact_company.c.last_seen_at_ms <= bindparam("b_at"),
    )
    .values(ended_at_ms=bindparam("b_at"), rev=bindparam("b_rev"))
)
_REMOVAL = ("subject_system", "subject_type", "subject_id", "attributes", "occurred_at_ms")
_REMOVALS = Query(
    select(*(work.c[name] for name in _REMOVAL)).where(
        work.c.subject_system.in_(list(PERSON_TYPES)),
        work.c.subject_type.in_(sorted({kind for kinds in PERSON_TYPES.values() for kind in kinds})),
        work.c.subject_id.in_(bindparam("b_ids", expanding=True)),
        work.c.reason == ASSOCIATION_REMOVED,
    )
)
