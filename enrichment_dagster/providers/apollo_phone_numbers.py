"""Apollo: which of the phone numbers of a result is the one to call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from enrichment_dagster.ports import RawValue
from enrichment_dagster.providers.bulk import objects_in
from enrichment_dagster.providers.extract import Row

_CONFIDENCE, _UNSURE = {"high": 0.9, "medium": 0.7, "low": 0.5}, 0.6  # an estimate of ours for Apollo's words


def best_phone(people: Sequence[Row]) -> tuple[RawValue, ...]:
    """Return the first valid mobile number, else the first number at all; nothing where there is none."""
    numbers = [number for person in people for number in _numbers(person)]
    best = next(filter(_is_valid_mobile, numbers), numbers[0] if numbers else None)
    return () if best is None else (_value(best),)


def _numbers(person: Row) -> list[Row]:
    found = person.get("phone_numbers")
    return [number for number in objects_in(found if isinstance(found, list) else []) if _digits(number)]


def _digits(number: Row) -> Any:
    return number.get("sanitized_number") or number.get("raw_number")


def _is_valid_mobile(number: Row) -> bool:
    return number.get("type_cd") == "mobile" and number.get("status_cd") == "valid_number"


def _value(number: Row) -> RawValue:
    sure = number.get("confidence_cd")
    return RawValue("phone", _digits(number), _CONFIDENCE.get(sure, _UNSURE) if isinstance(sure, str) else _UNSURE)
