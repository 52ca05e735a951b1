"""A small configuration with a plan for each lane, to be changed by tests, and lookups that only have properties."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from support.environment import HUBSPOT_ONLY
from support.story import environment

from enrichment_dagster.domain.fields import FIELDS
from enrichment_dagster.ports import CachePolicy, Charge

PLANS = """\
version: 1
event_types:
  lead_created:
    latency_target_seconds: 60
    lanes:
      standard:
        wanted: [email_status, title, company_name, news]
        waterfall: [clearbit.combined, apollo.person, apollo.company]
        orders:
          verification: [zerobounce.verification]
        deadline_seconds: 25
        budget_usd: 0.30
      routing:
        wanted: [company_name]
        waterfall: [apollo.company, clearbit.combined]
        mode: parallel
        prefer: fastest
        deadline_seconds: 5
providers:
  apollo:
    base_url: https://api.apollo.io
    api_key_env: APOLLO_API_KEY
    limits: {lifetime_calls: 100}
    usd_per_day: 2
    lookups:
      person: {price_usd: 0.02}
      company: {price_usd: 0.02}
  clearbit:
    base_url: https://person.clearbit.com
    api_key_env: CLEARBIT_API_KEY
    lookups:
      combined: {price_usd: 0.05}
  zerobounce:
    enabled: false
    base_url: https://api.zerobounce.net
    api_key_env: ZEROBOUNCE_API_KEY
    lookups:
      verification: {price_usd: 0.008, charge: on_call}
budget: {usd_per_day: 10}
"""
PLANS += HUBSPOT_ONLY


def plans_environment(home: Path, *replacements: tuple[str, str], **changes: str) -> dict[str, str]:
    """Write the configuration with some of its text replaced, and return an environment that names it."""
    content = PLANS
    for old, new in replacements:
        assert old in content
        content = content.replace(old, new)
    home.mkdir(parents=True, exist_ok=True)
    path = home / "plans.yaml"
    path.write_text(content, encoding="utf-8")
    return environment(home, ENRICHMENT_CONFIG=str(path), **changes)


@dataclass(frozen=True)
class DescribedLookup:
    """A lookup to look at; it can't be asked."""

    name: str
    price_micros: int = 20_000
    gives: frozenset[str] = frozenset(FIELDS)
    max_units: int = 1
    charge: Charge = Charge.ON_HIT
    timeout_seconds: float = 5.0
    cache: CachePolicy | None = None
    slow: bool = False

    @property
    def provider(self) -> str:
        return self.name.partition(".")[0]

    @property
    def purpose(self) -> str:
        return self.name.partition(".")[2]
