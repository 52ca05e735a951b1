"""The rules of ``enrichment.yaml`` by which a lead has its segment, score and route."""

from __future__ import annotations

from pydantic import Field

from enrichment_dagster.domain.config_types import Condition, ConfigModel, RouteCondition, Text


class ScoreRule(ConfigModel):
    """Points for what is known of a lead."""

    points: int = Field(ge=-1_000, le=1_000)
    when: Condition
    reason: Text


class SegmentRule(ConfigModel):
    """A segment of leads; the first one that fits counts."""

    name: Text
    when: Condition

    @property
    def because(self) -> str:
        """Return the reason that a lead of this segment is given."""
        return f"segment {self.name}: {self.when}"


class RouteRule(ConfigModel):
    """Where a lead goes; the first one that fits counts. May use ``segment`` and ``score``."""

    to: Text
    when: RouteCondition

    @property
    def because(self) -> str:
        """Return the reason that a lead of this route is given."""
        return f"route {self.to}: {self.when}"


class RoutingConfig(ConfigModel):
    """How leads are scored and routed: small conditions over the fields that are there."""

    score: list[ScoreRule] = Field(default=[])
    segments: list[SegmentRule] = Field(default=[])
    routes: list[RouteRule] = Field(default=[])
    default_segment: Text = "unknown"
    default_route: Text = "round_robin"
