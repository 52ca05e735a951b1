"""The waterfall's arithmetic: what is known of one event's person and company, which value counts, what is missing.

All that was said of a field stays as a candidate; which one counts follows from the set of candidates alone, never
from the order in which answers came. Adding is therefore associative, commutative and idempotent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from types import MappingProxyType

from enrichment_dagster.domain.fields import FIELDS, FieldValue, Level, RejectedValue, Value
from enrichment_dagster.domain.outcome import MissingReason

CandidateKey = tuple[str, str, str]
"""Field, provider and subject: of each provider's word on a field of a subject the better one is kept."""

Rank = tuple[bool, int, bool, float, float]

_WEIGHT: Mapping[MissingReason, int] = MappingProxyType({reason: n for n, reason in enumerate(
    (
        MissingReason.PENDING,  # first what a later moment may cure
        MissingReason.PROVIDER_DOWN,
        MissingReason.TIMEOUT,
        MissingReason.BUDGET,
        MissingReason.POLICY,
        MissingReason.INVALID,
        MissingReason.NO_DATA,
        MissingReason.NO_PROVIDER,
    )
)})  # fmt: skip


def rank(value: FieldValue) -> Rank:
    """Return what candidates are compared by; the smaller one wins.

    Fresh before stale, then precedence (the CRM record, then the plan's order), verified before unverified, confidence,
    and the later answer.
    """
    return (
        value.stale,
        value.precedence,
        value.verified_at is None,
        -value.confidence,
        -value.fetched_at.timestamp(),
    )


def is_better(one: FieldValue, other: FieldValue) -> bool:
    """Say whether the first one counts. Of two different values exactly one is better: their text breaks a tie."""
    first, second = rank(one), rank(other)
    return first < second if first != second else _text(one) < _text(other)


def _text(value: FieldValue) -> tuple[str, str, str]:
    rest = (value.value, value.request_id, value.cost_micros, value.verified_at, value.expires_at)
    return (value.provider, value.subject_key, repr(rest))


def _said(value: Value) -> str:
    """Return a value in a form in which it is known again: the case of an address makes no other one of it."""
    return repr(value).casefold()


def candidate_key(value: FieldValue) -> CandidateKey:
    """Return the key under which a candidate is kept."""
    return (value.field, value.provider, value.subject_key)


def absorb(candidates: dict[CandidateKey, FieldValue], key: CandidateKey, value: FieldValue) -> None:
    """Add a candidate in place, unless a better one with its key is there."""
    known = candidates.get(key)
    if known is None or is_better(value, known):
        candidates[key] = value


def company_of(candidates: Iterable[FieldValue], default: str | None) -> str | None:
    """Return the subject key of the company that the person works for: the one of the best company domain."""
    domains = [value for value in candidates if value.field == "company_domain"]
    if not domains:
        return default
    return reduce(lambda best, value: value if is_better(value, best) else best, domains).subject_key


def choose(candidates: Mapping[CandidateKey, FieldValue], default_company: str | None) -> dict[str, FieldValue]:
    """Return the value of each field that counts.

    Of companies only the values of ONE company count, or fields of two would meet in one record; what the record
    itself says of its company counts in any case.
    """
    company = company_of(candidates.values(), default_company)
    best: dict[str, FieldValue] = {}
    for value in candidates.values():
        if value.precedence and value.subject_key != company and FIELDS[value.field].level is Level.COMPANY:
            continue
        known = best.get(value.field)
        if known is None or is_better(value, known):
            best[value.field] = value
    return best


@dataclass(slots=True)
class Knowledge:
    """What is known of one event's person and company."""

    wanted: Sequence[str]
    default_company: str | None = None  # subject key of the company behind the e-mail address
    candidates: dict[CandidateKey, FieldValue] = field(default_factory=dict)
    rejected: list[RejectedValue] = field(default_factory=list)
    refused: set[tuple[str, str]] = field(default_factory=set)  # field and text of values that are proven wrong
    obstacles: dict[str, MissingReason] = field(default_factory=dict)  # the weightiest reason seen for a field
    _values: dict[str, FieldValue] | None = None

    @property
    def values(self) -> Mapping[str, FieldValue]:
        """Return the value of each field that counts."""
        if self._values is None:
            self._values = choose(self.candidates, self.default_company)
        return self._values

    @property
    def company_key(self) -> str | None:
        """Return the subject key of the company whose values count."""
        return company_of(self.candidates.values(), self.default_company)

    @property
    def bought(self) -> list[str]:
        """Return the fields whose value came from a provider and not from the record."""
        return [name for name, value in self.values.items() if value.precedence]

    @property
    def alternatives(self) -> list[FieldValue]:
        """Return the candidates that do not count."""
        chosen = {id(value) for value in self.values.values()}
        return [value for value in self.candidates.values() if id(value) not in chosen]

    def missing(self) -> list[str]:
        """Return the wanted fields that have no value yet, in the plan's order."""
        values = self.values
        return [name for name in self.wanted if name not in values]

    def useful(self, gives: Iterable[str]) -> list[str]:
        """Return what a lookup that gives these fields could still add."""
        offered = set(gives)
        return [name for name in self.missing() if name in offered]

    def add(self, values: Iterable[FieldValue]) -> None:
        """Take in candidates; what is proven wrong is not taken."""
        for value in values:
            if not self.is_refused(value):
                absorb(self.candidates, candidate_key(value), value)
                self._values = None

    def reject(self, value: FieldValue, reason: str, raw: str) -> None:
        """Set a candidate aside for good, with the reason; the next best one counts from now on."""
        self.candidates = {key: known for key, known in self.candidates.items() if known is not value}
        self.rejected.append(RejectedValue(value.field, raw, value.provider, reason))
        self._values = None

    def refuse(self, name: str, value: Value) -> None:
        """Remember that a value is wrong, whoever says it, and forget the candidates that say it."""
        self.refused.add((name, _said(value)))
        for candidate in [v for v in self.candidates.values() if self.is_refused(v)]:
            self.reject(candidate, "proven_wrong", repr(candidate.value))

    def is_refused(self, value: FieldValue) -> bool:
        """Say whether this is a value that is proven wrong."""
        return bool(self.refused) and (value.field, _said(value.value)) in self.refused

    def obstruct(self, gives: Iterable[str], reason: MissingReason) -> None:
        """Remember why these fields could not be had from a lookup; it counts only if nobody else has them."""
        for name in set(self.wanted).intersection(gives):
            known = self.obstacles.get(name)
            if known is None or _WEIGHT[reason] < _WEIGHT[known]:
                self.obstacles[name] = reason

    def missing_reasons(self, offered: Iterable[str]) -> dict[str, MissingReason]:
        """Return each missing field's reason. ``offered`` is what the plan's lookups give in all."""
        possible = set(offered)
        rejected = {value.field for value in self.rejected}
        return {name: self._reason(name, possible, rejected) for name in self.missing()}

    def _reason(self, name: str, possible: set[str], rejected: set[str]) -> MissingReason:
        if name in self.obstacles:
            return self.obstacles[name]
        if name in rejected:
            return MissingReason.INVALID
        return MissingReason.NO_DATA if name in possible else MissingReason.NO_PROVIDER
