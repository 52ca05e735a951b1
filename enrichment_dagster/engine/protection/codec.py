"""Reading numbers out of JSON that may hold anything. Whole lists are checked at once: this runs twice per call."""

from __future__ import annotations

from math import isfinite
from typing import Any

_NUMBERS, _WHOLE = {float, int}, {int}


def seconds(raw: Any) -> float:
    """Return a finite number.

    Raises:
        ValueError: it is something else.
    """
    if type(raw) not in _NUMBERS or not isfinite(raw):
        raise ValueError("not a finite number")
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
    if type(raw) is not int or raw < 0:
        raise ValueError("not a count")
    return raw


def all_counts(raw: list[Any]) -> list[int]:
    """Return a list of whole numbers, not below zero.

    Raises:
        ValueError, TypeError: it is something else.
    """
    if type(raw) is not list or not set(map(type, raw)) <= _WHOLE or (raw and min(raw) < 0):
        raise ValueError("not counts")
    return raw
