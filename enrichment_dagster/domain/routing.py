"""The routing's result: segment, score and route of a lead, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from enrichment_dagster.domain.config import RoutingConfig
from enrichment_dagster.domain.fields import Value


@dataclass(frozen=True, slots=True)
class RoutingDecision:
    """Where a lead goes, and why."""

    segment: str
    score: int
    route: str
    reasons: tuple[str, ...] = ()  # one for each rule that fitted


@dataclass(frozen=True, slots=True)
class RoutingRules:
    """The compiled rules of the configuration."""

    config: RoutingConfig

    def decide(self, values: Mapping[str, Value]) -> RoutingDecision:
        """Return where a lead with these fields goes."""
        del values
        return RoutingDecision(self.config.default_segment, 0, self.config.default_route)


def compile_rules(config: RoutingConfig) -> RoutingRules:
    """Return the rules, ready to decide."""
    return RoutingRules(config)
