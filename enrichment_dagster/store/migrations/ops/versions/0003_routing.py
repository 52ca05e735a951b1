"""Routing: its result on the work, requests by idempotency key, answers owed to callers."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column and the tables."""
    op.add_column("work", sa.Column("routing", sa.JSON(), nullable=True))
    op.create_table(
        "api_requests",
        sa.Column("caller", sa.String(length=60), primary_key=True),
        sa.Column("key_hash", sa.String(length=64), primary_key=True),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("event_id", sa.String(length=40), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=True),
        sa.Column("begun_at_ms", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_api_requests_begun_at_ms", "api_requests", ["begun_at_ms"])
    op.create_table(
        "api_callbacks",
        sa.Column("event_id", sa.String(length=40), primary_key=True),
        sa.Column("caller", sa.String(length=60), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("last_reason", sa.String(length=200), nullable=False),
        sa.Column("next_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
    )
    due = sa.text("state IN ('waiting', 'owed')")
    op.create_index("callbacks_due", "api_callbacks", ["next_at_ms"], sqlite_where=due, postgresql_where=due)
