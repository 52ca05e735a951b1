"""Salesforce, over REST."""
