"""Is the configuration right: the file, secrets, lanes, mappings, addresses that nobody filled in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from enrichment_dagster.cli.doctor.finding import Finding, fail, hint, ok, warn
from enrichment_dagster.domain.config import CrmObjectConfig, EventTypeConfig
from enrichment_dagster.errors import ConfigurationError
from enrichment_dagster.intake.registry import sender_urls
from enrichment_dagster.settings import Settings, missing_secrets, waiting_senders

_PLACEHOLDERS = ("enrich.example.com", "your-domain.my.salesforce.com")
_OUTCOMES = ("enriched", "partial", "unchanged", "skipped", "failed")


def config_problems(error: ConfigurationError) -> Iterator[Finding]:
    """Return each problem of a configuration that can't be used."""
    for problem in error.problems:
        yield fail("configuration", problem, "change it, then try `enrichment config --check`")


def check_configuration(settings: Settings) -> Iterator[Finding]:
    """Check what a valid file says against the rest of the world."""
    yield ok("configuration", str(settings.config_path))
    yield from check_secrets(settings)
    yield from check_lanes(settings)
    yield from check_mappings(settings)
    yield from check_senders(settings)
    yield from check_addresses(settings)


def check_senders(settings: Settings) -> Iterator[Finding]:
    """Say who may send events, and what those wait for that are not served yet."""
    waiting = waiting_senders(settings)
    served = [name for name in settings.config.intake.senders if name not in waiting]
    if served:
        yield ok("senders", ", ".join(served))
    else:
        yield fail("senders", "no sender is served", "add intake.hubspot, intake.salesforce_flow or another one")
    if waiting:
        missing = ", ".join(f"{name} ({variable})" for name, variable in waiting.items())
        yield hint("senders", f"not served: {missing}", "set the variable in brackets of those that you use")


def check_secrets(settings: Settings) -> Iterator[Finding]:
    """Check that the environment has every secret that the file names."""
    missing = missing_secrets(settings)
    if missing:
        yield fail("secrets", f"{len(missing)} missing", *missing, "or try it without keys: `enrichment demo`")
    else:
        yield ok("secrets", "all are set")


def check_lanes(settings: Settings) -> Iterator[Finding]:
    """Check that Dagster has a sensor and an asset for each event type, and say which of its lanes have no events."""
    from assets.lanes import LANES, with_lane

    built, configured = {lane.event_type for lane in LANES}, set(settings.config.event_types)
    for event_type in sorted(configured - built):
        todo = f"its events are recorded and not enriched; sensors exist for {', '.join(sorted(built))}"
        yield warn("lanes", f"no sensor handles {event_type}", todo)
    if unused := sorted(built - configured):
        todo = "their events are recorded as unsupported; to enrich them, add them to event_types"
        yield hint("lanes", f"without events: {', '.join(unused)}", todo)
    used = with_lane(settings.config.event_types)
    if used:
        yield ok("lanes", ", ".join(f"{lane.event_type} -> {lane.asset}" for lane in LANES if lane.event_type in used))
    else:
        yield fail("lanes", "no event type of a sensor is configured", f"add one of {', '.join(sorted(built))}")


def check_mappings(settings: Settings) -> Iterator[Finding]:
    """Check that what is bought has a place in each CRM, and that every outcome has a word."""
    crm = settings.config.crm
    systems = {"hubspot": crm.hubspot, "salesforce": crm.salesforce}
    used = {system: config.objects for system, config in systems.items() if config is not None}
    if not any(used.values()):
        yield fail("crm mapping", "no CRM is configured", "add crm.hubspot or crm.salesforce")
    for system, objects in used.items():
        mapped = {field for mapping in objects.values() for field in mapping.mapping}
        homeless = sorted(_wanted(settings.config.event_types.values()) - mapped)
        if homeless:
            todo = f"add them to a mapping of crm.{system}.objects, or to no event type's wanted"
            yield warn("crm mapping", f"wanted, but written nowhere in {system}: {', '.join(homeless)}", todo)
        for kind, mapping in objects.items():
            yield _words(f"crm.{system}.objects.{kind}", mapping)


def _words(place: str, mapping: CrmObjectConfig) -> Finding:
    known = set() if mapping.status is None else {str(key) for key in mapping.status.values}
    wordless = [outcome for outcome in _OUTCOMES if outcome not in known]
    if mapping.status is not None and wordless:
        return warn("crm mapping", f"no word for: {', '.join(wordless)}", f"add it to {place}.status.values")
    return ok("crm mapping", f"{place}: {len(mapping.mapping)} properties")


def _wanted(event_types: Iterable[EventTypeConfig]) -> set[str]:
    return {field for config in event_types for plan in config.lanes.by_name.values() for field in plan.fields}


def check_addresses(settings: Settings) -> Iterator[Finding]:
    """Find the addresses of the example that nobody has replaced."""
    crm = settings.config.crm
    places = {f"intake.{name}.public_url": url for name, url in sender_urls(settings).items()}
    if crm.salesforce:
        places["crm.salesforce.base_url"] = settings.base_url("salesforce", crm.salesforce.base_url)
    untouched = {place: url for place, url in places.items() if urlsplit(url).hostname in _PLACEHOLDERS}
    for place, url in untouched.items():
        yield warn("addresses", f"{place} is still the example's: {url}", f"set {place} to yours")
    if places and not untouched:
        yield ok("addresses", ", ".join(f"{place} is set" for place in places))
