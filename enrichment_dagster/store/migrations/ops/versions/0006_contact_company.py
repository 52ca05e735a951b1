"""Edges between people and companies."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "contact_company",
        sa.Column("contact_key", sa.String(length=400), primary_key=True),
        sa.Column("company_key", sa.String(length=400), primary_key=True),
        sa.Column("kind", sa.String(length=20), primary_key=True),
        sa.Column("system", sa.String(length=40), primary_key=True),
        sa.Column("contact_record", sa.String(length=300), nullable=False),
        sa.Column("company_record", sa.String(length=300), nullable=False),
        sa.Column("since_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("event_id", sa.String(length=40), nullable=False),
        sa.Column("rev", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_contact_company_rev", "contact_company", ["rev"])
    op.create_index("contact_company_record", "contact_company", ["contact_record"])
