"""Rows that may not enter their table. None is lost: they go to the warehouse's quarantine with the reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl


@dataclass(frozen=True, slots=True)
class Reject:
    """One refused row, whole, as JSON."""

    table: str
    key: str
    reason: str
    raw: str

    @property
    def quarantine_key(self) -> str:
        """Return a key that the same refusal always has: repeating a projection adds nothing."""
        digest = hashlib.sha256(f"{self.reason}\n{self.raw}".encode(errors="replace")).hexdigest()[:16]
        return f"{self.table}:{self.key}:{digest}"


def raw_row(values: Mapping[str, Any]) -> str:
    """Return a row as JSON text, whatever it holds."""
    return json.dumps(values, default=str)


def quarantine_frame(rejects: Sequence[Reject], now: datetime) -> pl.DataFrame:
    """Return the rejects as rows of the warehouse's quarantine."""
    rows = [(item, json.loads(item.raw)) for item in rejects]
    return pl.DataFrame(
        {
            "quarantine_key": [item.quarantine_key for item, _ in rows],
            "origin": [item.table for item, _ in rows],
            "work_id": [str(row.get("work_id") or "") for _, row in rows],
            "event_id": [str(row.get("event_id") or "") for _, row in rows],
            "field": [str(row.get("field") or "") for _, row in rows],
            "raw": [item.raw for item, _ in rows],
            "provider": [str(row.get("provider") or "") for _, row in rows],
            "reason": [item.reason for item, _ in rows],
            "created_at": [now] * len(rows),
        },
        schema_overrides={"created_at": pl.Datetime("ms", "UTC")},
    ).unique("quarantine_key", keep="first", maintain_order=True)
