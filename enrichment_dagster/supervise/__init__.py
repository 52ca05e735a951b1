"""Starting and supervising all processes of an installation: what ``enrichment up`` does."""
