"""Splitting a frame by a pandera schema: what may enter a table, and what may not with the reasons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData
from pandera.errors import SchemaError, SchemaErrors


@dataclass(frozen=True, slots=True)
class Rule:
    """What the values of a column must be; one that is not fails for this reason. Nulls are not asked."""

    reason: str
    passes: Callable[[pl.Expr], pl.Expr]

    def holds(self, column: str) -> pl.Expr:
        """Return for each row whether the column's value passes."""
        value = pl.col(column)
        return value.is_null() | self.passes(value).fill_null(False)

    def check(self) -> pa.Check:
        """Return the rule as a check of one column."""

        def check(data: PolarsData) -> pl.LazyFrame:
            return data.lazyframe.select(self.holds(data.key))

        return pa.Check(check, name=self.reason, error=self.reason, ignore_na=False)


def rule(reason: str, passes: Callable[[pl.Expr], pl.Expr]) -> pa.Check:
    """Return a rule as a check of one column."""
    return Rule(reason, passes).check()


def all_hold(rules: Mapping[str, Sequence[Rule]]) -> pa.Check:
    """Return one check of a frame's rows by the rules of all its columns: that takes as long as for one of them."""

    def check(data: PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(pl.all_horizontal(rule.holds(name) for name in rules for rule in rules[name]))

    return pa.Check(check, name="all_hold", ignore_na=False)


def is_clean(schema: pa.DataFrameSchema, frame: pl.DataFrame) -> bool:
    """Say whether nothing at all is wrong, without looking for what it is."""
    try:
        schema.validate(frame)
    except SchemaError:
        return False
    return True


def failures(schema: pa.DataFrameSchema, frame: pl.DataFrame) -> dict[int, str]:
    """Return the failing rows' numbers, each with all its reasons in words: ``column: reason; ...``.

    Raises:
        ValueError: the frame as a whole is wrong (a column is missing or of another type): a fault of the caller.
    """
    if frame.is_empty():
        return {}
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases
    else:
        return {}
    whole = cases.filter(pl.col("index").is_null())
    if not whole.is_empty():
        raise ValueError(f"the frame can't be checked: {whole.select('column', 'check').to_dicts()}")
    reasons: dict[int, list[str]] = {}
    for index, column, check in cases.select("index", "column", "check").iter_rows():
        reason = f"{column}: {_REASONS.get(check, check)}"
        if reason not in reasons.setdefault(index, []):
            reasons[index].append(reason)
    return {index: "; ".join(texts) for index, texts in sorted(reasons.items())}


_REASONS = {"not_nullable": "missing", "field_uniqueness": "duplicate"}  # pandera's names of built-in checks
