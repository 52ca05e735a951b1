"""From a vendor's object to raw values: the mapping is data, a missing or odd part is simply not a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from enrichment_dagster.ports import RawValue

Row = Mapping[str, Any]
"""A vendor's object, as it came."""
Paths = Mapping[str, str]
"""Path in the vendor's object ("geo.city", "phoneNumbers.0") to our field. The first path that has a value wins."""


def extract(source: Any, paths: Paths, confidence: float) -> tuple[RawValue, ...]:
    """Return the values that the object has, as the vendor sent them; their types are checked later."""
    found: dict[str, RawValue] = {}
    for path, field in paths.items():
        value = value_at(source, path)
        if field not in found and value not in (None, "", [], {}):
            found[field] = RawValue(field, value, confidence)
    return tuple(found.values())


def value_at(source: Any, path: str) -> Any:
    """Return what stands at a path, or None where the way there is missing or of another type."""
    for step in path.split("."):
        if isinstance(source, dict):
            source = source.get(step)
        elif isinstance(source, list) and step.isdecimal() and int(step) < len(source):
            source = source[int(step)]
        else:
            return None
    return source


def first_of_each(*groups: Iterable[RawValue]) -> tuple[RawValue, ...]:
    """Return one value per field, those of the earlier groups first."""
    found: dict[str, RawValue] = {}
    for raw in (raw for group in groups for raw in group):
        found.setdefault(raw.field, raw)
    return tuple(found.values())


def texts_of(source: Mapping[str, Any], keys: Iterable[str]) -> dict[str, str]:
    """Return those of an object's values that are texts: an entry of a list field."""
    found = {key: source.get(key) for key in keys}
    return {key: value for key, value in found.items() if isinstance(value, str) and value.strip()}
