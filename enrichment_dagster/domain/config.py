"""The typed form of ``enrichment.yaml``: triggers, plans, providers and CRM mappings as data.

Secrets are never in the file: it names environment variables (``*_env``), which ``settings`` reads.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from enrichment_dagster.domain.config_checks import problems_between
from enrichment_dagster.domain.config_crm import (
    ConsentConfig,
    CrmConfig,
    CrmObjectConfig,
    HubSpotConfig,
    RoutingProperties,
    SalesforceConfig,
    StatusProperties,
)
from enrichment_dagster.domain.config_events import (
    EventTypeConfig,
    LanesConfig,
    PlanConfig,
    PolicyConfig,
    Problem,
    TriggerConfig,
    resolved,
)
from enrichment_dagster.domain.config_intake import (
    CallerConfig,
    CloudEventsConfig,
    EnrichApiConfig,
    FlowIntakeConfig,
    HubSpotIntakeConfig,
    HubSpotWorkflowConfig,
    IntakeConfig,
    SecretSenderConfig,
    SegmentConfig,
    SenderConfig,
    SendGridConfig,
    SharedSecretConfig,
    SignedUrlConfig,
    StandardWebhooksConfig,
    TwilioConfig,
)
from enrichment_dagster.domain.config_providers import (
    AuthConfig,
    BreakerConfig,
    BudgetConfig,
    CacheConfig,
    LimitsConfig,
    LookupConfig,
    ProtectionConfig,
    ProviderConfig,
    RequestConfig,
    RetryConfig,
    SwitchConfig,
)
from enrichment_dagster.domain.config_routing import RouteRule, RoutingConfig, ScoreRule, SegmentRule
from enrichment_dagster.domain.config_types import (
    AppId,
    Condition,
    ConfigModel,
    DomainName,
    EnvName,
    JmesPath,
    LookupName,
    Memory,
    Name,
    RouteCondition,
    Seconds,
    Template,
    Text,
    Usd,
)
from enrichment_dagster.domain.config_words import in_words, place_of
from enrichment_dagster.domain.triggers import TriggerRules, Triggers

__all__ = [
    "AppId",
    "AuthConfig",
    "BreakerConfig",
    "BudgetConfig",
    "CacheConfig",
    "CallerConfig",
    "CloudEventsConfig",
    "Condition",
    "ConsentConfig",
    "CrmConfig",
    "CrmObjectConfig",
    "DomainName",
    "EnrichApiConfig",
    "EnrichmentConfig",
    "EnvName",
    "EventTypeConfig",
    "FlowIntakeConfig",
    "HubSpotConfig",
    "HubSpotIntakeConfig",
    "HubSpotWorkflowConfig",
    "IntakeConfig",
    "JmesPath",
    "LanesConfig",
    "LimitsConfig",
    "LookupConfig",
    "LookupName",
    "Memory",
    "Name",
    "PlanConfig",
    "PolicyConfig",
    "Problem",
    "ProtectionConfig",
    "ProviderConfig",
    "RequestConfig",
    "RetryConfig",
    "RouteCondition",
    "RouteRule",
    "RoutingConfig",
    "RoutingProperties",
    "RunEconomyConfig",
    "SalesforceConfig",
    "ScoreRule",
    "Seconds",
    "SecretSenderConfig",
    "SegmentConfig",
    "SegmentRule",
    "SendGridConfig",
    "SenderConfig",
    "SharedSecretConfig",
    "SignedUrlConfig",
    "StandardWebhooksConfig",
    "StatusProperties",
    "SwitchConfig",
    "Template",
    "Text",
    "TriggerConfig",
    "TwilioConfig",
    "Usd",
    "resolved",
]


class RunEconomyConfig(ConfigModel):
    """How events become Dagster runs."""

    max_batch: int = Field(default=500, ge=1, le=5_000)
    max_runs_at_once: int = Field(default=2, ge=1, le=20)
    max_runs_per_minute: int = Field(default=20, ge=1, le=120)
    min_linger_seconds: Seconds = 5.0
    concurrent_events: int = Field(
        default=200,
        ge=1,
        le=1_000,
        description="Events of a batch that are worked at once. More share bulk calls and commits better, but wait "
        "for a provider's rate limit together, and no longer than the plan's deadline.",
    )


class EnrichmentConfig(ConfigModel):
    """The whole of ``enrichment.yaml``."""

    version: Literal[1]
    event_types: dict[Name, EventTypeConfig] = Field(min_length=1)
    providers: dict[Name, ProviderConfig] = Field(min_length=1)
    crm: CrmConfig
    intake: IntakeConfig
    retry: RetryConfig = RetryConfig()
    cache: CacheConfig = CacheConfig()
    protection: ProtectionConfig = ProtectionConfig()
    budget: BudgetConfig = BudgetConfig()
    routing: RoutingConfig = RoutingConfig()
    runs: RunEconomyConfig = RunEconomyConfig()

    def triggers(self) -> Triggers:
        """Return the rules that decide at the door, by event type."""
        return Triggers({name: _rules(config.trigger) for name, config in self.event_types.items()})

    @model_validator(mode="wrap")
    @classmethod
    def _all_problems_at_once(cls, raw: Any, check: ModelWrapValidatorHandler[Self]) -> Self:
        """Report what is wrong inside an entry together with what is wrong between entries."""
        found = [_line(place, message, raw) for place, message in problems_between(raw)]
        try:
            config = check(raw)
        except ValidationError as error:
            found = [*(_line(place_of(item), in_words(item, cls), item["input"]) for item in error.errors()), *found]
        if found:
            raise ValidationError.from_exception_data(cls.__name__, found)
        return config


def _line(place: tuple[str | int, ...], message: str, value: Any) -> InitErrorDetails:
    # As a parameter, because a custom error's text is a template.
    kind = PydanticCustomError("configuration", "{problem}", {"problem": message})
    return InitErrorDetails(type=kind, loc=place, input=value)


def _rules(config: TriggerConfig) -> TriggerRules:
    return TriggerRules(
        stages=tuple(config.stages),
        pages=tuple(config.pages),
        min_score=config.min_score,
        topics=tuple(config.topics),
        problems=tuple(config.problems),
    )
