"""Whether a value has its field's Python type at all; the rules in ``candidates`` take that for granted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from enrichment_dagster.domain.fields import ENTRIES, FIELDS, FieldValue, Kind

_INT64 = range(-(2**63), 2**63)


def wrong_type(value: FieldValue) -> str:
    """Return why a value can't even stand in a typed column, or an empty text."""
    if value.field not in FIELDS:
        return "unknown_field"
    if not _is_number(value.confidence) or not _fits_float(value.confidence):
        return "confidence: wrong_type"
    kind = FIELDS[value.field].kind
    if kind is Kind.ENTRIES:
        return _wrong_entries(value.value, ENTRIES[value.field])
    return _TYPE_CHECKS.get(kind, _wrong_text)(value.value)


def _wrong_text(value: Any) -> str:
    if not isinstance(value, str):
        return "wrong_type"
    return "" if _is_unicode(value) else "not_unicode"


def _wrong_integer(value: Any) -> str:
    if not _is_number(value) or not isinstance(value, int):
        return "wrong_type"
    return "" if value in _INT64 else "out_of_range"


def _wrong_number(value: Any) -> str:
    if not _is_number(value):
        return "wrong_type"
    return "" if _fits_float(value) else "out_of_range"


def _wrong_tags(value: Any) -> str:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return "wrong_type"
    return next((reason for reason in map(_wrong_text, value) if reason), "")


def _wrong_entries(value: Any, keys: tuple[str, ...]) -> str:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return "wrong_type"
    return next((reason for entry in value if (reason := _wrong_entry(entry, keys))), "")


def _wrong_entry(entry: Any, keys: tuple[str, ...]) -> str:
    if not isinstance(entry, Mapping):
        return "wrong_type"
    if keys[0] not in entry:
        return f"no_{keys[0]}"
    if not entry.keys() <= set(keys):
        return "unknown_key"
    return next((reason for text in entry.values() if (reason := _wrong_text(text))), "")


_TYPE_CHECKS: Mapping[Kind, Callable[[Any], str]] = {
    Kind.INTEGER: _wrong_integer,
    Kind.NUMBER: _wrong_number,
    Kind.TAGS: _wrong_tags,
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _fits_float(value: float) -> bool:
    try:
        float(value)
    except OverflowError:
        return False
    return True


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
