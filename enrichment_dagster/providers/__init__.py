"""Data providers: one file per vendor, from its reply to our fields. ``registry.build_lookups`` is the way in."""
