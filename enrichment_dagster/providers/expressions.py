"""Reading an answer by JMESPath, where the configuration says what stands where. Odd data is never an exception."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from enrichment_dagster.ports import RawValue
from enrichment_dagster.providers.lookup import malformed

_MAX_ID = 200
# An expression fails by JMESPath's own errors, or by Python's where a function meets a type that it does not foresee.
_FAILURES = (JMESPathError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RecursionError)


def read_values(body: Any, expressions: Mapping[str, str], confidence: float) -> tuple[RawValue, ...]:
    """Return the value of each field that has one; nothing, an empty text, list or object is no value.

    Raises:
        ProviderError: expressions failed and none brought a value: the body is of another shape than described.
    """
    found, failed = [], []
    for field, expression in expressions.items():
        try:
            value = jmespath.search(expression, body)
        except _FAILURES:
            failed.append(field)
            continue
        if value not in (None, "", [], {}):
            found.append(RawValue(field, value, confidence))
    if failed and not found:
        raise malformed(f"can't read {', '.join(failed)}")
    return tuple(found)


def read_id(body: Any, expression: str | None) -> str:
    """Return the vendor's id of the call; empty where there is none."""
    try:
        found = jmespath.search(expression, body) if expression else None
    except _FAILURES:
        return ""
    return str(found)[:_MAX_ID] if isinstance(found, str | int) and not isinstance(found, bool) else ""
