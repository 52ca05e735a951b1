"""What People Data Labs' calls share: the key, the rate headers, its lower case and its stand-ins for values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from enrichment_dagster.domain.quota import Quota
from enrichment_dagster.errors import ProviderError
from enrichment_dagster.http import RemoteClient, RemoteClients, Reply
from enrichment_dagster.http.retry_after import parse_reset
from enrichment_dagster.ports import RawValue
from enrichment_dagster.providers.casing import name_case, title_case
from enrichment_dagster.providers.extract import Paths, extract
from enrichment_dagster.providers.headers import count_of, quota_of
from enrichment_dagster.providers.lookup import VendorLookup

OK, MISS = 200, 404
_PER_MINUTE = re.compile(r"[\"']?minute[\"']?\s*:\s*(\d+)", re.ASCII)
_LIKELIHOODS = range(1, 11)
_CONTACT_FIELDS = frozenset({"email", "phone"})
_UNSURE = 0.6  # of a record without a likelihood


def _with_scheme(url: str) -> str:
    return url if "://" in url else f"https://{url}"


def _stage(text: str) -> str:
    """Return ``series_b`` as ``Series B``."""
    return title_case(text.replace("_", " "))


_FORMS: Mapping[str, Callable[[str], str]] = {
    "first_name": name_case,
    "last_name": name_case,
    "title": title_case,
    "city": title_case,
    "state": title_case,
    "country": title_case,
    "company_name": title_case,
    "company_city": title_case,
    "company_state": title_case,
    "company_country": title_case,
    "linkedin_url": _with_scheme,
    "twitter_url": _with_scheme,
    "company_linkedin_url": _with_scheme,
    "funding_stage": _stage,
}


class PeopleDataLabsLookup(VendorLookup):
    """Any lookup of People Data Labs'."""

    provider = "people_data_labs"

    def quota(self, reply: Reply) -> Quota | None:
        """Return what is left of the minute: the headers hold something like ``{"minute": 1000, "hour": ...}``.

        There is no Retry-After; ``x-ratelimit-reset`` says when the minute begins anew.
        """
        limit, left = (_a_minute(reply.headers.get(f"x-ratelimit-{name}")) for name in ("limit", "remaining"))
        return quota_of(limit, left, 60.0, parse_reset(reply.headers.get("x-ratelimit-reset"), datetime.now(UTC)))


def values_of(record: Mapping[str, Any], paths: Paths, confidence: float) -> tuple[RawValue, ...]:
    """Return the record's values in our form.

    A boolean says that there is a value which this plan does not show: it is none itself.
    """
    return tuple(_formed(raw) for raw in extract(record, paths, confidence) if _is_shown(raw))


def confidence_of(body: Mapping[str, Any]) -> float:
    """Return how sure the vendor is that the record is the one meant: ``likelihood`` is 1 to 10."""
    likelihood = body.get("likelihood")
    return likelihood / 10 if type(likelihood) is int and likelihood in _LIKELIHOODS else _UNSURE


def _is_shown(raw: RawValue) -> bool:
    return isinstance(raw.value, str) if raw.field in _CONTACT_FIELDS else not isinstance(raw.value, bool)


def _formed(raw: RawValue) -> RawValue:
    form = _FORMS.get(raw.field)
    return replace(raw, value=form(raw.value)) if form and isinstance(raw.value, str) else raw


def _a_minute(header: str | None) -> int | None:
    found = _PER_MINUTE.search(header or "")
    return count_of(found.group(1)) if found else None


def connect(clients: RemoteClients, base_url: str, key: SecretStr) -> RemoteClient:
    """Open the client: the key travels in ``X-Api-Key``."""
    return clients.open("people_data_labs", base_url, error=ProviderError, headers={"x-api-key": key})
