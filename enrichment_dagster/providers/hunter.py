"""Hunter: email-finder and email-verifier.

Source: Hunter's API v2 reference. A person that the finder does not find is 404. Of the verifier's reply ``result`` is
deprecated, so only ``status`` and the flags are read.
"""

from __future__ import annotations

from typing import Any

from enrichment_dagster.domain.keys import person_subject
from enrichment_dagster.domain.normalise import comparable_company
from enrichment_dagster.http import Reply
from enrichment_dagster.ports import Answer, Pending, Query, RawValue
from enrichment_dagster.providers.email_status import verdict
from enrichment_dagster.providers.extract import Row
from enrichment_dagster.providers.hunter_wire import HunterLookup, connect
from enrichment_dagster.providers.lookup import by_email, malformed, object_at, object_of

__all__ = ["LOOKUPS", "connect"]

_MISS = 404
_FINDER_SECONDS = (3, 20)  # what ``max_duration`` may be
_SAME_WORDS = frozenset({"valid", "invalid", "accept_all", "disposable", "unknown"})
_UNSURE = 0.7  # of an address without a score


class HunterEmail(HunterLookup):
    """``hunter.email``: a person's address by their name and their company's domain or, without it, name."""

    purpose = "email"
    gives = frozenset({"email"})
    slow = True

    def subject(self, query: Query) -> str | None:
        """Return the key of the name at the company: there need be no address to ask for one."""
        first, last = query.first_name or "", query.last_name or ""
        company = query.domain or comparable_company(query.company_name or "")
        is_complete = all(any(sign.isalnum() for sign in part) for part in (first, last, company))
        return person_subject(first, last, company) if is_complete else None

    async def _ask(self, query: Query, timeout_seconds: float) -> Reply:
        shortest, longest = _FINDER_SECONDS
        where = {"domain": query.domain} if query.domain else {"company": query.company_name or ""}
        params = {
            **where,
            "first_name": query.first_name or "",
            "last_name": query.last_name or "",
            "max_duration": str(min(max(int(timeout_seconds), shortest), longest)),
        }
        return await self._get("/v2/email-finder", params, timeout_seconds, accept=_MISS)

    def _read(self, reply: Reply) -> Answer | Pending:
        if pending := self._pending(reply):
            return pending
        found = {} if reply.status == _MISS else object_at(object_of(reply), "data") or {}
        email = found.get("email")
        values = () if email in (None, "") else (RawValue("email", email, _score(found.get("score"))),)
        return Answer(values, "", reply.status)


class HunterVerification(HunterLookup):
    """``hunter.verification``: the status of an address in the common enum."""

    purpose = "verification"
    gives = frozenset({"email_status"})

    def subject(self, query: Query) -> str | None:
        """Return the key of the address."""
        return by_email(query)

    async def _ask(self, query: Query, timeout_seconds: float) -> Reply:
        return await self._get("/v2/email-verifier", {"email": query.email or ""}, timeout_seconds)

    def _read(self, reply: Reply) -> Answer | Pending:
        if pending := self._pending(reply):
            return pending
        data = object_at(object_of(reply), "data") or {}
        return Answer((verdict(_common_status(data)),), "", reply.status)


def _score(score: Any) -> float:
    """Return Hunter's 0 to 100 as a confidence."""
    is_number = isinstance(score, int | float) and not isinstance(score, bool)
    return min(max(score / 100, 0.01), 1.0) if is_number else _UNSURE


def _common_status(data: Row) -> str:
    """Return the verdict in the common enum; a status that is new to us decides nothing.

    ``webmail`` says only who runs the mailbox (Gmail and the like). It is taken for valid where the mail server
    confirmed the mailbox (``smtp_check``) and did not block the check, else for unknown.

    Raises:
        ProviderError: there is no status.
    """
    status = data.get("status")
    if not isinstance(status, str) or not status:
        raise malformed("status is not a text")
    if status == "webmail":
        return "valid" if data.get("smtp_check") is True and data.get("block") is not True else "unknown"
    return status if status in _SAME_WORDS else "unknown"


LOOKUPS = {"email": HunterEmail, "verification": HunterVerification}
