"""CRMs: one folder each, and the mapping between our fields and theirs. ``registry.build_crms`` is the way in."""
