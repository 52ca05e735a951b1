"""Who is enriched once an event triggers: rules over what is known of its subject, each with the reason for a no.

Two places decide, each the cheapest that knows enough. The inbox knows what became of earlier events of the subject:
``judge`` says which of those that wait has its turn, before there is a run. The work knows the record, the suppression
list and what is stored: ``refusal`` says no before anybody is asked. Both are pure; times are moments that others took.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from enrichment_dagster.domain.keys import text_hash
from enrichment_dagster.domain.triggers import CONTACT_ASSOCIATED, DATA_QUALITY

COOLDOWN = "cooldown"  # enriched for the same reason a short while ago
DEBOUNCED = "debounced"  # a newer event of the window stands for it
OUT_OF_ORDER = "out_of_order"  # older than what was enriched last
FRESH = "fresh"  # all that is wanted was bought not long ago
STATUS = "status"  # the record's status says that there is nothing to do
SUPPRESSED = "suppressed"  # on the suppression list
NO_CONSENT = "no_consent"  # the record says that its person does not consent
SKIPPED_DOMAIN = "skipped_domain"  # the domain is on the type's list
NO_DOMAIN = "no_domain"  # nobody knows which company it is about

LEFT_ALONE = frozenset({COOLDOWN, DEBOUNCED, OUT_OF_ORDER, FRESH, STATUS, SUPPRESSED, NO_CONSENT})
"""Reasons that change nothing in the CRM: the record says already how it stands, or nobody may touch it."""

BLANK = "blank"
"""Stands for an empty status property in ``only_status``."""

FINAL_PROBLEMS = frozenset({"hard_bounce", "disconnected"})
"""Problems that prove a value wrong for good."""


# --- what the inbox decides ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InboxRules:
    """How events of one subject and type stand to each other."""

    cooldown: timedelta = timedelta()  # for so long after an enrichment there is no other one
    debounce: timedelta = timedelta()  # events that come within it are one


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that waits for its turn."""

    work_id: str
    seq: int  # the order of receipt
    occurred_at: datetime
    received_at: datetime

    @property
    def age(self) -> tuple[datetime, int]:
        """Return what events of one subject are ordered by."""
        return (self.occurred_at, self.seq)


@dataclass(frozen=True, slots=True)
class History:
    """What became of earlier events of the same subject, type and matter."""

    newest: datetime | None = None  # when the newest event that was enriched, or that settled the matter, occurred
    enriched_at: datetime | None = None  # when the last enrichment ended
    in_work: bool = False  # one is being enriched at this moment


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose turn it is: at most one event of a subject is enriched at a time."""

    take: str = ""  # work id
    skip: Mapping[str, str] = field(default_factory=dict)  # work id: reason
    wait: tuple[str, ...] = ()


def judge(waiting: Sequence[Waiting], history: History, rules: InboxRules) -> Turn:
    """Say which event of one subject has its turn, which are over, and which wait for the others."""
    skip = {event.work_id: reason for event in waiting if (reason := _over(event, history, rules))}
    left = sorted((event for event in waiting if event.work_id not in skip), key=lambda event: event.age)
    if not left or history.in_work:
        return Turn("", skip, tuple(event.work_id for event in left))
    chosen = left[0]
    if rules.debounce:
        end = min(event.received_at for event in left) + rules.debounce
        window = [event for event in left if event.received_at <= end]
        chosen = window[-1]
        skip |= {event.work_id: DEBOUNCED for event in window[:-1]}
    return Turn(chosen.work_id, skip, tuple(e.work_id for e in left if e is not chosen and e.work_id not in skip))


def _over(event: Waiting, history: History, rules: InboxRules) -> str:
    if history.newest is not None and event.occurred_at < history.newest:
        return OUT_OF_ORDER
    if not rules.cooldown or history.enriched_at is None:
        return ""
    return COOLDOWN if event.received_at < history.enriched_at + rules.cooldown else ""


def matter(event_type: str, attributes: Mapping[str, Any]) -> str:
    """Return what an event is about, where events of one subject and type may be about different things.

    A bounce and a disconnected phone of one contact have nothing to do with each other, nor have its two accounts.
    """
    if event_type == CONTACT_ASSOCIATED and attributes.get("company_id"):
        return f"company:{text_hash(str(attributes['company_id']))}"
    found = proven_wrong(event_type, attributes)
    return "" if found is None else f"{found[0]}:{text_hash(found[1])}"


def proven_wrong(event_type: str, attributes: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the field and the value that an event proves wrong for good, or None."""
    if event_type != DATA_QUALITY or attributes.get("problem") not in FINAL_PROBLEMS:
        return None
    name, value = attributes.get("bad_field"), attributes.get("bad_value")
    if name not in ("email", "phone") or not isinstance(value, str) or not value.strip():
        return None
    return str(name), value.strip()


def in_question(wanted: Sequence[str], event_type: str, attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what of the wanted fields an event asks for: a bounce is no reason to buy a phone number."""
    found = proven_wrong(event_type, attributes)
    others = frozenset() if found is None else frozenset(_REPAIRED) - _REPAIRED[found[0]]
    return tuple(name for name in wanted if name not in others)


_REPAIRED = {
    "email": frozenset({"email", "email_status"}),
    "email_status": frozenset({"email", "email_status"}),
    "phone": frozenset({"phone"}),
}
"""Fields that events prove wrong, each with those that go with it."""


# --- what the work decides -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rules:
    """Whom an event type enriches."""

    needs: str = "email"  # what must be known of the subject: "email" or "domain"
    skip_personal: bool = True
    skip_domains: frozenset[str] = frozenset()
    only_status: frozenset[str] = frozenset()  # lower case; empty = whatever the status says
    fresh: timedelta | None = None  # what was bought within it counts as known
    recheck: frozenset[str] = frozenset()  # fields that are asked for although the record has them
    follow_employer: bool = False  # where a person has changed jobs, what the record says of the old one is replaced


@dataclass(frozen=True, slots=True)
class Standing:
    """What a record says of itself beside its fields."""

    status: str = ""  # how it says that its last enrichment went
    refuses: bool = False  # its person does not consent


def domain_is_listed(domains: Collection[str], listed: Collection[str]) -> bool:
    """Say whether one of the domains, or a domain above it, is on a list."""
    names = {domain.lower() for domain in domains if domain}
    return any(name == entry or name.endswith(f".{entry}") for name in names for entry in listed)


def status_is_done(standing: Standing | None, only: Collection[str]) -> bool:
    """Say whether the record's status says that there is nothing to do. A record that nobody read says nothing."""
    if standing is None or not only:
        return False
    return (standing.status.strip().lower() or BLANK) not in only


def all_fresh(wanted: Sequence[str], offered: Collection[str], fresh: Collection[str], known: Collection[str]) -> bool:
    """Say whether an enrichment could only buy again what was bought not long ago.

    What the record itself has is not bought anyway. A field that nobody in the plan gives can't become fresh and does
    not count.
    """
    possible = [name for name in wanted if name in offered and name not in known]
    return bool(possible) and all(name in fresh for name in possible)
