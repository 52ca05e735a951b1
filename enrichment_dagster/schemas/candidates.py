"""What a value must be to enter the field ledger: the rules behind the enrichment's validation step.

Each value takes one row in the column of its rule set. Rule sets follow from the field catalogue: the field's own where
it has one, else its kind's. One pandera call checks a whole micro-batch (about 1 ms for each check, however many rows).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

import pandera.polars as pa
import polars as pl

from enrichment_dagster.domain.fields import FIELDS, FieldValue, Kind
from enrichment_dagster.domain.normalise import MAX_ENTRIES, MAX_LONG_TEXT, MAX_TAGS, MAX_TEXT
from enrichment_dagster.domain.ranges import RANGES
from enrichment_dagster.schemas.splitting import failures, rule
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


def _matches(reason: str, pattern: str) -> pa.Check:
    return rule(reason, lambda column: column.str.contains(pattern))


def _at_most(length: int) -> pa.Check:
    return rule("too_long", lambda column: column.str.len_chars() <= length)


def _between(low: float, high: float) -> pa.Check:
    return rule("out_of_range", lambda column: column.is_between(low, high))


def _in_range(field: str) -> pa.Check:
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


def _text_checks(longest: int) -> list[pa.Check]:
    return [
        rule("empty", lambda column: column.str.strip_chars() != ""),
        _at_most(longest),
        rule("control_characters", lambda column: ~column.str.contains(r"\p{Cc}")),
    ]


_URL_CHECKS = [_matches("not_an_https_url", _URL), _at_most(_MAX_URL)]

_RULE_SETS: Mapping[str, pa.Column] = {
    Kind.TEXT: pa.Column(pl.String, _text_checks(MAX_TEXT), nullable=True),
    Kind.LONG_TEXT: pa.Column(pl.String, _text_checks(MAX_LONG_TEXT), nullable=True),
    Kind.EMAIL: pa.Column(pl.String, [_matches("not_an_email", _EMAIL), _at_most(_MAX_EMAIL)], nullable=True),
    Kind.PHONE: pa.Column(pl.String, _matches("not_e164", _PHONE), nullable=True),
    Kind.URL: pa.Column(pl.String, _URL_CHECKS, nullable=True),
    Kind.DOMAIN: pa.Column(pl.String, [_matches("not_a_domain", _DOMAIN), _at_most(_MAX_DOMAIN)], nullable=True),
    Kind.INTEGER: pa.Column(pl.Int64, nullable=True),
    Kind.NUMBER: pa.Column(pl.Float64, rule("not_finite", lambda column: column.is_finite()), nullable=True),
    Kind.TAGS: pa.Column(
        pl.List(pl.String),
        [
            rule("wrong_count", lambda column: column.list.len().is_between(1, MAX_TAGS)),
            rule("bad_tag", _good_tags),
        ],
        nullable=True,
    ),
    Kind.ENTRIES: pa.Column(
        pl.List(pl.List(pl.String)),  # the texts of each entry; its keys are checked with the type
        [
            rule("wrong_count", lambda column: column.list.len().is_between(1, MAX_ENTRIES)),
            rule("bad_entry", _good_entries),
        ],
        nullable=True,
    ),
    "email_status": pa.Column(
        pl.String, rule("not_a_status", lambda column: column.is_in(list(EMAIL_STATUSES))), nullable=True
    ),
    "linkedin": pa.Column(pl.String, [*_URL_CHECKS, _matches("not_on_linkedin", _LINKEDIN)], nullable=True),
    "employees": pa.Column(pl.Int64, _in_range("employees"), nullable=True),
    "founded_year": pa.Column(pl.Int64, rule("out_of_range", _year), nullable=True),
    "money": pa.Column(pl.Float64, _in_range("annual_revenue"), nullable=True),
    "employee_growth": pa.Column(pl.Float64, _in_range("employee_growth"), nullable=True),
    "intent_score": pa.Column(pl.Float64, _in_range("intent_score"), nullable=True),
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

_CONFIDENCE = pa.Column(pl.Float64, _between(0, 1), nullable=True)  # pandera takes NaN for null: let the rule say it


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
        pl.DataFrame({"row": rows, name: found}, schema={"row": pl.Int64, name: _RULE_SETS[name].dtype.type})
        for name, (rows, found) in columns.items()
    ]
    frame = pl.concat(parts, how="diagonal")
    numbers = frame["row"].to_list()
    confidences = pl.Series("confidence", [float(values[row][1].confidence) for row in numbers], dtype=pl.Float64)
    schema = pa.DataFrameSchema({**{name: _RULE_SETS[name] for name in columns}, "confidence": _CONFIDENCE})
    found = failures(schema, frame.drop("row").with_columns(confidences))
    return {
        numbers[index]: reason.replace(f"{RULE_SET_OF[values[numbers[index]][1].field]}: ", "")
        for index, reason in found.items()
    }


def _as_cell(value: FieldValue) -> Any:
    """Return what stands for the value in its column."""
    if FIELDS[value.field].kind is not Kind.ENTRIES:
        return value.value
    entries: Any = value.value
    return [list(entry.values()) for entry in entries]


def preload() -> None:
    """Check an empty value of each rule set: libraries are loaded and rules are compiled at the first use."""
    columns = {name: pl.Series([None], dtype=column.dtype.type) for name, column in _RULE_SETS.items()}
    schema = pa.DataFrameSchema({**_RULE_SETS, "confidence": _CONFIDENCE})
    failures(schema, pl.DataFrame({**columns, "confidence": pl.Series([1.0], dtype=pl.Float64)}))
