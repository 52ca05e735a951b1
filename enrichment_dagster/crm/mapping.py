"""Between our fields and a CRM's properties: pure functions, which ``mapper`` binds to the configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

from enrichment_dagster.crm.values import entries_text, for_hubspot, for_salesforce, is_blank, read_entries, same
from enrichment_dagster.domain.config import CrmObjectConfig
from enrichment_dagster.domain.fields import ENTRIES, FIELDS, Entry, Kind, Value
from enrichment_dagster.ports import WritePlan

Property = str | int | float | bool

_ENCODERS: Mapping[str, Callable[[Any], Property | None]] = MappingProxyType(
    {"hubspot": for_hubspot, "salesforce": for_salesforce}
)


def to_properties(values: Mapping[str, Value], config: CrmObjectConfig, system: str) -> dict[str, Property]:
    """Return the properties that hold these values, in the CRM's form; fields without a property are left out."""
    encode = _ENCODERS[system]
    encoded = {config.mapping[name]: encode(_plain(name, v)) for name, v in values.items() if name in config.mapping}
    return {name: value for name, value in encoded.items() if value is not None and not is_blank(value)}


def _plain(field: str, value: Value) -> Value:
    """Return a list of entries as text; every other value as it is."""
    if FIELDS[field].kind is not Kind.ENTRIES:
        return value
    return entries_text(cast("Sequence[Entry]", value), ENTRIES[field])


def from_properties(properties: Mapping[str, Any], config: CrmObjectConfig) -> dict[str, Any]:
    """Return the filled fields of a record under our names, as the CRM stores them; blank ones are absent.

    A text of entries is read back, so that the list counts as known and is not bought again.
    """
    filled = {name: properties.get(target) for name, target in config.mapping.items()}
    found = {name: _split(name, value) for name, value in filled.items() if not is_blank(value)}
    return {name: value for name, value in found.items() if value is not None}


def _split(field: str, value: Any) -> Any:
    """Return a multi-select's choices, or a text's entries; every other value as it is."""
    kind = FIELDS[field].kind
    if kind is Kind.TAGS and isinstance(value, str):
        return [part.strip() for part in value.split(";") if part.strip()]
    if kind is Kind.ENTRIES and isinstance(value, str):
        return read_entries(value, ENTRIES[field])
    return value


def plan_write(
    current: Mapping[str, Any],
    fill: Mapping[str, Any],
    assign: Mapping[str, Any],
    replace: Mapping[str, Any] | None = None,
) -> WritePlan:
    """Compare what is owed with a record as it is.

    ``fill`` goes to empty properties, and to those that hold the value which ``replace`` names, ``assign`` to any that
    differ. None is never written, an equal value is not written again. ``kept`` says why the rest is not written:
    "filled" (with something else) or "equal".
    """
    outdated = replace or {}
    to_write: dict[str, Any] = {}
    kept: dict[str, str] = {}
    owed = [*((n, v, False) for n, v in fill.items() if n not in assign), *((n, v, True) for n, v in assign.items())]
    for name, value, always in owed:
        if value is None:
            continue
        stored = current.get(name)
        if same(stored, value):
            kept[name] = "equal"
        elif always or is_blank(stored) or (name in outdated and same(stored, outdated[name])):
            to_write[name] = value
        else:
            kept[name] = "filled"
    return WritePlan(to_write, kept)
