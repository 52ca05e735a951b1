"""Writing one slice of operational rows to the warehouse, inside a transaction that the caller holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import duckdb
import polars as pl

from enrichment_dagster.schemas.splitting import failures
from enrichment_dagster.schemas.tables import table_schema
from enrichment_dagster.store.warehouse_rejects import Reject, quarantine_frame, raw_row
from enrichment_dagster.store.warehouse_sources import SOURCES, Source, to_frame, with_times
from enrichment_dagster.store.warehouse_sql import sql

Rows = Sequence[tuple[Any, ...]]
_INCOMING = "incoming"
_SUBJECTS = {"field_values": "subject_key", "contact_company": "contact_key"}
"""Tables whose rows say something of a subject, and the column that names it."""


@dataclass(slots=True)
class SliceWriter:
    """Checks and writes the rows of one slice. Rows that fail their table's rules go to quarantine, whole."""

    lake: duckdb.DuckDBPyConnection
    now: datetime
    counts: dict[str, int] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    touched: list[pl.Series] = field(default_factory=list)  # subjects whose people and companies are to be derived anew

    def write(self, rows_by_table: Mapping[str, Rows]) -> None:
        """Write the rows of every table, then what follows from the field values, then the refused rows."""
        for source in SOURCES:
            rows = rows_by_table.get(source.target)
            if rows:
                self._write_source(source, rows)
        if self.touched:
            self._derive_subjects()
        if self.rejects:
            self._merge("quarantine", quarantine_frame(self.rejects, self.now))

    def _write_source(self, source: Source, rows: Rows) -> None:
        frame, rejects = to_frame(source, rows)
        self.rejects += rejects
        key = source.key
        if source.target == "quarantine":
            frame, key = _as_quarantine(frame), "quarantine_key"
        good = with_times(source, self._checked(source.target, key, frame))
        if good.is_empty():
            return
        bounds = None
        if source.target == "field_values":
            bounds = {"low": good["value_id"].min(), "high": good["value_id"].max()}
        if source.target in _SUBJECTS:
            self.touched.append(good[_SUBJECTS[source.target]])
        self._merge(source.target, good, bounds)

    def _derive_subjects(self) -> None:
        """Bring people and companies up to date, where new values or edges touch them."""
        touched = pl.concat([keys.rename("subject_key") for keys in self.touched]).unique()
        self.lake.register("touched", touched.to_frame())
        self.lake.execute(sql("project_best_values"))
        self._derive("companies", "subject_key", self.lake.execute(sql("project_companies")).pl())
        self._derive("contacts", "subject_key", self.lake.execute(sql("project_contacts")).pl())

    def _derive(self, table: str, key: str, frame: pl.DataFrame) -> None:
        good = self._checked(table, key, frame)
        if not good.is_empty():
            self._merge(table, good, statement=f"merge_{table}")

    def _merge(
        self, table: str, frame: pl.DataFrame, parameters: Mapping[str, Any] | None = None, statement: str = ""
    ) -> None:
        self.lake.register(_INCOMING, frame)
        self.lake.execute(sql(statement or f"project_{table}"), dict(parameters or {}))
        self.counts[table] = self.counts.get(table, 0) + frame.height

    def _checked(self, table: str, key: str, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the rows that may enter the table and remember the others."""
        bad = failures(table_schema(table), frame)
        if not bad:
            return frame
        for index, reason in bad.items():
            row = frame.row(index, named=True)
            self.rejects.append(Reject(table, str(row[key]), reason, raw_row(row)))
        return frame.with_row_index("__row").filter(~pl.col("__row").is_in(list(bad))).drop("__row")


def _as_quarantine(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the operational quarantine's rows as the warehouse keys them."""
    return frame.with_columns(
        quarantine_key=pl.format("value:{}", "quarantine_id"), origin=pl.lit("value", pl.String)
    ).drop("quarantine_id")
