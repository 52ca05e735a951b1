"""What a row must be to enter a table of the warehouse; the projector asks before it writes."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson
import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from enrichment_dagster.domain.edges import EdgeKind
from enrichment_dagster.domain.fields import FIELDS, Kind, Level
from enrichment_dagster.domain.outcome import Outcome
from enrichment_dagster.schemas.splitting import rule

_LAKE_TIME = pl.Datetime("us", "UTC")
_EARLIEST_MS = 0
_LATEST_MS = round(datetime(2200, 1, 1, tzinfo=UTC).timestamp() * 1_000)
_MAX_INTEGER = 2**31 - 1
_MAX_MICROS = 10**15  # a thousand million dollars
COLUMN_TYPES: dict[Kind, pl.DataType | type[pl.DataType]] = {
    Kind.INTEGER: pl.Int64,
    Kind.NUMBER: pl.Float64,
    Kind.TAGS: pl.List(pl.String),
}
"""The type of a field's column in contacts and companies; text (also JSON's) for the kinds that are not named."""


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _text(*, key: bool = False) -> pa.Column:
    checks = [rule("empty", lambda column: column != "")] if key else []
    return pa.Column(pl.String, checks, unique=key)


def _one_of(*texts: str, nullable: bool = False) -> pa.Column:
    return pa.Column(pl.String, rule("not_known", lambda column: column.is_in(list(texts))), nullable=nullable)


def _json() -> pa.Column:
    check = rule("not_json", lambda column: column.map_elements(_is_json, return_dtype=pl.Boolean))
    return pa.Column(pl.String, check)


def _moment(*, nullable: bool = False) -> pa.Column:
    """Return a time as the operational store has it: milliseconds. Checked before it becomes a moment."""
    check = rule("out_of_range", lambda column: column.is_between(_EARLIEST_MS, _LATEST_MS))
    return pa.Column(pl.Int64, check, nullable=nullable)


def _micros() -> pa.Column:
    return pa.Column(pl.Int64, rule("out_of_range", lambda column: column.is_between(0, _MAX_MICROS)))


def _count() -> pa.Column:
    """Return a number that its INTEGER column in the warehouse can hold."""
    return pa.Column(pl.Int64, rule("out_of_range", lambda column: column.is_between(0, _MAX_INTEGER)))


def _events() -> dict[str, pa.Column]:
    texts = ("event_id", "kind", "event_type", "source", "lane", "subject_system", "subject_type", "subject_id")
    return {
        "work_id": _text(key=True),
        **{name: _text() for name in (*texts, "sender_event_id", "reason", "run_id", "caused_by")},
        "occurred_at": _moment(),
        "received_at": _moment(),
        **{name: _moment(nullable=True) for name in ("started_at", "finished_at", "delivered_at")},
        "state": _one_of("due", "assigned", "done"),
        "outcome": _one_of(*(outcome.value for outcome in Outcome), nullable=True),
        "missing": _json(),
        "steps": _json(),
        "cost_micros": _micros(),
        "batch_id": pa.Column(pl.String, nullable=True),
        "tries": pa.Column(pl.Int64),
        "day": pa.Column(pl.Date),
        "depth": _count(),
    }


def _of_kind(*kinds: Kind) -> list[str]:
    return [name for name, spec in FIELDS.items() if spec.kind in kinds]


def _matches_field(data: PolarsData) -> pl.LazyFrame:
    """Say whether the JSON value can stand in its field's column: a wide table never meets one that it can't hold."""
    field, value = pl.col("field"), pl.col("value")
    fits = (
        pl.when(field.is_in(_of_kind(Kind.INTEGER)))
        .then(value.str.contains(r"^-?[0-9]{1,18}$"))
        .when(field.is_in(_of_kind(Kind.NUMBER)))
        .then(value.str.contains(r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$"))
        .when(field.is_in(_of_kind(Kind.TAGS)))
        .then(value.str.starts_with("["))
        .when(field.is_in(_of_kind(Kind.ENTRIES)))
        .then(value.str.contains(r"^\[\s*\{"))
        .otherwise(value.str.starts_with('"'))
    )
    return data.lazyframe.select(fits.fill_null(False))


def _subject(*prefixes: str) -> list[pa.Check]:
    pattern = f"^(?:{'|'.join(prefixes)}):."
    return [rule("not_a_subject", lambda column: column.str.contains(pattern))]


def _field_values() -> dict[str, pa.Column]:
    value = _json()
    value.checks = [*value.checks, pa.Check(_matches_field, name="wrong_kind", error="wrong_kind", ignore_na=False)]
    return {
        "value_id": pa.Column(pl.Int64, unique=True),
        **{name: _text() for name in ("work_id", "event_id", "provider", "request_id")},
        "subject_key": pa.Column(pl.String, _subject("email", "domain")),
        "field": _one_of(*FIELDS),
        "value": value,
        "confidence": pa.Column(pl.Float64, rule("out_of_range", lambda column: column.is_between(0, 1))),
        "fetched_at": _moment(),
        "verified_at": _moment(nullable=True),
        "expires_at": _moment(nullable=True),
        "cost_micros": _micros(),
        "precedence": _count(),
        "chosen": pa.Column(pl.Boolean),
        "stale": pa.Column(pl.Boolean),
    }


def _provider_attempts() -> dict[str, pa.Column]:
    return {
        "attempt_id": _text(key=True),
        **{
            name: _text() for name in ("provider", "purpose", "subject_key", "event_id", "reason", "request_id", "role")
        },
        "outcome": _one_of("hit", "miss", "error", "unknown"),
        "http_status": pa.Column(pl.Int64, nullable=True),
        "cost_micros": _micros(),
        "latency_ms": pa.Column(pl.Int64, nullable=True),
        "sent_at": _moment(),
        "settled_at": _moment(nullable=True),
        "units": _count(),
    }


def _crm_writes() -> dict[str, pa.Column]:
    return {
        "outbox_id": _text(key=True),
        **{name: _text() for name in ("work_id", "event_id", "system", "object_type", "record_id", "reason")},
        "status": _one_of("written", "already_there", "rejected"),
        "written": _json(),
        "kept": _json(),
        "written_at": _moment(),
    }


def _quarantine() -> dict[str, pa.Column]:
    texts = ("origin", "work_id", "event_id", "field", "raw", "provider", "reason")
    return {"quarantine_key": _text(key=True), **{name: _text() for name in texts}, "created_at": _moment()}


def _dead_letters() -> dict[str, pa.Column]:
    texts = ("event_id", "event_type", "component", "reason", "detail")
    return {"work_id": _text(key=True), **{name: _text() for name in texts}, "created_at": _moment()}


def _subject_table(level: Level, prefix: str) -> dict[str, pa.Column]:
    """Return the columns of contacts or companies: one for each field of the catalogue."""
    fields: dict[str, Any] = {
        name: pa.Column(COLUMN_TYPES.get(spec.kind, pl.String), nullable=True)
        for name, spec in FIELDS.items()
        if spec.level is level
    }
    fields.setdefault("company_domain", pa.Column(pl.String, nullable=True))
    return {
        "subject_key": pa.Column(pl.String, _subject(prefix), unique=True),
        **fields,
        "provenance": pa.Column(pl.String),
        "first_seen_at": pa.Column(_LAKE_TIME),
        "updated_at": pa.Column(_LAKE_TIME),
    }


def _contact_company() -> dict[str, pa.Column]:
    return {
        "contact_key": pa.Column(pl.String, _subject("email", "record")),
        "company_key": pa.Column(pl.String, _subject("domain", "record")),
        "kind": _one_of(*EdgeKind),
        **{name: _text() for name in ("system", "contact_record", "company_record", "last_event_id")},
        "since": _moment(),
        "last_seen_at": _moment(),
        "ended_at": _moment(nullable=True),
    }


_TABLES = {
    "events": _events,
    "field_values": _field_values,
    "provider_attempts": _provider_attempts,
    "crm_writes": _crm_writes,
    "quarantine": _quarantine,
    "dead_letters": _dead_letters,
    "contacts": lambda: _subject_table(Level.CONTACT, "email"),
    "companies": lambda: _subject_table(Level.COMPANY, "domain"),
    "contact_company": _contact_company,
}


@cache
def table_schema(table: str) -> pa.DataFrameSchema:
    """Return the rules for the rows of a table; exactly its columns are allowed."""
    unique = ["contact_key", "company_key", "kind", "system"] if table == "contact_company" else None
    return pa.DataFrameSchema(_TABLES[table](), strict=True, unique=unique)
