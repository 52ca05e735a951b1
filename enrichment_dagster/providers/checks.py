"""What is wrong with the providers of ``enrichment.yaml`` that only the vendors' own files know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from enrichment_dagster.domain.config import ProviderConfig
from enrichment_dagster.domain.config_checks import Place, Problem, entries
from enrichment_dagster.errors import ConfigurationError
from enrichment_dagster.http.egress import parse_origin

if TYPE_CHECKING:
    from enrichment_dagster.providers.registry import Vendor

    Vendors = Mapping[str, Vendor]


def problems_in_file(raw: Any, vendors: Vendors) -> Iterator[Problem]:
    """Return every such problem of a file as it stands there; what has the wrong form is left to the models."""
    providers = dict(entries(raw, "providers"))
    for name, entry in providers.items():
        try:
            config = ProviderConfig.model_validate(entry)
        except ValidationError:  # which is told anyway
            built_in = isinstance(entry, Mapping) and entry.get("api") != "http"
            yield from _unknown(name, dict(entries(entry, "lookups")), vendors) if built_in else ()
        else:
            yield from problems_of(name, config, vendors)
    for event_type, config in entries(raw, "event_types"):
        for place, lookup in _routing_lookups(config):
            if _is_slow(lookup, providers, vendors):
                yield ("event_types", event_type, "lanes", "routing", *place), f"{lookup} can't answer in time"


def problems_of(name: str, config: ProviderConfig, vendors: Vendors) -> Iterator[Problem]:
    """Return what is wrong with one provider."""
    vendor = vendors.get(name) if config.api != "http" else None
    if config.api != "http":  # else all of it is described, and was checked when the file was read
        yield from _unknown(name, config.lookups, vendors)
    if not config.enabled:
        return
    for place, message in vendor.problems(config) if vendor else ():
        yield ("providers", name, *place), message
    try:
        parse_origin(name, str(config.base_url))
    except ConfigurationError as error:
        for problem in error.problems:
            yield ("providers", name, "base_url"), problem.removeprefix(f"{name}: ")


def _unknown(name: str, lookups: Mapping[str, Any], vendors: Vendors) -> Iterator[Problem]:
    vendor = vendors.get(name)
    if vendor is None:
        yield ("providers", name), f"no such provider; known are {', '.join(vendors)}; others need api: http"
        return
    for lookup in lookups:
        if lookup not in vendor.lookups:
            yield (
                ("providers", name, "lookups", lookup),
                f"no such lookup; known are {', '.join(vendor.lookups)}",
            )


def _routing_lookups(config: Any) -> Iterator[tuple[Place, str]]:
    """Yield the lookups that an event type's routing lane lists, each with its place there."""
    plan = dict(entries(dict(entries(config, "lanes")), "routing"))
    lists: dict[Place, Any] = {("waterfall",): plan.get("waterfall")}
    lists |= {("orders", name): names for name, names in entries(plan, "orders")}
    for place, names in lists.items():
        for index, name in enumerate(names if isinstance(names, list) else []):
            yield (*place, index), str(name)


def _is_slow(lookup: str, providers: Mapping[str, Any], vendors: Vendors) -> bool:
    provider, _, purpose = lookup.partition(".")
    entry, vendor = providers.get(provider), vendors.get(provider)
    is_used = isinstance(entry, Mapping) and entry.get("enabled", True) is True and entry.get("api") != "http"
    kind = vendor.lookups.get(purpose) if vendor and is_used else None
    return kind is not None and kind.slow
