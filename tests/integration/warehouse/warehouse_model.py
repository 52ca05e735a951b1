"""What the warehouse must hold, computed in Python from the operational rows, without any of the product's SQL."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

from warehouse_rows import Lead

from enrichment_dagster.domain.fields import FIELDS, Level

Ledger = list[dict[str, Any]]


def ledger_of(leads: list[Lead]) -> Ledger:
    """Return all field values in the order of their insertion, numbered as the store numbers them."""
    rows = [row for lead in leads for row in lead.values]
    return [row | {"value_id": number} for number, row in enumerate(rows, start=1)]


def moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1_000, tz=UTC)


def best_values(ledger: Ledger) -> dict[str, dict[str, dict[str, Any]]]:
    """Return subject -> field -> the row that wins."""
    competing: dict[tuple[str, str], Ledger] = defaultdict(list)
    for row in ledger:
        if row["chosen"]:
            competing[(row["subject_key"], row["field"])].append(row)
    best: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for (subject, name), rows in competing.items():
        winner = _winner(rows)
        best[subject][name] = _winner([row for row in rows if _was_repeated(row, winner)] or [winner])
    return best


def _winner(rows: Ledger) -> dict[str, Any]:
    best = rows[0]
    for row in rows[1:]:
        best = row if _wins(row, best) else best
    return best


def _from_crm(row: dict[str, Any]) -> bool:
    return row["provider"] in {"hubspot", "salesforce"}


def _was_repeated(row: dict[str, Any], winner: dict[str, Any]) -> bool:
    """Say whether the winner is a CRM's copy of this provider's value."""
    earlier = row["fetched_at_ms"] < winner["fetched_at_ms"]
    return _from_crm(winner) and not _from_crm(row) and earlier and row["value"] == winner["value"]


def _wins(row: dict[str, Any], other: dict[str, Any]) -> bool:
    if row["fetched_at_ms"] != other["fetched_at_ms"]:
        return row["fetched_at_ms"] > other["fetched_at_ms"]
    if row["stale"] != other["stale"]:
        return other["stale"]
    ours, theirs = (0 if _from_crm(one) else max(one["precedence"], 1) for one in (row, other))
    if ours != theirs:
        return ours < theirs
    if row["confidence"] != other["confidence"]:
        return row["confidence"] > other["confidence"]
    if row["provider"] != other["provider"]:
        return row["provider"] < other["provider"]
    return row["value_id"] > other["value_id"]


def links(ledger: Ledger) -> dict[tuple[str, str], tuple[int, int, str]]:
    """Return (person, company) -> (since, last seen, the event of that)."""
    by_work: dict[str, Ledger] = defaultdict(list)
    for row in ledger:
        if row["chosen"]:
            by_work[row["work_id"]].append(row)
    found: dict[tuple[str, str], tuple[int, int, str]] = {}
    for rows in by_work.values():
        people = {row["subject_key"] for row in rows if row["subject_key"].startswith("email:")}
        companies = {row["subject_key"] for row in rows if row["subject_key"].startswith("domain:")}
        for pair in ((person, company) for person in people for company in companies):
            times = [row["fetched_at_ms"] for row in rows if row["subject_key"] in pair]
            since, last, event_id = found.get(pair, (min(times), min(times), ""))
            newer = max(times) >= last
            found[pair] = (
                min(since, *times),
                max(last, *times),
                rows[0]["event_id"] if newer else event_id,
            )
    return found


def subjects(ledger: Ledger, level: Level) -> dict[str, dict[str, Any]]:
    """Return each subject's wide row without provenance."""
    prefix = "email:" if level is Level.CONTACT else "domain:"
    names = [name for name, spec in FIELDS.items() if spec.level is level]
    rows: dict[str, dict[str, Any]] = {}
    for key, values in best_values(ledger).items():
        if not key.startswith(prefix):
            continue
        times = [row["fetched_at_ms"] for row in ledger if row["subject_key"] == key and row["chosen"]]
        rows[key] = {name: values[name]["value"] if name in values else None for name in names}
        rows[key] |= {"first_seen_at": moment(min(times)), "updated_at": moment(max(times))}
    if level is Level.COMPANY:
        for key, row in rows.items():
            row["company_domain"] = row["company_domain"] or key.removeprefix("domain:")
        return rows
    for key, row in rows.items():
        pairs = [(-last, pair[1]) for pair, (_, last, _) in links(ledger).items() if pair[0] == key]
        row["company_domain"] = min(pairs)[1].removeprefix("domain:") if pairs else None
    return rows
