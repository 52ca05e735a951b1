"""Splitting a frame by a schema."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl
import pytest

from enrichment_dagster.schemas.splitting import Rule, all_hold, failures, is_clean, rule
from enrichment_dagster.schemas.tables import table_schema

_SCHEMA = pa.DataFrameSchema(
    {
        "key": pa.Column(pl.String, unique=True),
        "n": pa.Column(pl.Int64, rule("too_small", lambda column: column > 3), nullable=True),
    }
)


def _frame(keys: list[str | None], numbers: list[int | None]) -> pl.DataFrame:
    return pl.DataFrame({"key": keys, "n": numbers}, schema={"key": pl.String, "n": pl.Int64})


def test_a_clean_frame_has_no_failures() -> None:
    assert failures(_SCHEMA, _frame(["a", "b"], [4, None])) == {}


def test_an_empty_frame_has_no_failures() -> None:
    assert failures(_SCHEMA, _frame([], [])) == {}


def test_each_failing_row_has_all_its_reasons() -> None:
    found = failures(_SCHEMA, _frame(["a", None, "c", "d"], [1, 2, 5, 3]))
    assert found == {0: "n: too_small", 1: found[1], 3: "n: too_small"}
    assert set(found[1].split("; ")) == {"key: missing", "n: too_small"}


def test_duplicates_fail() -> None:
    assert set(failures(_SCHEMA, _frame(["a", "a", "b"], [4, 5, 6]))) == {0, 1}


def test_a_missing_column_is_a_fault_of_the_caller() -> None:
    with pytest.raises(ValueError, match="can't be checked"):
        failures(_SCHEMA, _frame(["a"], [4]).drop("n"))


def test_a_column_of_another_type_is_a_fault_of_the_caller() -> None:
    with pytest.raises(ValueError, match="can't be checked"):
        failures(_SCHEMA, _frame(["a"], [4]).with_columns(pl.col("n").cast(pl.Float64)))


def test_an_unknown_column_is_a_fault_of_the_caller() -> None:
    row = {"outbox_id": "o", "surprise": "x"}
    with pytest.raises(ValueError, match="can't be checked"):
        failures(table_schema("crm_writes"), pl.DataFrame([row]))


_TOGETHER = pa.DataFrameSchema(
    checks=all_hold(
        {
            "key": (
                Rule("empty", lambda column: column != ""),
                Rule("long", lambda column: column.str.len_chars() < 3),
            ),
            "n": (Rule("too_small", lambda column: column > 3),),
        }
    )
)


@pytest.mark.parametrize(
    ("keys", "numbers", "clean"),
    [
        (["a", "bc"], [4, 5], True),
        ([None, "a"], [4, None], True),
        (["a", ""], [4, 5], False),
        (["a", "abc"], [4, 5], False),
        (["a", "bc"], [4, 3], False),
        (["abc", ""], [1, 2], False),
    ],
)
def test_one_check_by_the_rules_of_all_columns(keys: list[str | None], numbers: list[int | None], clean: bool) -> None:
    assert is_clean(_TOGETHER, _frame(keys, numbers)) is clean
