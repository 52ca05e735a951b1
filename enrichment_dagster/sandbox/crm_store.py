"""The records an emulated CRM holds, and the log of every write it accepted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from enrichment_dagster.sandbox.wire import now_ms


@dataclass(slots=True)
class Record:
    """One record. `fields` holds only what has ever been set."""

    id: str
    fields: dict[str, Any]
    created_ms: int
    updated_ms: int


@dataclass(frozen=True, slots=True)
class Write:
    """One accepted change of one field, also when the new value equals the old."""

    seq: int
    system: str
    kind: str
    id: str
    field: str
    old: Any
    new: Any
    at: str
    trace: str | None


Changes = Sequence[tuple[str, Any, Any]]
"""Fields with their old and new values."""


class WriteLog:
    """Append-only log of accepted writes of all systems; ``tell`` hears of each change of a record's fields."""

    def __init__(self, tell: Callable[[tuple[str, str], str, Changes], None]) -> None:
        self._writes: list[Write] = []
        self._tell = tell

    def append(self, place: tuple[str, str], record_id: str, changes: Changes, trace: str | None) -> None:
        """Log the changes of one accepted write to a record of a system and kind."""
        self._tell(place, record_id, changes)
        self.note(place, record_id, changes, trace)

    def note(self, place: tuple[str, str], record_id: str, changes: Changes, trace: str | None) -> None:
        """Log changes that are no field's: nobody is told of them as such."""
        at = iso_ms(now_ms())
        for name, old, new in changes:
            self._writes.append(Write(len(self._writes) + 1, *place, record_id, name, old, new, at, trace))

    def as_data(self, since: int = 0) -> list[dict[str, Any]]:
        """The writes after a sequence number, for JSON."""
        return [asdict(write) for write in self._writes[since:]]

    def clear(self) -> None:
        """Forget all writes."""
        self._writes.clear()


class CrmStore:
    """The records of one kind. Ids are never used twice within a process, not even after a reset."""

    def __init__(
        self, system: str, kind: str, new_id: Callable[[], str], log: WriteLog, *, email_field: str = ""
    ) -> None:
        self.system = system
        self.kind = kind
        self._email_field = email_field
        self._new_id = new_id
        self._log = log
        self.records: dict[str, Record] = {}
        self._kept: tuple[Record, ...] = ()
        self._by_email: dict[str, str] = {}

    def create(self, fields: Mapping[str, Any]) -> Record:
        """A new record, as a form or a list import makes one."""
        moment = now_ms()
        record = Record(self._new_id(), dict(fields), moment, moment)
        self.records[record.id] = record
        self._index(record)
        return record

    def by_email(self, email: str) -> Record | None:
        """The newest record with this e-mail address."""
        record_id = self._by_email.get(email.strip().lower())
        return self.records.get(record_id) if record_id else None

    def update(self, record: Record, changes: Mapping[str, Any], trace: str | None = None) -> None:
        """Accept a write and log it field by field."""
        before = record.fields
        self._log.append(
            (self.system, self.kind),
            record.id,
            [(name, before.get(name), value) for name, value in changes.items()],
            trace,
        )
        before.update(changes)
        record.updated_ms = max(now_ms(), record.updated_ms + 1)
        if self._email_field in changes:
            self._index(record)

    def keep(self) -> None:
        """Let the present records be those that a reset goes back to."""
        self._kept = tuple(replace(record, fields=dict(record.fields)) for record in self.records.values())

    def reset(self) -> None:
        """Delete all records but those of the start, which are as they were then."""
        self.records = {record.id: replace(record, fields=dict(record.fields)) for record in self._kept}
        self._by_email.clear()

    def _index(self, record: Record) -> None:
        email = record.fields.get(self._email_field)
        if isinstance(email, str) and email:
            self._by_email[email.strip().lower()] = record.id


def iso_ms(milliseconds: int) -> str:
    """The moment as HubSpot writes it: 2026-09-21T12:53:21.000Z."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"
