"""Edges between people and companies."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

# What the warehouse took for edges until now: people and companies whose chosen values one piece of work stored.
# Without them a warehouse that is made anew would not know who works where.
_FOUND_BEFORE = """
INSERT INTO contact_company (
    contact_key, company_key, kind, system, contact_record, company_record,
    since_at_ms, last_seen_at_ms, ended_at_ms, event_id, rev
)
WITH seen AS (
    SELECT work_id, subject_key, MIN(event_id) AS event_id, MAX(rev) AS rev,
        MIN(fetched_at_ms) AS first_ms, MAX(fetched_at_ms) AS last_ms
    FROM field_values
    WHERE chosen
    GROUP BY work_id, subject_key
),
pairs AS (
    SELECT person.subject_key AS contact_key, company.subject_key AS company_key, person.event_id, person.rev,
        CASE WHEN person.first_ms < company.first_ms THEN person.first_ms ELSE company.first_ms END AS first_ms,
        CASE WHEN person.last_ms > company.last_ms THEN person.last_ms ELSE company.last_ms END AS last_ms
    FROM seen AS person
    INNER JOIN seen AS company ON company.work_id = person.work_id
    WHERE person.subject_key LIKE 'email:%' AND company.subject_key LIKE 'domain:%'
),
ranked AS (
    SELECT contact_key, company_key, event_id, rev, last_ms,
        MIN(first_ms) OVER (PARTITION BY contact_key, company_key) AS since_ms,
        ROW_NUMBER() OVER (PARTITION BY contact_key, company_key ORDER BY last_ms DESC, rev DESC) AS place
    FROM pairs
)
SELECT contact_key, company_key, 'employed', '', '', '', since_ms, last_ms, NULL, event_id, rev
FROM ranked
WHERE place = 1
"""


def upgrade() -> None:
    """Add the table, with the edges that follow from the values that are there."""
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
    op.execute(_FOUND_BEFORE)
