"""From a provider's answer to candidates: our forms, whose value it is, what does not fit set aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from enrichment_dagster.domain.fields import FIELDS, FieldValue, RejectedValue, Value
from enrichment_dagster.domain.normalise import InvalidValueError, normalise
from enrichment_dagster.engine.draft import Draft, company_key
from enrichment_dagster.engine.plan import Plan
from enrichment_dagster.engine.purchase import Purchase
from enrichment_dagster.ports import Answer, Lookup, RawValue

_RAW_LENGTH = 200
_UNDELIVERABLE = "invalid"


def absorb_answer(draft: Draft, lookup: Lookup, subject: str, purchase: Purchase, plan: Plan) -> None:
    """Take an answer's values into the draft."""
    answer = purchase.answer
    assert answer is not None
    draft.ids.update(answer.ids)
    values = _without_refused(draft, _values(draft, lookup, subject, purchase, answer, plan))
    if values and purchase.cost_micros:
        # The call's price stands once, on the first value that it brought.
        values[0] = replace(values[0], cost_micros=purchase.cost_micros)
    draft.knowledge.add(values)
    if lookup.gives == {"email_status"}:
        _judge_email(draft, values, purchase.fetched_at)


def _without_refused(draft: Draft, values: list[FieldValue]) -> list[FieldValue]:
    """Set aside what is proven wrong, whoever says it again, and of a bad address the status that was told with it."""
    bad = [value for value in values if draft.knowledge.is_refused(value)]
    if not bad:
        return values
    fields = {value.field for value in bad}
    if "email" in fields:
        fields.add("email_status")
    draft.knowledge.rejected.extend(
        RejectedValue(value.field, repr(value.value)[:_RAW_LENGTH], value.provider, "proven_wrong") for value in bad
    )
    return [value for value in values if value.field not in fields]


def _values(
    draft: Draft, lookup: Lookup, subject: str, purchase: Purchase, answer: Answer, plan: Plan
) -> list[FieldValue]:
    """Return the answer's values in our forms."""
    name, provider, expires_at = lookup.name, lookup.provider, purchase.fetched_at + plan.value_ttl
    own_company = _answers_company(answer) or (subject if subject.startswith("domain:") else None)
    values: list[FieldValue] = []
    for raw in answer.values:
        spec = FIELDS.get(raw.field)
        subject_key = None if spec is None else draft.subject_key(spec.level, own_company)
        value = None if subject_key is None else _normalised(draft, raw, provider)
        if subject_key is None or value is None:
            continue
        values.append(
            FieldValue(
                field=raw.field,
                value=value,
                provider=provider,
                subject_key=subject_key,
                fetched_at=purchase.fetched_at,
                confidence=raw.confidence,
                verified_at=purchase.fetched_at if raw.field == "email_status" else None,
                expires_at=expires_at,
                request_id=answer.request_id,
                precedence=plan.precedence(raw.field, name),
                stale=purchase.stale,
            )
        )
    return values


def _answers_company(answer: Answer) -> str | None:
    return company_key(next((raw.value for raw in answer.values if raw.field == "company_domain"), None))


def _normalised(draft: Draft, raw: RawValue, provider: str) -> Value | None:
    """Return the value in its field's form; one that has none is set aside."""
    try:
        return normalise(raw.field, raw.value)
    except InvalidValueError as error:
        text = repr(raw.value)[:_RAW_LENGTH]
        draft.knowledge.rejected.append(RejectedValue(raw.field, text, provider, str(error)))
        return None


def _judge_email(draft: Draft, values: Sequence[FieldValue], checked_at: datetime) -> None:
    """Mark the address as verified; one that we bought and that is undeliverable is forgotten, with its verdict.

    An invalid address is never written: the next provider is asked for another one. What the record itself holds is
    left to the people who typed it.
    """
    email, verdict = draft.knowledge.values.get("email"), next(iter(values), None)
    if email is None or verdict is None:
        return
    if verdict.value == _UNDELIVERABLE and email.precedence:
        draft.knowledge.refuse("email", email.value)
        draft.knowledge.reject(verdict, "of_a_refused_address", repr(verdict.value))
    else:
        draft.knowledge.add([replace(email, verified_at=checked_at)])
