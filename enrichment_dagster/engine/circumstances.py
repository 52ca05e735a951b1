"""By what an event's subject is known, what is stored of it beside its record, and whether it may be enriched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from enrichment_dagster.domain.eligibility import (
    NO_CONSENT,
    NO_DOMAIN,
    SKIPPED_DOMAIN,
    STATUS,
    SUPPRESSED,
    Rules,
    Standing,
    domain_is_listed,
    proven_wrong,
    status_is_done,
)
from enrichment_dagster.domain.fields import FieldValue
from enrichment_dagster.domain.keys import domain_subject, email_subject
from enrichment_dagster.domain.normalise import (
    InvalidValueError,
    email_domain,
    normalise,
    normalise_domain,
    personal_reason,
)
from enrichment_dagster.ports import Recollection, WorkItem, WorkKind

_FIRST_LOOKS = (WorkKind.EVENT, WorkKind.ROUTING)
"""Work that may find out that there is nothing to do; follow-ups and replays are asked for."""


_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Identity:
    """By what an event's subject is known."""

    email: str | None
    fault: str  # why the address that there is can't be used
    mail_domain: str | None  # the company behind the address
    domain: str | None  # the company that the record or the sender names, or the one behind the address
    record: str  # the record's key, or what the event names in its place
    records: tuple[str, ...] = ()  # keys of the records that were found for it

    @property
    def domains(self) -> tuple[str, ...]:
        """Return every domain that the subject has to do with, as it is written."""
        host = email_domain(self.email) if self.email else None
        return tuple(filter(None, (self.domain, self.mail_domain, host)))

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the keys under which something may be stored of the subject."""
        person = (email_subject(self.email),) if self.email else ()
        companies = dict.fromkeys(filter(None, (self.domain, self.mail_domain)))
        records = dict.fromkeys((self.record, *self.records))
        return (*records, *person, *(domain_subject(name) for name in companies))


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known of a subject beside its record's fields."""

    standing: Standing | None = None  # None: no record was read
    suppressed: bool = False
    wrong: tuple[tuple[str, str], ...] = ()  # fields and values that are proven wrong
    fresh: tuple[FieldValue, ...] = ()  # what was bought not long ago


NO_CIRCUMSTANCES = Circumstances()


def identify(
    item: WorkItem, known: Mapping[str, Any], company: Mapping[str, Any] = _NOTHING, records: Sequence[str] = ()
) -> Identity:
    """Return by what the subject is known; ``known`` are its record's fields, as the CRM stores them.

    A company that has a record of its own says itself who it is (``company``), and not its people's records.
    """
    attributes = item.event.attributes
    email, fault = None, ""
    try:
        found = normalise("email", known.get("email") or attributes.get("email"))
        email = found if isinstance(found, str) else None
    except InvalidValueError:
        fault = "invalid_email"
    mail_domain = mail_domain_of(email)
    named = _domain((company or known).get("company_domain")) or _domain(attributes.get("domain"))
    return Identity(email, fault, mail_domain, named or mail_domain, item.event.subject.key, tuple(records))


def circumstances_of(
    item: WorkItem, identity: Identity, recollection: Recollection, standing: Standing | None
) -> Circumstances:
    """Return what of all that was recalled concerns this subject. What the event itself proves wrong counts as well."""
    keys = identity.keys
    said = proven_wrong(item.event.event_type, item.event.attributes)
    wrong = [pair for key in keys for pair in recollection.wrong.get(key, ())]
    return Circumstances(
        standing=standing,
        suppressed=not recollection.suppressed.isdisjoint(keys),
        wrong=tuple(dict.fromkeys([*wrong, *([said] if said else [])])),
        fresh=tuple(value for key in keys for value in recollection.values.get(key, ())),
    )


def refusal(item: WorkItem, identity: Identity, circumstances: Circumstances, rules: Rules) -> str:
    """Return why the subject is not enriched; empty where it is."""
    standing = circumstances.standing
    if circumstances.suppressed:
        return SUPPRESSED
    if standing is not None and standing.refuses:
        return NO_CONSENT
    if unknown := _unknown(identity, rules):
        return unknown
    if rules.skip_domains and domain_is_listed(identity.domains, rules.skip_domains):
        return SKIPPED_DOMAIN
    done = item.kind in _FIRST_LOOKS and status_is_done(standing, rules.only_status)
    return STATUS if done else ""


def _unknown(identity: Identity, rules: Rules) -> str:
    """Return why nobody can be asked about the subject."""
    if rules.needs == "domain":
        if identity.domain:
            return ""
        personal = personal_reason(identity.email) if identity.email else None
        return personal or identity.fault or NO_DOMAIN
    if identity.email is None:
        return identity.fault or "no_email"
    return (personal_reason(identity.email) or "") if rules.skip_personal else ""


def mail_domain_of(email: str | None) -> str | None:
    """Return the domain of the company behind an address: people get it from whom they work for."""
    if email is None or personal_reason(email):
        return None  # the mail host's company is not the person's
    return _domain(email_domain(email))


def _domain(text: Any) -> str | None:
    try:
        return normalise_domain(text) if isinstance(text, str) and text.strip() else None
    except InvalidValueError:
        return None
