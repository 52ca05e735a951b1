"""The routing's result: segment, score and route of a lead, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from enrichment_dagster.domain.config import RoutingConfig
from enrichment_dagster.domain.evaluation import Evaluator, prepared
from enrichment_dagster.domain.expression_names import LEAD_NAMES, ROUTE_NAMES, Type
from enrichment_dagster.domain.expressions import Expression, parse
from enrichment_dagster.domain.fields import Value


@dataclass(frozen=True, slots=True)
class RoutingDecision:
    """Where a lead goes, and why."""

    segment: str
    score: int
    route: str
    reasons: tuple[str, ...] = ()  # one for each rule that fitted

    def as_data(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "segment": self.segment,
            "score": self.score,
            "route": self.route,
            "reasons": list(self.reasons),
        }


class RoutingRules:
    """The compiled rules of the configuration."""

    def __init__(self, config: RoutingConfig) -> None:
        self._config = config
        segments = _parsed([rule.when for rule in config.segments], LEAD_NAMES)
        scores = _parsed([rule.when for rule in config.score], LEAD_NAMES)
        routes = _parsed([rule.when for rule in config.routes], ROUTE_NAMES)
        expressions = [*segments, *scores, *routes]
        self._evaluator = Evaluator(ROUTE_NAMES, expressions)
        self.fields = frozenset[str]().union(*(expression.names for expression in expressions)) & LEAD_NAMES.keys()
        """What the rules ask of a lead."""
        self._segments, self._scores, self._routes = (
            [prepared(expression) for expression in group] for group in (segments, scores, routes)
        )

    def decide(self, values: Mapping[str, Value]) -> RoutingDecision:
        """Return where a lead with these fields goes. Never fails: what is missing or of a wrong type fits no rule."""
        config, evaluator = self._config, self._evaluator
        known = evaluator.known(values)
        segment, route = config.default_segment, config.default_route
        reasons = []
        if (place := evaluator.first(self._segments, known)) is not None:
            segment = config.segments[place].name
            reasons.append(config.segments[place].because)
        fitting = [config.score[place] for place in evaluator.all(self._scores, known)]
        score = sum(rule.points for rule in fitting)
        reasons += [rule.reason for rule in fitting]
        known |= {"segment": segment, "score": float(score)}
        if (place := evaluator.first(self._routes, known)) is not None:
            route = config.routes[place].to
            reasons.append(config.routes[place].because)
        return RoutingDecision(segment, score, route, tuple(reasons))


def compile_rules(config: RoutingConfig) -> RoutingRules:
    """Return the rules, ready to decide."""
    return RoutingRules(config)


def _parsed(conditions: Sequence[str], names: Mapping[str, Type]) -> list[Expression]:
    return [parse(condition, names) for condition in conditions]
