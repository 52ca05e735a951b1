"""Eligibility: what events are about, values that are proven wrong, who is left alone, what a delivery may replace."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns, the tables and the index."""
    op.add_column("work", sa.Column("matter", sa.String(length=60), nullable=False, server_default=""))
    op.add_column("outbox", sa.Column("replace", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("outbox", sa.Column("employer", sa.JSON(), nullable=True))
    op.create_index("field_values_subject", "field_values", ["subject_key", "fetched_at_ms"])
    op.create_table(
        "invalid_values",
        sa.Column("subject", sa.String(length=400), primary_key=True),
        sa.Column("field", sa.String(length=60), primary_key=True),
        sa.Column("value_hash", sa.String(length=24), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=False),
        sa.Column("event_id", sa.String(length=40), nullable=False),
        sa.Column("noted_at_ms", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "suppressions",
        sa.Column("subject", sa.String(length=400), primary_key=True),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
    )
