"""The typed form of ``enrichment.yaml``: triggers, plans, providers and CRM mappings as data.

Secrets are never in the file: it names environment variables (``*_env``), which ``settings`` reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self, TypeVar

import jmespath
import jmespath.exceptions
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from enrichment_dagster.domain.config_checks import problems_between
from enrichment_dagster.domain.expression_names import LEAD_NAMES, ROUTE_NAMES
from enrichment_dagster.domain.expressions import parse
from enrichment_dagster.domain.fields import FIELDS, GROUPS, Level
from enrichment_dagster.domain.template import PERSONAL, placeholders
from enrichment_dagster.domain.triggers import TriggerRules, Triggers

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
EnvName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
Seconds = Annotated[float, Field(gt=0, le=7 * 86_400)]
Memory = Annotated[float, Field(ge=0, le=365 * 86_400)]
Usd = Annotated[float, Field(ge=0, le=1_000_000)]
DomainName = Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$", max_length=253)]
LookupName = Annotated[str, Field(pattern=r"^[a-z0-9_]+\.[a-z0-9_]+$")]


_T = TypeVar("_T")


def _compiles(expression: str) -> str:
    try:
        jmespath.compile(expression)
    except jmespath.exceptions.JMESPathError as error:
        raise ValueError(f"not a JMESPath expression: {str(error).splitlines()[0]}") from error
    return expression


JmesPath = Annotated[str, AfterValidator(_compiles)]
"""Where a value stands in a vendor's answer, e.g. ``data[].name``."""


def _is_template(source: _T) -> _T:
    placeholders(source)
    return source


Template = Annotated[str, AfterValidator(_is_template)]
"""A text with placeholders, see ``domain.template``."""


def _written_out(source: Any) -> Any:
    return str(source) if isinstance(source, bool) else source  # YAML reads a bare true as a boolean


def _fits_leads(expression: str) -> str:
    parse(expression, LEAD_NAMES)
    return expression


def _fits_routes(expression: str) -> str:
    parse(expression, ROUTE_NAMES)
    return expression


Condition = Annotated[str, BeforeValidator(_written_out), AfterValidator(_fits_leads)]
"""A condition over the fields of a lead, see ``domain.expressions``."""
RouteCondition = Annotated[str, BeforeValidator(_written_out), AfterValidator(_fits_routes)]
"""The same, over segment and score as well."""
Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]


def _as_digits(source: Any) -> Any:
    return str(source) if isinstance(source, int) and not isinstance(source, bool) else source  # YAML reads a number


AppId = Annotated[str, BeforeValidator(_as_digits), Field(pattern=r"^[1-9][0-9]{0,19}$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CacheConfig(_Model):
    """How long answers are remembered, by what came of the call; 0 = not at all."""

    hit_seconds: Memory = 86_400.0
    miss_seconds: Memory = 86_400.0
    error_seconds: Memory = 30.0
    stale_seconds: Memory = Field(
        default=30 * 86_400.0, description="For how long after its end an answer is served when a refresh fails."
    )


_SHARED = "for the answer about a domain is shared by all its people"


class RequestConfig(_Model):
    """The request of a declarative lookup. ``{email}``, ``{domain}`` and the like stand for what is known."""

    method: Literal["GET", "POST"] = "GET"
    path: Annotated[Template, Field(pattern=r"^/([^/?#\s\\][^?#\s\\]*)?$")]
    query: dict[str, Template] = {}
    body: Annotated[dict[str, Any], AfterValidator(_is_template)] | None = None
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


class LookupConfig(_Model):
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


class LimitsConfig(_Model):
    """How hard a provider may be called, by all processes together."""

    per_second: float | None = Field(default=None, gt=0, le=10_000)
    burst: int = Field(default=20, ge=1, le=10_000)
    concurrency: int = Field(default=100, ge=1, le=1_000)
    lifetime_calls: int | None = Field(default=None, ge=1, description="Calls that the vendor serves at all, ever.")


class AuthConfig(_Model):
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


class ProviderConfig(_Model):
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


class RetryConfig(_Model):
    """How often one paid call is repeated after a transient error. The engine is the only owner of retries."""

    attempts: int = Field(default=3, ge=1, le=10)
    first_delay_seconds: Seconds = 0.5
    max_delay_seconds: Seconds = 8.0


class BreakerConfig(_Model):
    """When a failing provider is left alone, and for how long."""

    min_calls: int = Field(default=10, ge=1)
    failure_share: float = Field(default=0.5, gt=0, le=1)
    consecutive_failures: int = Field(default=8, ge=1)
    window_seconds: Seconds = 60.0
    open_seconds: Seconds = 15.0
    max_open_seconds: Seconds = 300.0


class SwitchConfig(_Model):
    """When the providers behind a provider are asked before it: its success fell too low."""

    min_success_share: float = Field(default=0.9, gt=0, le=1)
    min_calls: int = Field(default=20, ge=1)
    window_seconds: Seconds = 300.0
    probe_every_seconds: Seconds = 15.0
    probes_to_return: int = Field(default=3, ge=1)


class ProtectionConfig(_Model):
    """How providers are protected from us, and we from them."""

    breaker: BreakerConfig = BreakerConfig()
    switch: SwitchConfig = SwitchConfig()


class BudgetConfig(_Model):
    """What all providers together may cost. Providers and plans have budgets of their own."""

    usd_per_day: Usd | None = None


class PlanConfig(_Model):
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


class LanesConfig(_Model):
    """The plans of an event type: ``standard`` by Dagster runs, ``routing`` by the gateway, at once."""

    standard: PlanConfig
    routing: PlanConfig | None = None

    @property
    def by_name(self) -> dict[str, PlanConfig]:
        """Return the plans that there are, by lane."""
        found = {"standard": self.standard, "routing": self.routing}
        return {lane: plan for lane, plan in found.items() if plan is not None}


Problem = Literal["hard_bounce", "soft_bounce", "blocked", "disconnected", "unreachable", "job_change"]


class TriggerConfig(_Model):
    """Which events of a type are worth an enrichment; the others are recorded with the reason and cost nothing."""

    stages: list[Text] = Field(default=[], description="Of an opportunity, compared without case. Empty: all.")
    pages: list[Text] = Field(default=[], description="Paths of a website, * stands for anything. Empty: all.")
    min_score: float = Field(default=0.0, ge=0, le=100, description="Of an intent signal.")
    topics: list[Text] = Field(default=[], description="Of an intent signal. Empty: all.")
    problems: list[Problem] = ["hard_bounce", "disconnected", "job_change"]


class PolicyConfig(_Model):
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


class EventTypeConfig(_Model):
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


class ScoreRule(_Model):
    """Points for what is known of a lead."""

    points: int = Field(ge=-1_000, le=1_000)
    when: Condition
    reason: Text


class SegmentRule(_Model):
    """A segment of leads; the first one that fits counts."""

    name: Text
    when: Condition

    @property
    def because(self) -> str:
        """Return the reason that a lead of this segment is given."""
        return f"segment {self.name}: {self.when}"


class RouteRule(_Model):
    """Where a lead goes; the first one that fits counts. May use ``segment`` and ``score``."""

    to: Text
    when: RouteCondition

    @property
    def because(self) -> str:
        """Return the reason that a lead of this route is given."""
        return f"route {self.to}: {self.when}"


class RoutingConfig(_Model):
    """How leads are scored and routed: small conditions over the fields that are there."""

    score: list[ScoreRule] = []
    segments: list[SegmentRule] = []
    routes: list[RouteRule] = []
    default_segment: Text = "unknown"
    default_route: Text = "round_robin"


class RoutingProperties(_Model):
    """The CRM properties for the routing's result; leave one out if you do not want it there."""

    segment: str | None = None
    score: str | None = None
    route: str | None = None


class StatusProperties(_Model):
    """The CRM properties that say how the enrichment went; they are always written to the event's own record."""

    status: str
    missing_fields: str
    enriched_at: str
    values: dict[Literal["enriched", "partial", "unchanged", "skipped", "failed"], str]


class ConsentConfig(_Model):
    """The CRM property that says whether a person consents, and the words for a no, compared without case."""

    property: Text
    refused: list[Annotated[Text, BeforeValidator(_written_out)]] = Field(min_length=1)


class CrmObjectConfig(_Model):
    """One kind of record: our field names to the CRM's property names."""

    mapping: dict[str, str]
    status: StatusProperties | None = Field(default=None, description="Of contacts and leads it must be there.")
    consent: ConsentConfig | None = Field(default=None, description="Leave it out where consent is kept elsewhere.")
    routing: RoutingProperties = RoutingProperties()


class HubSpotConfig(_Model):
    """HubSpot, read and written over CRM v3 with a private-app token."""

    base_url: HttpUrl = HttpUrl("https://api.hubapi.com")
    access_token_env: EnvName = "HUBSPOT_ACCESS_TOKEN"  # noqa: S105 - the variable's name
    app_id: AppId | None = Field(
        default=None, description="Of the app that the token belongs to: its changes are known as ours."
    )
    timeout_seconds: Seconds = 10.0
    objects: dict[Literal["contact", "company", "deal"], CrmObjectConfig]


class SalesforceConfig(_Model):
    """Salesforce, read and written over REST with the client credentials flow."""

    base_url: HttpUrl
    client_id_env: EnvName = "SALESFORCE_CLIENT_ID"
    client_secret_env: EnvName = "SALESFORCE_CLIENT_SECRET"  # noqa: S105 - the variable's name
    api_version: Annotated[str, Field(pattern=r"^v\d+\.\d$")] = "v62.0"
    client_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")] = "enrichment-dagster"
    timeout_seconds: Seconds = 10.0
    objects: dict[Literal["lead", "contact", "account", "opportunity"], CrmObjectConfig]


class CrmConfig(_Model):
    """The CRMs in use; leave one out if you do not have it."""

    hubspot: HubSpotConfig | None = None
    salesforce: SalesforceConfig | None = None

    def object_config(self, system: str, object_type: str) -> CrmObjectConfig | None:
        """Return the mapping of a kind of record, or None where it is not configured."""
        crm: HubSpotConfig | SalesforceConfig | None = getattr(self, system, None)
        return None if crm is None else {str(k): v for k, v in crm.objects.items()}.get(object_type)


class SenderConfig(_Model):
    """Whether a sender is served, and which variables hold its secret."""

    enabled: bool | Literal["auto"] = Field(default=True, description="auto: as soon as its secret is set.")
    public_url: HttpUrl | None = Field(default=None, description="What the sender calls, where it signs its URL.")

    @property
    def secret_names(self) -> list[str]:
        """Return the variables that prove this sender; one of them is needed."""
        names: list[str] = getattr(self, "secret_envs", [])
        return names


class SignedUrlConfig(SenderConfig):
    """A sender that signs the URL which it calls, character by character."""

    public_url: HttpUrl


class HubSpotIntakeConfig(SignedUrlConfig):
    """HubSpot app webhooks."""

    client_secret_envs: list[EnvName] = Field(min_length=1, max_length=2)
    tolerance_seconds: Seconds = 300.0

    @property
    def secret_names(self) -> list[str]:
        """Return the variables of the client secret."""
        return self.client_secret_envs


class HubSpotWorkflowConfig(HubSpotIntakeConfig):
    """HubSpot workflows: the action "Send a webhook", with the request signature of an app."""


class SecretSenderConfig(SenderConfig):
    """A sender with a secret of its own."""

    secret_envs: list[EnvName] = Field(min_length=1, max_length=2)


class SharedSecretConfig(SecretSenderConfig):
    """A sender that signs nothing and is guarded by a shared secret in a header."""

    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,60}$")] = "X-Enrichment-Secret"


class FlowIntakeConfig(SharedSecretConfig):
    """Salesforce Flow HTTP callouts and Apex."""

    org: str = "default"  # names the Salesforce org in dedup keys


class SegmentConfig(SecretSenderConfig):
    """Segment's Webhooks (Actions) destination."""

    user_ids: Literal["hubspot.contact", "salesforce.lead", "salesforce.contact"] | None = Field(
        default=None, description="The CRM records whose ids your site uses as userId; none if it uses its own."
    )


class SendGridConfig(SenderConfig):
    """SendGrid's Event Webhook. The default tolerance covers the day for which SendGrid repeats."""

    public_key_envs: list[EnvName] = Field(min_length=1, max_length=2)
    tolerance_seconds: Seconds = 90_000.0

    @property
    def secret_names(self) -> list[str]:
        """Return the variables of the verification key."""
        return self.public_key_envs


class TwilioConfig(SignedUrlConfig):
    """Twilio's status callbacks: ``secret_envs`` are auth tokens."""

    secret_envs: list[EnvName] = Field(min_length=1, max_length=2)
    shared_key_envs: list[EnvName] = Field(default=[], max_length=2, description="Of webhook rules with SHA-256.")


class CloudEventsConfig(SharedSecretConfig):
    """A sender of CloudEvents over HTTP."""

    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,60}$")] = "Authorization"
    types: dict[str, Name] = Field(default={}, description="Its event type: ours.")


class StandardWebhooksConfig(SecretSenderConfig):
    """A sender that signs by Standard Webhooks (whsec_)."""

    tolerance_seconds: Seconds = 300.0
    types: dict[str, Name] = Field(default={}, description="Its event type: ours.")


class IntakeConfig(_Model):
    """Who may send events, and how they prove it. A sender that is left out is answered 404."""

    max_body_bytes: int = Field(default=1_000_000, ge=1_000, le=50_000_000)
    hubspot: HubSpotIntakeConfig | None = None
    hubspot_workflow: HubSpotWorkflowConfig | None = None
    hubspot_custom_code: SharedSecretConfig | None = None
    salesforce_flow: FlowIntakeConfig | None = None
    segment: SegmentConfig | None = None
    sendgrid: SendGridConfig | None = None
    postmark: SecretSenderConfig | None = None
    twilio: TwilioConfig | None = None
    clay: SharedSecretConfig | None = None
    g2: SharedSecretConfig | None = None
    bombora: SharedSecretConfig | None = None
    linkedin: SecretSenderConfig | None = None
    cloudevents: CloudEventsConfig | None = None
    standard_webhooks: StandardWebhooksConfig | None = None
    enrich: EnrichApiConfig | None = None

    @property
    def senders(self) -> dict[str, SenderConfig]:
        """Return the senders that may be served, by name."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: sender for name, sender in found.items() if isinstance(sender, SenderConfig) and sender.enabled}


class CallerConfig(_Model):
    """Who may call ``POST /enrich``."""

    api_key_envs: list[EnvName] = Field(
        min_length=1, max_length=2, description="A second one while you rotate the key."
    )
    callback_secret_env: EnvName | None = Field(
        default=None, description="Signs callbacks (Standard Webhooks, whsec_)."
    )


class EnrichApiConfig(_Model):
    """``POST /enrich``: who may call it, how long an answer may take, and how much is answered at once."""

    callers: dict[Name, CallerConfig] = Field(min_length=1)
    deadline_seconds: float = Field(default=2.5, gt=0, le=3.0)
    max_at_once: int = Field(default=256, ge=1, le=10_000)
    max_waiting: int = Field(default=256, ge=0, le=100_000)


class RunEconomyConfig(_Model):
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


class EnrichmentConfig(_Model):
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
            found = [*(_line(item["loc"], item["msg"], item["input"]) for item in error.errors()), *found]
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
