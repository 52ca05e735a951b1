"""Fault plans: what goes wrong at which endpoint and how often, as data.

A plan maps endpoint names to behaviour. `*` applies to all, `apollo.*` to one vendor, `apollo.people_match` to
one call; the more exact entry overrides the other field by field:

    seed: 7
    endpoints:
      "*": {latency: 50}
      apollo.*: {latency: {p50_ms: 180, p95_ms: 900}}
      apollo.people_match: {throttle_rate: 0.05, retry_after_seconds: 2}

What happens to a call depends only on the seed, the endpoint, the subject and how often that subject was
asked for before, so a run is reproducible however its calls interleave.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from hashlib import blake2b
from math import exp, log
from pathlib import Path
from statistics import NormalDist
from typing import Any, Literal, get_args

import yaml

from enrichment_dagster.sandbox.chance import chance

_OBJECT_CALLS = ("read", "update", "batch_read", "batch_update", "search")
_ASSOCIATION_CALLS = ("read", "put", "label", "batch_read")

ENDPOINTS = (
    "apollo.people_match",
    "apollo.people_bulk_match",
    "apollo.people_search",
    "apollo.organization_enrich",
    "apollo.organization_bulk_enrich",
    "apollo.news_search",
    "apollo.webhook_result",
    "apollo.credit_usage",
    "clearbit.combined_find",
    "clearbit.person_find",
    "clearbit.company_find",
    "people_data_labs.person_enrich",
    "people_data_labs.person_bulk",
    "people_data_labs.company_enrich",
    "hunter.email_finder",
    "hunter.email_verifier",
    "zerobounce.validate",
    "zerobounce.validate_batch",
    "openai.chat_completions",
    "clay.webhook",
    "competitors.company_competitors",
    "hubspot.contact_read",
    "hubspot.contact_update",
    "hubspot.batch_read",
    "hubspot.batch_update",
    "hubspot.contact_search",
    *(f"hubspot.{kind}_{call}" for kind in ("company", "deal") for call in _OBJECT_CALLS),
    *(f"hubspot.{kind}_association_{call}" for kind in ("contact", "deal") for call in _ASSOCIATION_CALLS),
    "salesforce.token",
    *(f"salesforce.{kind}_update" for kind in ("lead", "contact", "account", "opportunity")),
    "salesforce.collections_update",
    "salesforce.query",
)

FaultKind = Literal[
    "error", "throttle", "hang", "malformed", "wrong_type", "huge_body", "lock", "prose", "invented_citation"
]
_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
# What a vendor does without any plan: Hunter's verifier often is not done when its answer is due.
_HABITS: Mapping[str, Mapping[str, Any]] = {"hunter.email_verifier": {"pending_rate": 0.1}}
_Z95 = NormalDist().inv_cdf(0.95)
_STANDARD = NormalDist()
_UNIT = 2.0**64


class FaultPlanError(ValueError):
    """The plan names an unknown endpoint or setting, or its rates make no sense."""


@dataclass(frozen=True, slots=True)
class Latency:
    """How long a call takes: always p50 when p95 equals it, else log-normal through both points."""

    p50_ms: float = 50.0
    p95_ms: float = 50.0

    def __post_init__(self) -> None:
        if self.p50_ms < 0 or self.p95_ms < self.p50_ms or (self.p50_ms == 0 < self.p95_ms):
            raise FaultPlanError(f"latency needs 0 <= p50_ms <= p95_ms and p50_ms > 0 to vary, got {self}")

    def seconds(self, quantile: float) -> float:
        """The latency at this quantile."""
        if self.p95_ms == self.p50_ms:
            return self.p50_ms / 1000
        sigma = log(self.p95_ms / self.p50_ms) / _Z95
        return self.p50_ms / 1000 * exp(sigma * _STANDARD.inv_cdf(min(max(quantile, 1e-9), 1 - 1e-9)))


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How one endpoint behaves. Rates are shares of calls and exclude each other.

    Errors, throttles and locks refuse the call before it has an effect. A hang, a malformed, a wrongly typed and a
    huge answer come after it: the call is billed and the record written, as with a real vendor. So do a language
    model's prose in place of JSON and its citation of a field that it was not given.

    `pending_rate` is another matter, a share of subjects and not of calls: for these, a vendor that works in the
    background answers "not yet" to the first `pending_polls` calls.
    """

    latency: Latency = Latency()
    error_rate: float = 0.0
    error_status: int = 503
    throttle_rate: float = 0.0
    retry_after_seconds: float = 1.0
    hang_rate: float = 0.0
    hang_seconds: float = 30.0
    malformed_rate: float = 0.0
    wrong_type_rate: float = 0.0
    huge_body_rate: float = 0.0
    huge_body_bytes: int = 5_000_000
    lock_rate: float = 0.0
    prose_rate: float = 0.0
    invented_citation_rate: float = 0.0
    pending_rate: float = 0.0
    pending_polls: int = 1
    rate_limit: int = 0
    rate_window_seconds: float = 10.0

    def __post_init__(self) -> None:
        rates = [getattr(self, f"{kind}_rate") for kind in _KINDS]
        if min(rates) < 0 or sum(rates) > 1 + 1e-9:
            raise FaultPlanError(f"rates must not be negative nor add up to more than 1: {rates}")
        if not 0 <= self.pending_rate <= 1:
            raise FaultPlanError(f"pending_rate is a share from 0 to 1, got {self.pending_rate}")

    def kind(self, quantile: float) -> FaultKind | None:
        """Which fault, if any, falls on this quantile."""
        for kind in _KINDS:
            quantile -= getattr(self, f"{kind}_rate")
            if quantile < 0:
                return kind
        return None


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to one call."""

    delay_seconds: float
    kind: FaultKind | None


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """The behaviour of every endpoint, with the seed of the dice."""

    seed: int = 7
    endpoints: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    _resolved: dict[str, Behaviour] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in self.endpoints:
            if name not in _patterns():
                raise FaultPlanError(f"unknown endpoint {name!r}; known: {', '.join(sorted(_patterns()))}")
        object.__setattr__(self, "_resolved", {name: self._resolve(name) for name in ENDPOINTS})

    def behaviour(self, endpoint: str) -> Behaviour:
        """The merged behaviour of one endpoint."""
        return self._resolved[endpoint]

    def decide(self, endpoint: str, subject: str, nth: int) -> Decision:
        """What happens to the nth call about this subject."""
        behaviour = self._resolved[endpoint]
        digest = blake2b(f"{self.seed}|{endpoint}|{subject}|{nth}".encode(), digest_size=16).digest()
        first = int.from_bytes(digest[:8]) / _UNIT
        second = int.from_bytes(digest[8:]) / _UNIT
        return Decision(behaviour.latency.seconds(second), behaviour.kind(first))

    def pending(self, endpoint: str, subject: str, nth: int) -> bool:
        """Whether the nth call about this subject comes before the vendor is done with it."""
        behaviour = self._resolved[endpoint]
        if nth > behaviour.pending_polls:
            return False
        return chance(self.seed, endpoint, subject, "pending") < behaviour.pending_rate

    def as_data(self) -> dict[str, Any]:
        """The plan as it can be written to YAML or JSON."""
        return {"seed": self.seed, "endpoints": {name: dict(entry) for name, entry in self.endpoints.items()}}

    def _resolve(self, name: str) -> Behaviour:
        behaviour = _override(Behaviour(), name, _HABITS.get(name, {}))
        for pattern in ("*", f"{name.partition('.')[0]}.*", name):
            behaviour = _override(behaviour, pattern, self.endpoints.get(pattern, {}))
        return behaviour


def parse_plan(data: object) -> FaultPlan:
    """A plan from decoded YAML or JSON; raises FaultPlanError with the reason."""
    if not isinstance(data, Mapping) or set(data) - {"seed", "endpoints"}:
        raise FaultPlanError("a fault plan is a mapping with 'seed' and 'endpoints'")
    endpoints = {} if data.get("endpoints") is None else data["endpoints"]
    if not isinstance(endpoints, Mapping) or not all(isinstance(entry, Mapping) for entry in endpoints.values()):
        raise FaultPlanError("'endpoints' maps endpoint names to settings")
    seed = data.get("seed", 7)
    if not isinstance(seed, int):
        raise FaultPlanError("'seed' must be a whole number")
    return FaultPlan(seed=seed, endpoints={str(name): dict(entry) for name, entry in endpoints.items()})


def load_plan(path: Path) -> FaultPlan:
    """A plan from a YAML file."""
    return parse_plan(yaml.safe_load(path.read_text(encoding="utf-8")))


def _patterns() -> frozenset[str]:
    return frozenset(("*", *ENDPOINTS, *(f"{name.partition('.')[0]}.*" for name in ENDPOINTS)))


_SETTINGS = frozenset(item.name for item in fields(Behaviour))


def _override(behaviour: Behaviour, pattern: str, entry: Mapping[str, Any]) -> Behaviour:
    unknown = set(entry) - _SETTINGS
    if unknown:
        raise FaultPlanError(f"unknown setting of {pattern}: {', '.join(sorted(unknown))}")
    changes = {name: value if name == "latency" else _number(pattern, name, value) for name, value in entry.items()}
    if "latency" in changes:
        changes["latency"] = _latency(pattern, changes["latency"])
    return replace(behaviour, **changes)


def _latency(pattern: str, value: object) -> Latency:
    if isinstance(value, Mapping):
        if set(value) != {"p50_ms", "p95_ms"}:
            raise FaultPlanError(f"latency of {pattern} needs p50_ms and p95_ms")
        return Latency(_number(pattern, "p50_ms", value["p50_ms"]), _number(pattern, "p95_ms", value["p95_ms"]))
    fixed = _number(pattern, "latency", value)
    return Latency(fixed, fixed)


def _number(pattern: str, name: str, value: object) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FaultPlanError(f"{name} of {pattern} must be a number, got {value!r}")
    return value
