"""Settings that lead every provider and CRM to a loopback vendor, and the faults that any of them may show."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from support.loopback import Act, drip, flood, hang, hang_up, raw, reply

from enrichment_dagster.errors import RemoteError
from enrichment_dagster.providers.registry import VENDORS
from enrichment_dagster.settings import Settings, load_settings

CONFIG = Path(__file__).parents[2] / "enrichment.yaml"
KEYS = {
    "APOLLO_API_KEY": "sandbox-apollo-key-4711",
    "CLEARBIT_API_KEY": "sandbox-clearbit-key-4712",
    "ZEROBOUNCE_API_KEY": "sandbox-zerobounce-key-4713",
    "PEOPLE_DATA_LABS_API_KEY": "sandbox-people-key-4715",
    "HUNTER_API_KEY": "sandbox-hunter-key-4716",
    "AI_API_KEY": "sandbox-ai-key-4717",
    "CLAY_WEBHOOK_TOKEN": "sandbox-clay-token-4718",
    "COMPETITORS_API_KEY": "sandbox-competitors-key-4719",
    "HUBSPOT_ACCESS_TOKEN": "sandbox-hubspot-token-4714",
    "SALESFORCE_CLIENT_ID": "sandbox-client",
    "SALESFORCE_CLIENT_SECRET": "sandbox-secret",
}
SYSTEMS = (*VENDORS, "competitors", "hubspot", "salesforce")
SALESFORCE_TOKEN = "00D5g0000000001!AR8AQ.example"
PERSONAL = "dana.reyes@northwind-parts.com"


def settings_for(url: str, *, by_path: bool = False, **more: str) -> Settings:
    """All providers with a key here are enabled, no others are there.

    ``by_path``: the sandbox serves each below a path of its own.
    """
    bases = {f"{name.upper()}_BASE_URL": f"{url}/{name}" if by_path else url for name in SYSTEMS}
    settings = load_settings({"ENRICHMENT_CONFIG": str(CONFIG), **KEYS, **bases, **more})
    shipped = settings.config.providers.items()
    enabled = {
        name: config.model_copy(update={"enabled": True}) for name, config in shipped if config.api_key_env in KEYS
    }
    return replace(settings, config=settings.config.model_copy(update={"providers": enabled}))


def told(error: BaseException) -> str:
    """All that a log could show of an error: message, arguments, attributes, traceback with its causes."""
    parts = [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
    linked = [link for link in (error.__cause__, error.__context__) if link is not None]
    return "\n".join(parts + [told(link) for link in linked])


def assert_nothing_secret(text: str, *more: str) -> None:
    for secret in (*KEYS.values(), SALESFORCE_TOKEN, PERSONAL, PERSONAL.replace("@", "%40"), *more):
        if secret not in {"sandbox-client", "sandbox-secret"}:
            assert secret not in text


_OK_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n"
FAULTS: Mapping[str, tuple[Act, str, bool]] = {
    "malformed JSON": (reply(200, b'{"person": {'), "malformed", True),
    "an HTML page with 200": (reply(200, b"<html>Be right back</html>", "text/html"), "malformed", True),
    "hangs": (hang, "timeout", True),
    "slow drip": (drip, "timeout", True),
    "100 MB, declared": (flood(100, declared=True), "too_large", False),
    "100 MB, not declared": (flood(100, declared=False), "too_large", False),
    "hangs up after the request": (hang_up, "connection_lost", True),
    "hangs up in the body": (raw(_OK_HEAD + b'{"person"'), "connection_lost", True),
    "talks no HTTP": (raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), "protocol", True),
    "redirect": (reply(302, b"", location="http://169.254.169.254/latest"), "redirected", False),
    "408": (reply(408), "timeout", True),
    "500": (reply(500, {"message": "oops"}), "server_error", True),
    "503 with HTML": (reply(503, b"<html>", "text/html"), "unavailable", True),
    "504": (reply(504), "unavailable", True),
}
"""Fault -> what the vendor does, the reason and whether it is transient. The same for every system."""

every_fault = pytest.mark.parametrize("fault", FAULTS)


def timeout_for(fault: str) -> float:
    """Seconds to give a call: few for a vendor that never ends its answer, for all others more than any needs."""
    return 0.5 if fault in {"hangs", "slow drip"} else 3.0


def assert_failed_as(error: RemoteError, fault: str) -> None:
    _, reason, transient = FAULTS[fault]
    assert (error.reason, error.transient) == (reason, transient)
    assert error.maybe_sent
    assert_nothing_secret(told(error))
