"""Splitting a frame by a pandera schema: what may enter a table, and what may not with the reasons."""

from __future__ import annotations

from collections.abc import Callable

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData
from pandera.errors import SchemaErrors


def rule(reason: str, passes: Callable[[pl.Expr], pl.Expr]) -> pa.Check:
    """Return a check of one column; a value that does not pass fails for this reason. Nulls are not asked."""

    def check(data: PolarsData) -> pl.LazyFrame:
        column = pl.col(data.key)
        return data.lazyframe.select(column.is_null() | passes(column).fill_null(False))

    return pa.Check(check, name=reason, error=reason, ignore_na=False)


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
