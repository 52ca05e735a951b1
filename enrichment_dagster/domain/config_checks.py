"""What the entries of ``enrichment.yaml`` demand of each other, looked up in the raw file.

The raw file, and not the parsed models, because a wrong type in one place must not hide a wrong name in another: the
operator gets all problems at once, each at its own line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from enrichment_dagster.domain.expressions import compared_with
from enrichment_dagster.domain.fields import FIELDS, GROUPS, Level
from enrichment_dagster.domain.records import Role, role_of_kind

Place = tuple[str | int, ...]
Problem = tuple[Place, str]

_DEFAULT_DEADLINE_SECONDS = 25.0
_DEFAULT_SEGMENT = "unknown"


def problems_between(raw: Any) -> Iterator[Problem]:
    """Return every problem that lies between entries. What has the wrong shape is left to the models."""
    lookups = [
        f"{provider}.{lookup}"
        for provider, config in entries(raw, "providers")
        for lookup, _ in entries(config, "lookups")
    ]
    for event_type, config in entries(raw, "event_types"):
        for place, message in _event_type(config, lookups):
            yield ("event_types", event_type, *place), message
    for provider, config in entries(raw, "providers"):
        for place, message in _provider(config):
            yield ("providers", provider, *place), message
    for system, crm in entries(raw, "crm"):
        for kind, config in entries(crm, "objects"):
            for place, message in _crm_object(config, role_of_kind(kind)):
                yield ("crm", system, "objects", kind, *place), message
    for place, message in _sent_types(raw):
        yield ("intake", *place), message
    for place, message in _routing(raw.get("routing") if isinstance(raw, Mapping) else None):
        yield ("routing", *place), message


def entries(raw: Any, name: str) -> list[tuple[str, Any]]:
    """Return what stands under a name of the file; nothing where that is not of the form that has entries."""
    found = raw.get(name) if isinstance(raw, Mapping) else None
    return [(str(key), value) for key, value in found.items()] if isinstance(found, Mapping) else []


def _texts(config: Any, name: str) -> list[tuple[int, str]]:
    found = config.get(name) if isinstance(config, Mapping) else None
    return [(n, text) for n, text in enumerate(found) if isinstance(text, str)] if isinstance(found, list) else []


def _event_type(config: Any, lookups: list[str]) -> Iterator[Problem]:
    target = _number(config, "latency_target_seconds", None)
    policy = config.get("policy") if isinstance(config, Mapping) else None
    for index, name in _texts(policy, "recheck"):
        if problem := _unknown_field(name):
            yield ("policy", "recheck", index), problem
    debounce = _number(policy, "debounce_seconds", 0.0)
    if target is not None and debounce is not None and debounce >= target:
        yield (
            ("policy", "debounce_seconds"),
            f"must be smaller than latency_target_seconds ({target:g}), which includes it; it is {debounce:g}",
        )
    for lane, plan in entries(config, "lanes"):
        for place, message in _plan(plan, lookups, target):
            yield ("lanes", lane, *place), message


def _plan(plan: Any, lookups: list[str], target: float | None) -> Iterator[Problem]:
    for index, name in _texts(plan, "wanted"):
        if problem := _unknown_field(name):
            yield ("wanted", index), problem
    for index, step in _texts(plan, "waterfall"):
        if problem := _unknown_lookup(step, lookups):
            yield ("waterfall", index), problem
    for name, steps in entries(plan, "orders"):
        if problem := _unknown_field(name):
            yield ("orders", name), problem
        for index, step in enumerate(steps if isinstance(steps, list) else []):
            if isinstance(step, str) and (problem := _unknown_lookup(step, lookups)):
                yield ("orders", name, index), problem
    deadline = _number(plan, "deadline_seconds", _DEFAULT_DEADLINE_SECONDS)
    if target is not None and deadline is not None and deadline >= target:
        yield (
            ("deadline_seconds",),
            f"must be smaller than latency_target_seconds ({target:g}), which includes waiting; it is {deadline:g}",
        )


def _unknown_field(name: str) -> str:
    if name in FIELDS or name in GROUPS:
        return ""
    return f"no field or group is called {name}; known are {', '.join(dict.fromkeys([*GROUPS, *FIELDS]))}"


def _unknown_lookup(step: str, lookups: list[str]) -> str:
    if "." not in step or step in lookups:
        return ""
    return f"no provider offers {step}; known are {', '.join(sorted(lookups)) or 'none'}"


def _number(config: Any, name: str, default: float | None) -> float | None:
    found = config.get(name, default) if isinstance(config, Mapping) else None
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _provider(config: Any) -> Iterator[Problem]:
    declarative = isinstance(config, Mapping) and config.get("api") == "http"
    if declarative and "auth" not in config:
        yield ("auth",), "is missing: say where the key travels, e.g. {kind: header, name: X-Api-Key}"
    for name, lookup in entries(config, "lookups"):
        has_request = isinstance(lookup, Mapping) and "request" in lookup
        if declarative and not has_request:
            yield ("lookups", name, "request"), "is missing: a provider with api: http describes its requests"
        if declarative and not entries(lookup, "values"):
            yield ("lookups", name, "values"), "is missing: name the fields and where they stand in the answer"
        if has_request and not declarative:
            yield ("lookups", name, "request"), "is only for a provider with api: http"
        for field, _ in entries(lookup, "values"):
            if field not in FIELDS:
                yield ("lookups", name, "values", field), f"no field is called {field}; known are {', '.join(FIELDS)}"


_NEEDED: Mapping[Role, tuple[str, str]] = {
    Role.PERSON: ("email", "without it no record can be enriched"),
    Role.COMPANY: ("company_domain", "without it no record can be found or enriched"),
}


def _crm_object(config: Any, role: Role | None) -> Iterator[Problem]:
    mapping = dict(entries(config, "mapping"))
    for name in mapping:
        if name not in FIELDS:
            yield ("mapping", name), f"no field is called {name}; known are {', '.join(FIELDS)}"
        elif role in (Role.COMPANY, Role.DEAL) and FIELDS[name].level is Level.CONTACT:
            yield ("mapping", name), f"{name} is of one person, a {role} has no such field"
    needed = _NEEDED.get(role) if role is not None else None
    if needed is not None and mapping and needed[0] not in mapping:
        yield ("mapping",), f"{needed[0]} is missing, {needed[1]}"
    if role is Role.PERSON and isinstance(config, Mapping) and config.get("status") is None:
        yield ("status",), "is missing: name the properties that say how the enrichment went"
    status = {name: target for name, target in entries(config, "status") if name != "values"}
    routing = [(f"routing.{name}", target) for name, target in entries(config, "routing")]
    owners: dict[str, str] = {}
    for name, target in [*((f"mapping.{n}", t) for n, t in mapping.items()), *status.items(), *routing]:
        if isinstance(target, str) and owners.setdefault(target, name) != name:
            yield ("mapping",), f"{owners[target]} and {name} go to the same property, {target}"


def _sent_types(raw: Any) -> Iterator[Problem]:
    """An event of a type that leads nowhere would be recorded and never enriched."""
    known = [name for name, _ in entries(raw, "event_types")]
    senders = dict(entries(raw, "intake"))
    for sender in ("cloudevents", "standard_webhooks"):
        for theirs, ours in entries(senders.get(sender), "types"):
            if isinstance(ours, str) and ours not in known:
                yield (sender, "types", theirs), f"no event type is called {ours}; known are {', '.join(known)}"


def _routing(config: Any) -> Iterator[Problem]:
    """A route that asks for a segment that no rule gives would never be taken, and nobody would notice."""
    if not isinstance(config, Mapping):
        return
    default = str(config.get("default_segment", _DEFAULT_SEGMENT))
    segments = [*(name for _, name in _of_rules(config, "segments", "name")), default]
    for index, condition in _of_rules(config, "routes", "when"):
        for name in dict.fromkeys(compared_with(condition, "segment")):
            if name not in segments:
                yield ("routes", index, "when"), f"no segment is called {name}; known are {', '.join(segments)}"


def _of_rules(config: Any, rules: str, name: str) -> Iterator[tuple[int, str]]:
    """Return one text of each rule, with the rule's place."""
    listed = config.get(rules)
    for index, rule in enumerate(listed if isinstance(listed, list) else []):
        found = rule.get(name) if isinstance(rule, Mapping) else None
        if isinstance(found, str):
            yield index, found
