"""Looking for records by what identifies a person or a company: how a value may be written, and what is the same.

CRMs keep texts as people type them: ``(415) 555-0132`` for a number, ``https://www.acme.com/`` for a domain. They are
asked for the usual forms, and what they return is compared here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from enrichment_dagster.domain.normalise import InvalidValueError, normalise_domain
from enrichment_dagster.ports import CrmRecord, Search

_NO_DIGIT = re.compile(r"\D")
_LEAST_DIGITS = 7  # fewer name an extension, not a subscriber


def written_forms(search: Search, value: str) -> tuple[str, ...]:
    """Return the forms in which records may hold a value, without repeats."""
    if search.by == "phone":
        return _phone_forms(value)
    return (value, f"www.{value}") if search.by == "domain" else (value.lower(),)


def national_digits(number: str) -> str:
    """Return the digits of an E.164 number behind its country code: ``+14155550132`` -> ``4155550132``."""
    import phonenumbers

    try:
        return str(phonenumbers.parse(number).national_number)
    except phonenumbers.NumberParseException:
        return _NO_DIGIT.sub("", number)


def _phone_forms(number: str) -> tuple[str, ...]:
    import phonenumbers

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return (number,)
    kinds = phonenumbers.PhoneNumberFormat
    shown = (phonenumbers.format_number(parsed, kind) for kind in (kinds.INTERNATIONAL, kinds.NATIONAL))
    return tuple(dict.fromkeys((number, number.removeprefix("+"), *shown, national_digits(number))))


def matched(search: Search, values: Iterable[str], records: Sequence[CrmRecord]) -> dict[str, list[CrmRecord]]:
    """Return which records hold each value, in their order."""
    same = _SAME[search.by]
    held = [(record, [record.properties.get(name) for name in search.properties]) for record in records]
    found = {
        value: [record for record, texts in held if any(same(text, value) for text in texts if isinstance(text, str))]
        for value in values
    }
    return {value: of_value for value, of_value in found.items() if of_value}


def _same_email(stored: str, value: str) -> bool:
    return stored.strip().lower() == value.lower()


def _same_phone(stored: str, value: str) -> bool:
    digits, national = _NO_DIGIT.sub("", stored), national_digits(value)
    if stored.strip().startswith("+"):
        return digits == _NO_DIGIT.sub("", value)
    return len(national) >= _LEAST_DIGITS and digits.endswith(national)


def _same_domain(stored: str, value: str) -> bool:
    try:
        return normalise_domain(stored) == value
    except InvalidValueError:
        return False


_SAME: Mapping[str, Callable[[str, str], bool]] = {
    "email": _same_email,
    "phone": _same_phone,
    "domain": _same_domain,
}


def fitting(values: Sequence[str], cost: Callable[[str], int], room: int, most: int) -> Iterator[list[str]]:
    """Cut values into parts that hold ``most`` and cost ``room`` together at the most, and one at the least."""
    part: list[str] = []
    used = 0
    for value in values:
        if part and (len(part) >= most or used + cost(value) > room):
            yield part
            part, used = [], 0
        part.append(value)
        used += cost(value)
    if part:
        yield part


def merged(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what several calls found, by value."""
    return {value: found for part in parts for value, found in part.items()}
