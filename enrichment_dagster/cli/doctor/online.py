"""Can providers and CRMs be reached: one TCP and TLS connection each. Nothing is asked, nothing is spent."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

from enrichment_dagster.cli.doctor.finding import Finding, fail, ok
from enrichment_dagster.settings import Settings

_TIMEOUT_SECONDS = 5.0
_DEFAULT_PORTS = {"https": 443, "http": 80}


def check_online(settings: Settings) -> Iterator[Finding]:
    """Connect to every enabled provider and every CRM."""
    config, crm = settings.config, settings.config.crm
    urls = {
        name: settings.base_url(name, provider.base_url)
        for name, provider in config.providers.items()
        if provider.enabled
    }
    if crm.hubspot:
        urls["hubspot"] = settings.base_url("hubspot", crm.hubspot.base_url)
    if crm.salesforce:
        urls["salesforce"] = settings.base_url("salesforce", crm.salesforce.base_url)
    for name, url in urls.items():
        yield check_reachable(name, url)


def check_reachable(name: str, url: str) -> Finding:
    """Open a connection and close it."""
    check, parts = f"online {name}", urlsplit(url)
    host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme, 443)
    try:
        with socket.create_connection((host, port), timeout=_TIMEOUT_SECONDS) as plain:
            if parts.scheme == "https":
                with ssl.create_default_context().wrap_socket(plain, server_hostname=host):
                    pass
    except (OSError, UnicodeError) as error:
        variable = f"{name.upper()}_BASE_URL"
        return fail(check, f"{host}:{port} ({error})", f"check the network, the firewall, and base_url or {variable}")
    return ok(check, f"{host}:{port} answers")
