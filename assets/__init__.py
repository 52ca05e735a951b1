"""Dagster assets, checks and jobs: thin shells around the engine."""
