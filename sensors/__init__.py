"""Dagster sensors: look, let ``domain.dispatch`` decide, do what it says."""
