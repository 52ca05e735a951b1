"""The CRMs of ``enrichment.yaml``: how each is reached, and which of their properties hold our fields."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, HttpUrl

from enrichment_dagster.domain.config_types import (
    AppId,
    ConfigModel,
    EnvName,
    PropertyName,
    Seconds,
    Text,
    _written_out,
)


class RoutingProperties(ConfigModel):
    """The CRM properties for the routing's result; leave one out if you do not want it there."""

    segment: PropertyName | None = None
    score: PropertyName | None = Field(default=None, description="A number.")
    route: PropertyName | None = None


class StatusProperties(ConfigModel):
    """The CRM properties that say how the enrichment went; they are always written to the event's own record."""

    status: PropertyName
    missing_fields: PropertyName
    enriched_at: PropertyName
    values: dict[Literal["enriched", "partial", "unchanged", "skipped", "failed"], str]


class ConsentConfig(ConfigModel):
    """The CRM property that says whether a person consents, and the words for a no, compared without case."""

    property: PropertyName
    refused: list[Annotated[Text, BeforeValidator(_written_out)]] = Field(min_length=1)


class CrmObjectConfig(ConfigModel):
    """One kind of record: our field names to the CRM's property names."""

    mapping: dict[str, PropertyName]
    status: StatusProperties | None = Field(default=None, description="Of contacts and leads it must be there.")
    consent: ConsentConfig | None = Field(default=None, description="Leave it out where consent is kept elsewhere.")
    routing: RoutingProperties = RoutingProperties()


class HubSpotConfig(ConfigModel):
    """HubSpot, read and written over CRM v3 with a private-app token."""

    base_url: HttpUrl = HttpUrl("https://api.hubapi.com")
    access_token_env: EnvName = "HUBSPOT_ACCESS_TOKEN"  # noqa: S105 - the variable's name
    app_id: AppId | None = Field(
        default=None, description="Of the app that the token belongs to: its changes are known as ours."
    )
    timeout_seconds: Seconds = 10.0
    objects: dict[Literal["contact", "company", "deal"], CrmObjectConfig]


class SalesforceConfig(ConfigModel):
    """Salesforce, read and written over REST with the client credentials flow."""

    base_url: HttpUrl
    client_id_env: EnvName = "SALESFORCE_CLIENT_ID"
    client_secret_env: EnvName = "SALESFORCE_CLIENT_SECRET"  # noqa: S105 - the variable's name
    api_version: Annotated[str, Field(pattern=r"^v\d+\.\d$")] = "v62.0"
    client_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")] = "enrichment-dagster"
    timeout_seconds: Seconds = 10.0
    objects: dict[Literal["lead", "contact", "account", "opportunity"], CrmObjectConfig]


class CrmConfig(ConfigModel):
    """The CRMs in use; leave one out if you do not have it."""

    hubspot: HubSpotConfig | None = None
    salesforce: SalesforceConfig | None = None

    def object_config(self, system: str, object_type: str) -> CrmObjectConfig | None:
        """Return the mapping of a kind of record, or None where it is not configured."""
        crm: HubSpotConfig | SalesforceConfig | None = getattr(self, system, None)
        return None if crm is None else {str(k): v for k, v in crm.objects.items()}.get(object_type)
