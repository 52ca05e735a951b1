"""Reading numbers out of JSON that may hold anything. Whole lists are checked at once: this runs twice per call."""

from __future__ import annotations

from math import isfinite
from typing import Any

_NUMBERS, _WHOLE = {float, int}, {int}
_MAX_SECONDS, _MAX_COUNT = 1e11, 10**15  # the year 5138; what every JSON library and database can hold


def seconds(raw: Any) -> float:
    """Return a number that can be a time or a duration.

    Raises:
        ValueError: it is something else.
    """
    if type(raw) not in _NUMBERS or not abs(raw) < _MAX_SECONDS:  # written so that NaN fails
        raise ValueError("not a time")
    return float(raw)


def all_seconds(raw: list[Any]) -> list[float]:
    """Return a list of finite numbers.

    Raises:
        ValueError, TypeError, OverflowError: it is something else.
    """
    if type(raw) is not list or not set(map(type, raw)) <= _NUMBERS or not isfinite(sum(raw)):
        raise ValueError("not finite numbers")
    return raw


def count(raw: Any) -> int:
    """Return a whole number, not below zero.

    Raises:
        ValueError: it is something else.
    """
    if type(raw) is not int or not 0 <= raw <= _MAX_COUNT:
        raise ValueError("not a count")
    return raw


def all_counts(raw: list[Any]) -> list[int]:
    """Return a list of whole numbers, not below zero.

    Raises:
        ValueError, TypeError: it is something else.
    """
    if (
        type(raw) is not list
        or not set(map(type, raw)) <= _WHOLE
        or (raw and not 0 <= min(raw) <= max(raw) <= _MAX_COUNT)
    ):
        raise ValueError("not counts")
    return raw
