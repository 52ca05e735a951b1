"""Moments, money and subjects in the form that machines read."""

from __future__ import annotations

from datetime import datetime

from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.records import PERSON

_MICROS = 1_000_000


def iso(moment: datetime | None) -> str | None:
    """Return a moment for machines, UTC, to the millisecond."""
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def usd(micros: int) -> float:
    """Return millionths of a US dollar as dollars."""
    return round(micros / _MICROS, 6)


def mask_subject(key: str) -> str:
    """Return a subject key without the person's name: ``email:j***@acme.com``; a company's domain stays."""
    kind, _, rest = key.partition(":")
    if kind not in {"email", "person"}:
        return key
    local, at, domain = rest.rpartition("@")
    return f"{kind}:{local[:1]}***{at}{domain}" if at and len(local) > 1 else f"{kind}:***{at}{domain if at else ''}"


def record_text(ref: RecordRef, *, values: bool) -> str:
    """Return a subject's text form; a person who is named by address or number stays unnamed without ``values``."""
    if values or ref.system != PERSON:
        return ref.key
    if ref.object_type == "email":
        return f"{ref.system}:{mask_subject(f'email:{ref.record_id}')}"
    return f"{ref.system}:{ref.object_type}:***"
