"""The event types of ``enrichment.yaml``: what triggers, what is not enriched after all, and the plans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from enrichment_dagster.domain.config_types import ConfigModel, DomainName, LookupName, Memory, Seconds, Text, Usd
from enrichment_dagster.domain.fields import GROUPS


class PlanConfig(ConfigModel):
    """What one lane of an event type wants, whom it asks, and what that may take and cost."""

    wanted: list[str] = Field(min_length=1, description="Field groups or single fields.")
    waterfall: list[LookupName] = Field(min_length=1, description="Lookups, the most trusted first.")
    orders: dict[str, list[LookupName]] = Field(default={}, description="Fields or groups with an order of their own.")
    mode: Literal["sequential", "parallel", "hedged"] = "sequential"
    prefer: Literal["listed", "cheapest", "fastest"] = Field(
        default="cheapest", description="Of several lookups that have a missing field: which one is asked first."
    )
    deadline_seconds: Seconds = 25.0
    budget_usd: Usd | None = Field(default=None, description="What one event may cost.")
    fresh_seconds: Memory | None = Field(
        default=None, description="What was bought for the subject within it counts as known."
    )

    @property
    def fields(self) -> tuple[str, ...]:
        """Return the wanted fields, groups resolved, without repeats."""
        return resolved(self.wanted)


class LanesConfig(ConfigModel):
    """The plans of an event type: ``standard`` by Dagster runs, ``routing`` by the gateway, at once."""

    standard: PlanConfig
    routing: PlanConfig | None = None

    @property
    def by_name(self) -> dict[str, PlanConfig]:
        """Return the plans that there are, by lane."""
        found = {"standard": self.standard, "routing": self.routing}
        return {lane: plan for lane, plan in found.items() if plan is not None}


Problem = Literal["hard_bounce", "soft_bounce", "blocked", "disconnected", "unreachable", "job_change"]


class TriggerConfig(ConfigModel):
    """Which events of a type are worth an enrichment; the others are recorded with the reason and cost nothing."""

    stages: list[Text] = Field(default=[], description="Of an opportunity, compared without case. Empty: all.")
    pages: list[Text] = Field(default=[], description="Paths of a website, * stands for anything. Empty: all.")
    min_score: float = Field(default=0.0, ge=0, le=100, description="Of an intent signal.")
    topics: list[Text] = Field(default=[], description="Of an intent signal. Empty: all.")
    problems: list[Problem] = Field(
        default=["hard_bounce", "disconnected", "job_change"], description="Of a value. Empty: all."
    )


class PolicyConfig(ConfigModel):
    """When an event that triggers is not enriched after all. Every such decision is recorded with its reason."""

    needs: Literal["email", "domain"] = Field(default="email", description="What must be known of the subject.")
    cooldown_seconds: Memory = Field(
        default=0.0, description="For so long after an enrichment, further events of the subject are skipped."
    )
    debounce_seconds: Annotated[float, Field(ge=0, le=3_600)] = Field(
        default=0.0, description="Events of one subject that come within it are one enrichment, of the newest."
    )
    only_status: list[Text] = Field(
        default=[], description="What the record's status must say, blank for an empty one. Empty: anything."
    )
    skip_domains: list[DomainName] = Field(default=[], description="Domains, with all below them, to leave alone.")
    recheck: list[str] = Field(
        default=[], description="Fields or groups that are asked for although the record has them."
    )
    follow_employer: bool = Field(
        default=False,
        description="Where a provider names another company than the record, replace what it says of the old one.",
    )

    @property
    def rechecked(self) -> tuple[str, ...]:
        """Return the fields of ``recheck``, groups resolved."""
        return resolved(self.recheck)


class EventTypeConfig(ConfigModel):
    """What one kind of event needs."""

    description: str = ""
    latency_target_seconds: Seconds
    personal_domains: Literal["skip", "enrich"] = "skip"
    min_coverage: float = Field(
        default=0.5, ge=0, le=1, description="Share of wanted fields below which a check warns."
    )
    follow_up_seconds: list[Seconds] = Field(default_factory=lambda: [300.0, 1_800.0, 7_200.0])
    trigger: TriggerConfig = TriggerConfig()
    policy: PolicyConfig = PolicyConfig()
    lanes: LanesConfig


def resolved(names: Sequence[str]) -> tuple[str, ...]:
    """Return the fields that these names of fields and groups stand for, without repeats."""
    return tuple(dict.fromkeys(name for entry in names for name in GROUPS.get(entry, (entry,))))
