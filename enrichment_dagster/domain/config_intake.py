"""The senders of ``enrichment.yaml``, and the callers of ``POST /enrich``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, HttpUrl

from enrichment_dagster.domain.config_types import ConfigModel, EnvName, Name, Seconds


class SenderConfig(ConfigModel):
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


class IntakeConfig(ConfigModel):
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


class CallerConfig(ConfigModel):
    """Who may call ``POST /enrich``."""

    api_key_envs: list[EnvName] = Field(
        min_length=1, max_length=2, description="A second one while you rotate the key."
    )
    callback_secret_env: EnvName | None = Field(
        default=None, description="Signs callbacks (Standard Webhooks, whsec_)."
    )


class EnrichApiConfig(ConfigModel):
    """``POST /enrich``: who may call it, how long an answer may take, and how much is answered at once."""

    callers: dict[Name, CallerConfig] = Field(min_length=1)
    deadline_seconds: float = Field(default=2.5, gt=0, le=3.0)
    max_at_once: int = Field(default=256, ge=1, le=10_000)
    max_waiting: int = Field(default=256, ge=0, le=100_000)
