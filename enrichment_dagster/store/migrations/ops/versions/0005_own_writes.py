"""Own writes: what deliveries write, and the events that come of it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column("work", sa.Column("caused_by", sa.String(length=40), nullable=False, server_default=""))
    op.add_column("work", sa.Column("depth", sa.Integer(), nullable=False, server_default="0"))
    loops = sa.text("reason IN ('own_write', 'causality_depth')")
    op.create_index("work_loops", "work", ["received_at_ms"], sqlite_where=loops, postgresql_where=loops)
    op.create_table(
        "own_writes",
        sa.Column("outbox_id", sa.String(length=64), primary_key=True),
        sa.Column("event_id", sa.String(length=40), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("system", sa.String(length=40), nullable=False),
        sa.Column("object_type", sa.String(length=40), nullable=False),
        sa.Column("record_id", sa.String(length=200), nullable=False),
        sa.Column("fingerprints", sa.JSON(), nullable=False),
        sa.Column("claims", sa.Integer(), nullable=False),
        sa.Column("noted_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("claimed_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("written_at_ms", sa.BigInteger(), nullable=True),
    )
    op.create_index("ix_own_writes_claimed_at_ms", "own_writes", ["claimed_at_ms"])
    op.create_index("own_writes_record", "own_writes", ["record_id", "object_type", "system"])
