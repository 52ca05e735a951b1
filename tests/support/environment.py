"""The environment that tests run in: nothing of ours from outside, keys that open nothing."""

from __future__ import annotations

from collections.abc import MutableMapping

from enrichment_dagster.supervise.environment import Ports, sandbox_variables

SANDBOX_KEYS = {
    "APOLLO_API_KEY": "sandbox-apollo-key",
    "CLEARBIT_API_KEY": "sandbox-clearbit-key",
    "ZEROBOUNCE_API_KEY": "sandbox-zerobounce-key",
    "HUBSPOT_ACCESS_TOKEN": "sandbox-hubspot-token",
    "SALESFORCE_CLIENT_ID": "sandbox-client",
    "SALESFORCE_CLIENT_SECRET": "sandbox-secret",
    "HUBSPOT_CLIENT_SECRET": "sandbox-webhook-secret",
    "SALESFORCE_FLOW_SECRET": "sandbox-flow-secret",
    "ENRICH_API_KEY": "sandbox-enrich-key",
}

# Read by the tests themselves, and harmless to the product.
_KEPT = ("ENRICHMENT_TEST_", "ENRICHMENT_REQUIRE_")


_OURS = {*SANDBOX_KEYS, *sandbox_variables(Ports())}


def is_ours(name: str) -> bool:
    if name.startswith(_KEPT):
        return False
    return name.startswith(("ENRICHMENT_", "DAGSTER_")) or name.endswith("_BASE_URL") or name in _OURS


def scrub(environ: MutableMapping[str, str]) -> None:
    for name in [name for name in environ if is_ours(name)]:
        del environ[name]


HUBSPOT_ONLY = """\
crm:
  hubspot:
    objects:
      contact:
        mapping: {email: email, title: jobtitle, company_name: company}
        status:
          status: enrichment_status
          missing_fields: enrichment_missing
          enriched_at: enriched_at
          values: {enriched: Complete}
intake:
  hubspot:
    public_url: https://enrich.example.com/webhooks/hubspot
    client_secret_envs: [HUBSPOT_CLIENT_SECRET]
"""
"""What a small configuration says of CRM and intake."""

SMALL_CONFIG = """\
version: 1
event_types:
  lead_created:
    latency_target_seconds: 60
    lanes:
      standard:
        wanted: [email, title, company_name]
        waterfall: [apollo.person, clearbit.combined]
providers:
  apollo:
    base_url: https://api.apollo.io
    api_key_env: APOLLO_API_KEY
    lookups:
      person: {price_usd: 0.02}
  clearbit:
    base_url: https://person.clearbit.com
    api_key_env: CLEARBIT_API_KEY
    lookups:
      combined: {price_usd: 0.05}
"""
SMALL_CONFIG += HUBSPOT_ONLY
