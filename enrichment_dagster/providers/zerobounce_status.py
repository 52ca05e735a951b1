"""ZeroBounce's statuses and sub-statuses in the common enum."""

from __future__ import annotations

from enrichment_dagster.providers.extract import Row
from enrichment_dagster.providers.lookup import malformed

_STATUSES = {
    "valid": "valid",
    "invalid": "invalid",
    "catch-all": "accept_all",  # the server takes everything: not a proof that the mailbox exists
    "unknown": "unknown",
    "spamtrap": "risky",
    "abuse": "risky",
    "do_not_mail": "risky",
}
_DO_NOT_MAIL = {"disposable": "disposable", "role_based": "role", "role_based_catch_all": "role"}


def common_status(body: Row) -> str:
    """Return the verdict in the common enum; a status that is new to us decides nothing.

    Raises:
        ProviderError: there is no status.
    """
    status, sub_status = body.get("status"), body.get("sub_status")
    if not isinstance(status, str) or not status:
        raise malformed("status is not a text")
    if status == "do_not_mail" and isinstance(sub_status, str):
        return _DO_NOT_MAIL.get(sub_status, "risky")
    return _STATUSES.get(status.lower(), "unknown")
