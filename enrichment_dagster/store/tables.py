"""The operational store's schema, for SQLite and Postgres alike.

``journal``, ``kept_bodies`` and ``known_visitors`` live in ``journal.db``, all else in ``ops.db``; on Postgres they
share a database. Times are UTC milliseconds in ``*_ms`` columns. Rows that the warehouse copies carry ``rev``, taken
from one counter in the transaction that changes them: whoever has seen all rows up to a rev has missed none, because
the counter's row is locked until commit.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

journal_metadata = MetaData()
ops_metadata = MetaData()

IN_FLIGHT = "state IN ('sent', 'pending')"
"""Attempts without an end. As text, because a partial index is only used where its condition stands in the query."""

LOOPS = "reason IN ('own_write', 'causality_depth')"
"""Work that ended because our own writes caused it. As text for the same reason."""

MAX_REQUEST_ID = 200
"""A vendor's request id is cut here: it is the only text of a vendor's that goes into a column of limited length."""

_Seq = BigInteger().with_variant(Integer, "sqlite")  # SQLite autoincrements only an INTEGER key


def _rev() -> Column[int]:
    return Column("rev", BigInteger, nullable=False, index=True)


# --- journal.db ----------------------------------------------------------------------------------------------------

journal = Table(
    "journal",
    journal_metadata,
    Column("seq", _Seq, primary_key=True, autoincrement=True),
    Column("event_id", String(40), nullable=False),
    Column("dedup_key", String(64), nullable=False, unique=True),
    Column("event_type", String(60), nullable=False),
    Column("source", String(60), nullable=False),
    Column("lane", String(20), nullable=False),
    Column("subject_system", String(40), nullable=False),
    Column("subject_type", String(40), nullable=False),
    Column("subject_id", String(200), nullable=False),
    Column("sender_event_id", String(200), nullable=False),
    Column("skip_reason", String(60), nullable=False),
    Column("occurred_at_ms", BigInteger, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
    Column("reserved_until_ms", BigInteger),
    Column("attributes", JSON, nullable=False),
    sqlite_autoincrement=True,
)

kept_bodies = Table(
    "kept_bodies",
    journal_metadata,
    Column("body_id", _Seq, primary_key=True, autoincrement=True),
    Column("source", String(60), nullable=False),
    Column("reason", String(60), nullable=False),
    Column("detail", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
)

known_visitors = Table(
    "known_visitors",
    journal_metadata,
    Column("source", String(60), primary_key=True),
    Column("visitor", String(200), primary_key=True),  # an id of the sender's: of a user, or of a browser
    Column("email", String(320), nullable=False),
)

# --- ops.db --------------------------------------------------------------------------------------------------------

counters = Table(
    "counters",
    ops_metadata,
    Column("name", String(40), primary_key=True),  # "rev", "journal_watermark"
    Column("n", BigInteger, nullable=False),
)

work = Table(
    "work",
    ops_metadata,
    Column("work_id", String(60), primary_key=True),  # the event id; follow-ups carry a suffix
    Column("seq", BigInteger, nullable=False),  # the journal's, for order
    Column("kind", String(20), nullable=False),  # WorkKind
    Column("event_id", String(40), nullable=False, index=True),
    Column("event_type", String(60), nullable=False),
    Column("source", String(60), nullable=False),
    Column("lane", String(20), nullable=False),
    Column("subject_system", String(40), nullable=False),
    Column("subject_type", String(40), nullable=False),
    Column("subject_id", String(200), nullable=False),
    Column("sender_event_id", String(200), nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("occurred_at_ms", BigInteger, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
    Column("day", String(10), nullable=False),  # UTC date of receipt: the partition
    Column("state", String(20), nullable=False),  # "due", "assigned", "done"
    Column("due_at_ms", BigInteger, nullable=False),
    Column("batch_id", String(40)),
    Column("tries", Integer, nullable=False, default=0),  # follow-ups made before this one
    Column("deferrals", Integer, nullable=False, default=0),  # times that its CRM was down
    Column("crashes", Integer, nullable=False, default=0),  # batches that died with this work in them
    Column("run_id", String(40), nullable=False, default=""),
    Column("started_at_ms", BigInteger),
    Column("finished_at_ms", BigInteger),
    Column("delivered_at_ms", BigInteger),
    Column("outcome", String(20)),
    Column("reason", String(60), nullable=False, default=""),
    Column("missing", JSON, nullable=False, default=dict),
    Column("cost_micros", BigInteger, nullable=False, default=0),
    Column("scope", JSON, nullable=False, default=dict),  # {"lookups": [...], "reasons": {field: reason}}; empty = all
    Column("steps", JSON, nullable=False, default=list),  # what became of each lookup of the plan
    Column("routing", JSON),  # {"segment", "score", "route", "reasons"} of work of the kind "routing"
    Column("matter", String(60), nullable=False, default=""),  # what the event is about, see ``eligibility.matter``
    Column("caused_by", String(40), nullable=False, default=""),  # the event whose write to the record led to this one
    Column("depth", Integer, nullable=False, default=0),  # how many such steps lie behind the event
    _rev(),
    Index(
        "work_due",
        "event_type",
        "due_at_ms",
        sqlite_where=text("state = 'due'"),
        postgresql_where=text("state = 'due'"),
    ),
    Index(
        "work_assigned",
        "batch_id",
        sqlite_where=text("state = 'assigned'"),
        postgresql_where=text("state = 'assigned'"),
    ),
    Index("work_subject", "subject_system", "subject_type", "subject_id"),
    Index("work_received", "event_type", "received_at_ms"),
    Index("work_loops", "received_at_ms", sqlite_where=text(LOOPS), postgresql_where=text(LOOPS)),
)

batches = Table(
    "batches",
    ops_metadata,
    Column("batch_id", String(40), primary_key=True),
    Column("event_type", String(60), nullable=False),
    Column("day", String(10), nullable=False),
    Column("state", String(20), nullable=False),  # "open", "finished", "released"
    Column("attempt", Integer, nullable=False, default=1),  # run_key is batch_id:attempt
    Column("size", Integer, nullable=False),
    Column("oldest_ms", BigInteger, nullable=False),  # receipt of its oldest event
    Column("created_at_ms", BigInteger, nullable=False),
    Column("emitted_at_ms", BigInteger, nullable=False, default=0),  # when its run request was last handed to Dagster
    Column("starts", Integer, nullable=False, default=0),
    Column("started_attempt", Integer, nullable=False, default=0),  # the attempt whose run took the lease
    Column("owner", String(60), nullable=False, default=""),  # run id of the lease
    Column("token", BigInteger, nullable=False, default=0),  # fencing token, grows with each lease
    Column("lease_until_ms", BigInteger, nullable=False, default=0),
    Column("finished_at_ms", BigInteger),
    Index("batches_open", "event_type", sqlite_where=text("state = 'open'"), postgresql_where=text("state = 'open'")),
)

attempts = Table(
    "attempts",
    ops_metadata,
    Column("attempt_id", String(40), primary_key=True),
    Column("provider", String(60), nullable=False),
    Column("purpose", String(60), nullable=False),
    Column("subject_key", String(400), nullable=False),
    Column("event_id", String(40), nullable=False, index=True),
    # "sent" until settled as "hit", "miss", "error" or "unknown"; "pending" where the provider answers later
    Column("state", String(20), nullable=False),
    Column("reason", String(60), nullable=False, default=""),
    Column("http_status", Integer),
    Column("request_id", String(MAX_REQUEST_ID), nullable=False, default=""),
    Column("reserved_micros", BigInteger, nullable=False),
    Column("cost_micros", BigInteger, nullable=False, default=0),
    Column("latency_ms", Integer),
    Column("sent_at_ms", BigInteger, nullable=False),
    Column("lease_until_ms", BigInteger, nullable=False),
    Column("settled_at_ms", BigInteger),
    Column("role", String(20), nullable=False, default=""),  # "hedge"
    Column("units", Integer, nullable=False, default=1),
    _rev(),
    # One call in flight for a subject: the singleflight between processes.
    Index(
        "attempts_in_flight",
        "provider",
        "purpose",
        "subject_key",
        unique=True,
        sqlite_where=text(IN_FLIGHT),
        postgresql_where=text(IN_FLIGHT),
    ),
)

pending_answers = Table(
    "pending_answers",
    ops_metadata,
    Column("attempt_id", String(40), primary_key=True),
    Column("token_hash", String(64), nullable=False, unique=True),  # of the callback URL's token: it is good once
    Column("lookup", String(120), nullable=False),
    Column("query", JSON, nullable=False),
    Column("request_id", String(MAX_REQUEST_ID), nullable=False, default=""),
    Column("state", String(20), nullable=False),  # "opened" (the call is on its way), "waiting", "answered", "expired"
    Column("created_at_ms", BigInteger, nullable=False),
    Column("next_poll_at_ms", BigInteger),  # None: it can't be polled
    Column("polls", Integer, nullable=False, default=0),
    Column("expires_at_ms", BigInteger, nullable=False),
    Index(
        "pending_waiting",
        "next_poll_at_ms",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
)

pending_waiters = Table(
    "pending_waiters",  # the work that is woken when a pending answer comes
    ops_metadata,
    Column("attempt_id", String(40), primary_key=True),
    Column("work_id", String(60), primary_key=True),
)

provider_states = Table(
    "provider_states",  # breaker, rate limit and latencies, shared by all processes
    ops_metadata,
    Column("provider", String(60), primary_key=True),
    Column("state", JSON, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
)

spending = Table(
    "spending",  # money reserved and spent, by provider and UTC day; the provider "" stands for all together
    ops_metadata,
    Column("provider", String(60), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("micros", BigInteger, nullable=False),
)

spending_stops = Table(
    "spending_stops",  # the kill switch: a row stops a provider, or all of them under the name "all"
    ops_metadata,
    Column("provider", String(60), primary_key=True),
    Column("reason", String(200), nullable=False, default=""),
    Column("stopped_at_ms", BigInteger, nullable=False),
)

cache = Table(
    "cache",
    ops_metadata,
    Column("provider", String(60), primary_key=True),
    Column("purpose", String(60), primary_key=True),
    Column("subject_key", String(400), primary_key=True),
    Column(
        "answer", JSON
    ),  # {"values": [[field, value, confidence]], "request_id": ..., "ids": {}}; None: no answer yet
    Column("fetched_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False, index=True),
    Column("stale_until_ms", BigInteger, nullable=False, default=0),  # served until then when a refresh fails
    Column("error_until_ms", BigInteger, nullable=False, default=0),  # a failure keeps others from asking until then
    Column("error_reason", String(60), nullable=False, default=""),
)

field_values = Table(
    "field_values",
    ops_metadata,
    Column("value_id", _Seq, primary_key=True, autoincrement=True),
    Column("work_id", String(60), nullable=False),
    Column("event_id", String(40), nullable=False, index=True),
    Column("subject_key", String(400), nullable=False),
    Column("field", String(60), nullable=False),
    Column("value", JSON, nullable=False),
    Column("provider", String(60), nullable=False),
    Column("confidence", Float, nullable=False),
    Column("fetched_at_ms", BigInteger, nullable=False),
    Column("verified_at_ms", BigInteger),
    Column("expires_at_ms", BigInteger),
    Column("cost_micros", BigInteger, nullable=False),
    Column("request_id", String(MAX_REQUEST_ID), nullable=False),
    Column("precedence", Integer, nullable=False, default=0),  # 0 = the CRM record; then the place in the plan's order
    Column("chosen", Boolean, nullable=False, default=True),  # False: an alternative
    Column("stale", Boolean, nullable=False, default=False),
    _rev(),
    UniqueConstraint("work_id", "subject_key", "field", "provider"),
    Index("field_values_subject", "subject_key", "fetched_at_ms"),
)

quarantine = Table(
    "quarantine",
    ops_metadata,
    Column("quarantine_id", _Seq, primary_key=True, autoincrement=True),
    Column("work_id", String(60), nullable=False),
    Column("event_id", String(40), nullable=False, index=True),
    Column("field", String(60), nullable=False),
    Column("raw", Text, nullable=False),
    Column("provider", String(60), nullable=False),
    Column("reason", String(200), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    _rev(),
)

invalid_values = Table(
    "invalid_values",  # proven wrong by an event: no cache and no provider brings them back
    ops_metadata,
    Column("subject", String(400), primary_key=True),  # a record's key, or a person's
    Column("field", String(60), primary_key=True),
    Column("value_hash", String(24), primary_key=True),
    Column("value", Text, nullable=False),
    Column("reason", String(60), nullable=False),  # "hard_bounce", "disconnected"
    Column("event_id", String(40), nullable=False),
    Column("noted_at_ms", BigInteger, nullable=False),
)

suppressions = Table(
    "suppressions",  # who must not be enriched; operators keep the list
    ops_metadata,
    Column("subject", String(400), primary_key=True),  # a person's key, a company's, or a record's
    Column("reason", String(200), nullable=False, default=""),
    Column("since_ms", BigInteger, nullable=False),
)

contact_company = Table(
    "contact_company",  # edges: who belongs to which company, by whose word, since when
    ops_metadata,
    Column("contact_key", String(400), primary_key=True),  # "email:…", or "record:…" where no address is known
    Column("company_key", String(400), primary_key=True),  # "domain:…", or "record:…"
    Column("kind", String(20), primary_key=True),  # EdgeKind
    Column("system", String(40), primary_key=True),  # the CRM that says so; empty for what an enrichment found
    Column("contact_record", String(300), nullable=False),  # "hubspot:contact:1"; empty where there is none
    Column("company_record", String(300), nullable=False),
    Column("since_at_ms", BigInteger, nullable=False),
    Column("last_seen_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
    Column("event_id", String(40), nullable=False),  # the event that showed it last
    _rev(),
    Index("contact_company_record", "contact_record"),
)

outbox = Table(
    "outbox",
    ops_metadata,
    Column("outbox_id", String(64), primary_key=True),  # idempotency key of the effect
    Column("work_id", String(60), nullable=False, index=True),
    Column("event_id", String(40), nullable=False),
    Column("system", String(40), nullable=False),
    Column("object_type", String(40), nullable=False),
    Column("record_id", String(200), nullable=False),
    Column("fill", JSON, nullable=False),
    Column("assign", JSON, nullable=False),
    Column("replace", JSON, nullable=False, default=dict),  # {property: the one value that ``fill`` may replace}
    Column("employer", JSON),  # {"domain", "name", "former_domain"} of the company to associate the record with
    Column("state", String(20), nullable=False),  # "owed", "done", "rejected"
    Column("tries", Integer, nullable=False, default=0),
    Column("last_reason", String(200), nullable=False, default=""),
    Column("next_at_ms", BigInteger, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("owner", String(60), nullable=False, default=""),
    Column("lease_until_ms", BigInteger, nullable=False, default=0),
    Index("outbox_owed", "next_at_ms", sqlite_where=text("state = 'owed'"), postgresql_where=text("state = 'owed'")),
    Index(
        "outbox_record",
        "system",
        "object_type",
        "record_id",
        sqlite_where=text("state = 'owed'"),
        postgresql_where=text("state = 'owed'"),
    ),
)

crm_writes = Table(
    "crm_writes",
    ops_metadata,
    Column("outbox_id", String(64), primary_key=True),
    Column("work_id", String(60), nullable=False),
    Column("event_id", String(40), nullable=False, index=True),
    Column("system", String(40), nullable=False),
    Column("object_type", String(40), nullable=False),
    Column("record_id", String(200), nullable=False),
    Column("status", String(20), nullable=False),  # "written", "already_there", "rejected"
    Column("written", JSON, nullable=False),
    Column("kept", JSON, nullable=False),
    Column("reason", String(200), nullable=False),
    Column("written_at_ms", BigInteger, nullable=False),
    _rev(),
)

own_writes = Table(
    "own_writes",  # what deliveries write, noted before it is sent: the CRM's report of it is known by this
    ops_metadata,
    Column("outbox_id", String(64), primary_key=True),
    Column("event_id", String(40), nullable=False),
    Column("depth", Integer, nullable=False),  # of that event
    Column("system", String(40), nullable=False),
    Column("object_type", String(40), nullable=False),
    Column("record_id", String(200), nullable=False),
    Column("fingerprints", JSON, nullable=False),  # {property: short hash}, first of all that may be written
    Column("claims", Integer, nullable=False),  # more than one: an earlier one may have written
    Column("noted_at_ms", BigInteger, nullable=False),  # the first claim that may have written
    Column("claimed_at_ms", BigInteger, nullable=False, index=True),  # the last one
    Column("written_at_ms", BigInteger),  # None: not confirmed
    Index("own_writes_record", "record_id", "object_type", "system"),
)

dead_letters = Table(
    "dead_letters",
    ops_metadata,
    Column("work_id", String(60), primary_key=True),
    Column("event_id", String(40), nullable=False, index=True),
    Column("event_type", String(60), nullable=False),
    Column("component", String(60), nullable=False),
    Column("reason", String(60), nullable=False),
    Column("detail", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    _rev(),
)

beats = Table(
    "beats",
    ops_metadata,
    Column("name", String(80), primary_key=True),  # "tick:lead_created", "gateway", "projector"
    Column("at_ms", BigInteger, nullable=False),
    Column("detail", JSON, nullable=False),
)

api_requests = Table(
    "api_requests",  # requests to POST /enrich by idempotency key
    ops_metadata,
    Column("caller", String(60), primary_key=True),
    Column("key_hash", String(64), primary_key=True),
    Column("body_hash", String(64), nullable=False),
    Column("event_id", String(40), nullable=False),
    Column("answer", JSON),  # None while it is being worked on
    Column("begun_at_ms", BigInteger, nullable=False, index=True),
)

api_callbacks = Table(
    "api_callbacks",  # answers owed to callers that asked asynchronously
    ops_metadata,
    Column("event_id", String(40), primary_key=True),
    Column("caller", String(60), nullable=False),
    Column("url", Text, nullable=False),
    Column("state", String(20), nullable=False),  # "waiting" (for the event's end), "owed", "done", "given_up"
    Column("tries", Integer, nullable=False, default=0),
    Column("last_reason", String(200), nullable=False, default=""),
    Column("next_at_ms", BigInteger, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Index(
        "callbacks_due",
        "next_at_ms",
        sqlite_where=text("state IN ('waiting', 'owed')"),
        postgresql_where=text("state IN ('waiting', 'owed')"),
    ),
)
