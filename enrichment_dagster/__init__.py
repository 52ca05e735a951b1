"""Event-triggered CRM enrichment on Dagster."""
