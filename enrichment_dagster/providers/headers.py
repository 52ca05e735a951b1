"""Reading rate-limit headers: vendors leave them out, leave them empty, and write odd things into them."""

from __future__ import annotations

import re

from enrichment_dagster.domain.quota import Quota

_COUNT = re.compile(r"\d{1,12}", re.ASCII)


def count_of(text: str | None) -> int | None:
    """Return the whole number in a header's text, or None where there is none."""
    found = _COUNT.fullmatch((text or "").strip())
    return int(found.group()) if found else None


def quota_of(
    limit: int | None, remaining: int | None, window_seconds: float, resets_in_seconds: float | None = None
) -> Quota | None:
    """Return the quota, or None where the vendor told neither the limit nor what is left of it."""
    if limit is None and remaining is None:
        return None
    return Quota(limit, remaining, window_seconds, resets_in_seconds)
