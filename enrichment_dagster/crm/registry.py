"""The CRMs of the configuration, ready to be used."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr

from enrichment_dagster.clock import Clock
from enrichment_dagster.crm.hubspot.crm import HubSpotCrm
from enrichment_dagster.crm.salesforce.crm import SalesforceCrm
from enrichment_dagster.crm.salesforce.session import Credentials, SalesforceSession
from enrichment_dagster.domain.config import HubSpotConfig, SalesforceConfig
from enrichment_dagster.errors import ConfigurationError, CrmError
from enrichment_dagster.http import RemoteClients
from enrichment_dagster.ports import Crm
from enrichment_dagster.settings import Settings


def build_crms(settings: Settings, clients: RemoteClients, clock: Clock) -> dict[str, Crm]:
    """Return every configured CRM by the name that records carry.

    Raises:
        ConfigurationError: secrets are missing (lists all of them), or a base URL can't be used.
    """
    config = settings.config.crm
    secrets = _secrets(settings)
    crms: dict[str, Crm] = {}
    if config.hubspot:
        crms["hubspot"] = _hubspot(settings, config.hubspot, secrets, clients, clock)
    if config.salesforce:
        crms["salesforce"] = _salesforce(settings, config.salesforce, secrets, clients)
    return crms


def _secrets(settings: Settings) -> Mapping[str, SecretStr]:
    """Return the needed secrets by their variables' names.

    Raises:
        ConfigurationError: some are missing.
    """
    crm = settings.config.crm
    needed = [crm.hubspot.access_token_env] if crm.hubspot else []
    needed += [crm.salesforce.client_id_env, crm.salesforce.client_secret_env] if crm.salesforce else []
    found = {name: settings.secret(name) for name in needed}
    if missing := [name for name, value in found.items() if value is None]:
        raise ConfigurationError([f"set the environment variable {name} (crm needs it)" for name in missing])
    return {name: SecretStr(value.get_secret_value().strip()) for name, value in found.items() if value is not None}


def _hubspot(
    settings: Settings,
    config: HubSpotConfig,
    secrets: Mapping[str, SecretStr],
    clients: RemoteClients,
    clock: Clock,
) -> HubSpotCrm:
    bearer = SecretStr(f"Bearer {secrets[config.access_token_env].get_secret_value()}")
    url = settings.base_url("hubspot", config.base_url)
    client = clients.open("hubspot", url, error=CrmError, headers={"authorization": bearer})
    return HubSpotCrm(client, config.timeout_seconds, clock)


def _salesforce(
    settings: Settings, config: SalesforceConfig, secrets: Mapping[str, SecretStr], clients: RemoteClients
) -> SalesforceCrm:
    credentials = Credentials(secrets[config.client_id_env], secrets[config.client_secret_env])
    client = clients.open("salesforce", settings.base_url("salesforce", config.base_url), error=CrmError)
    session = SalesforceSession(client, credentials, config.timeout_seconds)
    return SalesforceCrm(session, config.api_version, config.client_name)
