"""Pandera (polars) models: what may enter the field ledger and the tables of the warehouse."""
