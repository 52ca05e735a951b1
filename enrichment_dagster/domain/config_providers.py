"""The providers of ``enrichment.yaml``: how each is reached, what it costs, and what protects from its failures."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, HttpUrl, model_validator

from enrichment_dagster.domain.config_types import (
    ConfigModel,
    EnvName,
    JmesPath,
    Memory,
    Name,
    Seconds,
    Template,
    Usd,
    is_template,
)
from enrichment_dagster.domain.fields import FIELDS, Level
from enrichment_dagster.domain.template import PERSONAL, placeholders


class CacheConfig(ConfigModel):
    """How long answers are remembered, by what came of the call; 0 = not at all."""

    hit_seconds: Memory = 86_400.0
    miss_seconds: Memory = 86_400.0
    error_seconds: Memory = 30.0
    stale_seconds: Memory = Field(
        default=30 * 86_400.0, description="For how long after its end an answer is served when a refresh fails."
    )


_SHARED = "for the answer about a domain is shared by all its people"


class RequestConfig(ConfigModel):
    """The request of a declarative lookup. ``{email}``, ``{domain}`` and the like stand for what is known."""

    method: Literal["GET", "POST"] = "GET"
    path: Annotated[Template, Field(pattern=r"^/([^/?#\s\\][^?#\s\\]*)?$")]
    query: dict[str, Template] = Field(default={})
    body: Annotated[dict[str, Any], AfterValidator(is_template)] | None = None
    subject: Literal["email", "domain"] = Field(description="Whom the answer is about.")
    miss_statuses: list[Annotated[int, Field(ge=200, le=499)]] = Field(default_factory=lambda: [404])

    @property
    def placeholders(self) -> frozenset[str]:
        """Return what has to be known before the request can be made."""
        return placeholders(self.path, self.query, self.body)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.method == "GET" and self.body is not None:
            raise ValueError("a GET request has no body; use method: POST or query")
        if not self.placeholders:
            raise ValueError("has no placeholder: it would ask the same of every record")
        personal = sorted(self.placeholders & PERSONAL)
        if self.subject == "domain" and personal:
            raise ValueError(f"{{{personal[0]}}} is of one person: it needs subject: email, {_SHARED}")
        return self


class LookupConfig(ConfigModel):
    """Price, memory and, for a declarative provider, request and mapping of one operation of a provider."""

    price_usd: Usd
    charge: Literal["on_call", "on_hit"] = "on_hit"
    timeout_seconds: Seconds | None = Field(default=None, description="Instead of the provider's.")
    cache: CacheConfig | None = Field(default=None, description="Instead of the general one.")
    request: RequestConfig | None = None
    values: dict[Name, JmesPath] = Field(default={}, description="Our field: where it stands in the answer.")
    request_id: JmesPath | None = None
    confidence: float = Field(default=0.7, gt=0, le=1)

    @model_validator(mode="after")
    def _shares_no_personal_value(self) -> Self:
        personal = [name for name in self.values if name in FIELDS and FIELDS[name].level is Level.CONTACT]
        if self.request is not None and self.request.subject == "domain" and personal:
            raise ValueError(f"{personal[0]} is of one person: it needs subject: email, {_SHARED}")
        return self


class LimitsConfig(ConfigModel):
    """How hard a provider may be called, by all processes together."""

    per_second: float | None = Field(default=None, gt=0, le=10_000)
    burst: int = Field(default=20, ge=1, le=10_000)
    concurrency: int = Field(default=100, ge=1, le=1_000)
    lifetime_calls: int | None = Field(default=None, ge=1, description="Calls that the vendor serves at all, ever.")


class AuthConfig(ConfigModel):
    """Where a declarative provider's key travels."""

    kind: Literal["header", "bearer", "query"]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]*$")] = Field(
        default="", description="Of the header or query parameter."
    )

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if (self.kind == "bearer") == bool(self.name):
            raise ValueError("kind: header and kind: query need a name, kind: bearer has none")
        return self


class ProviderConfig(ConfigModel):
    """How one provider is reached. ``<NAME>_BASE_URL`` in the environment overrides ``base_url``."""

    enabled: bool = Field(default=True, description="False: plans pass over its lookups, and no key is needed.")
    api: Literal["built_in", "http"] = Field(default="built_in", description="http: described here, without Python.")
    base_url: HttpUrl
    api_key_env: EnvName
    timeout_seconds: Seconds = 5.0
    auth: AuthConfig | None = None
    model: str | None = Field(default=None, description="Of an AI provider.")
    limits: LimitsConfig = LimitsConfig()
    usd_per_day: Usd | None = Field(default=None, description="Budget per UTC day.")
    lookups: dict[Name, LookupConfig] = Field(min_length=1)


class RetryConfig(ConfigModel):
    """How often one paid call is repeated after a transient error. The engine is the only owner of retries."""

    attempts: int = Field(default=4, ge=1, le=10, description="The first one and its repeats together.")
    first_delay_seconds: Seconds = 0.5
    max_delay_seconds: Seconds = 8.0


class BreakerConfig(ConfigModel):
    """When a failing provider is left alone, and for how long."""

    min_calls: int = Field(default=10, ge=1)
    failure_share: float = Field(default=0.5, gt=0, le=1)
    consecutive_failures: int = Field(default=8, ge=1)
    min_seconds: float = Field(
        default=1.0, ge=0, le=60, description="It must go on for so long: refusals come sooner than answers."
    )
    window_seconds: Seconds = 60.0
    open_seconds: Seconds = 15.0
    max_open_seconds: Seconds = 300.0


class SwitchConfig(ConfigModel):
    """When the providers behind a provider are asked before it: its success fell too low."""

    min_success_share: float = Field(default=0.9, gt=0, le=1)
    min_calls: int = Field(default=20, ge=1)
    window_seconds: Seconds = 300.0
    probe_every_seconds: Seconds = 15.0
    probes_to_return: int = Field(default=3, ge=1)


class ProtectionConfig(ConfigModel):
    """How providers are protected from us, and we from them."""

    breaker: BreakerConfig = BreakerConfig()
    switch: SwitchConfig = SwitchConfig()


class BudgetConfig(ConfigModel):
    """What all providers together may cost. Providers and plans have budgets of their own."""

    usd_per_day: Usd | None = None
