"""Alembic's entry: runs inside the transaction that ``store.migrate`` opened."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
    transactional_ddl=False,  # the caller's transaction covers everything
)
context.run_migrations()
