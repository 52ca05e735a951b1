"""Money, protection and late answers: states shared by all processes, what each lookup came to, alternatives."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns and tables."""
    _columns()
    _cache()
    _tables()


def _columns() -> None:
    text, number = sa.String(length=20), sa.Integer()
    op.add_column("work", sa.Column("scope", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("work", sa.Column("steps", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("attempts", sa.Column("role", text, nullable=False, server_default=""))
    op.add_column("attempts", sa.Column("units", number, nullable=False, server_default="1"))
    op.add_column("field_values", sa.Column("precedence", number, nullable=False, server_default="0"))
    op.add_column("field_values", sa.Column("chosen", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("field_values", sa.Column("stale", sa.Boolean(), nullable=False, server_default=sa.false()))
    in_flight = sa.text("state IN ('sent', 'pending')")
    op.drop_index("attempts_in_flight", table_name="attempts")
    op.create_index(
        "attempts_in_flight",
        "attempts",
        ["provider", "purpose", "subject_key"],
        unique=True,
        sqlite_where=in_flight,
        postgresql_where=in_flight,
    )


def _cache() -> None:
    """Make the table anew: SQLite can't drop a NOT NULL, and a cache may be lost."""
    op.drop_table("cache")
    op.create_table(
        "cache",
        sa.Column("provider", sa.String(length=60), primary_key=True),
        sa.Column("purpose", sa.String(length=60), primary_key=True),
        sa.Column("subject_key", sa.String(length=400), primary_key=True),
        sa.Column("answer", sa.JSON(), nullable=True),
        sa.Column("fetched_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("stale_until_ms", sa.BigInteger(), nullable=False),
        sa.Column("error_until_ms", sa.BigInteger(), nullable=False),
        sa.Column("error_reason", sa.String(length=60), nullable=False),
    )
    op.create_index("ix_cache_expires_at_ms", "cache", ["expires_at_ms"])


def _tables() -> None:
    waiting = sa.text("state = 'waiting'")
    op.create_table(
        "pending_answers",
        sa.Column("attempt_id", sa.String(length=40), primary_key=True),
        sa.Column("token_hash", sa.String(length=64), nullable=False, unique=True),
        sa.Column("lookup", sa.String(length=120), nullable=False),
        sa.Column("query", sa.JSON(), nullable=False),
        sa.Column("request_id", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("next_poll_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("polls", sa.Integer(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
    )
    op.create_index(
        "pending_waiting", "pending_answers", ["next_poll_at_ms"], sqlite_where=waiting, postgresql_where=waiting
    )
    op.create_table(
        "pending_waiters",
        sa.Column("attempt_id", sa.String(length=40), primary_key=True),
        sa.Column("work_id", sa.String(length=60), primary_key=True),
    )
    op.create_table(
        "provider_states",
        sa.Column("provider", sa.String(length=60), primary_key=True),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "spending",
        sa.Column("provider", sa.String(length=60), primary_key=True),
        sa.Column("day", sa.String(length=10), primary_key=True),
        sa.Column("micros", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "spending_stops",
        sa.Column("provider", sa.String(length=60), primary_key=True),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("stopped_at_ms", sa.BigInteger(), nullable=False),
    )
