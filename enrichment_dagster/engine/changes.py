"""What an enrichment found out about what the record says: confirmed, out of date, or proven wrong."""

from __future__ import annotations

from enrichment_dagster.domain.fields import FIELDS, FieldValue, Level
from enrichment_dagster.engine.circumstances import mail_domain_of
from enrichment_dagster.engine.draft import Draft
from enrichment_dagster.engine.plan import Plan
from enrichment_dagster.ports import Employer

EMPLOYER_FIELDS = frozenset({"title", "company_name", "company_domain"})
"""What of a record is about the company that its person works for."""


def settle(draft: Draft, plan: Plan) -> None:
    """Draw the conclusions once nobody is asked any more."""
    if plan.rules.follow_employer:
        draft.employer = _new_employer(draft)
    if draft.employer is not None:
        old = {name: raw for name, raw in draft.aside_as_stored.items() if name in EMPLOYER_FIELDS}
        draft.replaced = {**old, **draft.replaced}
    _take_back(draft)
    _condemn_the_address(draft)


def _new_employer(draft: Draft) -> Employer | None:
    """Return the company that a provider names in place of the known one; None where it names the same one or none."""
    values, before = draft.knowledge.values, draft.former_company
    found = _bought(values.get("company_domain")) or mail_domain_of(_bought(values.get("email")))
    if not found or before is None or found == before:
        return None
    return Employer(domain=found, name=_bought(values.get("company_name")), former_domain=before)


def _bought(value: FieldValue | None) -> str:
    return str(value.value) if value is not None and value.precedence else ""


def _take_back(draft: Draft) -> None:
    """Let the record's own word stand where nobody else had one; of a company that its person has left, it does not."""
    for name, value in draft.aside.items():
        left = draft.employer is not None and (FIELDS[name].level is Level.COMPANY or name in EMPLOYER_FIELDS)
        if name not in draft.knowledge.values and not left and not draft.knowledge.is_refused(value):
            draft.knowledge.add([value])


def _condemn_the_address(draft: Draft) -> None:
    """Where the record's address is proven wrong and no other one was found, its status says so from now on."""
    knowledge = draft.knowledge
    wrong = draft.address is not None and "email" in draft.replaced and "email" not in knowledge.values
    if not wrong or draft.person_key is None or "email_status" not in knowledge.wanted:
        return
    event = draft.item.event
    verdict = FieldValue(
        field="email_status",
        value="invalid",
        provider=event.source,
        subject_key=draft.person_key,
        fetched_at=event.occurred_at,
        verified_at=event.occurred_at,
        precedence=1,
    )
    knowledge.add([verdict])
