"""A data quality fact: an address or a number that turned out to be bad, as mail platforms and dialers report it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.crm_record import crm_record
from enrichment_dagster.intake.elements import Element
from enrichment_dagster.intake.subjects import clean_email, person_by_email


def bad_email(raw: str, problem: str, detail: str, tags: Element) -> tuple[RecordRef, Mapping[str, Any]]:
    """Return whom a report on an address is about, and what it says.

    ``tags`` is what was attached to the message when it was sent: where it names the record, that is the subject.

    Raises:
        PayloadError: ``bad_email``: there is none; ``bad_record_id``.
    """
    email = clean_email(raw)
    person = person_by_email(email)
    if person is None:
        raise PayloadError("bad_email", "no address that could be stored")
    problems = {"problem": problem, "bad_field": "email", "bad_value": email} if problem else {}
    return crm_record(tags) or person, {"email": email, "detail": detail, **problems}
