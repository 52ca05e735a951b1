"""Measurements of the product as it runs: see README.md. Never part of a test run."""
