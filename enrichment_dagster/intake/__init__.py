"""Senders of webhooks: who may send, how they prove it, and how their bodies become events."""
