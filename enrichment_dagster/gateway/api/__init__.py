"""The gateway's own API: ask for one lead, look at one event."""
