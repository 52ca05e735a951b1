"""Who the visitors of a website are."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "known_visitors",
        sa.Column("source", sa.String(length=60), nullable=False),
        sa.Column("visitor", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.PrimaryKeyConstraint("source", "visitor"),
    )
