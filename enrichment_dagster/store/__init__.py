"""Stores: the operational store (SQLAlchemy; SQLite files or Postgres) and the warehouse (DuckLake)."""
