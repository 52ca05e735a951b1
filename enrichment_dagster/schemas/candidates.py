"""What a value must be to enter the field ledger: the rules behind the enrichment's validation step.

Each value takes one row in the column of its rule set. Rule sets follow from the field catalogue: the field's own where
it has one, else its kind's. Pandera takes about 1 ms for each check, however many rows there are: so one check looks at
all of a micro-batch, and only where something is wrong each rule is checked on its own to tell what it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeAlias

import pandera.polars as pa
import polars as pl

from enrichment_dagster.domain.fields import FIELDS, FieldValue, Kind
from enrichment_dagster.domain.normalise import MAX_ENTRIES, MAX_LONG_TEXT, MAX_TAGS, MAX_TEXT
from enrichment_dagster.domain.ranges import RANGES
from enrichment_dagster.schemas.splitting import Rule, all_hold, failures, is_clean
from enrichment_dagster.schemas.value_types import wrong_type

CandidateValue: TypeAlias = tuple[str, FieldValue]
"""The work id, and the value that its enrichment wants to store."""

EMAIL_STATUSES = ("valid", "invalid", "accept_all", "disposable", "role", "unknown", "risky")
_MAX_EMAIL, _MAX_DOMAIN, _MAX_URL = 254, 253, 2_000

_LABEL = r"[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}-]*[\p{L}\p{M}\p{N}])?"  # international names stay as they are written
_DOMAIN = rf"^(?:{_LABEL}\.)+{_LABEL}$"
_EMAIL = rf"^[^\s@\p{{Cc}}]{{1,64}}@(?:{_LABEL}\.)+{_LABEL}$"
_PHONE = r"^\+[1-9][0-9]{4,14}$"
_URL = r"^https://[^\s/?#@\p{Cc}]+\.[^\s/?#@\p{Cc}]+(?:/[^\s\p{Cc}]*)?$"
_LINKEDIN = r"^https://www\.linkedin\.com/."
_CONFIDENCE = "confidence"


def _matches(reason: str, pattern: str) -> Rule:
    return Rule(reason, lambda column: column.str.contains(pattern))


def _at_most(length: int) -> Rule:
    return Rule("too_long", lambda column: column.str.len_chars() <= length)


def _between(low: float, high: float) -> Rule:
    return Rule("out_of_range", lambda column: column.is_between(low, high))


def _in_range(field: str) -> Rule:
    return _between(*RANGES[field])


def _year(column: pl.Expr) -> pl.Expr:
    return column.is_between(1600, datetime.now(UTC).year + 1)  # "next year" at the moment of the check


def _good_tags(column: pl.Expr) -> pl.Expr:
    return column.list.eval(_good_part(pl.element(), MAX_TEXT)).list.all()


def _good_entries(column: pl.Expr) -> pl.Expr:
    texts = pl.element().list.eval(_good_part(pl.element(), _MAX_URL)).list.all()
    return column.list.eval(texts.fill_null(False)).list.all()


def _good_part(text: pl.Expr, longest: int) -> pl.Expr:
    fine = text.str.len_chars().is_between(1, longest) & ~text.str.contains(r"\p{Cc}")
    return fine.fill_null(False)


def _count_at_most(most: int) -> Rule:
    return Rule("wrong_count", lambda column: column.list.len().is_between(1, most))


def _of_text(longest: int) -> _RuleSet:
    return _RuleSet(
        pl.String(),
        Rule("empty", lambda column: column.str.strip_chars() != ""),
        _at_most(longest),
        Rule("control_characters", lambda column: ~column.str.contains(r"\p{Cc}")),
    )


class _RuleSet:
    """The type of a column and the rules for its values."""

    def __init__(self, dtype: pl.DataType, *rules: Rule) -> None:
        self.dtype = dtype
        self.rules = rules

    def column(self) -> pa.Column:
        """Return the column with each rule as a check of its own. Pandera takes NaN for null: the rules see to that."""
        return pa.Column(self.dtype, [rule.check() for rule in self.rules], nullable=True)


_URL_RULES = (_matches("not_an_https_url", _URL), _at_most(_MAX_URL))

_RULE_SETS: Mapping[str, _RuleSet] = {
    Kind.TEXT: _of_text(MAX_TEXT),
    Kind.LONG_TEXT: _of_text(MAX_LONG_TEXT),
    Kind.EMAIL: _RuleSet(pl.String(), _matches("not_an_email", _EMAIL), _at_most(_MAX_EMAIL)),
    Kind.PHONE: _RuleSet(pl.String(), _matches("not_e164", _PHONE)),
    Kind.URL: _RuleSet(pl.String(), *_URL_RULES),
    Kind.DOMAIN: _RuleSet(pl.String(), _matches("not_a_domain", _DOMAIN), _at_most(_MAX_DOMAIN)),
    Kind.INTEGER: _RuleSet(pl.Int64()),
    Kind.NUMBER: _RuleSet(pl.Float64(), Rule("not_finite", lambda column: column.is_finite())),
    Kind.TAGS: _RuleSet(pl.List(pl.String), _count_at_most(MAX_TAGS), Rule("bad_tag", _good_tags)),
    Kind.ENTRIES: _RuleSet(
        pl.List(pl.List(pl.String)),  # the texts of each entry; its keys are checked with the type
        _count_at_most(MAX_ENTRIES),
        Rule("bad_entry", _good_entries),
    ),
    "email_status": _RuleSet(pl.String(), Rule("not_a_status", lambda column: column.is_in(list(EMAIL_STATUSES)))),
    "linkedin": _RuleSet(pl.String(), *_URL_RULES, _matches("not_on_linkedin", _LINKEDIN)),
    "employees": _RuleSet(pl.Int64(), _in_range("employees")),
    "founded_year": _RuleSet(pl.Int64(), Rule("out_of_range", _year)),
    "money": _RuleSet(pl.Float64(), _in_range("annual_revenue")),
    "employee_growth": _RuleSet(pl.Float64(), _in_range("employee_growth")),
    "intent_score": _RuleSet(pl.Float64(), _in_range("intent_score")),
    _CONFIDENCE: _RuleSet(pl.Float64(), _between(0, 1)),
}
_OWN_RULES = {
    "email_status": "email_status",
    "linkedin_url": "linkedin",
    "company_linkedin_url": "linkedin",
    "employees": "employees",
    "founded_year": "founded_year",
    "annual_revenue": "money",
    "total_funding": "money",
    "employee_growth": "employee_growth",
    "intent_score": "intent_score",
}
RULE_SET_OF: Mapping[str, str] = {name: _OWN_RULES.get(name, spec.kind) for name, spec in FIELDS.items()}
"""The rule set of every field of the catalogue."""


def validate_values(
    values: Sequence[CandidateValue],
) -> tuple[list[CandidateValue], list[tuple[CandidateValue, str]]]:
    """Return the values that may be stored and, with the reasons, those that may not; both in the order given.

    Raises:
        ValueError: the batch as a whole can't be checked: a fault of this program, not of a value.
    """
    bad: dict[int, str] = {}
    columns: dict[str, tuple[list[int], list[Any]]] = {}
    for index, (_, value) in enumerate(values):
        reason = wrong_type(value)
        if reason:
            bad[index] = reason
            continue
        rows, found = columns.setdefault(RULE_SET_OF[value.field], ([], []))
        rows.append(index)
        found.append(_as_cell(value))
    bad.update(_broken_rules(values, columns))
    kept = [candidate for index, candidate in enumerate(values) if index not in bad]
    return kept, [(values[index], bad[index]) for index in sorted(bad)]


def _broken_rules(
    values: Sequence[CandidateValue], columns: Mapping[str, tuple[list[int], list[Any]]]
) -> dict[int, str]:
    """Check the values that have the right type, in one frame with a column for each rule set that occurs."""
    if not columns:
        return {}
    parts = [
        pl.DataFrame({"row": rows, name: found}, schema={"row": pl.Int64, name: _RULE_SETS[name].dtype})
        for name, (rows, found) in columns.items()
    ]
    frame = pl.concat(parts, how="diagonal")
    numbers = frame["row"].to_list()
    confidences = pl.Series(_CONFIDENCE, [float(values[row][1].confidence) for row in numbers], dtype=pl.Float64)
    frame = frame.drop("row").with_columns(confidences)
    names = tuple(sorted(frame.columns))
    if is_clean(_schema_of_all(names), frame):
        return {}
    found = failures(_schema_of_each(names), frame)
    return {
        numbers[index]: reason.replace(f"{RULE_SET_OF[values[numbers[index]][1].field]}: ", "")
        for index, reason in found.items()
    }


@lru_cache(maxsize=64)
def _schema_of_all(names: tuple[str, ...]) -> pa.DataFrameSchema:
    """Return the schema that says of a frame with these rule sets, of whose types we are sure, whether all is well."""
    return pa.DataFrameSchema(checks=all_hold({name: _RULE_SETS[name].rules for name in names}))


@lru_cache(maxsize=64)
def _schema_of_each(names: tuple[str, ...]) -> pa.DataFrameSchema:
    """Return the schema that says what is wrong."""
    return pa.DataFrameSchema({name: _RULE_SETS[name].column() for name in names})


def _as_cell(value: FieldValue) -> Any:
    """Return what stands for the value in its column."""
    if FIELDS[value.field].kind is not Kind.ENTRIES:
        return value.value
    entries: Any = value.value
    return [list(entry.values()) for entry in entries]


def preload() -> None:
    """Check an empty value of each rule set: libraries are loaded and rules are compiled at the first use."""
    frame = pl.DataFrame({name: pl.Series([None], dtype=rules.dtype) for name, rules in _RULE_SETS.items()})
    is_clean(_schema_of_all(tuple(sorted(frame.columns))), frame)
