"""An intent signal in one form, whatever its vendor calls company, topic and strength."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from enrichment_dagster.domain.triggers import INTENT_SIGNAL, Triggers
from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.crm_record import crm_record
from enrichment_dagster.intake.elements import Element
from enrichment_dagster.intake.fact import Fact
from enrichment_dagster.intake.subjects import account_by_domain, clean_domain


def rows_of(body: Any) -> Any:
    """Return the rows of a page of a vendor's API, or the body itself where it is no page."""
    return body["data"] if isinstance(body, dict) and isinstance(body.get("data"), list) else body


def intent_fact(
    row: Element,
    triggers: Triggers,
    *,
    domain: str,
    occurred_at: datetime,
    identity: tuple[str | int, ...],
    attributes: Mapping[str, Any],
    number: str = "",
) -> Fact:
    """Return the fact of a vendor's row; the account is the CRM record that the row names, else the domain's.

    A row that triggers nothing yet is another fact than the same row with a score that does: its vendor may renew it.

    Raises:
        PayloadError: ``bad_domain``, ``bad_record_id``.
    """
    account = clean_domain(domain)
    if not account:
        raise PayloadError("bad_domain", "no domain of a company")
    subject = crm_record(row) or account_by_domain(account)
    said = {**attributes, "domain": account}
    _, too_weak = triggers.judge(INTENT_SIGNAL, said)
    parts = (account, *identity, too_weak) if too_weak else (account, *identity)
    return Fact(INTENT_SIGNAL, subject, occurred_at, parts, said, number)
